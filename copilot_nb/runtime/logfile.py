"""A session's log read without the runtime, by the looks of its lines: how many prompts it holds, which is the last.

Through the runtime each session would cost a call of milliseconds.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from copilot_nb.foreign_json import parsed

KEPT_PREFIX = "What there was of an interrupted turn, kept by copilot_nb: "
"""How the line of a log begins its message that keeps an interrupted turn."""
KEPT_MARK = KEPT_PREFIX.encode()
PROMPT_MARK = b'"type":"user.message"'
"""How a line of a log that holds a prompt begins."""
_TURN_LINES = (b"{" + PROMPT_MARK, b'{"type":"session.info"')
"""How the lines begin that may be a turn: a prompt, or what was kept of one."""
KEPT_COUNTS = 20_000
"""Logs whose number of turns is remembered as long as they do not change (counting takes 0.6 ms per megabyte)."""
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


def count_prompts(log: Path) -> int:
    """Return how many prompts a log holds; 0 where there is none."""
    try:
        found = log.stat()
    except OSError:
        return 0
    return _count_in(log, found.st_size, found.st_mtime_ns)


@functools.lru_cache(KEPT_COUNTS)
def _count_in(log: Path, _size_bytes: int, _changed_ns: int) -> int:
    """Count the turns of a log by the looks of its lines: a prompt, or what was kept of one that was lost."""
    count, last = 0, b""
    with log.open("rb", buffering=COUNTED_BYTES) as lines:
        for line in lines:
            if not line.startswith(_TURN_LINES):
                continue
            if is_prompt(line) or (KEPT_MARK in line and _kept_turn(line) not in last):
                count, last = count + 1, line
    return count


def last_turn_id(log: Path) -> str:
    """Return the id of the last turn of a log, which is read from its end; ``""`` where there is none."""
    with suppress(OSError):
        for line in _lines_from_the_end(log):
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


def _lines_from_the_end(log: Path) -> Iterator[bytes]:
    rest, block_bytes = b"", FIRST_BLOCK_BYTES
    with log.open("rb") as file:
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
