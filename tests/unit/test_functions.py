"""A function of the user's as a tool."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from pydantic import Field

from copilot_nb.agent.functions import as_text, tool_of
from copilot_nb.agent.tools import CallContext, ToolFailure, ToolSpec
from copilot_nb.errors import InputError

CONTEXT = CallContext("s1", "id1", "c1")


def stock(
    product: str, places: list[str] | None = None, least: Annotated[int, Field(description="At least")] = 1
) -> int:
    """Return how many pieces there are.

    More about it.
    """
    return len(product) + len(places or []) + least


async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(0)
    return {"waited": seconds}


def run(tool: ToolSpec, **arguments: object) -> str:
    return str(tool.run(arguments, CONTEXT))


def test_hints_are_the_schema_and_the_docstring_the_description() -> None:
    tool = tool_of(stock)
    assert (tool.name, tool.description) == ("stock", "Return how many pieces there are.\n\nMore about it.")
    assert tool.parameters["required"] == ["product"]
    assert tool.parameters["properties"]["least"]["description"] == "At least"
    assert tool.parameters["properties"]["product"]["type"] == "string"
    assert tool.parameters["additionalProperties"] is False
    assert (tool.kind, tool.is_harmless, tool_of(stock, asks=False).is_harmless) == ("tool", False, True)
    assert tool_of(slow, "wait").description == "wait"


def test_arguments_are_checked_and_given() -> None:
    assert run(tool_of(stock), product="pen", places=["a"]) == "5"
    assert run(tool_of(slow), seconds=1) == '{"waited": 1.0}'
    with pytest.raises(ToolFailure, match=r"^the arguments are wrong: product: Field required; more: Extra inputs are"):
        run(tool_of(stock), more=1)


def no_hint(product):  # type: ignore[no-untyped-def]
    return product


def variadic(*products: str) -> None: ...


def odd(product: asyncio.Task[None]) -> None: ...


def unknown(product: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "name", "said"),
    [
        (no_hint, "", "its parameter 'product' has no type → for example: product: str"),
        (variadic, "", r"variadic cannot be a tool: \*products"),
        (odd, "", "odd cannot be a tool: "),
        (unknown, "", "unknown cannot be a tool: name 'Missing' is not defined"),
        (lambda: None, "", "a tool cannot be called '<lambda>'"),
        ("stock", "", '^a tool is a function, not str → to name it: @cp.tool\\(name="stock"\\)$'),
        (5, "x", "^a tool is a function, not int"),
        (stock, 5, "a tool cannot be called 5"),
        (stock, "two words", "a tool cannot be called 'two words'"),
        (stock, "x" * 65, "a tool cannot be called"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_in_one_line(function: Any, name: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        tool_of(function, name)
    assert "\n" not in str(raised.value)


def test_results_as_text() -> None:
    assert [as_text(value) for value in ("é", {"é": [1, None]}, {1}, None)] == ["é", '{"é": [1, null]}', "{1}", "null"]
