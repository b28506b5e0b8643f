"""Sessions of several users on the real runtime: each has, sees and deletes their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import copilot_nb as cp
from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.named_sessions import api
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import state_of
from copilot_nb.panels.chat import EXAMPLES, VISITORS_EXAMPLES, ChatPanel
from copilot_nb.panels.deltas import Deltas
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.runtime.archive import LOG_NAME, LOGS
from copilot_nb.testing import ScriptedModel

Makes = Callable[..., Manager]
LONG_AGO_S = 1_600_000_000.0


@pytest.fixture
def manager(own_manager: Makes, monkeypatch: pytest.MonkeyPatch) -> Manager:
    manager = own_manager()
    monkeypatch.setattr(api, "shared_manager", lambda: manager)
    return manager


def names(user: str | None = None) -> list[str]:
    return sorted(stored.name for stored in api.sessions(user=user))


def test_each_user_has_sessions_of_their_own(manager: Manager, own_manager: Makes) -> None:
    alice, bob = (api.session("chat", user=user) for user in ("alice", "user-123"))
    assert (alice.name, alice.session_id, alice.user) == ("alice-chat", "alice-chat", "alice")
    assert bob.name == "user-123-chat"
    assert (names("alice"), names("carol")) == (["alice-chat"], [])  # also before they are asked anything
    alice.ask("I am Alice.")
    bob.ask("I am Bob.")
    api.session("chat").ask("I am nobody.")
    assert [turn.prompt for turn in alice.history] == ["I am Alice."]
    assert api.session("chat", user="alice") is alice
    assert names("alice") == ["alice-chat"]
    assert names("user-123") == ["user-123-chat"]
    assert names("carol") == []
    assert [stored.name for stored in cp.sessions(user="alice")] == ["alice-chat"]
    assert len(cp.sessions(2)) == 2
    assert names() == ["alice-chat", "chat", "user-123-chat"]
    manager.close()
    later = own_manager()  # whose a session is has been stored
    assert state_of(later.session("chat", user="alice")).turn_count == 1
    assert [stored.user for stored in later.sessions().of_user("alice")] == ["alice"]


def test_no_user_reaches_the_sessions_of_another(manager: Manager) -> None:
    api.session("b-chat", user="a").ask("This is a's.")
    api.session("plain").ask("This is nobody's.")
    with pytest.raises(InputError, match="'a-b-chat' is taken"):
        api.session("chat", user="a-b")
    with pytest.raises(InputError, match="'a-b-chat' is taken"):
        api.session("chat", user="a-b", new=True)
    with pytest.raises(InputError):
        api.session("other", user="a-b", session_id="a-b-chat")
    with pytest.raises(SessionNotFound):
        api.delete("chat", user="a-b")
    with pytest.raises(SessionNotFound):
        api.delete("plain", user="a")
    with pytest.raises(InputError):
        api.delete("plain", user="")
    with pytest.raises(InputError):
        api.sessions(user=" ")
    assert names() == ["a-b-chat", "plain"]
    api.delete("b-chat", user="a")
    assert names() == ["plain"]


def test_copies_and_new_names_stay_with_their_user(manager: Manager) -> None:
    session = api.session("chat", user="alice")
    session.ask("Hello.")
    copy = session.fork("bob-chat")
    assert (copy.name, copy.user) == ("alice-bob-chat", "alice")
    copy.rename("bob-diary")
    assert names("alice") == ["alice-bob-diary", "alice-chat"]
    assert names("bob") == []


def test_a_panel_of_a_user_shows_and_evaluates_nothing_else(manager: Manager) -> None:
    api.session("chat", user="bob").ask("A secret.")
    panel = ChatPanel(api.session("chat", user="alice"))
    with pytest.raises(SessionNotFound):
        panel.do_show({"name": "bob-chat"})
    panel.do_send({"text": "{{ 6 * 7 }}"})
    cp.wait(state_of(panel.session).pending)
    assert [turn.prompt for turn in panel.session.history] == ["{{ 6 * 7 }}"]
    panel.close()


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        *(("m", "openai"), ("gpt-5", "openai"), ("scripted", "openai"), ("", "openai"), ("openai/m", "")),
        *(("fast", ""), ("fast", "scripted"), ("/etc/passwd", "local"), ("~/m.gguf", "local"), ("~/m.gguf", "")),
    ],
)
def test_a_users_page_cannot_choose_who_is_paid(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, model: str, provider: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of the owner")
    manager.settings.aliases = {"fast": "openai/gpt-5"}
    session = api.session("chat", user="alice")
    panel = ChatPanel(session)
    with pytest.raises(InputError, match=r"^this model cannot be chosen here → choose one from the list of models$"):
        panel.do_model({"model": model, "provider": provider})
    panel.do_model({"model": "scripted-b", "provider": provider and "scripted"})
    assert session.ask("hi").record.model == "scripted-b"
    assert {name for name, _ in panel.do_models({})["choices"]} == {"scripted"}
    assert {name for name, _ in panel.whole()["choices"]} == {"scripted"}
    panel.close()


def test_a_users_page_suggests_what_needs_no_data(manager: Manager) -> None:
    panel, own = ChatPanel(api.session("chat", user="alice")), ChatPanel(manager.session("chat"))
    assert (panel.whole()["examples"], own.whole()["examples"]) == (VISITORS_EXAMPLES, EXAMPLES)
    panel.close()
    own.close()


def test_a_program_says_what_its_page_may_choose(manager: Manager) -> None:
    manager.providers.add(InKernel("other", ScriptedModel))
    panel = ChatPanel(api.session("chat", user="alice"), models=["scripted", "other/scripted-b"])
    assert (
        panel.whole()["choices"]
        == panel.do_models({})["choices"]
        == [["scripted", "scripted"], ["other", "scripted-b"]]
    )
    panel.do_model({"model": "scripted-b", "provider": ""})
    assert state_of(panel.session).requested.provider == "other"
    with pytest.raises(InputError, match="cannot be chosen here"):
        panel.do_model({"model": "scripted", "provider": "other"})
    panel.close()


def test_a_users_page_shows_the_users_own_names(manager: Manager, own_manager: Makes) -> None:
    api.session("chat", user="alice").ask("Hello.")
    manager.close()
    session = own_manager().session("chat", user="alice")
    assert (session.name, Deltas(session).whole()["session"]["name"]) == ("alice-chat", "chat")
    assert state_of(session).resume_note.startswith("resumed chat: 1 turn")
    assert session.fork("copy").own_name == "copy"
    session.rename("diary")
    assert (session.name, session.own_name) == ("alice-diary", "diary")


def test_sessions_of_visitors_expire_and_others_stay(own_manager: Makes) -> None:
    before = own_manager()
    for name, user in (("chat", "alice"), ("chat", "bob"), ("open", "carol"), ("own", "dave"), ("plain", "")):
        before.session(name, user=user).ask("Hello.")
    before.close()
    folder = Path(before.settings.home, LOGS)
    for each in ("alice-chat", "carol-open", "dave-own", "plain"):
        for path in (folder / each, folder / each / LOG_NAME):
            os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    own_manager().session("open", user="carol")  # a page that shows it, elsewhere
    manager = own_manager()
    manager.settings.unload_after_s = 0.01  # looks that often
    manager.session("own", user="dave")
    manager.settings.visitor_sessions_max_age_days = 30
    while "alice-chat" in stored_ids(manager):
        time.sleep(0.01)
    manager.loop.blocking(manager.engine.delete_expired())
    assert stored_ids(manager) == {"bob-chat", "carol-open", "dave-own", "plain"}


def stored_ids(manager: Manager) -> set[str]:
    async def ids() -> set[str]:
        return set(await (await manager.client()).archive.ids())

    return manager.loop.blocking(ids())
