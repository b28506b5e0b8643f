"""The store of a comparison's answers: one SQLite file with a row for each cell, committed when the cell ends.

A cell is ``wanted``, then ``asking`` while a process has claimed it, then ``done``, ``failed`` or ``refused`` (nothing
was sent, because this model cannot take this prompt). Only cells that are not done are claimed, so a stored answer is
never requested again, whatever happens to the kernel. A running process records every `BEAT_S` seconds that it is
alive; the claims of a dead process are released. Several processes may share a file on a local disk: SQLite's log (WAL)
does not work on network drives.

Scores have their own table, keyed by the cell, the scorer's identity and a hash of the scorer's other inputs: scoring
again costs nothing, and a scorer that raises loses nothing. So have the votes of people, keyed by the person and the
answers voted on.

Why: docs/decisions/0031-experiments-store.md.
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
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from copilot_nb.errors import InputError

APPLICATION_ID = 0x63706E62
"""SQLite's application id in the file's header: "cpnb"."""
SCHEMA_VERSION = 1
BEAT_S = 5.0
STALE_S = 30.0
"""Seconds without a sign of life after which a running process counts as dead."""
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
_VOTES = """
CREATE TABLE IF NOT EXISTS votes (
    rater TEXT NOT NULL, round TEXT NOT NULL, answers TEXT NOT NULL, choice TEXT NOT NULL, at_s REAL NOT NULL,
    PRIMARY KEY (rater, round)
) WITHOUT ROWID
"""
_FREE = "UPDATE cells SET owner = '', state = CASE WHEN answered_s IS NULL THEN 'wanted' ELSE 'done' END "


@dataclass(frozen=True, slots=True)
class AnsweredTurn:
    """One turn of a stored answer; times are in seconds, `started_s` since 1970, `cost` is in the runtime's unit."""

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
    """The stored state of a cell.

    Attributes
    ----------
    state : str
        ``"wanted"``, ``"asking"``, ``"done"``, ``"failed"`` or ``"refused"``.
    turns : tuple of AnsweredTurn
        The answer of a cell that is done, else empty.
    attempts : int
        How often the cell was run for this answer (count).
    error : str
        Why the last attempt failed.
    session_id : str
        The session of the last attempt.
    answered_s : float or None
        Time of the answer, in seconds since 1970.
    """

    state: State
    turns: tuple[AnsweredTurn, ...] = ()
    attempts: int = 0
    error: str = ""
    session_id: str = ""
    answered_s: float | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's vote on answers to a prompt.

    Attributes
    ----------
    rater : str
        The person's name.
    round : str
        A hash of the cells and of their answers' texts: a vote does not outlive its answers.
    answers : tuple of str
        The keys of the cells, in the order in which they were shown.
    choice : int or str
        The place of the best one, from 0; ``"tie"`` or ``"none good"``.
    """

    rater: str
    round: str
    answers: tuple[str, ...]
    choice: int | str


def new_owner() -> str:
    """Return a unique name for a run of a comparison: the machine, the process and random digits."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex}"


class Store:
    """The file of a comparison. All its methods may be called from any thread; they block for a write to the disk.

    Parameters
    ----------
    path : Path
        The file; created if it does not exist.
    is_copy : bool
        Whether to use a copy of the file's present contents in memory, so that nothing is written to disk.

    Attributes
    ----------
    path : Path
        The file, with its folder.

    Raises
    ------
    InputError
        If it cannot be written, or is another kind of file. All methods raise it if the disk fails.
    """

    def __init__(self, path: Path, *, is_copy: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._translated():
            self.path = path.absolute()  # after a change of folder, too; and ":memory:" is a file
            if not is_copy:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connected(":memory:" if is_copy else str(self.path))
            try:
                if is_copy and self.path.exists():
                    _copy(self.path, self._db)
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._writing():
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in (*filter(str.strip, _SCHEMA.split(";")), _VOTES):
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
        with self._writing():
            self._db.execute(_VOTES)  # the first files had none

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self) -> int:
        """Return the number of answers in the file, of all comparisons."""
        with self._translated():
            number: int = self._db.execute("SELECT count(*) FROM cells WHERE answered_s IS NOT NULL").fetchone()[0]
            return number

    def want(self, cells: Mapping[str, str]) -> None:
        """Add missing cells: a mapping of keys to descriptions, as JSON for readers of the file."""
        with self._writing():
            self._db.executemany("INSERT OR IGNORE INTO cells (key, asked) VALUES (?, ?)", cells.items())

    def answers(self, keys: Collection[str]) -> dict[str, Answer]:
        """Return the stored state of these cells, without those that are not in the file."""
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
        """Claim cells for `owner`; return the claimed ones, with the number of attempts of each at this answer.

        Parameters
        ----------
        sessions : mapping of str to str
            The ids of the sessions to use, by the cells' keys.
        owner : str
            See `new_owner`.
        before_s : float
            Also claim cells with an answer older than this (seconds since 1970); the answer stays until it is replaced.
        """
        query = (
            "UPDATE cells SET state = 'asking', owner = ?, session_id = ?, "
            "attempts = CASE state WHEN 'done' THEN 1 ELSE attempts + 1 END WHERE key = ? AND "
            "(state IN ('wanted', 'failed', 'refused') OR (state = 'done' AND answered_s < ?)) RETURNING attempts"
        )
        claimed = {}
        with self._writing():
            for key, session_id in sessions.items():
                if (found := self._db.execute(query, (owner, session_id, key, before_s)).fetchone()) is not None:
                    claimed[key] = found[0]
        return claimed

    def keep(self, key: str, owner: str, turns: Iterable[AnsweredTurn], versions: str, session_id: str) -> None:
        """Store an answer and drop the scores of an older one, unless another process has answered the cell meanwhile.

        `session_id` is the session to keep; ``""``: none.
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
        """Record why a cell has no answer; an older answer stays."""
        state = "refused" if refused else "failed"
        with self._writing():
            self._db.execute(
                "UPDATE cells SET owner = '', error = ?, state = CASE WHEN answered_s IS NULL THEN ? ELSE 'done' END "
                "WHERE key = ? AND owner = ?",
                (error, state, key, owner),
            )

    def release(self, owner: str) -> None:
        """Release the unfinished cells that `owner` has claimed."""
        with self._writing():
            self._db.execute(f"{_FREE} WHERE owner = ? AND state = 'asking'", (owner,))
            self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def give_back(self, key: str, owner: str, *, began: bool) -> None:
        """Release one cell that `owner` has claimed; one that never `began` is not counted as an attempt."""
        with self._writing():
            self._db.execute(
                f"{_FREE}, attempts = max(attempts - ?, answered_s IS NOT NULL) "
                "WHERE key = ? AND owner = ? AND state = 'asking'",
                (int(not began), key, owner),
            )

    def beat(self, owner: str) -> None:
        """Record that `owner` is alive."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, time.time()))

    def free_the_dead(self) -> list[str]:
        """Release the claims of dead processes; return the names of their runs (see `new_owner`)."""
        stale_s = time.time() - STALE_S
        with self._writing():
            query = (
                "SELECT owner, max(beat_s) FROM (SELECT owner, beat_s FROM owners "
                "UNION SELECT owner, 0 FROM cells WHERE state = 'asking') GROUP BY owner"
            )
            beats = self._db.execute(query).fetchall()
            dead: list[str] = [owner for owner, beat_s in beats if beat_s < stale_s or is_dead(owner)]
            for owner in dead:
                self._db.execute(f"{_FREE} WHERE owner = ?", (owner,))
                self._db.execute("DELETE FROM owners WHERE owner = ?", (owner,))
        return dead

    def kept_sessions(self) -> set[str]:
        """Return the ids of the sessions that were kept with the answers."""
        with self._translated():
            query = "SELECT session_id FROM cells WHERE state = 'done' AND session_id <> ''"
            return {session_id for (session_id,) in self._db.execute(query)}

    def keep_scores(self, scorer: str, scores: Mapping[tuple[str, str], float]) -> None:
        """Store scores of the scorer with this identity, by the cell's key and a hash of the scorer's other inputs."""
        now_s = time.time()
        rows = [(key, scorer, about, value, now_s) for (key, about), value in scores.items()]
        with self._writing():
            self._db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?)", rows)

    def scores(self, scorer: str) -> dict[tuple[str, str], float]:
        """Return the scores of the scorer with this identity, keyed as in `keep_scores`."""
        with self._translated():
            rows = self._db.execute("SELECT key, about, value FROM scores WHERE scorer = ?", (scorer,)).fetchall()
        return {(key, about): value for key, about, value in rows}

    def keep_vote(self, vote: Vote) -> None:
        """Store a vote, in place of an earlier one of the same person on the same answers."""
        row = (vote.rater, vote.round, json.dumps(vote.answers), str(vote.choice), time.time())
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)", row)

    def votes(self) -> list[Vote]:
        """Return all votes, the earliest first."""
        with self._translated():
            rows = self._db.execute("SELECT rater, round, answers, choice FROM votes ORDER BY at_s").fetchall()
        return [
            Vote(rater, key, tuple(json.loads(answers)), int(choice) if choice.isdecimal() else choice)
            for rater, key, answers, choice in rows
        ]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction: at the end all of it is on disk, or nothing."""
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


def _connected(address: str, *, is_uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(address, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=is_uri)


def _copy(path: Path, target: sqlite3.Connection) -> None:
    """Copy a file into a database without writing anything next to it, as SQLite does to read a file in its WAL mode.

    A file without a WAL is in use by no process, so it may be read as one that cannot change.
    """
    is_in_use = path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?{'mode=ro' if is_in_use else 'immutable=1'}"
    with closing(_connected(address, is_uri=True)) as source:
        source.backup(target)


def is_dead(owner: str) -> bool:
    """Whether an owner is a process of this machine that has ended; on another machine only its silence tells."""
    host, process_id, _ = owner.rsplit("/", 2)
    return host == socket.gethostname() and has_ended(int(process_id))


def has_ended(process_id: int) -> bool:
    """Whether there is no process of this id on this machine; on Windows always ``False``."""
    if os.name != "posix":  # a signal 0 is Ctrl+C there
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
