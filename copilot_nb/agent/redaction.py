"""Hides secrets in text that is sent to a model but not typed by the user: files, tables, values, tracebacks.

A secret is recognised in three ways, from the surest to the weakest:

1. by its exact value, if the kernel holds it: an environment variable, a line of a ``.env`` file, a provider's key
   (`providers.secrets` collects these);
2. by its shape: `SHAPES` are the tokens of well-known services, which have a distinctive prefix;
3. by the name before it: ``password = "…"``, if the value does not look like a word.

Each is replaced by ``‹secret: NAME›``, so the model sees that there is a value, and the text itself gives the count.
The time is proportional to the length of the text: a value or prefix is searched for before any pattern is tried, and
no pattern reads a character more than a few times.

Libraries that we tried: detect-secrets takes 2.6 ms per line and reports words such as ``id``; scrubadub needs
scikit-learn.

Why: docs/decisions/0033-hide-what-was-not-typed.md.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from copilot_nb.system.environment import is_secret_name

MARK = "‹secret: "
_MARK = re.compile(f"{MARK}[^›\\n]*›")
MIN_CHARS = 8
"""Shorter values are placeholders or common words ("ollama", "none", "true") (characters)."""
MIN_LETTERS = 16
"""A value of letters only counts as a word unless it is at least this long (characters)."""
MIN_BARE_DIGITS = 2
"""An unquoted value with fewer digits may be the name of a variable (count)."""
MAX_NAME_CHARS = 60

_URL_PASSWORD = re.compile(r"://[^\s/:@\"']{0,100}:([^\s/@\"']{1,200})@")
SHAPES: tuple[tuple[str, str, str], ...] = (
    (  # first, because its lines may match other shapes
        "private key",
        "-----BEGIN ",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\\\s]*+(?:-----END [A-Z ]{0,40}-----)?",
    ),
    ("API key", "sk-", r"sk-(?<![\w-]sk-)(?=[A-Za-z_-]*\d)[\w-]{20,}"),
    ("GitHub token", "gh", r"gh[pousr]_(?<!\w.{4})[A-Za-z0-9]{36,}"),
    ("GitHub token", "github_pat_", r"github_pat_\w{22,}"),
    ("GitLab token", "glpat-", r"glpat-[\w-]{20,}"),
    ("AWS key", "AKIA", r"AKIA(?<!\wAKIA)[A-Z0-9]{16}(?!\w)"),
    ("AWS key", "ASIA", r"ASIA(?<!\wASIA)[A-Z0-9]{16}(?!\w)"),
    ("Slack token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("Google key", "AIza", r"AIza(?<!\wAIza)[\w-]{35}"),
    ("Hugging Face token", "hf_", r"hf_(?<!\whf_)[A-Za-z0-9]{30,}"),
    ("Stripe key", "k_live_", r"k_live_[A-Za-z0-9]{16,}"),
    ("npm token", "npm_", r"npm_(?<!\wnpm_)[A-Za-z0-9]{36}"),
    ("PyPI token", "pypi-", r"pypi-AgE[\w-]{50,}"),
    ("SendGrid key", "SG.", r"SG\.(?<!\wSG.)[\w-]{20,24}\.[\w-]{40,46}"),
    ("JSON Web Token", "eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    ("bearer token", "earer ", r"earer ([\w.~+/-]{16,}=*)"),
    ("password", "Basic ", r"Basic ([A-Za-z0-9+/]{12,}={0,2})(?![\w-])"),
    ("password", "://", _URL_PASSWORD.pattern),
)
"""The name of a secret, the text that is searched for first, and the pattern (its group, or all of it, is hidden)."""

_KEYWORDS = (
    *("assw", "ASSW", "assphrase", "ASSPHRASE", "pwd", "PWD", "ecret", "ECRET", "oken", "OKEN"),
    *("key", "Key", "KEY", "redential", "REDENTIAL"),
)
"""Parts of the names of secrets, without a first letter that may be upper or lower case."""
_VALUE = (
    r"[\w-]{0,20}+\\?[\"']?+\]?+\s{0,3}+[=:]\s{0,3}+"
    r"(?:[bfru]?\\?[\"'](?P<quoted>[^\s\"'\\]{8,}+)\\?[\"']|(?P<bare>[A-Za-z0-9+/=-]{12,}+))"
)
_END_OF_NAME = re.compile(r"[\w-]*$")
_NAME = re.compile(r"[\w-]*")
_GOES_ON = tuple("_.([")
_SPECIAL = re.compile(r"[0-9!@#$%^&*+=~]")
_NO_LITERAL = ("<", "{", "$", "%", "/", "~", "./", "../", "http", MARK[0])


def is_distinctive(value: str) -> bool:
    """Whether a secret's value can be searched for: it is neither short nor a common word."""
    return len(value) >= MIN_CHARS and not (value.isalpha() and len(value) < MIN_LETTERS)


def looks_random(value: str) -> bool:
    """Whether the value after a secret's name looks like a secret, not like a word, a path or a placeholder."""
    is_mixed = bool(_SPECIAL.search(value)) and any(char.isalpha() for char in value)
    return len(value) >= MIN_CHARS and is_mixed and not value.startswith(_NO_LITERAL)


def hidden_count(text: str) -> int:
    """Return the number of hidden secrets in a text."""
    return text.count(MARK)


def url_password(value: str) -> str:
    """Return the password in an address such as ``postgres://user:password@host``; ``""``: there is none."""
    found = _URL_PASSWORD.search(value)
    return found[1] if found else ""


@dataclass(frozen=True)
class Redactor:
    """Hides secrets.

    Attributes
    ----------
    known : mapping from str to str
        The name of each secret whose value is known, by the value.
    """

    known: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Return `text` with ``‹secret: NAME›`` in place of each secret."""
        names = {form: name for value, name in self.known.items() for form in _forms(value) if form in text}
        if names:
            longest_first = sorted(names, key=len, reverse=True)
            text = re.sub("|".join(map(re.escape, longest_first)), lambda found: mark(names[found[0]]), text)
        for name, prefix, pattern in _shapes():
            if prefix in text:
                text = pattern.sub(partial(_hide_shape, name), text)
        for keyword, pattern in _assigned():
            if keyword in text:
                text = pattern.sub(_hide_assigned, text)
        return text


def mark(name: str) -> str:
    """Return the mark that replaces a secret."""
    return f"{MARK}{' '.join(name.split())[:MAX_NAME_CHARS].replace('›', '')}›"


def revealed(answer: str, hidden: str, original: str) -> str:
    """Return code derived from a `hidden` text, with the secrets of the `original` restored.

    The result goes into the user's notebook, which had the secrets before. A mark for several values is not replaced.

    Examples
    --------
    >>> revealed("k = '‹secret: K›'; f(k)", "k = '‹secret: K›'", "k = 'abc'")
    "k = 'abc'; f(k)"
    """
    values: dict[str, set[str]] = {}
    parts, marks = _MARK.split(hidden), _MARK.findall(hidden)
    if "" in parts[1:-1]:
        return answer  # between two adjacent marks the end of a value is unknown
    position = len(parts[0])
    for found, after in zip(marks, parts[1:], strict=True):
        end = original.find(after, position) if after else len(original)
        values.setdefault(found, set()).add(original[position:end])
        position = end + len(after)
    known = {found: next(iter(each)) for found, each in values.items() if len(each) == 1}
    return _MARK.sub(lambda found: known.get(found[0], found[0]), answer)


def _forms(value: str) -> set[str]:
    """Return the spellings of a value: as it is, in Python, in JSON, in a URL."""
    in_json = json.dumps(value)[1:-1]
    return {value, repr(value)[1:-1], in_json, in_json.replace("/", "\\/"), urllib.parse.quote(value, safe="")}


def _hide_shape(name: str, found: re.Match[str]) -> str:
    group = found.re.groups  # 1: the secret is a part of the match
    if found[group].startswith(MARK[0]):
        return found[0]
    start, end = found.start(group) - found.start(), found.end(group) - found.start()
    return f"{found[0][:start]}{mark(name)}{found[0][end:]}"


def _hide_assigned(found: re.Match[str]) -> str:
    kind = "bare" if found["bare"] else "quoted"
    value = found[kind]
    name = _name_around(found)
    if kind == "bare" and not _is_bare_value(value, found.string[found.end() : found.end() + 1]):
        return found[0]
    if name.lower() == "key" or not looks_random(value) or not is_secret_name(name):  # sort(key=…), a dictionary's key
        return found[0]
    start, end = found.start(kind) - found.start(), found.end(kind) - found.start()
    return f"{found[0][:start]}{mark(name)}{found[0][end:]}"


def _is_bare_value(value: str, next_char: str) -> bool:
    """Whether an unquoted text is a value, and not the beginning of an expression."""
    return sum(map(str.isdigit, value)) >= MIN_BARE_DIGITS and next_char not in _GOES_ON


def _name_around(found: re.Match[str]) -> str:
    """Return the whole name that contains the keyword found."""
    before = found.string[max(0, found.start() - MAX_NAME_CHARS) : found.start()]
    begin, rest = _END_OF_NAME.search(before), _NAME.match(found[0])
    return f"{begin[0] if begin else ''}{rest[0] if rest else ''}"


@cache  # compiled at the first use: a prompt without files needs none
def _shapes() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    return tuple((name, prefix, re.compile(pattern)) for name, prefix, pattern in SHAPES)


@cache
def _assigned() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((keyword, re.compile(f"{keyword}{_VALUE}")) for keyword in _KEYWORDS)
