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
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LONE_RETURN = re.compile(r"\r(?!\n)")
_JOINERS = "\u200c\u200d"
_BLANK = "\u2800\u3164\u115f\u1160\uffa0"
"""Letters and signs that look like nothing."""
_OUT_OF_SIGHT = re.compile(r"(?<![^\S\n])[^\S\n]{100,}|\n(?:[^\S\n]*\n){10,}")
"""As many blanks or empty lines as push what follows out of sight."""


def visible(text: str) -> str:
    """Return `text` with symbols for control characters, but for tabs and line ends."""
    return text if text.isprintable() else _LONE_RETURN.sub("␍", text.translate(_SYMBOLS))


def revealed(text: str) -> str:
    """Return `text` with all that hides something written out; lines and tabs stay.

    Invisible characters and those that change the direction of text are named, long runs of blanks and of empty lines
    are counted.

    Examples
    --------
    >>> revealed("user = 'admin\u202e'")
    "user = 'admin⟨U+202E⟩'"
    """
    text = _OUT_OF_SIGHT.sub(_counted, text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(character) for character in text)


def revealed_line(text: str) -> str:
    """Return `text` in one line, as `revealed` writes it."""
    return revealed(" ".join(text.split()))


def _counted(found: re.Match[str]) -> str:
    lines = found[0].count("\n") - 1
    return f"\n⟨{lines:,} empty lines⟩\n" if lines > 0 else f"⟨{len(found[0]):,} blanks⟩"


def _written_out(character: str) -> str:
    is_plain = character.isprintable() or character in "\t\n" or unicodedata.category(character) == "Zs"
    return character if is_plain and character not in _BLANK else f"⟨U+{ord(character):04X}⟩"


def without_controls(text: str) -> str:
    """Return `text` without control characters."""
    return "".join(character for character in text if unicodedata.category(character) != "Cc")


def without_escapes(text: str) -> str:
    """Return `text` without the escape sequences that colour it in a terminal."""
    return _ESCAPES.sub("", text)


def hidden_sign(text: str) -> str:
    """Return the first character that is invisible or changes the direction of text; ``""`` if there is none.

    A joiner is part of some scripts and of emoji, so it may stand behind a character that is not ASCII.
    """
    for before, character in zip(f" {text}", text, strict=False):
        is_joiner = character in _JOINERS and not before.isascii()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and not is_joiner:
            return character
    return ""
