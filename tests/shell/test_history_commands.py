"""Sessions held by their names in a line: listed, shown, searched, renamed, copied, taken back, exported, deleted."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.session import state_of
from copilot_nb.testing import ScriptedModel
from tests.shell.conftest import Notebook


@pytest.fixture
def talks(nb: Notebook) -> Notebook:
    """Two sessions: `a` with three turns, `my b` with one."""
    nb.answer(ScriptedModel(["Use `venv`.", "```python\nx = 1\n```", "Third.", "Hello."]))
    for cell in ("%%copilot a\nHow?", "%%copilot a\nCode?", "%%copilot a\nAnd?", "%%copilot 'my b'\nhello"):
        assert nb.run(cell).ok
    return nb


def shown(nb: Notebook, line: str) -> str:
    ran = nb.run(line)
    assert ran.ok, ran.out
    return repr(ran.result)


def test_show(talks: Notebook) -> None:
    assert "# a: 3 turns" in shown(talks, "%copilot show a")
    last = shown(talks, "%copilot show a -n 1")
    assert "turn 3 of 3" in last
    assert "Third." in last
    assert "Use" not in last
    assert "Use `venv`." in shown(talks, "%copilot show a --turn 1")
    found = talks.run("%copilot show a --search VENV").result
    assert "1 turn with “VENV”" in repr(found)
    assert "<mark>venv</mark>" in found._repr_html_()
    assert "# a: 3 turns" in shown(talks, "%copilot show a --full")
    assert shown(talks, "%copilot show 'my b'").startswith("# my b: 1 turn")


def test_ls(talks: Notebook) -> None:
    listing = shown(talks, "%copilot ls")
    assert [line.split()[0] for line in listing.splitlines()[2:]] == ["my", "a"]
    assert "○ idle" in listing
    assert [each.name for each in talks.run("%copilot ls --sort turns").result] == ["a", "my b"]
    assert [each.name for each in talks.run("%copilot ls my*").result] == ["my b"]
    assert [each.name for each in talks.run("%copilot ls --model SCRIPT").result] == ["my b", "a"]
    assert talks.run("%copilot ls --model gpt").result == []
    assert talks.run("%copilot ls --older-than 1d").result == []
    assert talks.run("%copilot ls --notebook nowhere").result == []
    assert [each.name for each in talks.run("%copilot ls -n 1").result] == ["my b"]
    assert "the 1 last used; more: %copilot ls -n 10" in shown(talks, "%copilot ls -n 1")
    frame = talks.run("%copilot ls").result.to_frame()
    assert list(frame["turns"]) == [1, 3]


def test_ls_tells_a_failure(talks: Notebook) -> None:
    talks.answer(ScriptedModel(["Half"])).hold()
    talks.run("%copilot ask -b a Go on")
    assert "● working" in shown(talks, "%copilot ls") or "◌ queued" in shown(talks, "%copilot ls")
    talks.run("%copilot stop a")
    talks.run("%copilot wait")
    assert "■ interrupted" in shown(talks, "%copilot ls")


def test_search(talks: Notebook) -> None:
    assert "a        1     model  Use `venv`." in shown(talks, "%copilot search VENV")
    assert "my b     1     you    hello" in shown(talks, "%copilot search hello")
    assert shown(talks, '%copilot search What\'s "this"?') == "No session contains 'What\\'s \"this\"?'."


def test_usage(talks: Notebook) -> None:
    usage = talks.run("%copilot usage a").result
    assert [(each.name, each.turns) for each in usage] == [("a", 3)]
    assert usage[0].input_tokens > 0
    everything = shown(talks, "%copilot usage")
    assert {line.split()[0] for line in everything.splitlines()[2:5]} == {"a", "my", "all"}
    assert "<svg" in talks.run("%copilot usage").result._repr_html_()


def test_rename_fork_rewind(talks: Notebook) -> None:
    assert talks.run("%copilot rename a 'new a'").out == "a is now called new a (its id stays a).\n"
    forked = talks.run("%copilot fork 'new a' c --at 2").out
    assert forked == "c begins with 2 turns of new a; go on: %%copilot c\n"
    back = talks.run("%copilot rewind 'new a' --to 1").out
    assert back == "Took back 2 turns of new a; bring back: %copilot rewind 'new a' --undo\n"
    assert talks.run("%copilot rewind 'new a' --undo").out == "Brought back 2 turns of new a.\n"
    assert [each.turns for each in talks.run("%copilot ls --sort name").result] == [2, 1, 3]


def test_what_is_used_follows_a_rename(talks: Notebook) -> None:
    talks.run("%copilot use a")
    talks.run("%copilot rename a z")
    assert talks.run("%copilot use").out == "%%copilot without a name goes to: z\n"
    talks.run("%copilot rm z -y")


@pytest.mark.parametrize("suffix", [".md", ".html", ".json", ".ipynb"])
def test_export(talks: Notebook, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"talk{suffix}"
    assert talks.run(f"%copilot export a {file}").out == f"Wrote {file}\n"
    assert "venv" in file.read_text()
    assert "exists already → " in talks.run(f"%copilot export a {file}").complaint
    assert talks.run(f"%copilot export a {file} --force").ok
    if suffix == ".ipynb":
        nbformat.validate(nbformat.read(file, as_version=4))


def test_import(talks: Notebook, tmp_path: Path) -> None:
    talks.run(f"%copilot export a {tmp_path / 'a.json'}")
    assert "there is a session 'a' already" in talks.run(f"%copilot import {tmp_path / 'a.json'}").complaint
    said = talks.run(f"%copilot import {tmp_path / 'a.json'} --as again").out
    assert said == "again: imported 3 turns from a.json, without the original times\n"
    model = talks.answer(ScriptedModel())
    assert talks.run("%%copilot again\nmore").ok
    assert model.requests[-1].user_texts == ("How?", "Code?", "And?", "more")


def test_rm_by_age_and_prune(talks: Notebook) -> None:
    assert talks.run("%copilot rm --older-than 1d").out == "There is nothing to delete.\n"
    talks.run("%copilot new empty")
    assert talks.run("%copilot prune -y").out == "Deleted empty.\n"
    assert sorted(talks.names()) == ["a", "my b"]
    assert talks.run("%copilot prune").out == "There is nothing to delete.\n"


def test_a_budget_is_one_line(talks: Notebook) -> None:
    talks.settings.max_turns = 3
    complaint = talks.run("%%copilot a\nonce more").complaint
    assert complaint.startswith("BudgetReached: session 'a' has had 3 turns, 3 are allowed → ")
    assert state_of(shared_manager().existing("a")).turn_count == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("show a -n 0", "InputError: -n takes a number of turns above 0, not 0 → for example: -n 5"),
        ("show a --turn 9", "InputError: session 'a' has no turn 9: it has 3 turns, numbered from 1"),
        ("show a --search ' '", "InputError: no search text given"),
        ("search", "the following arguments are required: TEXT"),
        ("ls --sort size", "invalid choice: 'size'"),
        ("ls --older-than soon", "InputError: 'soon' is not a time span → for example 30d, 12h, 45m or 2w"),
        ("rm", "InputError: name the sessions to delete, or their age → "),
        ("rm a --older-than 1d", "InputError: name the sessions to delete, or their age → "),
        ("rename a 'my b'", "InputError: there is a session 'my b' already → choose another name"),
        ("rename nobody x", "SessionNotFound: there is no session 'nobody' → see %copilot ls"),
        ("rename a ls", "InputError: 'ls' is a subcommand of %copilot"),
        ("fork a", "the following arguments are required: NEW_NAME"),
        ("fork a c --at x", "invalid int value: 'x'"),
        ("rewind a --to 9", "InputError: session 'a' has 3 turns, there is no turn 9"),
        ("rewind a --to 1 --undo", "InputError: --undo brings turns back"),
        ("rewind a --undo", "InputError: session 'a' has no rewind to undo"),
        ("export a talk.doc", "InputError: no export format for 'talk.doc' → "),
        ("import nowhere.json", "InputError: cannot read nowhere.json: "),
        ("usage nobody", "SessionNotFound: there is no session 'nobody' → see %copilot ls"),
    ],
)
def test_what_cannot_be_done(talks: Notebook, line: str, said: str) -> None:
    assert said in talks.run(f"%copilot {line}").complaint
    assert sorted(talks.names()) == ["a", "my b"]
