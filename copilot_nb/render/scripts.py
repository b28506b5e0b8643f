"""Scripts without blanks between words, in which rules that look for a blank or a letter fail.

Chinese, Japanese and Korean (whose particles touch the word before), Thai, Lao, Burmese and Khmer. In them a formula,
an address or bold text touches the letters around it. Their own, full-width, punctuation counts with them.
"""

from __future__ import annotations

import re

LETTERS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30fa\u30fc-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
"""The letters, for a set in a regular expression."""
PUNCTUATION = (
    "\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb\ufe10-\ufe1f\ufe30-\ufe6f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
"""Their punctuation, for the same."""

_UNSPACED = re.compile(f"[{LETTERS}{PUNCTUATION}]")


def is_unspaced(character: str) -> bool:
    """Whether a character is a letter or a sign of a script without blanks; ``False`` for ``""``."""
    return _UNSPACED.match(character) is not None
