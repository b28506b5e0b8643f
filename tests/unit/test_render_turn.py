"""A turn at each stage of its life, as HTML, as text and as metadata."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from copilot_nb.conversation.parts import Image, Reasoning, Text, ToolCall, TurnState, Usage
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.turn import _SAID, LIVE_REASONING_CHARS, Label, footer_text, turn_html, turn_metadata, turn_text
from copilot_nb.render.words import age, count, duration, shortened

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LABEL = Label("session1", "local")
DONE = TurnRecord(
    "m1",
    "Hello?",
    (Text("t", "A *b*\n\n```python\nc = 1\n```\n"),),
    TurnState.DONE,
    "smollm2-135m",
    Usage(66, 1200, 0.5),
    BEGAN,
    BEGAN + timedelta(seconds=0.42),
    BEGAN + timedelta(seconds=3.24),
)


def in_state(state: TurnState, **changes: object) -> TurnRecord:
    return dataclasses.replace(DONE, state=state, **changes)  # type: ignore[arg-type]


def test_the_text_of_a_finished_turn_is_the_models_markdown_to_the_letter() -> None:
    for source in ("", "a", "  a\n\n\n", "\n```\nx\n```", "$5 <b> é \U0001f600\r\n\t|"):
        assert turn_text(in_state(TurnState.DONE, parts=(Text("t", source),)), LABEL) == source


@pytest.mark.parametrize(
    ("state", "error", "line"),
    [
        (TurnState.INTERRUPTED, "", "[session1: interrupted: partial answer kept]"),
        (TurnState.FAILED, "429:\nslow down", "[session1: failed: 429: slow down]"),
        (TurnState.FAILED, "", "[session1: failed: no reason was given]"),
        (TurnState.WORKING, "", "[session1: working]"),
        (TurnState.QUEUED, "", "[session1: queued]"),
    ],
)
def test_the_text_of_any_other_turn_says_its_state_in_one_line(state: TurnState, error: str, line: str) -> None:
    assert turn_text(in_state(state, error=error), LABEL) == f"{DONE.text}\n\n{line}"
    if state is not TurnState.INTERRUPTED:
        assert turn_text(in_state(state, error=error, parts=()), LABEL) == line


def test_the_footer_counts_the_secrets_that_the_model_was_not_sent() -> None:
    turn = in_state(TurnState.DONE, prompt="‹secret: A› and ‹secret: B›")
    assert footer_text(turn, LABEL).endswith(" · 2 secrets hidden from the model")
    assert "hidden" not in footer_text(DONE, LABEL)


def test_an_interrupted_turn_without_an_answer_says_so() -> None:
    turn = in_state(TurnState.INTERRUPTED, parts=())
    assert turn_text(turn, LABEL) == "[session1: interrupted: nothing had been answered yet]"
    assert "<strong>Interrupted</strong>: nothing had been answered yet" in turn_html(turn, LABEL)


def test_the_html_of_a_finished_turn() -> None:
    html = turn_html(DONE, LABEL)
    assert html.startswith(f'<div class="copilot-nb"><div{_SAID}><p>A <em>b</em></p>\n<div class="highlight">')
    assert html.endswith(f">{footer_text(DONE, LABEL)}</div></div>")
    assert "<details>" not in html


def test_notes_stand_before_the_answer() -> None:
    html = turn_html(in_state(TurnState.DONE, notes=("retried: <429>",)), Label("a", "b", "resumed a\n4 turns"))
    assert html.index("<em>resumed a</em><br><em>4 turns</em><br><em>retried: &lt;429&gt;</em>") < html.index("<p>A ")


def test_reasoning_and_tool_calls_are_folded_and_in_order() -> None:
    parts = (
        Reasoning("r", "I *think*"),
        Text("t", "first "),
        Reasoning("s", "more"),
        Text("u", "second"),
        ToolCall("c", "view", '{"path": "<x>"}', "result", succeeded=True),
        ToolCall("d", "shell", succeeded=False),
        ToolCall("e", "fetch"),
        Text("v", "third"),
    )
    html = turn_html(in_state(TurnState.DONE, parts=parts), LABEL)
    pieces = [
        "<details><summary>Reasoning</summary><p>I <em>think</em></p>\n<p>more</p>",
        "<p>first second</p>",
        "<details><summary>Tool <code>view</code> <code>&lt;x&gt;</code> ✓ done</summary>",
        "{&quot;path&quot;: &quot;&lt;x&gt;&quot;}</pre>",
        ">result</pre>\n</details>",
        "Tool <code>shell</code> ✗ failed",
        "Tool <code>fetch</code> … running",
        "<p>third</p>",
    ]
    positions = [html.index(piece) for piece in pieces]
    assert positions == sorted(positions)


def test_a_long_result_of_a_tool_is_shortened() -> None:
    html = turn_html(in_state(TurnState.DONE, parts=(ToolCall("c", "view", "", "x" * 20_000, succeeded=True),)), LABEL)
    assert "… (10,000 more characters)" in html
    assert len(html) < 12_000


def test_images_that_a_tool_returned_are_shown_and_only_images() -> None:
    images = (
        Image('a "plot"', "image/png", 3, b"png"),
        Image("page", "text/html", 3, b"<b>"),
        Image("lost", "image/png", 9),
    )
    call = ToolCall("c", "run_code", "{}", "done", succeeded=True, images=images)
    html = turn_html(in_state(TurnState.DONE, parts=(call,)), LABEL)
    assert 'src="data:image/png;base64,cG5n" alt="a &quot;plot&quot;"' in html
    assert html.count("<img") == 1
    assert "text/html" not in html
    assert "lost" in html
    assert turn_html(in_state(TurnState.WORKING, parts=(call,)), LABEL, live=True).count("<img") == 1


def test_a_failed_turn_says_why_in_words() -> None:
    html = turn_html(in_state(TurnState.FAILED, error="429 <slow down>"), LABEL)
    assert "✗ <strong>Failed</strong>: 429 &lt;slow down&gt;</p>" in html


def test_a_live_turn_is_compact() -> None:
    parts = (Reasoning("r", "why " * 1000), ToolCall("c", "view", "x" * 1000, "y" * 1000), *DONE.parts)
    turn = in_state(TurnState.WORKING, parts=parts, finished_at=None, usage=None)
    html = turn_html(turn, LABEL, live=True)
    assert "Reasoning: 4,000 characters" in html
    assert "why" not in html
    assert ">c = 1\n</pre>" in html
    assert "▌</span> working… session1 · smollm2-135m (local) · first token 0.4 s" in html
    assert len(html) - len(DONE.text) < 800


def test_a_live_turn_without_an_answer_shows_the_end_of_the_reasoning() -> None:
    turn = in_state(TurnState.WORKING, parts=(Reasoning("r", "a" * 1000 + "the end"),), finished_at=None)
    html = turn_html(turn, LABEL, live=True)
    assert "the end" in html
    assert "a" * LIVE_REASONING_CHARS not in html


def test_a_queued_turn_says_so() -> None:
    turn = TurnRecord("m", "x", state=TurnState.QUEUED)
    assert "queued… session1 · local" in turn_html(turn, LABEL, live=True)


def test_the_footer_leaves_out_what_is_unknown() -> None:
    expected = "session1 · smollm2-135m (local) · 3.2 s (first token 0.4 s) · 66 tokens in, 1,200 out · cost 0.5"
    assert footer_text(DONE, LABEL) == expected
    assert footer_text(TurnRecord("m", "x"), LABEL) == "session1 · local"
    assert footer_text(dataclasses.replace(DONE, usage=Usage(0, 0, 0.0)), Label("", "")).endswith(
        "3.2 s (first token 0.4 s)"
    )


def test_the_metadata_is_json() -> None:
    metadata = turn_metadata(DONE, LABEL, "user-123-chat")
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata == {
        "copilot_nb": {
            "session": "session1",
            "session_id": "user-123-chat",
            "model": "smollm2-135m",
            "provider": "local",
            "turn_id": "m1",
            "state": "done",
            "usage": {
                "input_tokens": 66,
                "output_tokens": 1200,
                "cost": 0.5,
                "context_tokens": 0,
                "window_tokens": None,
            },
            "duration_s": 3.24,
            "time_to_first_token_s": 0.42,
        }
    }
    assert turn_metadata(TurnRecord("m", "x"), LABEL, "")["copilot_nb"]["usage"] == {}


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (timedelta(0), "a moment"),
        (timedelta(seconds=-5), "a moment"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=119), "1 minute"),
        (timedelta(minutes=3), "3 minutes"),
        (timedelta(hours=23, minutes=59), "23 hours"),
        (timedelta(days=2, hours=3), "2 days"),
        (timedelta(days=13), "1 week"),
        (timedelta(days=60), "2 months"),
        (timedelta(days=800), "2 years"),
    ],
)
def test_age(delta: timedelta, words: str) -> None:
    assert age(delta) == words


def test_durations_counts_and_shortening() -> None:
    seconds = (0.04, 0.42, 9.94, 9.96, 59.6, 200, 3599.6, 3900)
    said = ["0.0 s", "0.4 s", "9.9 s", "10 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "1 h 5 min"]
    assert [duration(s) for s in seconds] == said
    assert [count(n, "turn") for n in (0, 1, 1200)] == ["0 turns", "1 turn", "1,200 turns"]
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc… (1 more characters)"
