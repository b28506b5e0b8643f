"""Code that a model runs, and what it asks for it, in a real shell on the real runtime."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from signal import SIGINT, raise_signal

import pytest

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.approvals import ApprovalRequest
from copilot_nb.named_sessions.session import state_of
from copilot_nb.notebook import streaming
from copilot_nb.providers.chat import ChatRequest
from copilot_nb.testing import FunctionCall, Reply, ScriptedModel

from .conftest import Notebook

WAIT_S = 10.0
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def runs(code: str, tool: str = "run_code", **more: str) -> Reply:
    return Reply(calls=(FunctionCall(tool, json.dumps({"code": code, **more})),))


def told(model: ScriptedModel) -> str:
    """What the model was told of its call."""
    return model.requests[-1].messages[-1].text


def waiting_request() -> ApprovalRequest:
    """Wait until a session asks."""
    asked = threading.Event()
    end = shared_manager().events.add(lambda event: event.kind == "ask" and asked.set())
    if not shared_manager().approvals.pending:
        assert asked.wait(WAIT_S)
    end()
    (request,) = shared_manager().approvals.pending
    return request


@pytest.fixture(autouse=True)
def _clean(nb: Notebook) -> Iterator[None]:
    names = set(nb.shell.user_ns)
    yield
    for name in set(nb.shell.user_ns) - names:
        del nb.shell.user_ns[name]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let these lines be typed at the prompts; return the prompts."""

    def type_(*lines: str) -> list[str]:
        prompts: list[str] = []
        left = iter(lines)

        def answer(prompt: str = "") -> str:
            prompts.append(prompt)
            return next(left)

        monkeypatch.setattr("builtins.input", answer)
        return prompts

    return type_


def test_code_is_shown_and_runs_when_it_is_allowed(nb: Notebook, typed: Callable[..., list[str]]) -> None:
    model = nb.answer(ScriptedModel([runs("x = 6 * 7\nprint(x)\nx + 1", why="the answer"), "It is 42."]))
    prompts = typed("y")
    ran = nb.run("%%copilot py -t kernel\nCompute")
    assert ran.ok, ran.out
    assert prompts == ["Allow it? y: once, s: for this session (any code), n: no, and why: "]
    assert "py asks: run 3 lines of Python (the answer)\n    x = 6 * 7\n    print(x)\n    x + 1\n" in ran.out
    assert "\n42\n43\n(run_code 3 lines: ✓ done" in ran.out  # printed while the code runs
    assert "It is 42." in ran.out
    assert "42\n43" in told(model)
    assert nb.shell.user_ns["x"] == 42


def test_a_denial_and_its_reason_reach_the_model_and_nothing_runs(
    nb: Notebook, typed: Callable[..., list[str]]
) -> None:
    model = nb.answer(ScriptedModel([runs("ran = 1"), "All right."]))
    prompts = typed("perhaps", "y please", "n use a sample, please")
    ran = nb.run("%%copilot py -t kernel\nCompute")
    assert ran.ok, ran.out
    assert [prompt.partition(" Allow it?")[0] for prompt in prompts[1:]] == ["Type y, s or n."] * 2
    assert "The user did not allow this, so it was not run: use a sample, please." in told(model)
    assert "[py asks: run Python: denied by you, in the cell: use a sample, please]" in ran.out
    assert "ran" not in nb.shell.user_ns


def test_for_this_session_is_asked_once(nb: Notebook, typed: Callable[..., list[str]]) -> None:
    nb.answer(ScriptedModel([runs("a = 1"), runs("b = a + 1"), "Done.", runs("c = b + 1"), "Done."]))
    prompts = typed("s")
    assert nb.run("%%copilot py -t kernel\nCompute").ok
    assert nb.run("%%copilot py\nAnd again").ok
    assert len(prompts) == 1
    assert nb.shell.user_ns["c"] == 3
    decisions = [
        part.decision
        for turn in shared_manager().session("py").history
        for part in turn.parts
        if hasattr(part, "decision")
    ]
    assert [(each.outcome, each.by) for each in decisions if each] == [
        ("session", "you, in the cell"),
        *[("session", "you, for this session")] * 2,
    ]


def test_failing_code_a_figure_and_a_secret(
    nb: Notebook, typed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "abc123def456ghi7")
    code = "import os\nfrom IPython.display import Image\nprint(os.environ['SHOP_API_KEY'])\nImage(data=png)"
    nb.shell.user_ns["png"] = PNG
    model = nb.answer(ScriptedModel([runs(code), runs("1 / 0"), "Done."]))
    typed("y", "y")
    assert nb.run("%%copilot py -t kernel\nCompute").ok
    first, second = (
        part for turn in shared_manager().session("py").history for part in turn.parts if hasattr(part, "result")
    )
    assert "abc123def456ghi7" not in str(model.requests)
    assert "‹secret: SHOP_API_KEY›" in first.result
    assert [image.data for image in first.images] == [PNG]
    assert (first.succeeded, second.succeeded) == (True, False)
    assert "ZeroDivisionError: division by zero" in second.result
    assert "ZeroDivisionError: division by zero" in told(model)
    assert "data from the user's notebook" in told(model)


def test_an_interrupted_prompt_stops_the_turn_and_runs_nothing(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    nb.answer(ScriptedModel([runs("ran = 1"), "Never."]))

    def interrupted(_prompt: str) -> str:
        raise_signal(SIGINT)
        return "y"

    monkeypatch.setattr("builtins.input", interrupted)
    assert "TurnInterrupted" in nb.run("%%copilot py -t kernel\nCompute").out
    assert "ran" not in nb.shell.user_ns


def test_the_first_answer_decides_and_the_prompt_ends(nb: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nb.answer(ScriptedModel([runs("ran = 1"), "Done."]))

    def answered_elsewhere(_prompt: str) -> str:
        (request,) = shared_manager().approvals.pending
        threading.Timer(
            0.05, lambda: shared_manager().approvals.decide(request.request_id, "once", "ada, in a panel")
        ).start()
        time.sleep(WAIT_S)
        return "n"

    monkeypatch.setattr("builtins.input", answered_elsewhere)
    ran = nb.run("%%copilot py -t kernel\nCompute")
    assert ran.ok, ran.out
    assert "[py asks: run Python: allowed once by ada, in a panel]" in ran.out
    assert nb.shell.user_ns["ran"] == 1
    assert "showed nothing" in told(model)


def test_running_code_cannot_make_another_session_ask(nb: Notebook, typed: Callable[..., list[str]]) -> None:
    model = nb.answer(ScriptedModel([runs("%%copilot b -t kernel\nCompute"), runs("ran = 1"), "Denied.", "Done."]))
    typed("y")
    assert nb.run("%%copilot a -t kernel\nCompute").ok
    assert "no one could answer" in str(model.requests[2].messages[-1])
    assert "Denied." in told(model)
    assert "ran" not in nb.shell.user_ns


def test_running_code_gets_the_whole_answer_of_a_session_that_it_asks(
    nb: Notebook, typed: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "UPDATE_EVERY_S", 0.0)
    answer = "An answer that comes in many pieces."
    model = ScriptedModel([runs("%%copilot b\nCompute"), answer, "Done."], chunk_chars=1, chunk_delay_s=0.02)
    nb.answer(model)
    typed("y")
    assert nb.run("%%copilot a -t kernel\nCompute").ok
    assert answer in told(model)


def test_a_stop_of_code_that_waits_for_other_code_leaves_that_alone_and_ends_the_code_after_it(
    nb: Notebook, typed: Callable[..., list[str]]
) -> None:
    asks = "try:\n    session('b').ask('Ask b')\nexcept KeyboardInterrupt:\n    seen.append('a')\n    raise"
    codes = {"Once": "pass", "Ask a": asks, "Ask b": "begun.set(); go_on.wait(10); seen.append('b')"}

    def answer(request: ChatRequest) -> Reply | str:
        last = request.messages[-1]
        asked = [prompt for prompt in codes if last.role == "user" and prompt in last.text]
        return runs(codes[asked[0]]) if asked else "Done."

    begun, go_on, seen, stopped = threading.Event(), threading.Event(), list[str](), list[str]()
    session = shared_manager().session
    nb.shell.user_ns |= {"begun": begun, "go_on": go_on, "seen": seen, "session": session}

    def stop() -> None:
        begun.wait(WAIT_S)
        turn = state_of(session("a")).runner.current
        assert turn is not None
        turn.stop()
        turn.ended.result(WAIT_S)  # b's code still runs
        stopped.append(turn.state.value)
        for _ in range(int(WAIT_S * 100)):  # until the call of the stopped turn has been withdrawn
            if turn.notes or go_on.wait(0.01):
                break
        go_on.set()

    nb.answer(ScriptedModel(answer))
    typed("s", "y")
    assert nb.run("%%copilot b -t kernel\nOnce").ok
    thread = threading.Thread(target=stop)
    thread.start()
    ran = nb.run("%%copilot a -t kernel\nAsk a")
    thread.join()
    assert "TurnInterrupted" in ran.out
    assert "its code is interrupted when the code of b, which it waits for, has ended" in ran.out
    assert (stopped, seen) == (["interrupted"], ["b", "a"])
    assert nb.run("%copilot wait b").ok
    assert session("b").history[-1].text == "Done."


def test_a_proposed_cell_is_put_below_and_does_not_run(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel([runs("ran = 1", "propose_cell"), "Try this."]))
    assert nb.run("%%copilot py -t kernel\nPropose").ok
    assert nb.shell.rl_next_input == "ran = 1"
    nb.shell.rl_next_input = None
    assert "It has not run." in told(model)
    assert "ran" not in nb.shell.user_ns


def test_in_the_background_a_command_answers_and_a_terminal_runs_no_code(nb: Notebook) -> None:
    model = nb.answer(ScriptedModel([runs("ran = 1"), "Done."]))
    assert nb.run("%%copilot py -t kernel -b\nCompute").ok
    assert "no request of other waits for an answer" in nb.run("%copilot approve other").out
    assert "no request #9999 waits for an answer" in nb.run("%copilot approve #9999").out
    asked = waiting_request()
    assert asked.title == "py asks: run Python"
    assert nb.run("%copilot approve py").out == "Allowed once: py asks: run Python\n"
    assert "was decided before" in nb.run(f"%copilot deny {asked.request_id}").out
    model.wait_for_requests(2)
    assert "Code can only run here while the user waits" in told(model)
    assert "ran" not in nb.shell.user_ns


FIELDS = {"name": {"type": "string"}, "size": {"type": "string", "enum": ["small", "large"]}}


def asks_the_user() -> Reply:
    asked = {"message": "Whose, and how large?", "requestedSchema": {"properties": FIELDS}}
    return Reply(calls=(FunctionCall("ask_user", json.dumps(asked)),))


def test_a_form_is_answered_at_the_prompt_or_by_a_command(nb: Notebook, typed: Callable[..., list[str]]) -> None:
    model = nb.answer(ScriptedModel([asks_the_user(), "Done.", asks_the_user(), "Done."]))
    prompts = typed("Bo", "2")
    ran = nb.run("%%copilot py -t all\nGo")
    assert ran.ok, ran.out
    assert prompts == ["(/decline: no answer) name: ", "size (1 small, 2 large): "]
    assert "    Whose, and how large?\n    name: a text\n    size: 1 small, 2 large\n" in ran.out
    assert told(model) == "User responded: name=Bo, size=large"
    assert nb.run("%%copilot py -b\nGo").ok
    waiting_request()
    listed = "py asks: Whose, and how large?; to answer: %copilot answer py name=… size=…"
    for line, state in (("%copilot ls", "? asks you"), ("%copilot", "py: asking")):
        shown = nb.run(line).out
        assert state in shown
        assert listed in shown
    assert "read, where the model is known to call tools (-t none | read | kernel | all)" in shown
    wrong = nb.run("%copilot answer py Bo").out
    assert "The answer has fields: name=… size=… → %copilot answer py name=… size=…, or %copilot deny" in wrong
    assert nb.run("%copilot answer py name=Ada size=huge").out == "Answered: py asks:\n"
    model.wait_for_requests(4)
    assert told(model) == "User responded: name=Ada, size=huge"
    assert "answered by you, by a command" in nb.run("%copilot show py").out
