"""A live output: how often it is replaced, for what went out decides what may go out next; and a long one's pieces."""

from __future__ import annotations

import base64
import io
import itertools
import re
from types import SimpleNamespace
from typing import Any

import PIL.Image
import pytest

from copilot_nb.conversation.parts import Answer, Decision, Image, LiveOutput, Part, Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.experiments.progress import Progress
from copilot_nb.named_sessions.turn import PastSession
from copilot_nb.notebook import comparing, display, progress
from copilot_nb.notebook.display import BYTES_PER_S, UPDATE_EVERY_S, GrowingOutput, _Pace
from copilot_nb.notebook.terminal import TerminalOutput
from copilot_nb.render.turn import Label, turn_html

SIZE_CHARS, DURATION_S, STEP_S = 20_000, 15.0, 0.05


def streamed(monkeypatch: pytest.MonkeyPatch, html_per_char: int) -> tuple[int, list[float]]:
    """Stream an answer; return the bytes of its updates, and the pauses between them."""
    now_s = [0.0]
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    pace, sent_bytes, at_s = _Pace(1), 0, list[float]()
    while now_s[0] <= DURATION_S:
        chars = int(SIZE_CHARS * now_s[0] / DURATION_S)
        if pace.is_due(chars):
            update = "x" * chars * html_per_char
            pace.sent(len(update), chars)
            sent_bytes += len(update)
            at_s.append(now_s[0])
        now_s[0] += STEP_S
    return sent_bytes, [after - before for before, after in itertools.pairwise(at_s)]


@pytest.mark.parametrize("html_per_char", [1, 2, 4])
def test_updates_keep_within_their_budget(monkeypatch: pytest.MonkeyPatch, html_per_char: int) -> None:
    sent_bytes, pauses_s = streamed(monkeypatch, html_per_char)
    assert sent_bytes <= BYTES_PER_S * DURATION_S
    assert min(pauses_s) >= UPDATE_EVERY_S - 1e-9
    assert max(pauses_s) <= SIZE_CHARS * html_per_char / BYTES_PER_S + 2 * STEP_S


def test_lean_html_comes_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    lean, rich = (streamed(monkeypatch, html_per_char)[1] for html_per_char in (1, 2))
    assert max(lean) < 0.7 * max(rich)


class Page:
    """What a front end makes of outputs that are displayed, updated and cleared."""

    def __init__(self) -> None:
        self.outputs: dict[object, str] = {}
        self.most = self.sent_bytes = self.clears = 0
        self._is_to_clear = False

    def clear(self, *, wait: bool) -> None:
        assert wait  # or the page would flicker
        self._is_to_clear = True
        self.clears += 1

    def display(self, handle: object, bundle: dict[str, str]) -> None:
        if self._is_to_clear:
            self.outputs.clear()
            self._is_to_clear = False
        self.outputs[handle] = ""
        self.update(handle, bundle)

    def update(self, handle: object, bundle: dict[str, str]) -> None:
        assert handle in self.outputs
        self.outputs[handle] = bundle["text/html"]
        self.most = max(self.most, len(self.outputs))
        self.sent_bytes += len("".join(bundle.values()))

    @property
    def html(self) -> str:
        return "".join(self.outputs.values())

    @property
    def text(self) -> str:
        return " ".join(re.sub(r"<[^>]*>", " ", self.html).split())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    page, now_s = Page(), itertools.count(0.0, 1.0)

    class Handle:
        def display(self, bundle: dict[str, str], **_: Any) -> None:
            page.display(self, bundle)

        def update(self, bundle: dict[str, str], **_: Any) -> None:
            page.update(self, bundle)

    monkeypatch.setattr(display, "DisplayHandle", Handle)
    monkeypatch.setattr(display, "clear_output", page.clear)
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: next(now_s)))
    return page


LABEL = Label("s1", "scripted")


def answer(size_chars: int) -> str:
    """Return an answer of steps, each with a heading, a paragraph, a list and code."""
    steps = (
        f"## Step {n}: go on\n\n{'Words of *prose*. ' * 25}\n\n- one\n- two\n\n```python\nprint({n})\n```\n\n"
        for n in itertools.count(1)
    )
    text = ""
    while len(text) < size_chars:
        text += next(steps)
    return text[:size_chars]


class Growing:
    """An output, and the turn it shows."""

    def __init__(self) -> None:
        self.turn: Any = SimpleNamespace(label=LABEL, session=PastSession("s1", "s1", "p"))
        self.turn.shown = lambda **_: self.turn.record
        self.becomes()
        self.output = GrowingOutput(self.turn)

    def becomes(self, *parts: Part, state: TurnState = TurnState.WORKING) -> TurnRecord:
        record = TurnRecord("t1", "hello", state=state, parts=parts)
        self.turn.record, self.turn.text, self.turn.state = record, record.text, state
        return record

    def comes(self, text: str, step: int = 200) -> None:
        for end in range(step, len(text) + step, step):
            self.becomes(Text("m1", text[:end]))
            self.output.show()

    def ends(self, text: str) -> TurnRecord:
        record = self.becomes(Text("m1", text, complete=True), state=TurnState.DONE)
        self.output.finish()
        return record


def test_the_finished_blocks_of_a_long_answer_are_sent_once(page: Page) -> None:
    growing, text = Growing(), answer(20_000)
    growing.comes(text)
    assert 10 < page.most < 30
    places = [page.text.find(f"Step {number}:") for number in range(1, 25)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert page.text.count("Step 9:") == 1
    assert page.sent_bytes < 15 * len(text)
    record = growing.ends(text)
    assert list(page.outputs.values()) == [turn_html(record, LABEL)]
    assert page.clears == 1


def test_a_very_long_answer_has_no_more_pieces_than_a_page_shows(page: Page) -> None:
    Growing().comes(answer(150_000), step=1_000)
    assert page.most < 50


def test_a_short_answer_is_one_output_from_the_beginning(page: Page) -> None:
    growing, text = Growing(), answer(1_400)
    growing.comes(text)
    growing.ends(text)
    assert (page.most, page.clears) == (1, 0)


def test_an_answer_that_starts_over_replaces_the_pieces(page: Page) -> None:
    growing = Growing()
    growing.comes(answer(6_000))
    assert len(page.outputs) > 1
    growing.comes("It was " + answer(200))
    assert len(page.outputs) == 1
    assert page.text.startswith("It was")
    growing.comes("It was " + answer(6_000))
    assert page.text.count("Step 1:") == 1
    assert page.text.count("Step 3:") == 1


def test_a_tool_call_makes_one_output_of_the_pieces(page: Page) -> None:
    growing, text = Growing(), answer(6_000)
    growing.comes(text)
    growing.becomes(Text("m1", text, complete=True), ToolCall("c1", "grep", "{}"))
    growing.output._pace._owed_bytes = 10**12  # at once, whatever the budget: what the call asks must not be cleared
    growing.output.show()
    assert len(page.outputs) == 1
    assert page.text.count("Step 1:") == 1
    assert "grep" in page.text


def test_an_answer_that_is_cut_short_is_one_output_too(page: Page) -> None:
    growing, text = Growing(), answer(6_000)
    growing.comes(text)
    growing.becomes(Text("m1", text), state=TurnState.INTERRUPTED)
    growing.output.finish()
    assert len(page.outputs) == 1
    assert "Interrupted" in page.text


@pytest.mark.parametrize(
    ("call", "is_kept"),
    [
        (ToolCall("c1", "run_code", decision=Decision("once", "you, in the cell")), False),
        (ToolCall("c1", "ask_user", answers=(Answer("Which?", Decision("denied")),)), False),
        (ToolCall("c1", "bash", decision=Decision("rule", "the rule for tool bash")), True),
        (ToolCall("c1", "describe"), True),
    ],
)
def test_what_was_asked_and_typed_leaves_the_cell_when_the_answer_is_there(
    page: Page, call: ToolCall, is_kept: bool
) -> None:
    growing = Growing()
    growing.output.show()
    page.display("the prompt", {"text/html": "Allow it? y"})
    growing.becomes(call, Text("m1", "Done.", complete=True), state=TurnState.DONE)
    growing.output.finish()
    assert ("Allow it?" in page.text) == is_kept
    assert page.text.count("Done.") == 1


def test_a_tool_call_before_any_text_is_shown(page: Page) -> None:
    growing = Growing()
    growing.becomes(ToolCall("c1", "grep", "{}"))
    growing.output.show()
    assert "grep" in page.text


def test_figures_of_calls_are_small_until_the_turn_ends(page: Page) -> None:
    growing, figure = Growing(), Image("figure", "image/png", 0, png(900, 600))
    full = base64.b64encode(figure.data).decode()
    growing.becomes(ToolCall("c1", "run_code", "{}", output=LiveOutput("one\ntwo", images=(figure,))))
    growing.output.show()
    assert "one two" in page.text
    assert "image/jpeg" in page.html
    ended = ToolCall("c1", "run_code", "{}", "told", succeeded=True, images=(figure,))
    growing.becomes(ended)
    growing.output.show()
    assert "image/jpeg" in page.html
    assert full not in page.html
    growing.becomes(ended, state=TurnState.DONE)
    growing.output.finish()
    assert full in page.html
    assert "image/jpeg" not in page.html


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


class Terminal(io.StringIO):
    """A terminal that keeps all it was sent."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [Terminal(), io.StringIO()])
def test_a_terminal_prints_what_running_code_shows_once(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", out)
    growing = Growing()
    growing.turn.notes, growing.turn.error = [], None
    terminal = TerminalOutput([growing.turn], is_streaming=True)

    def shows(text: str, before: int = 0, **more: Any) -> None:
        growing.becomes(ToolCall("c1", "run_code", "{}", output=LiveOutput(text, before), **more))
        terminal.show()

    shows("one\n10 %")
    shows("one\n9 %")
    shows("two\n3\x1b[2J\nend", before=2)
    shows("two\n3\x1b[2J\nend", before=2, succeeded=True)
    growing.becomes(
        *growing.turn.record.parts, ToolCall("c2", "run_code", "{}", output=LiveOutput("again\n")), Text("m", "So.")
    )
    terminal.show()
    bar, end = ("10 %\r9 % \n", "end\rend\n") if out.isatty() else ("", "end\n")
    assert out.getvalue() == f"\none\n{bar}two\n3␛[2J\n{end}(run_code: ✓ done)\n\nagain\nSo."


def test_a_small_comparison_shows_its_answers_until_it_is_over(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (comparing, progress):
        monkeypatch.setattr(module, "has_rich_output", lambda _shell: True)
    shown = comparing._Shown(SimpleNamespace())  # type: ignore[arg-type] # its front end is the page
    (done, going) = (
        (TurnRecord(name, "hello", (Text("m1", text),), state), Label(name, "p"))
        for name, text, state in (("a", "All of it", TurnState.DONE), ("b", "The half", TurnState.WORKING))
    )
    shown.show(Progress(2, 1, answers=(done, going)))
    assert re.search("a All of it .*b The half .*1 of 2 answers", page.text)
    shown.stop()  # interrupted: what is not complete is not kept
    assert re.search("a All of it .*1 of 2 answers", page.text)
    assert "The half" not in page.text
