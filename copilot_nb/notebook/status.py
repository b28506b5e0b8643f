"""The outputs of ``%copilot`` and ``%copilot doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copilot_nb.agent.tools import LEVELS
from copilot_nb.errors import CopilotNBError
from copilot_nb.frontend import has_rich_output, is_headless
from copilot_nb.named_sessions.approvals import asking_lines
from copilot_nb.providers.registry import NO_MODEL, WAYS_IN
from copilot_nb.render.table import Card, Table
from copilot_nb.runtime.doctor import Finding, diagnose
from copilot_nb.runtime.install.find_runtime import find_runtime

NEXT_LINE = "%%copilot session1   ·   %copilot ls   ·   %copilot help"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.named_sessions.manager import Manager


def status_card(manager: Manager, used: str) -> Card:
    """Return the card: which model answers a new session, and what the sessions of this kernel do."""
    sessions = [f"{session.name}: {session.state}, {session.model or 'default model'}" for session in manager]
    asks = [line for _, line in asking_lines(manager.approvals.pending)]
    answering, to_type = _answering(manager)
    rows = [
        ("new sessions are answered by", answering),
        ("sessions of this kernel", "\n".join(sessions) or "none yet"),
        *([("waits for your answer", "\n".join(asks))] if asks else []),
        *([("%%copilot without a name goes to", used)] if used else []),
        ("tools of a session", _tools(manager)),
        ("sessions are stored in", manager.settings.home),
        *to_type,
    ]
    return Card("copilot_nb", tuple(rows))


def _tools(manager: Manager) -> str:
    """Return the level of tools of a session that says nothing else, and the user's own tools."""
    level = manager.settings.tools or "read, where the model is known to call tools"
    own = manager.toolbox.own
    return "\n".join([f"{level} (-t {' | '.join(LEVELS)})", *([f"yours: {', '.join(own)}"] if own else [])])


def _answering(manager: Manager) -> tuple[str, list[tuple[str, str]]]:
    """Return which model answers a new session, or why none does, and the rows that say what to type next."""
    ways = "\n".join(f"{what}: {line}" for what, line in WAYS_IN)
    try:
        find_runtime(manager.settings.runtime_path)
    except CopilotNBError as error:
        then = [] if manager.providers.has_model_without_login() else [("then, for a model, one of", ways)]
        return f"nothing yet: {error.message}", [("to type next", error.hint), *then]
    try:
        provider, model = manager.default_choice()
    except CopilotNBError as error:
        is_first_run = error.message == NO_MODEL
        to_type = ("to type next, one of", ways) if is_first_run else ("to type next", error.hint)
        return f"nothing yet: {error.message}", [to_type]
    small = ": a very small model inside this kernel, for trying things out" if provider == "local" else ""
    return f"{model or 'the default model'} ({provider}){small}", [("to type next", NEXT_LINE)]


def checkup(shell: InteractiveShell, manager: Manager) -> Table:
    """Return the findings: each is OK, or says what to type."""
    findings = diagnose(manager.settings, manager.providers.names)
    if all(finding.ok for finding in findings):  # else what is missing is the reason
        findings.append(_model(manager))
    findings.append(Finding("Front end", True, _front_end(shell)))
    columns = ("what", "state", "found", *(["to do"] if any(finding.fix for finding in findings) else []))
    return Table(columns, tuple((finding.what, finding.mark, finding.detail, finding.fix) for finding in findings))


def _model(manager: Manager) -> Finding:
    try:
        provider, model = manager.default_choice()
    except CopilotNBError as error:
        return Finding("Model", False, error.message, error.hint)
    return Finding("Model", True, f"{model or 'the default model'} ({provider}) answers new sessions")


def _front_end(shell: InteractiveShell) -> str:
    if not has_rich_output(shell):
        return "a terminal or console: answers are printed as they come"
    return "no one to ask (headless)" if is_headless(shell) else "a notebook"
