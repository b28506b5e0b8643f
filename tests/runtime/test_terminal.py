"""One history for both: sessions of the notebook in a real `copilot` of the terminal, and the other way round."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from copilot_nb.errors import RuntimeUnavailable, SessionInUse
from copilot_nb.named_sessions.listing import ELSEWHERE, OTHER
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.runtime.install.find_runtime import find_runtime
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel
from tests.loopback import Loopback, Reply, plain

from .conftest import script

END_S = 60.0
KEY = "sk-a-key-that-nobody-else-has"
MakeManager = Callable[..., Manager]


def command_line_program() -> Path | None:
    try:
        return find_runtime().cli
    except RuntimeUnavailable:
        return None


CLI = command_line_program()
pytestmark = pytest.mark.skipif(CLI is None, reason="the program `copilot` is missing: copilot-nb install-runtime")


class Terminal:
    """`copilot` in a terminal, on the home of the notebook's sessions, with a model on this machine."""

    def __init__(self, home: Path, model: Loopback, folder: Path) -> None:
        self.model = model
        self._folder = folder
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("COPILOT_")}
        self._env |= {"COPILOT_HOME": str(home), "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
        self._env |= {"COPILOT_PROVIDER_BASE_URL": f"{model.url}/v1", "COPILOT_MODEL": "terminal-model"}
        self._env |= {"COPILOT_PROVIDER_API_KEY": KEY}

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        command = [str(CLI), "--silent", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=self._env, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *arguments: str) -> str:
        return ended(self.begin(*arguments))


def ended(process: subprocess.Popen[str]) -> str:
    """Wait until a `copilot` has ended, and return what it said."""
    out, err = process.communicate(timeout=END_S)
    assert process.returncode == 0, err
    return out.strip()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "folder").mkdir()
    with Loopback("Said in the terminal.") as model:
        yield Terminal(tmp_path / "home", model, tmp_path / "folder")


def said(session: Session) -> list[tuple[str, str]]:
    return [(turn.prompt, turn.text) for turn in session.history]


class Held:
    """An answer that has arrived nowhere before `Loopback.release`."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()

    def __call__(self, reply: Reply) -> None:
        self.is_asked.set()
        with reply.loopback.waiting():
            plain(reply)


def test_a_session_goes_from_here_to_the_terminal_and_back(own_manager: MakeManager, terminal: Terminal) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    session = manager.session("both")
    session.ask("first")
    assert terminal.run("--resume=both", "-p", "second") == "Said in the terminal."
    assert terminal.model.asked[-1].user_texts == ["first", "second"]
    roles = [message["role"] for message in terminal.model.asked[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    both = [("first", "You said: first (message 1)"), ("second", "Said in the terminal.")]
    assert said(session) == both
    session.ask("third")  # the session had stayed loaded: its model hears of the terminal's turn nevertheless
    assert model.requests[-1].user_texts == ("first", "second", "third")
    assert said(session) == [*both, ("third", "You said: third (message 3)")]
    assert [stored.turns for stored in manager.stored()] == [3]
    manager.close()
    terminal.run("--resume=both", "-p", "fourth")
    assert terminal.model.asked[-1].user_texts == ["first", "second", "third", "fourth"]
    again = own_manager().session("both")
    assert state_of(again).resume_note.startswith("resumed both: 4 turns, ")
    assert [prompt for prompt, _ in said(again)] == ["first", "second", "third", "fourth"]


def test_turns_of_the_terminal_can_be_taken_back(own_manager: MakeManager, terminal: Terminal) -> None:
    model = ScriptedModel()
    session = own_manager(model).session("both")
    session.ask("first")
    terminal.run("--resume=both", "-p", "second")
    terminal.run("--resume=both", "-p", "third")
    assert session.rewind() == 1
    session.ask("fourth")
    assert model.requests[-1].user_texts == ("first", "second", "fourth")
    copy = session.fork("copy", at=2)
    assert [prompt for prompt, _ in said(copy)] == ["first", "second"]


def test_a_session_begun_in_the_terminal_is_listed_and_goes_on_here(
    own_manager: MakeManager, terminal: Terminal
) -> None:
    model = ScriptedModel()
    manager = own_manager(model)
    manager.session("ours").ask("hello")
    terminal.run("-p", "begun there")
    assert [stored.name for stored in manager.sessions()] == ["ours"]
    listed = manager.sessions(everything=True)
    (theirs,) = [stored for stored in listed if stored.name != "ours"]
    assert (theirs.name, listed.state(theirs)) == ("begun there", OTHER)
    session = manager.session("mine now", session_id=theirs.session_id)
    assert state_of(session).resume_note.startswith("resumed mine now: 1 turn, ")
    assert session.tools == "none"
    assert said(session) == [("begun there", "Said in the terminal.")]
    session.ask("on here")
    assert model.requests[-1].user_texts == ("begun there", "on here")
    assert {stored.name: stored.turns for stored in manager.stored()} == {"ours": 1, "mine now": 2}
    terminal.run(f"--resume={theirs.session_id}", "-p", "and there")
    assert terminal.model.asked[-1].user_texts == ["begun there", "on here", "and there"]
    assert [prompt for prompt, _ in said(session)] == ["begun there", "on here", "and there"]


def test_a_session_that_is_open_in_the_terminal_is_left_alone_here(
    own_manager: MakeManager, terminal: Terminal
) -> None:
    manager = own_manager()
    session = manager.session("both")
    session.ask("first")
    terminal.model.fail(held := Held())
    talking = terminal.begin("--resume=both", "-p", "second")
    assert held.is_asked.wait(END_S)
    for refused in (lambda: session.ask("third"), session.rewind, session.undo_rewind):
        with pytest.raises(SessionInUse, match=r"'both' has been opened in process \d+ \(.*copilot.*\) → close it "):
            refused()
    manager.close()
    other = own_manager()
    listed = other.sessions()
    assert [listed.state(stored) for stored in listed] == [ELSEWHERE]
    with pytest.raises(SessionInUse, match="'both' is open in process"):
        other.session("both").ask("third")
    terminal.model.release()
    assert ended(talking) == "Said in the terminal."
    other.session("both").ask("third")
    assert [prompt for prompt, _ in said(other.session("both"))] == ["first", "second", "third"]


def test_another_kernel_restores_provider_model_and_system_message(own_manager: MakeManager) -> None:
    manager = own_manager()
    manager.session("kept", model="scripted-b", system="Be brief.").ask("first")
    manager.session("plain").ask("hello")
    manager.close()
    model = ScriptedModel()
    other = own_manager()
    other.settings.provider, other.settings.model, other.settings.system = "elsewhere", "none", "Be long."
    script(other, model)
    kept = other.session("kept")
    assert (kept.provider, kept.model, kept.system) == ("scripted", "scripted-b", "Be brief.")
    turn = kept.ask("second")
    request = model.requests[-1]
    assert (turn.model, request.model) == ("scripted-b", "scripted-b")
    assert [message.bare_text for message in request.messages if message.role == "system"] == ["Be brief."]
    assert request.user_texts == ("first", "second")
    assert not [note for note in turn.notes if "switched" in note]
    assert other.session("plain").model == "scripted"


def test_no_credential_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", KEY)
    home = tmp_path / "home"
    with Loopback(key=KEY, models=("some-model",)) as endpoint:
        spec = {"type": "openai-compatible", "base_url": f"{endpoint.url}/v1", "api_key_env": "SOME_SECRET"}
        settings = CopilotNB(home=str(home), offline=True, provider="mine", model="some-model")
        settings.providers = {"mine": spec}
        for number in range(2):
            manager = Manager(settings)
            try:
                session = manager.session("secretive")
                session.ask(f"number {number}")
                session.fork(f"copy {number}")
                session.rewind(0)
                session.export(tmp_path / f"{number}.json")
            finally:
                manager.close()
        assert [asked.key for asked in endpoint.asked] == [KEY] * 2
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "events.jsonl" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
