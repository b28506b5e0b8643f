"""Tables for pandas, which is asked for only here and need not be installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame


def pandas() -> ModuleType:
    """Return the module pandas.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("to_frame needs pandas, which is not installed here", "pip install pandas") from error
    return pd


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> DataFrame:
    """Return `rows` under `columns`, with pandas' own nullable types.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    table: DataFrame = pandas().DataFrame(list(rows), columns=list(columns)).convert_dtypes()
    return table
