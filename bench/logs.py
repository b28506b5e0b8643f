"""Thousands of stored sessions: logs of the real runtime, lengthened and copied, each with new ids."""

from __future__ import annotations

import re
import shutil
import uuid
from pathlib import Path

from bench.answers import answer
from copilot_nb.named_sessions.manager import Manager

ANSWER_BYTES = 2_500
LOG = "events.jsonl"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMED = (LOG, "workspace.yaml", "client-metadata.json")


def reply(request: object) -> str:  # noqa: ARG001 - what a scripted model is called with
    """Return the answer of every turn."""
    return answer(ANSWER_BYTES)


def folder(manager: Manager, session_id: str) -> Path:
    """Return the folder of a session."""
    return Path(manager.settings.home) / "session-state" / session_id


def store(manager: Manager, session_id: str, turns: int) -> None:
    """Store a session with this many turns: the first two are real, the others are copies of the second."""
    session = manager.session(session_id)
    session.ask("How do I compute the gradient of step 1?")
    session.ask("And that of step 2?")
    manager.restart()  # so that the log is written completely
    log = folder(manager, session_id) / LOG
    lines = log.read_text().splitlines(keepends=True)
    begin, end = (_places(lines, kind)[1] for kind in ("user.message", "assistant.turn_end"))
    turn = "".join(lines[begin : end + 1])
    log.write_text("".join([*lines[:begin], *_repeated(turn, lines[begin - 1], turns - 1)]))


def _places(lines: list[str], kind: str) -> list[int]:
    return [number for number, line in enumerate(lines) if line.startswith(f'{{"type":"{kind}"')]


def _repeated(pattern: str, before: str, times: int) -> list[str]:
    """Return copies of a turn, each with new ids, chained as the runtime chains its events."""
    own = list(dict.fromkeys(_ID.findall(pattern)))
    last_id = _own_id(before)
    parent, turns = last_id, []
    for number in range(times):
        ids = {old: str(uuid.uuid4()) for old in own} | {last_id: parent}
        text = pattern.replace("Step 1:", f"Step {number}:").replace("gradient_", f"gradient_{number}_")  # its own code
        turns.append(_with(ids, text))
        parent = _own_id(turns[-1])
    return turns


def _with(ids: dict[str, str], lines: str) -> str:
    return _ID.sub(lambda found: ids[found[0]], lines)


def _own_id(lines: str) -> str:
    return lines.rpartition('"id":"')[2][:36]


def copies(manager: Manager, session_id: str, count: int, prefix: str) -> None:
    """Store `count` copies of a session."""
    source = folder(manager, session_id)
    texts = {name: (source / name).read_text() for name in _NAMED}
    for number in range(count):
        copy = f"{prefix}-{number}"
        shutil.copytree(source, folder(manager, copy), ignore=lambda *_: _NAMED)
        for name, text in texts.items():
            (folder(manager, copy) / name).write_text(text.replace(session_id, copy))
