"""A session's log read without the runtime, by the looks of its lines: its prompts, its last turn, its last use.

Through the runtime each session would cost a call of milliseconds.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from copilot_nb.foreign_json import parsed

KEPT_PREFIX = "What there was of an interrupted turn, kept by copilot_nb: "
"""How the line of a log begins its message that keeps an interrupted turn."""
KEPT_MARK = KEPT_PREFIX.encode()
PROMPT_MARK = b'"type":"user.message"'
"""How a line of a log that holds a prompt begins."""
_TURN_LINES = (b"{" + PROMPT_MARK, b'{"type":"session.info"')
"""How the lines begin that may be a turn: a prompt, or what was kept of one."""
_SESSION_LINES = b'{"type":"session.'
"""How the lines begin that are no part of a turn, such as those of a session that is loaded or unloaded."""
_MADE_LINES = (b'{"type":"session.start"', b'{"type":"session.info","data":{"infoType":"fork"')
"""How those of them begin that the user has caused: a new session, a copy."""
KEPT_LOGS = 20_000
"""Logs whose facts are remembered as long as they do not change (counting turns takes 0.6 ms per megabyte)."""
COUNTED_BYTES = 256 * 1024
"""How much of a log is read at once to count its turns: with Python's 8 kB a third slower."""
FIRST_BLOCK_BYTES = 16 * 1024
"""How much of a log's end is read first."""


def prompt_ids(log: Path) -> set[str]:
    """Return the ids of the prompts that a log holds."""
    with log.open("rb") as lines:
        return {_id(line) for line in lines if is_prompt(line)}


def _id(line: bytes) -> str:
    try:
        return str(parsed(line)["id"])
    except (ValueError, KeyError):
        return ""


class LogFacts(NamedTuple):
    """What a log says of its session: the number of turns, and when it was last used (``None``: it does not say).

    A session is used by a turn, which counts when it ends, and by being created or copied. The time at which the log
    was written says nothing: the runtime also writes when it unloads the session or ends.
    """

    turns: int = 0
    used_at: datetime | None = None


def facts_of(log: Path) -> LogFacts:
    """Return what a log says; where there is none, no turns and no time."""
    try:
        found = log.stat()
        return _facts_in(log, found.st_size, found.st_mtime_ns)
    except OSError:  # another process may delete it at any moment
        return LogFacts()


@functools.lru_cache(KEPT_LOGS)
def _facts_in(log: Path, _size_bytes: int, _changed_ns: int) -> LogFacts:
    """Read a log by the looks of its lines; a turn is a prompt, or what was kept of one that was lost."""
    turns, last, used = 0, b"", b""
    with log.open("rb", buffering=COUNTED_BYTES) as file:
        for line in file:
            if _is_use(line):
                used = line
            if line.startswith(_TURN_LINES) and (
                is_prompt(line) or (KEPT_MARK in line and _kept_turn(line) not in last)
            ):
                turns, last = turns + 1, line
        return LogFacts(turns, _time(used) or _last_use(_lines_from_the_end(file)))


def last_use_in(content: bytes) -> datetime | None:
    """Return when a log that has been read says that its session was last used (see `LogFacts`)."""
    return _last_use(_last_lines(content))


def _last_use(lines: Iterator[bytes]) -> datetime | None:
    return next(filter(None, (_time(line) for line in lines if _is_use(line))), None)


def _last_lines(content: bytes) -> Iterator[bytes]:
    """Yield the lines from the end; few are needed, so the others are not even found."""
    end = len(content)
    while end > 0:
        start = content.rfind(b"\n", 0, end) + 1
        yield content[start:end]
        end = start - 1


def _is_use(line: bytes) -> bool:
    if not line.startswith(_SESSION_LINES):
        return True
    return line.startswith(_MADE_LINES) or (line.startswith(_TURN_LINES) and KEPT_MARK in line)


def _time(line: bytes) -> datetime | None:
    try:
        time = datetime.fromisoformat(line.rpartition(b'"timestamp":"')[2].partition(b'"')[0].decode())
    except ValueError:  # a damaged line
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def last_turn_id(log: Path) -> str:
    """Return the id of the last turn of a log, which is read from its end; ``""`` where there is none."""
    with suppress(OSError), log.open("rb") as file:
        for line in _lines_from_the_end(file):
            if is_prompt(line):
                return _turn_id(line)
            if KEPT_MARK in line:
                return _kept_turn(line).decode("utf-8", "replace")
    return ""


def _turn_id(line: bytes) -> str:
    try:
        event = parsed(line)
        return str(event["data"].get("messageId") or event["id"])
    except (ValueError, KeyError, TypeError, AttributeError):  # a damaged line
        return ""


def _lines_from_the_end(file: BinaryIO) -> Iterator[bytes]:
    rest, block_bytes = b"", FIRST_BLOCK_BYTES
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        end, start = start, max(0, start - block_bytes)
        block_bytes *= 4  # a line may be an image of megabytes
        file.seek(start)
        rest, *lines = (file.read(end - start) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest


def is_prompt(line: bytes) -> bool:
    """Whether a line of a log is a prompt of the user's."""
    return PROMPT_MARK in line[:40] and b'"source":"' not in line.replace(b'"source":"user"', b"")


def _kept_turn(line: bytes) -> bytes:
    return line.partition(b'turn_id\\": \\"')[2].partition(b"\\")[0]
