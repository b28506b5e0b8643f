"""What a session asks, in its panels: approve once, for the session, deny with a reason; questions; only by keys."""

from __future__ import annotations

import json
from concurrent.futures import Future
from functools import partial

import pytest
from playwright.sync_api import Locator, expect

from copilot_nb.agent.forms import Form, form_of, question_form
from copilot_nb.agent.policy import Call
from copilot_nb.agent.tools import Arguments, CallContext, ToolSpec, schema_of
from copilot_nb.conversation.parts import Decision
from copilot_nb.errors import TurnInterrupted
from copilot_nb.named_sessions.session import state_of
from copilot_nb.panels.asker import AskPanel
from copilot_nb.panels.chat import ChatPanel
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.panels.sessions import SessionsPanel
from copilot_nb.testing import ChatRequest, FunctionCall, Reply

from .accessibility import faults, misfits
from .chat_steps import say, turn
from .panel_page import THEMES, PanelPage
from .wire import losing

WAIT_S = 10.0
CODE = "for number in range(3):\n    print(number)"


def act(arguments: Arguments, _context: CallContext) -> str:
    return f"ran {arguments['code']}"


@pytest.fixture
def asking(panel_page: PanelPage) -> PanelPage:
    """A page whose model calls a tool that needs permission, once for each prompt."""
    schema = schema_of(code={"type": "string"})
    spec = ToolSpec(
        "act", "Acts.", act, schema, kind="code", text=lambda each: str(each.get("code")), language="python"
    )
    panel_page.manager.toolbox.offer("kernel", [spec])
    panel_page.manager.approvals.attend(lambda _request: True)
    panel_page.manager.settings.tools = "kernel"
    panel_page.answer(calls)
    return panel_page


def calls(asked: ChatRequest) -> Reply:
    if asked.messages[-1].role == "tool":
        return Reply("All right.")
    return Reply(calls=(FunctionCall("act", json.dumps({"code": CODE})),))


def request(shown: Locator) -> Locator:
    return shown.get_by_role("group", name="s1 asks: run 2 lines of Python")


def test_a_request_shows_all_and_is_approved_once_and_for_the_session(asking: PanelPage) -> None:
    shown = asking.chat("s1")
    say(shown, "Go")
    found = request(shown)
    expect(found).to_contain_text("for number in range(3):")
    expect(found).to_contain_text("print(number)")
    expect(shown.get_by_role("textbox", name="Prompt")).to_be_focused()
    assert "waits for your answer" in turn(shown, 0, "working").inner_text()
    asking.reload()
    found.get_by_role("button", name="Approve once").click()
    assert "allowed once by you, in a panel" in turn(shown, 0).inner_text()
    expect(found).to_have_count(0)
    say(shown, "Again")
    found.get_by_role("button", name="Approve for this session").click()
    assert "allowed for this session by you, in a panel" in turn(shown, 1).inner_text()
    say(shown, "And again")
    assert "allowed for this session by you, for this session" in turn(shown, 2).inner_text()


def test_a_request_is_denied_by_keys_and_leaves_every_panel(asking: PanelPage) -> None:
    shown, late = asking.chat("s1"), asking.chat("s1")
    say(shown, "Go")
    request(late).wait_for()
    field = request(shown).get_by_role("textbox", name="Reason for denying")
    request(shown).get_by_role("button", name="Approve once").focus()
    for _ in range(3):
        asking.page.keyboard.press("Tab")
    expect(field).to_be_focused()
    asking.page.keyboard.type("too slow")
    asking.page.keyboard.press("Enter")
    assert "denied by you, in a panel: too slow" in turn(shown, 0).inner_text()
    expect(request(late)).to_have_count(0)
    expect(shown.get_by_role("textbox", name="Prompt")).to_be_focused()


def ask(page: PanelPage, form: Form) -> Future[Decision]:
    """Let the session ask a question, as its gate does for the runtime."""
    call = Call(call_id="q", kind="question", tool="ask_user", text="Which colour?\n\nThink.")
    state = state_of(page.manager.session("s1"))
    names = state.name, state.session_id
    asking = page.manager.approvals.ask(names, None, call, "s1 asks", form=form, tell=lambda: state.tell("ask"))
    return page.manager.loop.submit(asking)


def test_questions_are_answered(asking: PanelPage) -> None:
    shown = asking.chat("s1")
    question = shown.get_by_role("group", name="s1 asks:")
    answer = ask(asking, question_form(("red", "blue")))
    question.get_by_role("button", name="blue").click()
    assert answer.result(WAIT_S).reason == "blue"
    expect(question).to_have_count(0)
    answer = ask(asking, question_form())
    question.get_by_role("textbox", name="Your answer").fill("green")
    question.get_by_role("textbox", name="Your answer").press("Enter")
    assert answer.result(WAIT_S).reason == "green"
    expect(question).to_have_count(0)
    answer = ask(asking, question_form(("red",), is_free=False))
    question.get_by_role("button", name="Decline").click()
    assert not answer.result(WAIT_S).is_allowed


FIELDS = {
    "name": {"type": "string", "title": "Name", "description": "As in your passport"},
    "age": {"type": "integer", "title": "Age", "minimum": 0, "default": 30},
    "colour": {"type": "string", "title": "Colour", "enum": ["r", "g"], "enumNames": ["Red", "Green"]},
    "likes": {"type": "array", "title": "Likes", "items": {"enum": ["tea", "jam"]}, "default": ["jam"]},
    "news": {"type": "boolean", "title": "News"},
}


def test_a_fault_leaves_the_focus_to_a_user_who_goes_on(asking: PanelPage) -> None:
    shown = asking.chat("s1")
    ask(asking, form_of({"properties": FIELDS, "required": ["name", "colour"]}))
    asking.wire.to_page = losing(lambda message: message.get("re") in asking.wire.ids("decide"))
    form = shown.get_by_role("group", name="s1 asks:")
    form.get_by_role("button", name="Answer").click()
    form.get_by_role("textbox", name="Age").click()
    expect(form.get_by_text("Name needs an answer.")).to_be_visible()
    expect(form.get_by_role("textbox", name="Age")).to_be_focused()


def test_a_form_is_filled_in_by_keys_alone(asking: PanelPage) -> None:
    shown = asking.chat("s1")
    answer = ask(asking, form_of({"properties": FIELDS, "required": ["name", "colour"]}))
    form, keys = shown.get_by_role("group", name="s1 asks:"), asking.page.keyboard
    form.get_by_role("button", name="Answer").click()
    name = form.get_by_role("textbox", name="Name (needed)")
    expect(form.get_by_text("Name needs an answer.")).to_be_visible()
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("As in your passport Name needs an answer.")
    themes = {theme: partial(asking.theme, theme) for theme in THEMES}
    assert not faults(asking.page, ".cnb-chat", themes, "a form")
    assert not misfits(shown)
    keys.type("Bo")
    keys.press("Tab")
    expect(form.get_by_role("textbox", name="Age")).to_be_focused()
    keys.type("4")  # in place of the default, which is selected
    keys.press("Tab")
    keys.type("Gr")  # the choice that begins so
    for key in ("Tab", "Space", "Tab", "Space", "Tab", "Space"):
        keys.press(key)
    keys.press("Enter")
    assert answer.result(WAIT_S).answers == {"name": "Bo", "age": 4, "colour": "g", "likes": ["tea"], "news": True}
    expect(asking.page.get_by_role("group", name="s1 asks:")).to_have_count(0)
    expect(shown.get_by_role("textbox", name="Prompt")).to_be_focused()


def test_the_list_of_sessions_leads_to_what_is_asked(asking: PanelPage) -> None:
    turn = asking.manager.session("s1").send("Go")
    shown = asking.show(SessionsPanel(asking.manager))
    row = shown.get_by_role("row").filter(has=asking.page.get_by_role("button", name="s1", exact=True))
    leads = row.get_by_role("button", name="? asks you")
    leads.focus()
    asking.page.keyboard.press("Enter")
    request(shown).get_by_role("button", name="Approve once").click()
    turn.wait()
    expect(leads).to_have_count(0)
    expect(row).to_contain_text("○ idle")


def test_a_visitor_sees_a_request_and_cannot_decide(asking: PanelPage) -> None:
    session = asking.manager.session("s1", user="eve")
    shown = asking.show(ChatPanel(session))
    say(shown, "Go")
    found = shown.get_by_role("group", name="eve-s1 asks")
    expect(found).to_contain_text("The owner of this page decides.")
    expect(found.get_by_role("button")).to_have_count(0)
    (pending,) = asking.manager.approvals.pending
    assert asking.manager.approvals.decide(pending.request_id, "denied", "the owner")
    assert "denied by the owner" in turn(shown, 0).inner_text()


def test_a_comparison_asks_too_and_keeps_names_hidden_while_it_is_blind(asking: PanelPage) -> None:
    shown = asking.show(ComparePanel(["s1", "s2"], blind=True, manager=asking.manager))
    shown.get_by_role("textbox", name="Prompt to all").fill("Go")
    shown.get_by_role("textbox", name="Prompt to all").press("Enter")
    asks = shown.get_by_role("group", name="a session asks: run 2 lines of Python")
    expect(asks).to_have_count(2)
    for left in (1, 0):
        asks.first.get_by_role("button", name="Approve once").click()
        expect(asks).to_have_count(left)
    shown.get_by_text("Which one is best?").wait_for()


def test_the_panel_of_a_background_cell_is_usable_by_everybody(asking: PanelPage) -> None:
    turns = [asking.manager.session(name).send("Go") for name in ("s1", "s2")]
    shown = asking.show(AskPanel(asking.manager, turns))
    chat = asking.chat("s1")
    expect(shown.get_by_role("group", name="s2 asks")).to_be_visible()
    expect(request(chat)).to_be_visible()
    themes = {name: partial(asking.theme, name) for name in THEMES}
    for each in (".cnb-asker", ".cnb-chat"):
        assert not faults(asking.page, each, themes, "a request")
    assert not misfits(shown) + misfits(chat)
    expect(request(chat).get_by_role("button", name="Stop")).to_have_count(0)  # the chat has its own
    request(shown).get_by_role("button", name="Approve once").click()
    shown.get_by_role("group", name="s2 asks").get_by_role("button", name="Stop").click()
    turns[0].wait()
    with pytest.raises(TurnInterrupted):
        turns[1].wait()
    expect(shown.get_by_role("group")).to_have_count(0)
