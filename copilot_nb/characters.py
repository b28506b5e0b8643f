"""Invisible characters: those that control a terminal, and those that hide text or change its direction.

A terminal obeys escape sequences wherever they come from: one writes the clipboard, another renames the window. So
other people's text is shown with symbols in their place (``␛``).
"""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),  # they have no symbols
}
_LONE_RETURN = re.compile(r"\r(?!\n)")
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Return `text` with symbols for control characters, but for tabs and line ends."""
    return text if text.isprintable() else _LONE_RETURN.sub("␍", text.translate(_SYMBOLS))


def without_controls(text: str) -> str:
    """Return `text` without control characters."""
    return "".join(character for character in text if unicodedata.category(character) != "Cc")


def hidden_sign(text: str) -> str:
    """Return the first character that is invisible or changes the direction of text; ``""`` if there is none.

    A joiner is part of some scripts and of emoji, so it may stand behind a character that is not ASCII.
    """
    for before, character in zip(f" {text}", text, strict=False):
        is_joiner = character in _JOINERS and not before.isascii()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and not is_joiner:
            return character
    return ""
