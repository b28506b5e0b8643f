"""A cell asks by a panel if its page shows one in time, else at a prompt; nothing of the panel is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from copilot_nb.agent.policy import Call
from copilot_nb.named_sessions.approvals import ApprovalRequest, Approvals
from copilot_nb.named_sessions.events import EventBus
from copilot_nb.notebook import page_asking
from copilot_nb.notebook.page_asking import SHOWN_WITHIN_S, PageAsker

VIEW = "application/vnd.jupyter.widget-view+json"
LINE = "py asks: run Python: allowed once by you, in a panel"


class Panel:
    """A panel that a test shows."""

    def __init__(self) -> None:
        self.views = 0
        self.is_resting = self.is_closed = False

    @property
    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {VIEW: {"model_id": "m"}, "text/plain": "a panel"}, {}

    def rest(self) -> None:
        self.is_resting = True

    def close(self) -> None:
        self.is_closed = True


class Cell:
    """A cell that waits for one turn, in a page that a test opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.panels: list[Panel] = []
        self.now_s = 0.0
        loop: Any = SimpleNamespace(call_soon=lambda observer, event: observer(event))
        self.approvals, self.events = Approvals(lambda: True, lambda: 60.0), EventBus[Any](loop)
        self.turn: Any = SimpleNamespace(ended=Future[None](), done=False)
        cell = self

        class Handle:
            def display(self, bundle: dict[str, Any], **_: Any) -> None:
                self.at = len(cell.outputs)
                cell.outputs.append(bundle)

            def update(self, bundle: dict[str, Any], **_: Any) -> None:
                cell.outputs[self.at] = bundle

        monkeypatch.setattr(page_asking, "DisplayHandle", Handle)
        monkeypatch.setattr(page_asking, "is_page", lambda shell: shell == "page")
        monkeypatch.setattr(page_asking, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(page_asking, "_apart", lambda act: act())
        manager: Any = SimpleNamespace(approvals=self.approvals, events=self.events)
        self.asker = PageAsker("page", manager, self._opened)  # type: ignore[arg-type]

    def _opened(self, *_: Any) -> Panel:
        self.panels.append(Panel())
        return self.panels[-1]

    def asks(self) -> bool:
        """Attend to the turn, and return whether the page asks."""
        return self.asker.asks(self.approvals.pending, [self.turn])

    def begin(self) -> None:
        """Begin to wait for another turn."""
        self.turn = SimpleNamespace(ended=Future[None](), done=False)

    def end(self) -> None:
        self.turn.done = True
        self.turn.ended.set_result(None)


def asking(cell: Cell, look: Callable[[ApprovalRequest], None]) -> None:
    """Let the turn ask, and let `look` look and decide."""

    async def ask() -> None:
        call = Call(call_id="c", kind="code", tool="run_code", text="x = 1", language="python")
        event: Any = SimpleNamespace(kind="ask")
        asked = cell.approvals.ask(("py", "py"), cell.turn, call, call.what, tell=lambda: cell.events.tell(event))
        waiting = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        look(cell.approvals.pending[0])
        await waiting

    asyncio.run(ask())


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    return Cell(monkeypatch)


def allow(cell: Cell, request: ApprovalRequest) -> None:
    cell.approvals.decide(request.request_id, "once", "you, in a panel")


def test_the_page_asks_and_one_line_is_left(cell: Cell) -> None:
    def look(request: ApprovalRequest) -> None:
        assert cell.asks()
        (output,) = cell.outputs
        assert output[VIEW] == {"model_id": "m"}
        assert output["text/plain"] == "py asks: run Python\n    x = 1\n"
        cell.panels[0].views += 1
        cell.now_s += 60
        assert cell.asks()
        allow(cell, request)

    asking(cell, look)
    assert [output["text/plain"] for output in cell.outputs] == [LINE]
    assert VIEW not in cell.outputs[0]

    def again(request: ApprovalRequest) -> None:
        assert cell.asks()
        allow(cell, request)

    asking(cell, again)
    assert [output["text/plain"] for output in cell.outputs] == [LINE, LINE]
    assert not cell.panels[0].is_closed
    cell.end()
    assert (cell.panels[0].is_resting, cell.panels[0].is_closed) == (True, True)
    cell.begin()
    asking(cell, again)
    assert len(cell.panels) == 2


def test_without_a_page_that_shows_it_a_prompt_takes_its_output(cell: Cell) -> None:
    def look(request: ApprovalRequest) -> None:
        assert cell.asks()
        cell.now_s += SHOWN_WITHIN_S
        assert not cell.asks()
        handle = cell.asker.give_up()
        assert handle is not None
        handle.update({"text/plain": "at a prompt"})
        assert not cell.asks()  # nor is another output made
        allow(cell, request)

    asking(cell, look)
    assert [output["text/plain"] for output in cell.outputs] == ["at a prompt"]
    cell.end()
    assert cell.panels[0].is_closed
    cell.begin()

    def later(request: ApprovalRequest) -> None:
        assert not cell.asks()
        allow(cell, request)

    asking(cell, later)
    assert cell.asker.give_up() is None


def test_what_is_decided_just_before_the_panel_comes_leaves_one_line(cell: Cell) -> None:
    def look(request: ApprovalRequest) -> None:
        pending = cell.approvals.pending
        allow(cell, request)
        cell.events.tell(SimpleNamespace(kind="ask"))
        assert cell.asker.asks(pending, [cell.turn])
        assert [output["text/plain"] for output in cell.outputs] == [LINE]

    asking(cell, look)
    assert cell.panels[0].is_resting


def test_a_page_that_was_only_late_is_asked_again(cell: Cell) -> None:
    def late(request: ApprovalRequest) -> None:
        assert cell.asks()
        cell.now_s += SHOWN_WITHIN_S
        assert not cell.asks()
        cell.panels[0].views += 1
        allow(cell, request)

    asking(cell, late)
    cell.end()
    cell.begin()

    def look(request: ApprovalRequest) -> None:
        assert cell.asks()
        allow(cell, request)

    asking(cell, look)
