"""A session's log, read from its end and without the runtime."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.search import Needle
from copilot_nb.runtime.archive import Archive
from copilot_nb.runtime.events import keep_line
from copilot_nb.runtime.log_search import LogSearch
from copilot_nb.runtime.logfile import (
    COUNTED_BYTES,
    FIRST_BLOCK_BYTES,
    LogFacts,
    facts_of,
    last_turn_id,
    last_use_in,
)

OURS, ANOTHER = 11, 22


def line(kind: str, number: int, **data: Any) -> str:
    return json.dumps({"type": kind, "data": data, "id": f"event {number}"}, ensure_ascii=False, separators=(",", ":"))


def prompt(number: int, content: str = "hello", **more: Any) -> str:
    return line("user.message", number, content=content, messageId=f"turn {number}", **more)


def answer(number: int, content: str = "ok") -> str:
    return line("assistant.message", number, content=content)


KEPT = line("session.info", 9, message=keep_line(TurnRecord("turn 9", "lost", state=TurnState.INTERRUPTED)))


def write(log: Path, lines: Iterable[str]) -> Path:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"{each}\n" for each in [line("session.start", 0), *lines]), "utf-8")
    return log


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([], ""),
        ([prompt(1), answer(1), prompt(2)], "turn 2"),
        ([prompt(1), answer(1, "x" * 9 * FIRST_BLOCK_BYTES)], "turn 1"),
        ([prompt(1, "x" * 9 * FIRST_BLOCK_BYTES), answer(1)], "turn 1"),
        ([prompt(1), answer(1, 'it says "type":"user.message"')], "turn 1"),
        ([prompt(1), prompt(2, source="skill")], "turn 1"),
        ([prompt(1), KEPT], "turn 9"),
        ([line("user.message", 1, content="of an old runtime")], "event 1"),
        ([prompt(1), '{"type":"user.message","data":'], ""),
    ],
)
def test_the_last_turn_of_a_log(tmp_path: Path, lines: list[str], last: str) -> None:
    assert last_turn_id(write(tmp_path / "events.jsonl", lines)) == last


@pytest.mark.parametrize(
    ("lines", "turns"),
    [
        ([], 0),
        ([prompt(1), answer(1), prompt(2, source="user"), answer(2, "x" * 2 * COUNTED_BYTES), prompt(3)], 3),
        ([prompt(1), answer(1, 'it says "type":"user.message"')], 1),
        ([prompt(1), prompt(2, source="skill")], 1),
        ([prompt(1, 'it says "source":"skill"')], 1),
        ([prompt(1), KEPT], 2),
        ([prompt(9), KEPT, prompt(10)], 2),
        ([prompt(1), '{"type":"user.message","data":'], 2),
    ],
)
def test_the_number_of_turns_of_a_log(tmp_path: Path, lines: list[str], turns: int) -> None:
    assert facts_of(write(tmp_path / "events.jsonl", lines)).turns == turns


def test_a_log_that_is_not_there_has_no_last_turn(tmp_path: Path) -> None:
    assert last_turn_id(tmp_path / "events.jsonl") == ""
    assert facts_of(tmp_path / "events.jsonl") == LogFacts()


def at(second: int, kind: str, **data: Any) -> str:
    time = f"2026-11-29T08:00:{second:02}.5Z"
    return json.dumps({"type": kind, "data": data, "id": "1", "timestamp": time}, separators=(",", ":"))


KEPT_AT_7 = at(7, "session.info", message=keep_line(TurnRecord("turn 9", "lost", state=TurnState.INTERRUPTED)))
TURN = [at(1, "session.start"), at(2, "user.message", content="hello"), at(3, "assistant.turn_end")]


@pytest.mark.parametrize(
    ("lines", "second"),
    [
        ([at(1, "session.start"), at(2, "session.shutdown")], 1),
        (TURN, 3),
        ([*TURN, at(4, "session.shutdown"), at(5, "session.resume"), at(6, "session.model_change")], 3),
        ([*TURN, at(4, "session.info", infoType="notification", message="note"), at(5, "session.shutdown")], 3),
        ([*TURN, at(4, "session.shutdown", text="x" * 9 * FIRST_BLOCK_BYTES)], 3),
        ([*TURN, at(4, "session.info", infoType="fork", message="Forked"), at(5, "session.shutdown")], 4),
        ([*TURN, KEPT_AT_7, at(8, "session.shutdown")], 7),
        ([*TURN, '{"type":"user.message","data":'], 3),
        ([*TURN, '{"type":"user.message","timestamp":5}', '{"type":"x","timestamp":"soon"}', "[]"], 3),
        ([*TURN[:2], TURN[2].replace("Z", "")], 3),
        (["", "\0\0"], None),
    ],
)
def test_the_last_use_of_a_log(tmp_path: Path, lines: list[str], second: int | None) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text("".join(f"{each}\n" for each in lines))
    used_at = None if second is None else datetime(2026, 11, 29, 8, 0, second, 500_000, UTC)
    assert facts_of(log).used_at == used_at
    assert last_use_in(log.read_bytes()) == used_at


async def _no_client() -> Any:
    raise AssertionError("the runtime was asked")


def test_a_session_is_as_left_while_nobody_else_opens_it_or_goes_on_with_it(tmp_path: Path) -> None:
    archive = Archive(_no_client, lambda: tmp_path)
    log = write(archive.log_path("s1"), [prompt(1), answer(1)])

    def is_as_left() -> bool:
        return archive.is_as_left("s1", "turn 1", OURS)

    assert not is_as_left()  # without our own lock the folder does not tell
    log.with_name(f"inuse.{OURS}.lock").touch()
    assert is_as_left()
    log.with_name(f"inuse.{ANOTHER}.lock").touch()
    assert not is_as_left()
    log.with_name(f"inuse.{ANOTHER}.lock").unlink()
    write(log, [prompt(1), answer(1), prompt(2), answer(2)])
    assert not is_as_left()
    log.unlink()
    assert not is_as_left()


def test_a_session_that_disappears_meanwhile_hides_no_other(tmp_path: Path) -> None:
    archive = Archive(_no_client, lambda: tmp_path)
    for name in ("old", "new"):
        log = write(archive.log_path(name), [prompt(1), answer(1)])
        for path in (log, log.parent):
            os.utime(path, (1, 1) if name == "old" else (9e8, 9e8))
    (log.parent.parent / "gone").symlink_to(tmp_path / "nowhere")  # as one that is deleted between list and look
    archive.touch("gone")
    assert set(asyncio.run(archive.stamps())) == {"old", "new"}
    assert asyncio.run(archive.unused_since(datetime.fromtimestamp(1e8, UTC))) == ["old"]


def test_the_log_is_read_again_only_after_something_was_added_to_its_folder(tmp_path: Path) -> None:
    archive = Archive(_no_client, lambda: tmp_path)
    log = write(archive.log_path("s1"), [prompt(1), answer(1)])
    log.with_name(f"inuse.{OURS}.lock").touch()
    os.utime(log.parent, (1, 1))
    assert archive.is_as_left("s1", "turn 1", OURS)
    log.write_text("")
    assert archive.is_as_left("s1", "turn 1", OURS)
    log.with_name(f"inuse.{ANOTHER}.lock").touch()
    assert not archive.is_as_left("s1", "turn 1", OURS)


def test_hits_in_the_log_last_used_come_first(tmp_path: Path) -> None:
    logs = {
        name: write(tmp_path / name / "events.jsonl", [prompt(1, "Find me"), at(second, "assistant.turn_end")])
        for second, name in enumerate("abc")
    }
    write(logs["c"], [prompt(1), answer(1, "not here")])
    os.utime(logs["b"], (1, 1))
    found = LogSearch("find ME").found_in(logs | {"gone": tmp_path / "gone" / "events.jsonl"})
    assert [(name, [(hit.turn, hit.role) for hit in hits]) for name, hits in found.items()] == [
        ("b", [(1, "you")]),
        ("a", [(1, "you")]),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("needle", [(1, "you"), (1, "model"), (3, "you")]),
        ("größe", [(1, "you"), (3, "model")]),
        ("of the NEEDLE, of", [(1, "model")]),
        ("event 1", []),  # in the log, but nobody said it
    ],
)
def test_a_hit_has_the_number_of_its_turn(tmp_path: Path, text: str, found: list[tuple[int, str]]) -> None:
    lines = [
        prompt(1, "Needle? GRÖSSE?", transformedContent="Needle? GRÖSSE? needle"),
        line("tool.execution_complete", 1, result={"type": "user.message", "content": "needle größe"}),
        answer(1, "of the needle, of the needle"),
        prompt(2, "needle größe", source="skill-x"),  # not the user's, so no turn of its own
        prompt(2, "hay"),
        answer(2, "hay"),
        prompt(3, "needle"),
        answer(3, "Größe"),
    ]
    log = write(tmp_path / "a" / "events.jsonl", lines)
    for written in (log.read_bytes(), log.read_bytes().partition(b"\n")[2].removesuffix(b"\n")):  # whole, and cut
        log.write_bytes(written)
        hits = LogSearch(text).found_in({"a": log}).get("a", [])
        assert [(hit.turn, hit.role) for hit in hits] == found


FOLDED_TO_ASCII = [letter for letter in map(chr, range(0x80, sys.maxunicode + 1)) if letter.casefold().isascii()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strasse", "die Straße"),
        ("STRASSE", "die Straße"),
        ("straße", "DIE STRASSE"),
        ("straße", "straße: “1”"),
        ("masse", "“Maße”"),
        *((letter.casefold(), f"a {letter} b") for letter in FOLDED_TO_ASCII),
        *((letter, f"a {letter.casefold().upper()} b") for letter in FOLDED_TO_ASCII),
        ("n", "\u0149"),
        ("a", "\u1e9a"),
    ],
)
def test_letters_are_found_in_each_case_as_in_a_history(tmp_path: Path, text: str, said: str) -> None:
    log = write(tmp_path / "events.jsonl", [prompt(1), answer(1, said)])
    ((hit,),) = LogSearch(text).found_in({"a": log}).values()
    assert (hit.turn, hit.role, hit.snippet) == (1, "model", said)
    assert Needle(text).is_in(TurnRecord("t", said))


def test_a_snippet_is_around_the_hit_also_where_case_folding_makes_a_text_longer(tmp_path: Path) -> None:
    log = write(tmp_path / "events.jsonl", [prompt(1, f"{'ß' * 400} needle {'x' * 400}")])
    ((hit,),) = LogSearch("NEEDLE").found_in({"a": log}).values()
    assert "ß needle x" in hit.snippet


def test_a_log_that_is_deleted_while_it_is_opened_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(tmp_path / "events.jsonl", [prompt(1)])

    def gone(path: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "open", gone)
    assert facts_of(log) == LogFacts()
