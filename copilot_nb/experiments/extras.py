"""Libraries of the optional extras: if one is missing, a one-line error says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from copilot_nb.errors import InputError


class MissingExtra(InputError):
    """A library is not installed."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import the libraries of an extra in the body: ``with extra("plots"): import matplotlib``.

    Parameters
    ----------
    name : str
        The extra in pyproject.toml that installs them.

    Raises
    ------
    MissingExtra
        If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name or 'a library'} is not installed, and this needs it"
        raise MissingExtra(message, f"type `%pip install 'copilot-nb[{name}]'`") from error
