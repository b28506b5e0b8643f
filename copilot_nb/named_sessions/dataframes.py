"""Creates pandas tables. pandas is optional and imported only here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.render.escape import well_formed

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


def frame(rows: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> DataFrame:
    """Return a table of `rows`, using pandas' nullable types; all its text can be encoded.

    Parameters
    ----------
    rows : iterable of mapping
        The values by column; a missing one is unknown.
    columns : mapping of str to str
        The columns' types, which do not depend on the values then; ``""``: the type that fits the values.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    encodable = [{well_formed(name): _encodable(value) for name, value in row.items()} for row in rows]
    columns = {well_formed(name): kind for name, kind in columns.items()}
    table: DataFrame = pandas().DataFrame(encodable, columns=list(columns)).convert_dtypes()
    return table.astype({name: kind for name, kind in columns.items() if kind})


def _encodable(value: object) -> object:
    return well_formed(value) if isinstance(value, str) else value
