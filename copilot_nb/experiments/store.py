"""What a comparison has been told: one SQLite file, a row for each cell, committed as the cell ends.

A cell is ``wanted``, then ``asking`` while a process has claimed it, then ``done``, ``failed`` or ``refused`` (we sent
nothing, because this model cannot take this prompt). Only what is not done is claimed, so a kept answer is never asked
for again, whatever happens to the kernel. A process that asks says every `BEAT_S` seconds that it is alive; what one
that died had claimed is free again. Several processes may share a file, on a local disk: SQLite's log (WAL) does not
work on network drives.

Scores are in a table of their own, by the scorer's identity and by what it looked at beside the answer: scoring again
costs nothing, and a scorer that raises loses nothing.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from copilot_nb.errors import InputError

APPLICATION_ID = 0x63706E62
"""SQLite's mark of whose file it is: "cpnb"."""
SCHEMA_VERSION = 1
BEAT_S = 5.0
STALE_S = 30.0
"""After so many seconds without a sign, a process that asks counts as dead."""
BUSY_TIMEOUT_S = 30.0

State = Literal["wanted", "asking", "done", "failed", "refused"]

_SCHEMA = f"""
CREATE TABLE cells (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'wanted', owner TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, session_id TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
    turns TEXT NOT NULL DEFAULT '[]', answered_s REAL, versions TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX cells_by_state ON cells (state);
CREATE TABLE owners (owner TEXT PRIMARY KEY, beat_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE scores (
    key TEXT NOT NULL, scorer TEXT NOT NULL, about TEXT NOT NULL, value REAL NOT NULL, at_s REAL NOT NULL,
    PRIMARY KEY (key, scorer, about)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
_FREE = "UPDATE cells SET owner = '', state = CASE WHEN answered_s IS NULL THEN 'wanted' ELSE 'done' END "


@dataclass(frozen=True, slots=True)
class AnsweredTurn:
    """One turn of a kept answer; times are in seconds, `started_s` since 1970, `cost` is the runtime's own figure."""

    prompt: str
    text: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    duration_s: float | None
    first_token_s: float | None
    started_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store holds of a cell.

    Attributes
    ----------
    state : str
        ``"wanted"``, ``"asking"``, ``"done"``, ``"failed"`` or ``"refused"``.
    turns : tuple of AnsweredTurn
        The answer, of a cell that is done; else empty.
    attempts : int
        How often the cell was asked (count).
    error : str
        Why it was not answered the last time.
    session_id : str
        The session that it was last asked in.
    answered_s : float or None
        When it was answered, in seconds since 1970.
    """

    state: State
    turns: tuple[AnsweredTurn, ...] = ()
    attempts: int = 0
    error: str = ""
    session_id: str = ""
    answered_s: float | None = None


def new_owner() -> str:
    """Return the name of one run of a comparison: the machine, the process, and digits of its own."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex}"


class Store:
    """The file of a comparison. All its methods may be called from any thread; they block for a write to the disk.

    Parameters
    ----------
    path : Path
        The file; it is made if it is not there.

    Raises
    ------
    InputError
        If it cannot be written, or is another kind of file; so do all methods, where the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._writing():
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
        (mark,), (version,) = (
            self._db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if mark != APPLICATION_ID:
            raise InputError(f"{self.path} is not the file of a comparison", "name another one: store=…")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{self.path} was written by another version of copilot_nb (its format is {version}, not "
                f"{SCHEMA_VERSION})",
                "use that version, or name another file: store=…",
            )

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self) -> int:
        """Return how many answers the file holds, of any comparison."""
        with self._translated():
            number: int = self._db.execute("SELECT count(*) FROM cells WHERE answered_s IS NOT NULL").fetchone()[0]
            return number

    def want(self, cells: Mapping[str, str]) -> None:
        """Add cells that are not there: by their keys, what is asked in them, as JSON for a reader of the file."""
        with self._writing():
            self._db.executemany("INSERT OR IGNORE INTO cells (key, asked) VALUES (?, ?)", cells.items())

    def answers(self, keys: Collection[str]) -> dict[str, Answer]:
        """Return what the file holds of these cells; one that is not there is left out."""
        wanted = set(keys)
        columns = "key, state, turns, attempts, error, session_id, answered_s"
        with self._translated():
            rows = self._db.execute(f"SELECT {columns} FROM cells").fetchall()  # noqa: S608 - our own words
        return {key: _answer(*fields) for key, *fields in rows if key in wanted}

    def states(self, keys: Iterable[str]) -> dict[str, State]:
        """Return the states of a few cells."""
        with self._translated():
            query = "SELECT state FROM cells WHERE key = ?"
            return {key: self._db.execute(query, (key,)).fetchone()[0] for key in keys}

    def claim(self, sessions: Mapping[str, str], owner: str, before_s: float = 0.0) -> dict[str, int]:
        """Claim cells for `owner`; return which are now theirs, with how often each has been asked.

        Parameters
        ----------
        sessions : mapping of str to str
            The ids of the sessions to ask in, by the cells' keys.
        owner : str
            See `new_owner`.
        before_s : float
            Also claim answers that are older than this (seconds since 1970); such an answer stays until it is replaced.
        """
        query = (
            "UPDATE cells SET state = 'asking', owner = ?, session_id = ?, attempts = attempts + 1 WHERE key = ? AND "
            "(state IN ('wanted', 'failed', 'refused') OR (state = 'done' AND answered_s < ?)) RETURNING attempts"
        )
        claimed = {}
        with self._writing():
            for key, session_id in sessions.items():
                if (found := self._db.execute(query, (owner, session_id, key, before_s)).fetchone()) is not None:
                    claimed[key] = found[0]
        return claimed

    def keep(self, key: str, owner: str, turns: Iterable[AnsweredTurn], versions: str, session_id: str) -> None:
        """Keep an answer, unless another process has answered the cell meanwhile; scores of an older one are dropped.

        `session_id` is the session that stays; ``""``: none does.
        """
        told = json.dumps([asdict(turn) for turn in turns], ensure_ascii=False)
        with self._writing():
            changed = self._db.execute(
                "UPDATE cells SET state = 'done', owner = '', error = '', turns = ?, answered_s = ?, versions = ?, "
                "session_id = ? WHERE key = ? AND (owner = ? OR state <> 'done')",
                (told, time.time(), versions, session_id, key, owner),
            ).rowcount
            if changed:
                self._db.execute("DELETE FROM scores WHERE key = ?", (key,))

    def fail(self, key: str, owner: str, error: str, *, refused: bool = False) -> None:
        """Note why a cell was not answered; an older answer of it stays."""
        state = "refused" if refused else "failed"
        with self._writing():
            self._db.execute(
                "UPDATE cells SET owner = '', error = ?, state = CASE WHEN answered_s IS NULL THEN ? ELSE 'done' END "
                "WHERE key = ? AND owner = ?",
                (error, state, key, owner),
            )

    def release(self, owner: str) -> None:
        """Give back what `owner` has claimed and not ended."""
        with self._writing():
            self._db.execute(f"{_FREE} WHERE owner = ? AND state = 'asking'", (owner,))
            self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def beat(self, owner: str) -> None:
        """Say that `owner` is alive."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, time.time()))

    def free_the_dead(self) -> list[str]:
        """Give back what dead processes have claimed; return the ids of the sessions that they asked in."""
        stale_s = time.time() - STALE_S
        left: list[str] = []
        with self._writing():
            query = (
                "SELECT DISTINCT c.owner, o.beat_s FROM cells c LEFT JOIN owners o USING (owner) WHERE state = 'asking'"
            )
            for owner, beat_s in self._db.execute(query).fetchall():
                if (beat_s or 0.0) < stale_s or _is_dead(owner):
                    found = self._db.execute("SELECT session_id FROM cells WHERE owner = ?", (owner,)).fetchall()
                    left += [session_id for (session_id,) in found]
                    self._db.execute(f"{_FREE} WHERE owner = ?", (owner,))
                    self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))
        return left

    def keep_scores(self, scorer: str, scores: Mapping[tuple[str, str], float]) -> None:
        """Keep the scores that a scorer, by its identity, has given: by the cell's key and what else it looked at."""
        now_s = time.time()
        rows = [(key, scorer, about, value, now_s) for (key, about), value in scores.items()]
        with self._writing():
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?)", rows)

    def scores(self, scorer: str) -> dict[tuple[str, str], float]:
        """Return the scores that a scorer, by its identity, has given: by the cell's key and what else it looked at."""
        with self._translated():
            rows = self._db.execute("SELECT key, about, value FROM scores WHERE scorer = ?", (scorer,)).fetchall()
        return {(key, about): value for key, about, value in rows}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction: all of it is on the disk at the end, or none."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                raise InputError(
                    f"the comparison's file {self.path} cannot be used: {error}", "name another one: store=PATH"
                ) from error


def _answer(  # noqa: PLR0917 - the columns of a row
    state: State, turns: str, attempts: int, error: str, session_id: str, answered_s: float | None
) -> Answer:
    said = tuple(AnsweredTurn(**turn) for turn in json.loads(turns)) if state == "done" else ()
    return Answer(state, said, attempts, error, session_id, answered_s)


def _is_dead(owner: str) -> bool:
    """Whether an owner was a process of this machine that is gone; elsewhere only silence tells."""
    host, process_id, _ = owner.rsplit("/", 2)
    if host != socket.gethostname() or os.name != "posix":  # on Windows a signal 0 is Ctrl+C
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
