"""A call of a tool in one line: what was called, on what, how it ended, how long it took, and who allowed it."""

from __future__ import annotations

from collections.abc import Mapping

from copilot_nb.conversation.parts import Decision, ToolCall
from copilot_nb.foreign_json import parsed
from copilot_nb.render.words import count, duration

MAX_TARGET_CHARS = 60
_TARGETS = ("name", "path", "command", "code", "pattern", "query", "url", "question", "message")
"""The arguments that say what a call acts on, the first one first."""
_ALLOWED: Mapping[str, str] = {"once": "allowed once", "session": "allowed for this session", "rule": "allowed"}
_DENIED: Mapping[str, str] = {
    "denied": "✗ denied",
    "expired": "✗ denied: nobody answered in time",
    "unattended": "✗ denied: nobody could be asked",
}
_UNANSWERED: Mapping[str, str] = {
    "expired": "nobody answered in time",
    "unattended": "nobody could be asked",
}


def call_target(call: ToolCall) -> str:
    """Return what a call acts on, in one short line: a variable, a path, a command; ``""`` if it names nothing."""
    try:
        arguments = parsed(call.arguments or "{}")
    except ValueError:
        return ""
    if not isinstance(arguments, dict):
        return ""
    texts = {name: value for name, value in arguments.items() if isinstance(value, str) and value.strip()}
    named = [name for name in _TARGETS if name in texts] or list(texts)
    if not named:
        return ""
    first, *more = texts[named[0]].strip().splitlines()
    if named[0] == "code" and more:
        return count(len(more) + 1, "line")
    return f"{first[:MAX_TARGET_CHARS]}…" if more or len(first) > MAX_TARGET_CHARS else first


def call_text(call: ToolCall) -> str:
    """Return a call in one line of text: ``"describe df: ✓ done · 0.1 s"``."""
    return f"{' '.join(filter(None, (call.name, call_target(call))))}: {call_facts(call)}"


def call_facts(call: ToolCall) -> str:
    """Return how a call ended, how long it took, and who allowed it: ``"✓ done · 0.4 s · allowed once by you"``."""
    facts = [_outcome(call)]
    if call.duration_s is not None and not (call.decision and not call.decision.is_allowed):
        facts.append(duration(call.duration_s))
    if call.decision is not None and call.decision.is_allowed:
        facts.append(_allowed(call.decision))
    facts += dict.fromkeys(answer_text(answer.decision) for answer in call.answers)
    return " · ".join(facts)


def _outcome(call: ToolCall) -> str:
    decision = call.decision
    if decision is not None and decision.outcome in _DENIED:
        return _denied(decision)
    if call.is_stopped:
        return "■ stopped before anybody answered" if decision and not decision.is_allowed else "■ stopped"
    if call.is_open:
        return "… waits for your answer" if call.is_asking else "… running"
    return "✓ done" if call.succeeded else "✗ failed"


def answers_text(call: ToolCall) -> str:
    """Return the questions that a call asked the user, each with its answer; ``""``: it asked none."""
    return "\n\n".join(
        f"{answer.question}\n→ {answer.decision.reason if answer.decision.is_allowed else answer_text(answer.decision)}"
        for answer in call.answers
    )


def answer_text(decision: Decision) -> str:
    """Return what came of a question, in words: ``"answered by you, in the cell"``."""
    by = f" by {decision.by}" if decision.by else ""
    if decision.is_allowed:
        return f"answered{by}"
    if decision.outcome == "denied":
        why = f": {' '.join(decision.reason.split())}" if decision.reason else ""
        return f"declined{by}{why}"
    return _UNANSWERED.get(decision.outcome, "not answered")


def decision_text(decision: Decision | None) -> str:
    """Return how a request was decided, in words: ``"allowed once by you, in the cell"``."""
    if decision is None or decision.outcome == "withdrawn":
        return "not answered"
    if decision.is_allowed:
        return _allowed(decision)
    return _denied(decision).removeprefix("✗ ")


def _denied(decision: Decision) -> str:
    by = f" by {decision.by}" if decision.by else ""
    why = f": {' '.join(decision.reason.split())}" if decision.reason else ""
    return f"{_DENIED[decision.outcome]}{by}{why}"


def _allowed(decision: Decision) -> str:
    return f"{_ALLOWED.get(decision.outcome, 'allowed')} by {decision.by}" if decision.by else "allowed"
