"""The Parquet files of a comparison: pyarrow, which writes them, is too large for the environment of the tests."""

from __future__ import annotations

from pathlib import Path

from .beside import run_beside


def test_a_comparison_is_written_to_parquet_as_its_table_is(tmp_path: Path) -> None:
    run_beside(["pyarrow==26.0.1"], "parquet_steps.py", tmp_path)
