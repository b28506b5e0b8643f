"""Conversations carried away and back: exported from one runtime, played into another."""

from __future__ import annotations

import _thread
import dataclasses
import json
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from copilot_nb.conversation.parts import Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import CopilotNBError, InputError, SessionError
from copilot_nb.named_sessions.formats import import_json
from copilot_nb.named_sessions.formats.export import Exported, export
from copilot_nb.named_sessions.formats.import_json import import_session
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.providers.chat import ChatError, ChatRequest
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.providers.pieces import Piece
from copilot_nb.providers.sample_model import SampleModel
from copilot_nb.testing import ScriptedModel
from tests.loopback import Loopback

MakeManager = Callable[..., Manager]
AT = datetime(2026, 1, 2, tzinfo=UTC)


def said(number: int, text: str, **changed: object) -> TurnRecord:
    """Return a turn that is done, but for what is `changed`."""
    parts = (Text(f"t{number}", text, complete=True),) if text else ()
    turn = TurnRecord(f"m{number}", f"prompt {number}", parts, TurnState.DONE, "scripted", Usage(30, 4), AT, AT, AT)
    return dataclasses.replace(turn, **changed)  # type: ignore[arg-type]


def exported(tmp_path: Path, *turns: TurnRecord, **facts: str) -> Path:
    known = {"name": "carried", "provider": "scripted", "model": "scripted-b", "system": "Be brief."}
    return export(turns, Exported(**known | facts), tmp_path / "carried.json", force=True)  # type: ignore[arg-type]


def facts_of(session: Session) -> Exported:
    return Exported(session.name, session.session_id, session.provider, session.model, session.system)


def is_stored(manager: Manager, name: str) -> bool:
    return name in [stored.name for stored in manager.stored()]


def test_a_conversation_goes_on_in_another_home(manager: Manager, own_manager: MakeManager, tmp_path: Path) -> None:
    first = manager.session("carry-away", system="Be brief.")
    for prompt in ("one", "two {{ x }} \0 \u2028 </script>", "/help"):
        first.ask(prompt)
    path = export(first.history, facts_of(first), tmp_path / "out.json")

    model = ScriptedModel()
    other = own_manager(model)
    second = import_session(other, path)
    assert [(t.prompt, t.text, t.state, t.model) for t in second.history] == [
        (t.prompt, t.text, t.state, t.model) for t in first.history
    ]
    assert model.requests == []
    second.ask("four")
    assert model.requests[-1].user_texts == ("one", "two {{ x }} \0 \u2028 </script>", "/help", "four")
    assert "Be brief." in model.requests[-1].system_text
    assert second.tools == "none"


def test_the_session_goes_to_the_recorded_provider_and_model_in_the_next_kernel_too(
    own_manager: MakeManager, tmp_path: Path
) -> None:
    manager = own_manager()
    providers = manager.providers.names
    session = import_session(manager, exported(tmp_path, said(1, "one")))
    assert (session.provider, session.model, session.system) == ("scripted", "scripted-b", "Be brief.")
    (stored,) = manager.stored()
    assert (stored.name, stored.provider, stored.model, stored.turns) == ("carried", "scripted", "scripted-b", 1)
    assert manager.providers.names == providers
    manager.close()

    again = own_manager().session("carried")
    assert again.ask("next").model == "scripted-b"
    assert [turn.model for turn in again.history] == ["scripted", "scripted-b"]


def test_what_the_runtime_cannot_take_back_is_said_in_one_line(manager: Manager, tmp_path: Path) -> None:
    call = ToolCall("c", "view", "{}", "result", succeeded=True)
    path = exported(
        tmp_path,
        said(1, "", parts=(Reasoning("r", "why"), Text("a", "I look."), call, Text("b", "Done."))),
        said(2, "half an ans", state=TurnState.INTERRUPTED, usage=Usage(1, 1, 0.5)),
        said(3, "", state=TurnState.FAILED, error="400 the model is down"),
        said(4, "", state=TurnState.INTERRUPTED),
        said(5, "again", model="other/modèl"),
    )
    session = import_session(manager, path, "lossy")
    assert state_of(session).resume_note == (
        "imported 5 turns from carried.json, without the original times, costs, 1 tool call, the reasoning of 1 turn, "
        "the early end of 3 turns; its system message: Be brief."
    )
    assert [(turn.text, turn.state, turn.error, turn.model) for turn in session.history] == [
        ("I look.\n\nDone.", TurnState.DONE, "", "scripted"),
        ("half an ans", TurnState.DONE, "", "scripted"),
        ("", TurnState.FAILED, "400 the model is down", ""),
        ("", TurnState.FAILED, "400 no answer was recorded", ""),
        ("again", TurnState.DONE, "", "other/modèl"),
    ]
    assert session.ask("next").notes[0].startswith("imported 5 turns")


def test_recorded_usage_is_taken_back_and_calls_for_no_summary(manager: Manager, tmp_path: Path) -> None:
    turns = [said(n, f"answer {n}", usage=Usage(5_000_000, 7)) for n in range(4)]
    session = import_session(manager, exported(tmp_path, *turns), "hungry")
    assert [(t.text, t.notes) for t in session.history] == [(f"answer {n}", ()) for n in range(4)]
    assert [t.usage and (t.usage.input_tokens, t.usage.output_tokens) for t in session.history] == [(5_000_000, 7)] * 4
    assert [t.usage and t.usage.window_tokens for t in session.history] == [None] * 4


def test_hostile_text_and_large_answers_are_imported(manager: Manager, tmp_path: Path) -> None:
    texts = ["</script><script>", "```\nopen", "\0 \x1b[31m \u2028", "\ud83d half", "{{ x }} $5 $6", "x" * 1_000_000]
    turns = [said(n, text, prompt=text[:1000]) for n, text in enumerate(texts)]
    session = import_session(manager, exported(tmp_path, *turns), "séance </b> 日本語")
    expected = [text.replace("\ud83d", "\ufffd") for text in texts]
    assert [(turn.prompt, turn.text) for turn in session.history] == [(text[:1000], text) for text in expected]


def test_an_empty_conversation_is_imported(manager: Manager, tmp_path: Path) -> None:
    session = import_session(manager, exported(tmp_path), "nothing-yet")
    assert state_of(session).resume_note == "imported 0 turns from carried.json; its system message: Be brief."
    assert is_stored(manager, "nothing-yet")
    assert session.ask("first").model == "scripted-b"


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        (
            {"provider": "elsewhere", "model": "m-1"},
            "; m-1 (elsewhere) answered before, scripted (scripted) answers now (to use the former: "
            "-p elsewhere -m m-1)",
        ),
        (
            {"provider": "github", "model": ""},
            "; the default model (github) answered before, scripted (scripted) answers now (to use the former: "
            "-p github)",
        ),
        (
            {"provider": "scripted", "model": "gone"},
            "; gone (scripted) answered before, scripted (scripted) answers now (to use the former: "
            "-p scripted -m gone)",
        ),
        ({"provider": "", "model": "m-1"}, ""),
        ({"provider": "scripted", "model": ""}, ""),
        ({"system": "Say\n" + "x " * 200}, f"; its system message: Say {'x ' * 47}x…"),
    ],
)
def test_a_file_does_not_choose_who_answers(facts: dict[str, str], note: str, manager: Manager, tmp_path: Path) -> None:
    name = f"moved-{len(list(manager))}"
    chosen = {"provider": "scripted", "model": "scripted", "system": ""} | facts
    session = import_session(manager, exported(tmp_path, said(1, "one"), **chosen), name)
    assert state_of(session).resume_note == f"imported 1 turn from carried.json, without the original times{note}"
    assert session.ask("next").model == "scripted"


def test_a_provider_that_costs_is_not_taken_from_a_file(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
    with Loopback() as paid:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{paid.url}/v1")
        session = import_session(manager, exported(tmp_path, said(1, "one"), provider="openai", model="m"), "unpaid")
        assert session.ask("next").session.provider == "scripted"
        assert session.ask("next", provider="openai", model="m").text == "Hello."
        assert len(paid.asked) == 1


def test_where_no_model_can_answer_the_conversation_is_imported_and_read(
    own_manager: MakeManager, tmp_path: Path
) -> None:
    manager = own_manager()
    manager.settings.provider = "none-such"
    session = import_session(manager, exported(tmp_path, said(1, "one"), provider="elsewhere"))
    assert session.history[0].text == "one"
    assert session.provider == "local"


def test_an_existing_name_is_refused(manager: Manager, tmp_path: Path) -> None:
    manager.session("taken").ask("mine")
    unused = manager.session("taken-but-unused")
    path = exported(tmp_path, said(1, "one"), name="taken")
    with pytest.raises(InputError, match="there is a session 'taken' already"):
        import_session(manager, path)
    with pytest.raises(InputError, match="there is a session 'taken-but-unused' already"):
        import_session(manager, path, "taken-but-unused")
    assert [turn.prompt for turn in manager.session("taken").history] == ["mine"]
    assert not state_of(unused).is_gone


@pytest.mark.parametrize(
    ("turns", "name", "message"),
    [
        ([said(1, "a")], "ls", "is a subcommand of %copilot"),
        ([said(1, "a")], "a\0b", "an invisible character"),
        ([said(1, "a"), said(2, "b", prompt=" \n")], "", "turn 2 cannot be imported: the prompt is empty"),
        ([said(1, "b", prompt="x" * 600_000)], "", "turn 1 cannot be imported: the prompt has 600,000 bytes"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_made(
    turns: list[TurnRecord], name: str, message: str, manager: Manager, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_session(manager, exported(tmp_path, *turns, name="not-imported"), name)
    assert "\n" not in str(caught.value)
    assert not is_stored(manager, "not-imported")


def test_a_file_that_cannot_be_read_makes_nothing(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "later.json"
    path.write_text(json.dumps({"format": "copilot_nb/conversation", "version": 9, "turns": []}))
    with pytest.raises(InputError, match="it has version 9"):
        import_session(manager, path, "from-later")
    assert not is_stored(manager, "from-later")


class Acting(SampleModel):
    """A model during whose `at`-th answer something happens."""

    def __init__(self, at: int, act: Callable[[], object]) -> None:
        self.until = at
        self.act = act

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        self.until -= 1
        if self.until == 0:
            self.act()
        return await super().answer(request)


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Let something happen during the import, while a turn is played."""

    def arrange(at: int, act: Callable[[], object]) -> None:
        provider = InKernel("pattern-test", lambda: Acting(at, act))
        monkeypatch.setattr(import_json, "sample_provider", lambda: provider)

    return arrange


def both_kinds() -> tuple[TurnRecord, ...]:
    """Return turns with and without an answer: both must be played."""
    return said(1, "word"), said(2, "", state=TurnState.FAILED, error="no"), said(3, "word")


def test_an_import_during_which_the_runtime_dies_leaves_no_session(
    own_manager: MakeManager, tmp_path: Path, during: Callable[[int, Callable[[], object]], None]
) -> None:
    manager = own_manager()
    providers = manager.providers.names
    manager.session("other").ask("still here?")
    children = psutil.Process().children(recursive=True)
    (runtime,) = [child for child in children if child.environ().get("COPILOT_HOME") == manager.settings.home]
    during(2, runtime.kill)
    with pytest.raises(CopilotNBError) as caught:
        import_session(manager, exported(tmp_path, *both_kinds()))
    assert "\n" not in str(caught.value)
    assert [stored.name for stored in manager.stored()] == ["other"]
    assert [session.name for session in manager] == ["other"]
    assert manager.providers.names == providers


def test_an_interrupted_import_leaves_no_session(
    manager: Manager, tmp_path: Path, during: Callable[[int, Callable[[], object]], None]
) -> None:
    during(2, _thread.interrupt_main)
    path = exported(tmp_path, *both_kinds())
    with pytest.raises(SessionError, match="the import was interrupted; no session was created"):
        import_session(manager, path, "interrupted")
    assert not is_stored(manager, "interrupted")
    assert "interrupted" not in [session.name for session in manager]


def test_an_import_that_the_runtime_does_not_take_leaves_no_session(
    manager: Manager, tmp_path: Path, during: Callable[[int, Callable[[], object]], None]
) -> None:
    def refuse() -> None:
        raise ChatError(400, "no more")

    during(2, refuse)
    with pytest.raises(SessionError, match=r"the conversation could not be imported: .* no more") as caught:
        import_session(manager, exported(tmp_path, *both_kinds()), "refused-midway")
    assert "\n" not in str(caught.value)
    assert not is_stored(manager, "refused-midway")


def test_an_import_that_the_runtime_reads_differently_leaves_no_session(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_json, "compose", lambda log, pattern, _turns: log.write_bytes(pattern))
    with pytest.raises(SessionError, match="could not be imported: the runtime reads it differently"):
        import_session(manager, exported(tmp_path, said(1, "one")), "misread")
    assert not is_stored(manager, "misread")


def test_an_imported_conversation_is_sent_to_the_model_rewound_and_searched_like_any_other(
    own_manager: MakeManager, tmp_path: Path
) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    turns = [said(n, f"answer {n}", prompt=f"prompt {n} 11111111-2222-3333-4444-555555555555") for n in (1, 2, 3)]
    session = import_session(manager, exported(tmp_path, *turns))
    assert len({turn.turn_id for turn in session.history}) == len(turns)
    assert session.rewind(2) == 1
    session.ask("next")
    assert model.requests[-1].user_texts == (turns[0].prompt, turns[1].prompt, "next")
    said_before = [each.bare_text for each in model.requests[-1].messages if each.role == "assistant"]
    assert said_before == ["answer 1", "answer 2"]
    assert [(hit.turn, hit.role) for hit in manager.search("answer 2")] == [(2, "model")]
    copy = session.fork("a-copy", at=1)
    assert [turn.text for turn in copy.history] == ["answer 1"]


def test_of_a_thousand_turns_one_is_played(manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    play = import_json._play
    monkeypatch.setattr(import_json, "_play", lambda session, asked: played.append(asked) or play(session, asked))
    turns = [said(number, "Some text of an answer. " * 50) for number in range(1_000)]
    session = import_session(manager, exported(tmp_path, *turns), "long")
    assert [turn.prompt for turn in session.history] == [f"prompt {number}" for number in range(1_000)]
    assert len(played) == 1
