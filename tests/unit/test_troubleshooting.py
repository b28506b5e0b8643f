"""`docs/troubleshooting.md`: each row is an error of the code, and each error of a set-up that fails has a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from copilot_nb.providers.keys import EnvironmentKey, Key, NoKey
from copilot_nb.providers.provider_error import _OF_KIND, Fault, to_error
from copilot_nb.providers.spec import Spec
from tests.documentation import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
SOURCES = {path: path.read_text("utf-8") for path in sorted((ROOT / "copilot_nb").rglob("*.py"))}
SET_UP = ("ProviderError", "RuntimeUnavailable")
"""What a user meets before the first answer: no runtime, no login, no key, no network, a folder that is read-only."""


def text_of(message: ast.expr) -> str:
    """Return a message as the page writes it: `…` for what differs."""
    match message:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(text_of, parts))
        case _:
            return "…"


def lines(kinds: tuple[str, ...]) -> Iterator[str]:
    """Yield the messages of the errors that the code raises."""
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(func=ast.Name(id=kind), args=[message, *_]) if kind in kinds:
                    yield text_of(message)


def explained(line: str) -> bool:
    return any(row in line for row in ROWS)


def test_every_row_is_an_error_of_ours() -> None:
    everything = "\n".join([*SOURCES.values(), *lines(SET_UP), *map(str, faults())])
    assert not [row for row in ROWS if row not in everything]


def test_every_error_of_a_set_up_is_explained() -> None:
    messages = [line for line in lines(SET_UP) if re.search(r"[a-z]{3}", line)]
    assert len(messages) > 50
    assert not [line for line in messages if not explained(line)]


def faults() -> Iterator[Exception]:
    keys: tuple[Key, ...] = (NoKey(), EnvironmentKey("MY_KEY"))
    for key in keys:
        spec = Spec("mine", "openai", "https://example.invalid/v1", key=key)
        for kind in ("empty", "broken", *_OF_KIND):
            yield to_error(Fault(kind), spec, "m")
        for status in (200, 301, 400, 401, 402, 403, 404, 413, 429, 500, 503, 529):
            yield to_error(Fault("status", status), spec, "m")
            yield to_error(Fault("status", status, "no credit"), spec, "m", ["other"])


def test_every_fault_of_a_provider_is_explained() -> None:
    assert not [line for line in map(str, faults()) if not explained(line)]
