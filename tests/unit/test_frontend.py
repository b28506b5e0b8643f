"""Which front ends are shown HTML that is replaced, told from what each is known to send."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copilot_nb.frontend import has_rich_output, input_refused

PAGE = {"metadata": {"cellId": "c1"}, "header": {"msg_id": "2f9a", "session": "77aa"}}
OLD_PAGE = {"metadata": {}, "header": {"msg_id": "2f9a", "session": "77aa"}}
CONSOLE = {"metadata": {}, "header": {"msg_id": "77aa_4711_3", "session": "77aa"}}


def shell(request: dict[str, Any] | None, *, takes_input: bool = True, **variables: str) -> Any:
    kernel = SimpleNamespace(get_parent=lambda _channel: request, _allow_stdin=takes_input)
    return cast(Any, SimpleNamespace(kernel=kernel if request is not None else None, user_ns=variables))


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)


def test_a_notebook_gives_a_sign() -> None:
    assert has_rich_output(shell(PAGE))
    assert has_rich_output(shell(CONSOLE, takes_input=False))  # nbclient, papermill, Voilà
    assert has_rich_output(shell(OLD_PAGE, __vsc_ipynb_file__="/a.ipynb"))


@pytest.mark.parametrize("variable", ["JPY_SESSION_NAME", "COLAB_RELEASE_TAG"])
def test_a_page_that_names_no_cells_is_known_by_its_server(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "a.ipynb")
    assert has_rich_output(shell(OLD_PAGE))
    assert not has_rich_output(shell(CONSOLE))  # `jupyter console --existing`


@pytest.mark.parametrize("request_", [None, CONSOLE, OLD_PAGE, {}])
def test_a_terminal_a_console_and_what_is_unknown_get_text(request_: dict[str, Any] | None) -> None:
    assert not has_rich_output(shell(request_))


def test_the_code_of_a_model_gets_text_and_a_cell_of_a_subshell_beside_it_does_not() -> None:
    with input_refused(), ThreadPoolExecutor(1) as subshell:
        assert not has_rich_output(shell(PAGE))
        assert subshell.submit(has_rich_output, shell(PAGE)).result()
