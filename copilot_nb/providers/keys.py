"""The sources of a provider's key: the environment, a prompt, the system keyring; never a setting or a cell.

A key is read when a request is sent, and put on that request only. The runtime gets a placeholder, so neither its log
nor its disk can contain the key. A provider that refuses a key may repeat it in its error, so errors are shown without
it, however it is escaped there. A model never gets the key, so answers are left unchanged.

Why: docs/decisions/0011-runtime-never-learns-a-key.md.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from copilot_nb.errors import ProviderError
from copilot_nb.system.threads import in_thread

SERVICE = "copilot_nb"
"""The name under which the system keyring keeps our keys; the user of an entry is the provider's name and address."""
HIDDEN = "[key]"
MIN_HIDDEN_CHARS = 8
"""Shorter ones are placeholders ("ollama", "none", "EMPTY"), words that an error may well use."""


class Secret:
    """A key that no `repr`, traceback or log shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled or copied")

    def reveal(self) -> str:
        """Return the key itself: for a request's header."""
        return self._text

    def hidden_in(self, text: str) -> str:
        """Return `text` without the key, whether it stands there as it is or escaped as in JSON or in a URL."""
        if len(self._text) < MIN_HIDDEN_CHARS:
            return text
        return re.sub("".join(map(_as_written, self._text)), HIDDEN, text)


def _as_written(char: str) -> str:
    r"""Return a pattern of one character of a key: itself, ``\/``, ``\u002f`` or ``%2F``."""
    return rf"(?:\\{{0,3}}{re.escape(char)}|\\{{1,3}}u(?i:{ord(char):04x})|%(?i:{ord(char):02x}))"


def secret(text: str, where: str) -> Secret:
    """Return a key that was read, without the blanks that pasting leaves around it.

    Raises
    ------
    ProviderError
        If it cannot be a key; the error does not show it.
    """
    text = text.strip()
    if not text:
        raise ProviderError(f"the key is empty: {where}", "give it again")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ProviderError(f"this is not a key, it has blanks or special characters in it: {where}", "give it again")
    return Secret(text)


class Key(Protocol):
    """A source of a key."""

    @property
    def where(self) -> str:
        """Where the key comes from, in words."""
        ...

    def read(self) -> Secret | None:
        """Return the key, ``None`` if none is needed; may take long.

        Raises
        ------
        ProviderError
            If there is none where one is needed.
        """
        ...


@dataclass(frozen=True)
class NoKey:
    """The provider needs no key."""

    where = "none needed"

    def read(self) -> Secret | None:
        """Return nothing."""
        return None


@dataclass(frozen=True)
class EnvironmentKey:
    """A key in the environment variable `variable`, read again for each request."""

    variable: str

    @property
    def where(self) -> str:
        """Where it comes from."""
        return f"the environment variable {self.variable}"

    def read(self) -> Secret | None:
        """Return the value of the variable."""
        if self.variable not in os.environ:
            raise ProviderError(f"there is no key: {self.where} is not set", f"set {self.variable}")
        return secret(os.environ[self.variable], self.where)


@dataclass(frozen=True)
class TypedKey:
    """A key that was typed in, and that this kernel forgets when it ends."""

    value: Secret
    where = "typed in, kept by this kernel only"

    def read(self) -> Secret | None:
        """Return the key."""
        return self.value


@dataclass
class KeyringKey:
    """A key in the system keyring, read once. It belongs to one address and is not sent to another.

    Attributes
    ----------
    name : str
        The provider's name.
    origin : str
        The scheme, host and port that the key is for, such as ``"https://api.example.org"``.
    """

    name: str
    origin: str
    _value: Secret | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """Where it comes from."""
        return f"the system keyring (service {SERVICE}, user {self._user})"

    @property
    def _user(self) -> str:
        return f"{self.name}@{self.origin}"

    def read(self) -> Secret | None:
        """Return the key from the keyring; the system may ask its user first."""
        if self._value is None:
            found = _keyring_entry(self._user)
            if found is None:
                again = f"%copilot provider add {self.name} --keyring …"
                raise ProviderError(f"there is no key: {self.where} holds none", again)
            self._value = secret(found, self.where)
        return self._value

    def is_kept(self) -> bool:
        """Whether the keyring has the key.

        Raises
        ------
        ProviderError
            If there is no keyring that can be used.
        """
        return _keyring_entry(self._user) is not None

    def keep(self, value: Secret) -> None:
        """Write the key to the keyring."""
        from keyring import set_password
        from keyring.errors import KeyringError

        try:
            set_password(SERVICE, self._user, value.reveal())
        except KeyringError as error:
            raise _unusable(error) from error
        self._value = value


def at_hand(key: Key) -> Secret | None:
    """Return a key without asking the system for it; ``None``: this kernel does not hold it."""
    match key:
        case TypedKey(value) | KeyringKey(_value=value):
            return value
        case EnvironmentKey(variable) if variable in os.environ:
            return Secret(os.environ[variable].strip())
        case _:
            return None


async def obtained(key: Key) -> Secret | None:
    """Return the key without blocking the loop while the system asks its user."""
    return await in_thread(key.read) if isinstance(key, KeyringKey) else key.read()


def _keyring_entry(user: str) -> str | None:
    try:
        from keyring import get_password
        from keyring.errors import KeyringError
    except ImportError as error:
        raise ProviderError(
            "the system keyring needs the package keyring", "pip install keyring, or name a variable: --api-key-env VAR"
        ) from error
    try:
        return get_password(SERVICE, user)
    except KeyringError as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> ProviderError:
    return ProviderError(
        f"the system keyring cannot be used: {type(error).__name__}", "name a variable instead: --api-key-env VAR"
    )
