from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import (
    InputError,
    ProviderError,
    RuntimeUnavailable,
    SessionInUse,
    SessionNotFound,
    TurnFailed,
    TurnInterrupted,
    TurnTimeout,
)
from copilot_nb.named_sessions import engine, stored_sessions
from copilot_nb.named_sessions.manager import Manager, manager_of
from copilot_nb.named_sessions.session import state_of
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.runtime.sdk_errors import translated
from copilot_nb.testing import ChatError, Reply, ScriptedModel

from .conftest import script

MakeManager = Callable[..., Manager]


def runtime_of(manager: Manager) -> psutil.Process:
    children = psutil.Process().children(recursive=True)
    (process,) = [child for child in children if child.environ().get("COPILOT_HOME") == manager.settings.home]
    return process


def wait_until_it_says(turn: Turn, text: str) -> None:
    """Wait until so much of an answer has come through the runtime."""
    deadline = time.monotonic() + 10
    while turn.text != text:
        assert time.monotonic() < deadline, f"it says {turn.text!r}"
        with pytest.raises(TimeoutError):
            turn.wait(timeout_s=0.02)


def test_a_session_answers_and_remembers_its_own_turns_only(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    a, b = manager.session("own-a"), manager.session("own-b")
    assert "one" in a.ask("one").text
    b.ask("two")
    a.ask("three")
    assert model.requests[-1].user_texts == ("one", "three")
    assert [turn.prompt for turn in a.history] == ["one", "three"]
    assert [turn.text for turn in a.history] == [request.text for request in a.history]
    assert a.history[0].state is TurnState.DONE


def test_sends_to_several_sessions_run_at_the_same_time(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    turns = [manager.session(f"parallel-{n}").send(f"number {n}") for n in range(3)]
    model.wait_for_requests(3)
    assert [turn.done for turn in turns] == [False, False, False]
    model.release()
    assert [f"number {n}" in turn.wait().text for n, turn in enumerate(turns)] == [True, True, True]


def test_prompts_to_one_session_are_answered_in_the_order_they_were_sent(manager: Manager) -> None:
    session = manager.session("ordered")
    turns = [session.send(str(number)) for number in range(10)]
    for turn in turns:
        turn.wait()
    assert [turn.prompt for turn in session.history] == [str(number) for number in range(10)]


def test_live_turn_and_history_tell_the_same(manager: Manager) -> None:
    session = manager.session("same")
    live = session.ask("hello").record
    (stored,) = session.history
    for field in ("turn_id", "prompt", "parts", "state", "model", "started_at", "finished_at", "event_id"):
        assert getattr(live, field) == getattr(stored, field), field
    assert live.usage is not None
    assert live.usage.output_tokens > 0
    assert live.time_to_first_token_s is not None


def test_turn_is_awaitable_from_any_loop(manager: Manager) -> None:
    session = manager.session("awaited")

    async def both() -> list[str]:
        turns = await asyncio.gather(session.send("x"), session.send("y"))
        return [turn.prompt for turn in turns]

    assert asyncio.run(both()) == ["x", "y"]


def test_send_from_many_threads(manager: Manager) -> None:
    session = manager.session("threads")
    threads = [threading.Thread(target=lambda n=n: session.ask(str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turn.prompt for turn in session.history) == [str(n) for n in range(8)]


def test_stop_keeps_the_partial_answer_and_reminds_the_model(manager: Manager) -> None:
    model = script(manager, ScriptedModel([Reply("It is forty-two, because", stall_after_chars=16), "Yes."]))
    session = manager.session("stopped")
    turn = session.send("why?")
    wait_until_it_says(turn, "It is forty-two,")
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    assert turn.text == "It is forty-two,"
    assert turn.state is TurnState.INTERRUPTED
    assert [t.text for t in session.history] == ["It is forty-two,"]
    session.ask("go on")
    assert "It is forty-two," in model.requests[-1].prompt
    assert [t.prompt for t in session.history] == ["why?", "go on"]
    session.ask("and now?")
    assert "It is forty-two," not in model.requests[-1].prompt


def test_stopping_one_turn_leaves_others_alone(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    stopped, other = manager.session("stop-one").send("a"), manager.session("stop-other").send("b")
    model.wait_for_stalled(2)
    stopped.stop()
    with pytest.raises(TurnInterrupted):
        stopped.wait()
    model.release()
    assert "b" in other.wait().text


def test_a_queued_prompt_can_be_withdrawn(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    session = manager.session("withdrawn")
    first, second = session.send("first"), session.send("second")
    model.wait_for_stalled(1)
    second.stop()
    model.release()
    first.wait()
    with pytest.raises(TurnInterrupted):
        second.wait()
    assert [turn.prompt for turn in session.history] == ["first"]


def test_provider_error_is_one_line_and_the_session_goes_on(manager: Manager) -> None:
    script(manager, ScriptedModel(["fine", Reply(error=ChatError(400, "too long for me")), "fine again"]))
    session = manager.session("faulty")
    session.ask("a")
    with pytest.raises(TurnFailed, match="too long for me") as caught:
        session.ask("b")
    assert "\n" not in str(caught.value)
    assert session.ask("c").text == "fine again"
    assert [turn.state.value for turn in session.history] == ["done", "failed", "done"]


def test_a_session_whose_first_prompt_fails_leaves_nothing(manager: Manager) -> None:
    script(manager, ScriptedModel([Reply(error=ChatError(403, "no")), "yes"]))
    with pytest.raises(TurnFailed):
        manager.session("stillborn").ask("a")
    assert "stillborn" not in [stored.name for stored in manager.stored()]
    assert manager.session("stillborn").ask("b").text == "yes"


def test_a_model_that_says_nothing_is_given_up(manager: Manager) -> None:
    model = script(manager, ScriptedModel(["ok", Reply("abc", stall_after_chars=0), "ok again"]))
    session = manager.session("silent")
    session.ask("a")
    with pytest.raises(TurnTimeout):
        session.send("b", timeout_s=0.5).wait()
    model.wait_for_abandoned(1)
    assert session.ask("c").text == "ok again"


def test_connection_that_breaks_is_retried_without_doubling_the_answer(manager: Manager) -> None:
    script(manager, ScriptedModel([Reply("Half of the ans", ending="cut"), "The whole answer."]))
    turn = manager.session("cut").ask("a")
    assert turn.text == "The whole answer."
    assert any(note.startswith("retry 1: ") for note in turn.record.notes)


def test_refused_connection_names_the_model(manager: Manager) -> None:
    script(manager, ScriptedModel(["ok", *[Reply(error=httpx.ConnectError("refused"))] * 12]))
    session = manager.session("refused")
    session.ask("a")
    with pytest.raises(TurnFailed, match=r"scripted \(scripted\) did not answer"):
        session.ask("b")


def test_a_model_switch_is_noted_and_keeps_the_history(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = manager.session("switch")
    session.ask("one")
    turn = session.send("two", model="scripted-b").wait()
    assert turn.model == "scripted-b"
    assert turn.notes == ["switched from scripted (scripted) to scripted-b (scripted)"]
    assert model.requests[-1].user_texts[0] == "one"
    assert session.ask("three").model == "scripted-b"


def test_provider_switch_keeps_the_history(manager: Manager) -> None:
    script(manager, ScriptedModel())
    other = script(manager, ScriptedModel(models=("other-1",)), name="other")
    session = manager.session("provider-switch")
    session.ask("one")
    assert manager.session("provider-switch", provider="other").ask("two").model == "other-1"
    assert other.requests[-1].user_texts[0] == "one"


def test_unknown_model_and_provider_are_refused_before_anything_is_sent(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    with pytest.raises(ProviderError, match="no model 'gpt-9'"):
        manager.session("unknown", model="gpt-9")
    with pytest.raises(ProviderError, match="no provider 'azur'"):
        manager.session("unknown", provider="azur")
    manager.session("known").ask("a")
    with pytest.raises(ProviderError, match="no model 'gpt-9'"):
        manager.session("known", model="gpt-9")
    assert len(model.requests) == 1


def test_system_message_is_the_sessions_own(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    manager.session("pirate", system="You are a pirate.").ask("a")
    assert model.requests[-1].system_text == "You are a pirate."


@pytest.mark.parametrize("prompt", ["", "  \n ", "x" * 600_000])
def test_prompt_that_cannot_be_sent(manager: Manager, prompt: str) -> None:
    with pytest.raises(InputError):
        manager.session("bad-prompt").send(prompt)


def test_custom_id_is_found_again_by_name(own_manager: MakeManager) -> None:
    first = own_manager()
    first.session("chat", session_id="user-123-chat").ask("my name is Ann")
    first.close()
    model = ScriptedModel()
    again = own_manager(model).session("chat")
    assert again.session_id == "user-123-chat"
    turn = again.ask("what is my name?")
    assert turn.notes[0].startswith("resumed chat: 1 turn, last used ")
    assert model.requests[-1].user_texts == ("my name is Ann", "what is my name?")
    with pytest.raises(InputError, match="already has the id"):
        manager_of(again).session("chat", session_id="other")


@pytest.mark.parametrize("name", ["séance du 3 mai", "a/b", "x" * 300, 'quote"d', "日本語"])
def test_any_name_is_kept(own_manager: MakeManager, name: str) -> None:
    first = own_manager()
    first.session(name).ask("a")
    first.close()
    second = own_manager()
    assert [stored.name for stored in second.stored()] == [name]
    assert len(second.session(name).history) == 1


def test_new_keeps_the_earlier_session_under_another_name(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    manager.session("again").ask("old")
    fresh = manager.session("again", new=True)
    fresh.ask("new")
    assert model.requests[-1].user_texts == ("new",)
    assert [turn.prompt for turn in manager.session("again~1").history] == ["old"]
    assert fresh.session_id == "again-2"


def test_delete_and_list(manager: Manager) -> None:
    manager.session("deleted-by-name").ask("a")
    stored = next(stored for stored in manager.stored() if stored.name == "deleted-by-name")
    assert (stored.model, stored.provider, stored.turns) == ("scripted", "scripted", 1)
    manager.delete("deleted-by-name")
    assert "deleted-by-name" not in [stored.name for stored in manager.stored()]
    with pytest.raises(SessionNotFound):
        manager.delete("deleted-by-name")


def test_delete_stops_the_turn_under_way(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    model.hold()
    turn = manager.session("busy").send("a")
    model.wait_for_stalled(1)
    manager.delete("busy")
    model.release()
    assert turn.done
    assert "busy" not in [stored.name for stored in manager.stored()]


def test_sessions_stay_loaded_until_they_have_been_idle_for_long(own_manager: MakeManager) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    for number in range(3):
        manager.session(f"s{number}").ask("a")

    def loaded_after_s(idle_s: float) -> list[str]:
        manager.settings.unload_after_s = idle_s
        manager.loop.blocking(manager.engine.unload_idle())
        return [session.name for session in manager if state_of(session).runner.is_loaded]

    assert loaded_after_s(600.0) == ["s0", "s1", "s2"]
    model.hold()
    turn = manager.session("s1").send("b")
    model.wait_for_stalled(1)
    assert loaded_after_s(1e-6) == ["s1"]
    model.release()
    assert len(turn.wait().session.history) == 2
    assert len(manager.session("s0").ask("b").session.history) == 2


def test_session_open_in_another_kernel_is_noticed(own_manager: MakeManager) -> None:
    first, second = own_manager(), own_manager()
    first.session("both").ask("a")
    with pytest.raises(SessionInUse, match="open in process"):
        second.session("both").ask("b")
    copy = second.session("both", take_over=True)
    assert copy.ask("c").notes == ["both is open in another process; continuing in a copy, both~1"]
    first.session("both").ask("d")
    first.close()
    assert [turn.prompt for turn in second.session("both~1").history] == ["a", "c"]
    assert [turn.prompt for turn in second.session("both").ask("e").session.history] == ["a", "d", "e"]
    assert sorted(stored.name for stored in second.stored()) == ["both", "both~1"]


def test_killed_runtime_is_replaced_and_nothing_answered_is_lost(own_manager: MakeManager) -> None:
    model = ScriptedModel(["first answer", Reply("second ans", stall_after_chars=7), "third answer"])
    manager = own_manager(model)
    session = manager.session("survivor")
    session.ask("one")
    turn = session.send("two")
    wait_until_it_says(turn, "second ")
    runtime_of(manager).send_signal(signal.SIGKILL)
    with pytest.raises(TurnInterrupted, match="runtime has stopped"):
        turn.wait(timeout_s=5)
    assert turn.text == "second "
    session.ask("three")
    assert [t.text for t in session.history] == ["first answer", "second ", "third answer"]
    assert "second " in model.requests[-1].prompt


def test_runtime_killed_while_idle_is_replaced_unnoticed(own_manager: MakeManager) -> None:
    session = own_manager().session("idle")
    session.ask("one")
    process = runtime_of(manager_of(session))
    process.kill()
    psutil.wait_procs([process], timeout=5)
    session.ask("two")
    assert len(session.history) == 2


def test_interrupted_answer_is_recalled_by_the_next_kernel(own_manager: MakeManager) -> None:
    model = ScriptedModel([Reply("I was saying", stall_after_chars=5)])
    first = own_manager(model)
    turn = first.session("recall").send("say")
    wait_until_it_says(turn, "I was")
    turn.stop()
    with pytest.raises(TurnInterrupted):
        turn.wait()
    first.close()
    model = ScriptedModel()
    own_manager(model).session("recall").ask("go on")
    assert "I was" in model.requests[-1].prompt


def test_kernels_interrupt_does_not_reach_the_runtime(own_manager: MakeManager) -> None:
    manager = own_manager()
    manager.session("own-group").ask("a")
    assert os.getpgid(runtime_of(manager).pid) != os.getpgid(0)


def test_restart_and_close_leave_no_runtime(own_manager: MakeManager) -> None:
    manager = own_manager()
    manager.session("restarted").ask("a")
    manager.restart()
    manager.session("restarted").ask("b")
    process = runtime_of(manager)
    manager.close()
    assert psutil.wait_procs([process], timeout=5)[1] == []


def test_a_runtime_that_starts_for_too_long_is_ended_with_the_manager(
    own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CLOSE_TIMEOUT_S", 0.01)
    manager, before = own_manager(), set(psutil.Process().children())
    starting = manager.loop.submit(manager.client())
    while not (begun := set(psutil.Process().children()) - before) and not starting.done():
        pass
    manager.close()
    assert psutil.wait_procs(begun, timeout=5)[1] == []


def test_an_id_has_one_name_only(manager: Manager) -> None:
    manager.session("id-owner", session_id="the-id").ask("a")
    with pytest.raises(InputError, match="belongs to session 'id-owner'"):
        manager.session("id-thief", session_id="the-id")


def test_a_deleted_session_object_says_so(manager: Manager) -> None:
    session = manager.session("gone")
    session.ask("a")
    session.delete()
    with pytest.raises(SessionNotFound, match="is gone"):
        session.send("b")


def test_a_runtime_that_hangs_is_replaced(own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = own_manager()
    session = manager.session("hung")
    session.ask("one")
    monkeypatch.setattr("copilot_nb.runtime.client.PING_TIMEOUT_S", 1.0)
    model = script(manager, ScriptedModel())
    model.hold()
    turn = session.send("two")
    model.wait_for_stalled(1)
    runtime_of(manager).send_signal(signal.SIGSTOP)
    with pytest.raises(TurnInterrupted, match="no longer answers"):
        turn.wait(timeout_s=10)
    model.release()
    assert session.ask("three").state is TurnState.DONE


def test_a_runtime_that_cannot_start_is_tried_once_for_all_who_ask(own_manager: MakeManager, tmp_path: Path) -> None:
    manager = own_manager()
    program = tmp_path / "copilot"
    program.write_text(f"#!/bin/sh\necho >> {tmp_path}/tries\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    manager.settings.runtime_path = str(program)
    for name in ("a", "b", "c"):
        with pytest.raises(RuntimeUnavailable, match="broken"):
            manager.session(name)
    assert (tmp_path / "tries").read_text() == "\n"
    manager.settings.runtime_path = ""
    manager.restart()
    assert manager.session("a").ask("x").state is TurnState.DONE


def test_what_a_runtime_cannot_do_is_one_line(manager: Manager) -> None:
    async def ask_for_the_impossible() -> None:
        client = await (await manager.client()).ready()
        async with translated("doing that"):
            await client.rpc._client.request("sessions.notYetThere", {})  # type: ignore[attr-defined]

    with pytest.raises(RuntimeUnavailable, match=r"doing that: .* → this runtime cannot do that: see "):
        manager.loop.blocking(ask_for_the_impossible())


def test_the_size_of_the_window_reaches_the_runtime_and_is_kept(own_manager: Callable[..., Manager]) -> None:
    manager = own_manager()
    session = manager.session("wide", context="long")
    session.ask("one")
    manager.close()
    manager = own_manager()
    session = manager.session("wide")
    session.ask("two")
    session.send("three", context="default").wait()
    with pytest.raises(InputError, match="a model's window has no size 'huge' → one of: default, long"):
        session.send("four", context="huge")
    assert session.ask("five").text
    log = (Path(manager.settings.home) / "session-state" / "wide" / "events.jsonl").read_text()
    opened = [json.loads(line) for line in log.splitlines() if '"session.start"' in line or '"session.resume"' in line]
    assert [event["data"].get("contextTier") for event in opened][:3] == ["long_context", "long_context", "default"]


def test_the_runtime_gets_no_key(own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GH_TOKEN", "ODD"):
        monkeypatch.setenv(name, f"planted-{name}")
    manager = own_manager()
    manager.settings.providers = {"odd": {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "ODD"}}
    manager.session("a").ask("hi")
    environment = runtime_of(manager).environ()
    assert [value for value in environment.values() if "planted" in value] == ["planted-GH_TOKEN"]  # a login, not a key


def test_the_runtime_starts_where_the_working_directory_was_deleted(
    own_manager: MakeManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert own_manager().session("a").ask("hi").state is TurnState.DONE


def test_a_home_that_is_chosen_after_the_warm_start_is_the_one_used(
    own_manager: Callable[..., Manager], tmp_path: Path
) -> None:
    manager = own_manager()
    manager.loop.blocking(manager.client())
    manager.settings.home = str(tmp_path / "chosen")
    session = manager.session("moved")
    session.ask("needle")
    assert (tmp_path / "chosen" / "session-state" / "moved").is_dir()
    assert (tmp_path / "chosen").stat().st_mode & 0o077 == 0
    assert manager.search("needle")
    assert session.rewind(0) == 1


def test_the_warm_start_loads_what_renders_answers(own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = threading.Event()
    monkeypatch.setattr("copilot_nb.named_sessions.engine.preload", loaded.set)
    own_manager().warm_up()
    assert loaded.wait(30)


def test_a_new_session_is_opened_without_reading_all_others(
    own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = own_manager()
    for number in range(12):
        manager.session(f"s{number}").create()
    archive = manager.loop.blocking(manager.client()).archive
    folder = Path(manager.settings.home, "session-state")
    for session in manager:
        os.utime(folder / session.session_id, (1, 1))  # unchanged for long
    manager.session("first look, with blanks")
    read: list[str] = []
    annotations = archive.annotations

    async def noted(session_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        read.extend(session_ids)
        return await annotations(session_ids)

    monkeypatch.setattr(archive, "annotations", noted)
    manager.session("second look, with blanks")
    assert not [each for each in read if each in {f"s{number}" for number in range(12)}]


def test_a_session_that_was_renamed_elsewhere_is_found_by_its_new_name(own_manager: MakeManager) -> None:
    here, elsewhere = own_manager(), own_manager()
    elsewhere.session("old name").ask("one")
    elsewhere.loop.blocking(elsewhere.engine.unload(state_of(elsewhere.session("old name"))))
    here.session("unrelated, but looked for")
    renamed = elsewhere.session("old name")
    renamed.rename("new name")
    elsewhere.close()
    assert [turn.prompt for turn in here.session("new name").history] == ["one"]


def test_a_session_is_as_old_as_its_last_turn_whenever_its_kernel_ended(
    own_manager: MakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_sessions, "MIN_BATCH", 1)
    manager = own_manager()
    for name in ("early", "late"):
        manager.session(name).ask(f"hello {name}")
    logs = {name: Path(manager.settings.home, "session-state", name, "events.jsonl") for name in ("early", "late")}
    manager.close()
    ended = {}
    for name, log in logs.items():
        events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        assert events[-1]["type"] == "session.shutdown"
        (end,) = [event for event in events if event["type"] == "assistant.turn_end"]
        ended[name] = datetime.fromisoformat(end["timestamp"])
    os.utime(logs["early"])  # as if its kernel had ended last
    manager = own_manager()
    assert [(each.name, each.used_at) for each in manager.sessions()] == [*reversed(ended.items())]
    assert [each.name for each in manager.sessions(1)] == ["late"]
    assert [each.name for each in manager.sessions(1, everything=True)] == ["late"]
    assert [*dict.fromkeys(match.session for match in manager.search("hello"))] == ["late", "early"]
    assert not manager.sessions().filter(older_than="1m")
    log = logs["early"]
    log.write_text(re.sub(r'"timestamp":"\d+-', '"timestamp":"2001-', log.read_text("utf-8")), "utf-8")
    assert [each.name for each in manager.sessions().filter(older_than="52w")] == ["early"]
    assert re.search(r"^resumed early: 1 turn, last used \d+ years ago", state_of(manager.session("early")).resume_note)
