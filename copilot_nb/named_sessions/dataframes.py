"""Creates pandas tables. pandas is optional and imported only here."""

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
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("to_frame needs pandas, which is not installed here", "pip install pandas") from error
    return pd


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> DataFrame:
    """Return a table of `rows` with `columns`, using pandas' nullable types.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    table: DataFrame = pandas().DataFrame(list(rows), columns=list(columns)).convert_dtypes()
    return table
