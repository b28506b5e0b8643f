"""The file of a comparison: what is kept stays, what is claimed is one process's, what a dead one claimed is free."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from copilot_nb.errors import InputError
from copilot_nb.experiments import store as store_module
from copilot_nb.experiments.store import AnsweredTurn, Store, new_owner

FULL = 2
"""SQLite's number for ``synchronous = FULL``: each commit waits for the disk."""
TURN = AnsweredTurn("q", "an answer", "m", 3, 4, 0.5, 1.0, 0.1, 1e9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "a.sqlite")
    store.want(dict.fromkeys("ab", "{}"))
    return store


def claim(store: Store, owner: str, keys: str = "ab", before_s: float = 0.0) -> dict[str, int]:
    return store.claim({key: f"s-{key}" for key in keys}, owner, before_s)


def keep(store: Store, key: str, owner: str, text: str = "an answer") -> None:
    store.keep(key, owner, [AnsweredTurn("q", text, "m", 3, 4, 0.5, 1.0, 0.1, 1e9)], "v", "")


def test_an_answer_is_there_for_another_process(store: Store) -> None:
    owner = new_owner()
    assert claim(store, owner, "a") == {"a": 1}
    keep(store, "a", owner)
    found = Store(store.path).answers(["a", "b", "unknown"])
    assert (found["a"].state, found["a"].turns, found["a"].attempts) == ("done", (TURN,), 1)
    assert (found["b"].state, found["b"].turns) == ("wanted", ())
    assert "unknown" not in found


def test_an_answer_is_on_the_disk_once_it_is_kept(store: Store) -> None:
    pragmas = ("journal_mode", "synchronous")
    assert [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", FULL]


@pytest.mark.parametrize("name", ["b.sqlite", ":memory:"])
def test_a_file_stays_where_it_is_after_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store(Path(name)) as store:
        store.want({"a": "{}"})
    monkeypatch.chdir(tmp_path.parent)
    assert Store(store.path).states("a") == {"a": "wanted"}


@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_copy_has_what_the_file_has_and_writes_nothing(store: Store, is_in_use: bool) -> None:
    keep(store, "a", "")
    if not is_in_use:
        store.close()
    folder = store.path.parent
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    with Store(store.path, is_copy=True) as copy:
        assert copy.answers("ab")["a"].turns == (TURN,)
        copy.want({"c": "{}"})
        copy.keep_scores("f@1", {("a", "x"): 1.0})
        assert copy.states("c") == {"c": "wanted"}
    with Store(folder / "none" / "b.sqlite", is_copy=True) as copy:
        assert copy.count() == 0
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_a_cell_is_claimed_once_however_many_ask(store: Store) -> None:
    store.want({str(number): "{}" for number in range(100)})
    claimed: list[str] = []

    def take() -> None:
        with Store(store.path) as mine:
            for number in range(100):
                claimed.extend(mine.claim({str(number): "s"}, new_owner()))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed, key=int) == [str(number) for number in range(100)]


def test_what_failed_is_claimed_again_and_what_is_done_is_not(store: Store) -> None:
    owner = new_owner()
    claim(store, owner)
    store.fail("a", owner, "out of order")
    keep(store, "b", owner)
    assert (store.answers("a")["a"].state, store.answers("a")["a"].error) == ("failed", "out of order")
    assert claim(store, new_owner()) == {"a": 2}


def test_an_old_answer_is_asked_again_and_stays_until_it_is_replaced(store: Store) -> None:
    owner = new_owner()
    claim(store, owner, "a")
    keep(store, "a", owner)
    store.keep_scores("f@1", {("a", "x"): 1.0})
    assert claim(store, owner, "a", before_s=2e10) == {"a": 1}  # of the new answer
    store.give_back("a", owner, began=False)
    assert (store.answers("a")["a"].turns, store.answers("a")["a"].attempts) == ((TURN,), 1)
    claim(store, owner, "a", before_s=2e10)
    store.fail("a", owner, "no answer this time")
    assert (store.answers("a")["a"].turns, store.answers("a")["a"].error) == ((TURN,), "no answer this time")
    assert store.scores("f@1") == {("a", "x"): 1.0}
    claim(store, owner, "a", before_s=2e10)
    keep(store, "a", owner, "a newer one")
    assert store.answers("a")["a"].turns[0].text == "a newer one"
    assert store.scores("f@1") == {}


def test_an_answer_that_comes_late_does_not_replace_one(store: Store) -> None:
    slow, quick = new_owner(), new_owner()
    claim(store, slow, "a")
    store.release(slow)
    claim(store, quick, "a")
    keep(store, "a", quick, "first")
    keep(store, "a", slow, "late")
    assert store.answers("a")["a"].turns[0].text == "first"


def test_what_a_dead_process_had_claimed_is_free_at_once(store: Store) -> None:
    script = "import sys; from copilot_nb.experiments.store import *; o = new_owner(); s = Store(Path(sys.argv[1]));"
    script += "s.beat(o); s.claim({'a': 's-a'}, o); print(o)"
    ran = subprocess.run([sys.executable, "-c", script, str(store.path)], check=True, capture_output=True, text=True)
    alive = new_owner()
    store.beat(alive)
    claim(store, alive, "b")
    assert store.free_the_dead() == [ran.stdout.strip()]
    assert claim(store, new_owner()) == {"a": 2}


def test_a_dead_process_is_found_after_its_last_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = new_owner()
    store.beat(owner)
    claim(store, owner, "ab")
    keep(store, "a", owner, "an answer")
    store.keep("b", owner, (), "", "a-kept-session")
    monkeypatch.setattr(store_module, "STALE_S", -1.0)
    assert store.free_the_dead() == [owner]
    assert store.kept_sessions() == {"a-kept-session"}
    assert store.free_the_dead() == []


def test_a_process_that_is_silent_for_long_counts_as_dead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = new_owner()
    store.beat(owner)
    claim(store, owner, "a")
    assert store.free_the_dead() == []
    monkeypatch.setattr(store_module, "STALE_S", -1.0)
    assert store.free_the_dead() == [owner]


def test_scores_are_kept_by_scorer_and_by_what_it_saw(store: Store) -> None:
    store.keep_scores("f@1", {("a", "x"): 1.0, ("a", "y"): 0.0})
    store.keep_scores("f@2", {("a", "x"): 0.5})
    assert store.scores("f@1") == {("a", "x"): 1.0, ("a", "y"): 0.0}
    assert store.scores("g@1") == {}


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (name)")
    db.close()


def newer_format(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def text_file(path: Path) -> None:
    path.write_text("x" * 5000)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_database, "is not the file of a comparison"),
        (newer_format, "was written by another version of copilot_nb"),
        (text_file, "file is not a database"),
        (Path.mkdir, "unable to open database file"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "b.sqlite"
    assert callable(make)
    make(path)
    with pytest.raises(InputError, match=said):
        Store(path)


def test_a_disk_that_cannot_be_written_is_one_line(store: Store) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(InputError, match=r"cannot be used: attempt to write a readonly database → name another one"):
        store.beat("x/1/y")
    with pytest.raises(InputError, match="cannot be used: "):
        Store(Path("/proc/nowhere/a.sqlite"))
