"""Renamed, copied, taken back and brought back, on the real runtime."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import BudgetReached, InputError, SessionInUse, SessionNotFound, TurnInterrupted
from copilot_nb.named_sessions.cells import cell_key
from copilot_nb.named_sessions.manager import Manager, manager_of
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.testing import FunctionCall, Reply, ScriptedModel
from tests.runtime.conftest import script

Makes = Callable[..., Manager]


def asked(session: Session, *prompts: str) -> Session:
    for prompt in prompts:
        session.ask(prompt)
    return session


def prompts(session: Session) -> list[str]:
    return [turn.prompt for turn in session.history]


def log_of(session: Session) -> Path:
    return Path(manager_of(session).settings.home) / "session-state" / session.session_id / "events.jsonl"


def test_a_renamed_session_keeps_its_id_its_history_and_its_place(own_manager: Makes) -> None:
    manager = own_manager()
    session = asked(manager.session("before"), "one")
    session.rename("Ärger & “more” 'quoted'")
    assert [(each.name, each.session_id) for each in manager.stored()] == [("Ärger & “more” 'quoted'", "before")]
    asked(session, "two")
    manager.close()
    again = own_manager().session("Ärger & “more” 'quoted'")
    assert prompts(again) == ["one", "two"]
    assert again.session_id == "before"


@pytest.mark.parametrize("is_new", [True, False])
def test_a_session_is_renamed_while_a_prompt_loads_it(own_manager: Makes, is_new: bool) -> None:
    if not is_new:
        manager_of(asked(own_manager().session("before"), "one")).close()
    manager = own_manager()
    session = manager.session("before")
    turn = session.send("two")
    session.rename("after")
    assert turn.wait().text.startswith("You said: two")
    assert [each.name for each in manager.stored()] == ["after"]
    assert prompts(session) == ["two"] if is_new else ["one", "two"]


def test_the_old_name_is_free_after_a_rename(manager: Manager) -> None:
    asked(manager.session("handed-over"), "one").rename("given-away")
    other = asked(manager.session("handed-over"), "another")
    assert other.session_id == "handed-over-2"
    assert prompts(manager.session("given-away")) == ["one"]


def test_a_session_without_a_prompt_can_be_renamed(manager: Manager) -> None:
    session = manager.session("unsaid")
    session.rename("said-later")
    assert asked(session, "now").name == "said-later"
    assert [each.session_id for each in manager.stored() if each.name == "said-later"] == ["unsaid"]


@pytest.mark.parametrize("name", ["ls", "", "x" * 301, "two\nlines", "-o"])
def test_names_that_cannot_be_given(manager: Manager, name: str) -> None:
    session = asked(manager.session("stays"), "one") if "stays" not in manager.names() else manager.session("stays")
    with pytest.raises(InputError):
        session.rename(name)
    with pytest.raises(InputError):
        session.fork(name)
    assert session.name == "stays"


def test_a_name_of_300_characters(manager: Manager) -> None:
    long = "ü" * 300
    session = asked(manager.session("short"), "one")
    session.rename(long)
    assert manager.existing(long) is session
    manager.delete(long)


def test_two_renames_to_one_name(manager: Manager) -> None:
    both = [asked(manager.session(f"twin{number}"), "one") for number in (1, 2)]
    refused: list[InputError] = []

    def rename(session: Session) -> None:
        try:
            session.rename("the-one")
        except InputError as error:
            refused.append(error)

    threads = [threading.Thread(target=rename, args=(session,)) for session in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(error) for error in refused] == ["there is a session 'the-one' already → choose another name"]
    assert "the-one" in {session.name for session in both}


def test_a_fork_has_the_history_up_to_its_point_and_goes_its_own_way(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    source = asked(manager.session("trunk"), "one", "two", "three")
    branch = source.fork("branch", at=2)
    assert (prompts(branch), state_of(branch).turn_count) == (["one", "two"], 2)
    asked(branch, "other")
    assert model.requests[-1].user_texts == ("one", "two", "other")
    asked(source, "four")
    assert model.requests[-1].user_texts == ("one", "two", "three", "four")
    assert prompts(branch) == ["one", "two", "other"]
    assert {"trunk", "branch"} <= {each.name for each in manager.stored()}


def test_a_fork_is_found_by_its_name_in_the_next_kernel(own_manager: Makes) -> None:
    manager = own_manager()
    asked(manager.session("a"), "one").fork("b")
    manager.close()
    assert sorted((each.name, each.turns) for each in own_manager().stored()) == [("a", 1), ("b", 1)]


def test_a_fork_leaves_out_the_turn_that_is_under_way(manager: Manager) -> None:
    model = script(manager, ScriptedModel(["first", Reply("second", stall_after_chars=0)]))
    source = asked(manager.session("busy-trunk"), "one")
    turn = source.send("two")
    model.wait_for_requests(2)
    branch = source.fork("busy-branch")
    assert prompts(branch) == ["one"]
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()


def test_what_cannot_be_forked(manager: Manager) -> None:
    source = asked(manager.session("root"), "one")
    with pytest.raises(InputError, match="has 1 turn, there is no turn 2"):
        source.fork("too-far", at=2)
    with pytest.raises(InputError, match="there is a session 'root' already"):
        source.fork("root")
    with pytest.raises(SessionNotFound, match="session 'never' is not stored yet"):
        manager.session("never").fork("x")
    assert "too-far" not in [each.name for each in manager.stored()]


def test_taking_back_and_bringing_back(own_manager: Makes) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    session = asked(manager.session("a"), "one", "two", "three")
    assert session.rewind() == 1
    assert prompts(session) == ["one", "two"]
    assert session.undo_rewind() == 1
    assert session.rewind(to=1) == 2
    assert manager.stored()[0].turns == 1
    manager.close()
    session = own_manager(model).session("a")
    assert session.undo_rewind() == 2
    assert prompts(session) == ["one", "two", "three"]
    asked(session, "four")
    assert model.requests[-1].user_texts == ("one", "two", "three", "four")


def test_a_cell_still_knows_its_turn_after_an_undo(manager: Manager) -> None:
    session = manager.session("marked")
    cells = [cell_key("notebook.ipynb", cell) for cell in "ab"]
    for cell in cells:
        session.send(f"from {cell}", cell=cell).wait()
    session.rewind()
    session.undo_rewind()
    assert not session.send("from b again", cell=cells[1]).wait().notes
    assert prompts(session) == [f"from {cells[0]}", "from b again"]


def test_the_model_does_not_know_what_was_taken_back(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = asked(manager.session("forgets"), "one", "two")
    session.rewind()
    asked(session, "three")
    assert model.requests[-1].user_texts == ("one", "three")
    session.rewind(to=0)
    asked(session, "afresh")
    assert model.requests[-1].user_texts == ("afresh",)
    assert [turn.prompt for turn in session.history] == ["afresh"]


def test_a_turn_can_be_named_by_itself(manager: Manager) -> None:
    session = manager.session("by-turn")
    first = session.ask("one")
    asked(session, "two", "three")
    assert session.rewind(session.history[1]) == 1
    assert session.rewind(first) == 1
    assert prompts(session) == ["one"]
    stranger = manager.session("stranger").ask("x")
    with pytest.raises(InputError, match="has no such turn"):
        session.rewind(stranger)


def test_an_interrupted_turn_can_be_taken_back(manager: Manager) -> None:
    model = script(manager, ScriptedModel(["fine", Reply("Half of the", stall_after_chars=7)]))
    session = asked(manager.session("half"), "one")
    turn = session.send("two")
    while not turn.text:
        turn.wait_for_change(0.1)
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    assert (session.state, session.history[-1].state) == ("interrupted", TurnState.INTERRUPTED)
    assert session.rewind() == 1
    script(manager, model := ScriptedModel())
    asked(session, "three")
    assert model.requests[-1].user_texts == ("one", "three")
    assert session.state == "idle"


def test_what_cannot_be_taken_or_brought_back(manager: Manager) -> None:
    session = asked(manager.session("bound"), "one", "two")
    for number in (3, -1):
        with pytest.raises(InputError, match=f"has 2 turns, there is no turn {number}"):
            session.rewind(number)
    with pytest.raises(InputError, match="session 'bound' has no rewind to undo"):
        session.undo_rewind()
    session.rewind()
    asked(session, "since")
    with pytest.raises(InputError, match="the session has newer turns"):
        session.undo_rewind()
    session.rewind(0)
    with pytest.raises(InputError, match="no turns to take back"):
        session.rewind()


def test_a_session_that_answers_is_not_taken_back(manager: Manager) -> None:
    model = script(manager, ScriptedModel(["one", Reply("x", stall_after_chars=0)]))
    session = asked(manager.session("answering"), "a")
    turn = session.send("b")
    model.wait_for_requests(2)
    with pytest.raises(SessionInUse, match="is answering → stop it first: %copilot stop answering"):
        session.rewind()
    with pytest.raises(SessionInUse, match="is answering"):
        session.undo_rewind()
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()


def test_a_session_open_in_another_kernel_is_left_alone(own_manager: Makes) -> None:
    holder = own_manager()
    asked(holder.session("held"), "one", "two")
    other = own_manager().session("held")
    before = log_of(other).read_bytes()
    for edit in (other.rewind, other.undo_rewind, lambda: other.rename("mine")):
        with pytest.raises(SessionInUse, match="open in process"):
            edit()
    assert log_of(other).read_bytes() == before
    assert other.name == "held"


def test_usage_is_read_back_from_the_log(manager: Manager) -> None:
    session = manager.session("counted")
    live = [session.ask(prompt).usage for prompt in ("one", "two words")]
    assert None not in live
    usage = session.usage
    assert usage.per_turn == tuple((each.input_tokens, each.output_tokens) for each in live if each)
    assert (usage.turns, usage.input_tokens) == (2, sum(each.input_tokens for each in live if each))
    assert usage.context_tokens == sum(usage.per_turn[-1])
    assert session.history[0].time_to_first_token_s is not None


def test_a_budget_stops_before_sending(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = asked(manager.session("thrifty"), "one", "two")
    sent = len(model.requests)
    manager.settings.max_turns = 2
    with pytest.raises(BudgetReached, match="has had 2 turns, 2 are allowed → start another session, or raise"):
        session.ask("three")
    manager.settings.max_turns = 0
    manager.settings.max_tokens_per_session = 10
    with pytest.raises(BudgetReached, match=r"has used \d\d tokens, 10 are allowed"):
        session.ask("three")
    assert manager.session("another").ask("fresh").text
    manager.settings.max_tokens_per_session = 0
    assert len(model.requests) == sent + 1
    assert session.ask("three").text
    assert prompts(session) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("setting", "limit", "message"),
    [
        ("max_rounds", 3, "has reached the limit of 3 model calls for one prompt"),
        ("max_tokens_per_session", 30, "has used up its tokens"),
    ],
)
def test_a_model_that_calls_tools_without_end_is_stopped(
    setting: str, limit: int, message: str, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager.settings, setting, limit)
    model = script(manager, ScriptedModel(lambda _request: Reply(calls=(FunctionCall("nope"),))))
    session = manager.session(f"endless-{setting}")
    with pytest.raises(BudgetReached, match=message) as caught:
        session.ask("hi")
    assert f"%config CopilotNB.{setting} = …" in caught.value.hint
    assert len(model.requests) <= 4, "one more than allowed may have been on its way"
    monkeypatch.undo()
    script(manager, ScriptedModel("At last."))
    assert session.ask("again").text == "At last."


def test_a_turn_in_flight_is_stopped_before_its_session_is_deleted(manager: Manager) -> None:
    model = script(manager, ScriptedModel([Reply("Half", stall_after_chars=2)]))
    session = manager.session("doomed")
    turn = session.send("one")
    model.wait_for_requests(1)
    session.delete()
    assert turn.state is TurnState.INTERRUPTED
    assert not log_of(session).parent.exists()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda log: log[:-40],
    "garbage": lambda log: b"\n".join([*log.split(b"\n")[:3], b"{garbage", *log.split(b"\n")[4:]]),
    "nul": lambda log: b"\n".join([*log.split(b"\n")[:3], b"\0" * 200, *log.split(b"\n")[3:]]),
    "headless": lambda log: log.partition(b"\n")[2],
    "binary": lambda _log: bytes(range(256)) * 8,
    "empty": lambda _log: b"",
}


def test_a_damaged_log_hides_no_other_session(own_manager: Makes) -> None:
    manager = own_manager()
    logs = {name: log_of(asked(manager.session(name), "one", "two")) for name in DAMAGES}
    asked(manager.session("sound"), "one")
    manager.close()
    for name, damage in DAMAGES.items():
        logs[name].write_bytes(damage(logs[name].read_bytes()))
    manager = own_manager()
    assert {each.name for each in manager.stored()} == {*DAMAGES, "sound"}
    assert {match.session for match in manager.search("one")} >= {"sound", "cut", "garbage", "nul"}
    garbage = manager.existing("garbage").history
    assert [turn.prompt for turn in garbage] == ["one", "two"]
    assert "1 line of the session's log cannot be read; the rest is shown" in repr(garbage)
    assert "1 line of the session&#x27;s log" in garbage._repr_html_().replace("'", "&#x27;")
    for name in ("cut", "garbage", "nul"):  # the runtime repairs these
        assert prompts(asked(manager.session(name), "three")) == ["one", "two", "three"]
    assert len(manager.existing("binary").history) == 0
    for name in ("headless", "binary", "empty"):
        with pytest.raises(Exception, match=r"%copilot rm NAME|%copilot ls"):
            manager.session(name).ask("three")
        manager.delete(name)
        assert prompts(asked(manager.session(name), "anew")) == ["anew"]


def test_what_is_searched_for_is_found_where_it_was_said(own_manager: Makes) -> None:
    model = ScriptedModel(["Use `venv`.", "Größe: “12”."])
    manager = own_manager(model)
    a = asked(manager.session("a"), "How do I begin?", "How long?")
    (match,) = manager.search("VENV")
    assert (match.session, match.turn, match.role, match.snippet) == ("a", 1, "model", "Use `venv`.")
    assert [(m.turn, m.role) for m in manager.search("größe: “1")] == [(2, "model")]
    assert [(m.turn, m.role) for m in manager.search("how")] == [(1, "you"), (2, "you")]
    assert manager.search("nowhere") == []
    assert repr(manager.search("no\\where")) == "No session contains 'no\\\\where'."
    with pytest.raises(InputError, match="no search text given"):
        manager.search("  ")
    a.rewind()
    assert manager.search("größe") == []


def test_only_the_last_turns_are_read(manager: Manager) -> None:
    session = asked(manager.session("thirty-turns"), *map(str, range(30)))
    page = session.last_turns(4)
    assert [turn.prompt for turn in page] == ["26", "27", "28", "29"]
    assert page.numbers == (27, 28, 29, 30)
    assert "turns 27 to 30 of 30" in repr(page[:])
    assert session.last_turns(100).numbers == tuple(range(1, 31))


def test_other_copilot_sessions_are_listed_where_asked_for(own_manager: Makes) -> None:
    manager = own_manager()
    asked(manager.session("ours"), "one")
    others = log_of(asked(manager.session("theirs"), "one"))
    manager.close()
    metadata = others.with_name("client-metadata.json")
    metadata.write_text(json.dumps({"version": 1, "metadata": {}}))
    manager = own_manager()
    assert [each.name for each in manager.sessions()] == ["ours"]
    listed = manager.sessions(everything=True)
    assert sorted((each.name, each.is_own) for each in listed) == [("ours", True), ("theirs", False)]
    assert "– not from copilot_nb" in repr(listed)
