"""Comparisons on the real runtime: what is asked is counted at the model, what is kept is never asked again."""

from __future__ import annotations

import concurrent.futures
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from copilot.generated.rpc import OptionsApi

from copilot_nb.errors import InputError, ProviderError, TurnFailed, TurnInterrupted
from copilot_nb.experiments import api
from copilot_nb.experiments.api import NOT_ASKED, compare
from copilot_nb.experiments.judge import Judge
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.scorers import Sample, Scorer
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.system.paths import expanded
from copilot_nb.testing import ChatError, ChatRequest, Reply, ScriptedModel

from .conftest import script

BOTH = ["scripted", "scripted-b"]
OTHER_KERNEL = Path(__file__).with_name("other_kernel.py")


@pytest.fixture(autouse=True)
def _in_a_folder(manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let `compare` use the manager of these tests, and keep its files in a folder of the test."""
    monkeypatch.setattr(api, "shared_manager", lambda: manager)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(manager: Manager) -> ScriptedModel:
    return script(manager, ScriptedModel())


def texts(number: int) -> list[str]:
    return [f"question {each}" for each in range(number)]


def test_each_cell_is_a_session_of_its_own_that_is_gone_once_its_answer_is_kept(
    manager: Manager, model: ScriptedModel
) -> None:
    result = compare(texts(3), models=BOTH, repeats=2, systems="Be brief.")
    asked = Counter((request.prompt, request.model) for request in model.requests)
    assert asked == Counter({(text, name): 2 for text in texts(3) for name in BOTH})
    assert all(request.user_texts == (request.prompt,) for request in model.requests)
    assert {request.messages[0].text for request in model.requests} == {"Be brief."}
    ids = [request.session_id for request in model.requests]
    assert len(set(ids)) == 12
    assert not [each for each in ids if not re.fullmatch(r"ab-[0-9a-f]{16}-[0-9a-f]{8}-1", each)]
    assert not [each for each in manager.stored() if each.session_id in ids]
    assert not [session for session in manager if session.session_id in ids]
    assert (len(result), result.notes, result.plan().left) == (12, (), 0)


def test_a_cell_is_asked_as_a_session_is_and_has_no_workspace(
    own_manager: Callable[..., Manager], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "AGENTS.md").write_text("Answer in French.")
    stored: dict[str, list[str]] = {}

    def listed(asked: ChatRequest) -> str:
        folder = tmp_path / "home" / "session-state" / asked.session_id
        stored[asked.session_id] = [each.name for each in folder.iterdir()]
        return "Yes."

    updated: list[OptionsApi] = []
    update = OptionsApi.update
    monkeypatch.setattr(OptionsApi, "update", lambda session, patch: updated.append(session) or update(session, patch))
    model = ScriptedModel(listed)
    manager = own_manager(model)
    monkeypatch.setattr(api, "shared_manager", lambda: manager)
    manager.session("s1", tools="none").ask("Why?")
    compare(["Why?"], models=["scripted"])
    talked, cell = ([re.sub(r"\d\d\d\d-\S+", "", each.text) for each in asked.messages] for asked in model.requests)
    assert cell == talked
    files = [stored[asked.session_id] for asked in model.requests]
    assert "workspace.yaml" in files[0]
    assert all(each.startswith("inuse.") for each in files[1])
    assert len(updated) == 1  # a second request, for the first session only


def test_a_frame_has_a_row_for_each_turn_with_the_columns_of_the_table_and_the_scores(model: ScriptedModel) -> None:
    table = pd.DataFrame({"text": ["good", "bad"], "target": ["good", "none"]})
    result = compare(
        table, ["Say {{ text }}", "Once more"], models=BOTH, scorers=lambda answer, target: target in answer
    )
    frame = result.to_frame()
    assert list(frame["prompt"]) == ["Say good", "Once more"] * 2 + ["Say bad", "Once more"] * 2
    assert list(frame["turn"]) == [1, 2] * 4
    assert list(frame["variant"]) == (["scripted"] * 2 + ["scripted-b"] * 2) * 2
    assert list(frame["answered_by"]) == list(frame["model"])
    assert list(frame["text"]) == ["good"] * 4 + ["bad"] * 4
    assert frame["answer"][1] == "You said: Once more (message 2)"
    assert frame["<lambda>"].isna().tolist() == [True, False] * 4
    assert frame["input_tokens"].min() > 0
    assert frame["cost"].max() == 0


def test_a_finished_grid_asks_nothing_and_one_that_grows_asks_only_the_new_cells(model: ScriptedModel) -> None:
    compare(texts(3), models="scripted", store="a.sqlite")
    assert len(model.requests) == 3
    compare(texts(3), models="scripted", store="a.sqlite", seed=9)
    assert len(model.requests) == 3
    compare(texts(3), models="scripted", repeats=2, store="a.sqlite")
    assert len(model.requests) == 6
    compare(texts(3), models=BOTH, repeats=2, store="a.sqlite")
    assert [request.model for request in model.requests[6:]] == ["scripted-b"] * 6
    result = compare([*texts(3), "new"], models=BOTH, repeats=2, store="a.sqlite")
    assert [request.prompt for request in model.requests[12:]] == ["new"] * 4
    assert result.plan().kept == 16


def test_nothing_is_asked_or_written_for_a_plan(model: ScriptedModel) -> None:
    assert compare(texts(2), models="scripted,scripted-b", ask=False).plan().left == 4
    assert not list(Path().iterdir())
    compare(texts(2), models="scripted")
    (stored,) = Path().iterdir()
    before = stored.read_bytes()
    result = compare(texts(4), models=", ".join(BOTH), scorers=len, ask=False)
    plan = result.plan()
    assert (plan.cells, plan.kept, plan.left, len(model.requests)) == (8, 2, 6, 2)
    assert plan.expected_tokens == plan.tokens * 3
    told: list[str] = []
    compare(texts(2), models="scripted", scorers=len, ask=False, on_progress=lambda each: told.append(str(each)))
    assert told[-1] == "2 of 2 answers · 2 kept from before · 2 of 2 scores"
    assert compare(["a"], models="scripted", repeats=10_001, store=stored, ask=False).plan().left == 10_001
    assert [row.score for row in result.rows()]
    assert result.notes == (NOT_ASKED, "6 cells of 8 have no answer yet: run it again to go on")
    assert stored.read_bytes() == before


def test_the_same_prompt_in_two_rows_is_asked_once_and_scored_against_each_target(model: ScriptedModel) -> None:
    rows = [{"prompt": "same", "target": "You"}, {"prompt": "same", "target": "I"}]
    result = compare(rows, models="scripted", scorers=lambda answer, target: target in answer.split())
    assert len(model.requests) == 1
    assert [(row.score, row.prompt) for row in result.rows()] == [
        (1.0, result.rows()[1].prompt),
        (0.0, result.rows()[0].prompt),
    ]


def test_the_answers_of_a_small_comparison_stream_side_by_side(manager: Manager) -> None:
    slow = {"scripted-b": 4}
    model = script(manager, ScriptedModel(lambda each: Reply("All of it", stall_after_chars=slow.get(each.model))))
    seen: list[tuple[tuple[str, str, str], ...]] = []

    def on_progress(progress: Progress) -> None:
        seen.append(tuple((label.session, turn.state.value, turn.text) for turn, label in progress.answers))
        if seen[-1][1:] == (("scripted-b", "working", "All "),) and seen[-1][0][1] == "done":
            model.release()

    compare("Tell me", models=BOTH, on_progress=on_progress)
    assert seen[-1] == tuple((name, "done", "All of it") for name in BOTH)
    slow.clear()
    compare("Tell me", models="scripted", repeats=2, on_progress=on_progress)
    assert [each[0] for each in seen[-1]] == ["scripted · repeat 1", "scripted · repeat 2"]
    compare(texts(9), models="scripted", on_progress=on_progress)
    assert seen[-1] == ()


@contextmanager
def interrupted_after(number: int) -> Iterator[Callable[[Progress], None]]:
    def on_progress(progress: Progress) -> None:
        if progress.done >= number:
            raise KeyboardInterrupt

    with pytest.raises(TurnInterrupted, match=r"stopped: \d+ of 12 answers are kept → run it again to go on"):
        yield on_progress


def test_an_interrupt_keeps_what_is_done_and_stops_the_rest(manager: Manager, model: ScriptedModel) -> None:
    stalling = {"question 4", "question 5"}

    def reply(request: ChatRequest) -> Reply:
        return Reply("answer", stall_after_chars=3 if request.prompt in stalling else None)

    model = script(manager, ScriptedModel(reply))
    with interrupted_after(8) as on_progress:
        compare(texts(6), models=BOTH, on_progress=on_progress)
    model.wait_for_abandoned(4)
    assert not [session for session in manager if session.name.startswith("ab-")]
    model = script(manager, ScriptedModel())
    result = compare(texts(6), models=BOTH)
    assert sorted(request.prompt for request in model.requests) == ["question 4"] * 2 + ["question 5"] * 2
    assert result.plan().left == 0


def test_an_interrupt_of_a_model_that_blocks_says_so_and_loses_nothing(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "STOP_GRACE_S", 0.3)
    is_blocking, returns = threading.Event(), threading.Event()
    interrupts, wait = iter([KeyboardInterrupt]), concurrent.futures.wait

    def reply(request: ChatRequest) -> str:
        if request.prompt == "question 1":
            is_blocking.set()
            returns.wait(30)  # on the event loop, as careless code of a model does
        return "answer"

    def interrupted_wait(futures: Any, timeout: float | None = None) -> Any:
        if is_blocking.is_set() and (interrupt := next(interrupts, None)):
            raise interrupt
        return wait(futures, timeout)

    script(manager, ScriptedModel(reply))
    compare(texts(1), models="scripted", store="a.sqlite")
    monkeypatch.setattr(concurrent.futures, "wait", interrupted_wait)
    with pytest.raises(TurnInterrupted) as caught:
        compare(texts(2), models="scripted", store="a.sqlite")
    assert str(caught.value).startswith(
        "stopped: 1 of 2 answers are kept → the running ones could not be stopped, because a model in this kernel runs"
    )
    returns.set()
    model = script(manager, ScriptedModel())
    result = compare(texts(2), models="scripted", store="a.sqlite")
    assert ([request.prompt for request in model.requests], result.plan().left) == (["question 1"], 0)


@contextmanager
def another_kernel(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start another kernel on the same file (`other_kernel.py`); closing its input lets it go."""
    command = [sys.executable, str(OTHER_KERNEL), *arguments]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE) as kernel:
        try:
            yield kernel
        finally:
            kernel.kill()


def asked_elsewhere(folder: Path) -> list[str]:
    return (folder / "asked.txt").read_text("utf-8").splitlines()


def kept_in(path: Path) -> dict[str, str]:
    """Return the prompts that the file has an answer to, and the sessions that were kept with the answers."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT turns, session_id FROM cells WHERE state = 'done'")
        return {json.loads(turns)[0]["prompt"]: session_id for turns, session_id in rows}


def sessions_in(home: Path) -> set[str]:
    """Return the sessions that comparisons have left."""
    return {each.name for each in home.glob("session-state/ab-*")}


@pytest.mark.parametrize("keep", ["answers", "sessions"])
def test_what_a_killed_kernel_had_kept_is_not_asked_again(
    manager: Manager, model: ScriptedModel, tmp_path: Path, keep: str
) -> None:
    home = expanded(manager.settings.home)
    before = sessions_in(home)
    with another_kernel(tmp_path, "die-after", "5", str(home), keep) as kernel:
        assert kernel.wait(60) == -signal.SIGKILL
    kept = kept_in(tmp_path / "shared.sqlite")
    assert len(kept) >= 5
    sessions = set(kept.values()) if keep == "sessions" else set()
    assert sessions_in(home) - before > sessions
    result = compare(texts(20), models="scripted", store="shared.sqlite")
    assert sorted(request.prompt for request in model.requests) == sorted(set(texts(20)) - set(kept))
    assert (result.plan().left, result.notes) == (0, ())
    assert sessions_in(home) - before == sessions


@pytest.mark.parametrize("end", ["answers", "is killed"])
def test_two_kernels_share_the_work_of_one_file(model: ScriptedModel, tmp_path: Path, end: str) -> None:
    with another_kernel(tmp_path, "hold", "2", str(tmp_path / "other-home")) as kernel:
        wait_for_lines(tmp_path / "asked.txt", 2, kernel)

        def end_it(progress: Progress) -> None:
            if progress.done == 18 and end == "answers":
                assert kernel.stdin is not None
                kernel.stdin.close()
            elif progress.done == 18:
                kernel.kill()

        result = compare(texts(20), models="scripted", store="shared.sqlite", on_progress=end_it)
        assert kernel.wait(20) == (0 if end == "answers" else -signal.SIGKILL)
    ours, theirs = [request.prompt for request in model.requests], asked_elsewhere(tmp_path)
    assert len(theirs) == 2
    assert sorted(ours) == sorted(set(texts(20)) - set(theirs) if end == "answers" else texts(20))
    assert result.plan().left == 0


def wait_for_lines(path: Path, number: int, kernel: subprocess.Popen[bytes]) -> None:
    """Wait until a file of another kernel has so many lines."""
    while not path.exists() or path.read_text("utf-8").count("\n") < number:
        assert kernel.poll() is None
        time.sleep(0.02)


def test_a_scorer_that_raises_loses_nothing_and_scores_are_kept(model: ScriptedModel) -> None:
    scored: list[str] = []

    def measure(sample: Sample) -> int:
        scored.append(sample.answer)
        if "question 1" in sample.answer:
            raise ValueError("not like this")
        return len(sample.answer)

    fussy = Scorer("fussy", "fussy@1", measure)
    result = compare(texts(3), models="scripted", scorers=[fussy, len])
    assert [row.score for row in result.rows()] == [len(scored[0]), None, len(scored[0])]
    assert result.notes[0] == "1 answer of 3 has no score: the scorer fussy raised ValueError: not like this"
    compare(texts(3), models="scripted", scorers=fussy)
    assert len(scored) == 4
    assert len(model.requests) == 3


def test_scores_become_a_summary_differences_power_and_pictures(manager: Manager, tmp_path: Path) -> None:
    script(manager, ScriptedModel(lambda request: "right" if request.model == "scripted" else "wrong"))
    result = compare(texts(12), models=BOTH, scorers=lambda answer: answer == "right")
    (difference,) = result.differences()
    assert (difference.first, difference.effect.estimate, difference.prompts) == ("scripted", 1.0, 12)
    assert difference.verdict == "scripted is better"
    assert [pair.first for pair in result.power()] == ["scripted"]
    for shown in (repr(result), result._repr_html_()):
        assert "12 prompts × 2 variants × 1 repeat" in shown
        assert "scripted is better" in shown
        assert "Tokens in" in shown
    for kind in ("scores", "differences", "cost", "latency"):
        assert result.plot(kind)._repr_png_()[0].startswith(b"\x89PNG")
    assert len(pd.read_csv(result.to_csv(tmp_path / "a.csv"))) == 24
    with pytest.raises(InputError, match="there are no scores of 'lambda' → did you mean <lambda>"):
        result.summary("lambda")
    with pytest.raises(InputError, match="cannot write "):
        result.to_csv(tmp_path / "nowhere" / "a.csv")


def test_one_variant_is_a_batch_whose_answers_are_shown(model: ScriptedModel) -> None:
    result = compare(texts(12), models="scripted")
    assert "The first 10 of 12 prompts; all of them: to_frame()" in repr(result)
    assert "You said: question 9" in repr(result)
    with pytest.raises(InputError, match="there are no scores → add scorers"):
        result.summary()
    with pytest.raises(InputError, match="there is only one variant, scripted"):
        result.score(len).differences()


def test_a_cell_that_fails_is_asked_again_and_then_counted(manager: Manager) -> None:
    broken = Reply(error=ChatError(400, "no"))
    model = script(manager, ScriptedModel(lambda request: broken if request.prompt == "question 1" else "ok"))
    result = compare(texts(3), models="scripted", scorers=len)
    assert [request.prompt for request in model.requests].count("question 1") == 2
    assert [(row.score, row.failed) for row in result.rows()] == [(2.0, False), (None, True), (2.0, False)]
    assert result.notes[0].startswith("1 cell failed: scripted")
    model = script(manager, ScriptedModel(["late"]))
    result = compare(texts(3), models="scripted", scorers=len)
    assert [row.retried for row in result.rows()] == [False, True, False]
    assert len(model.requests) == 1


def test_a_comparison_without_any_answer_is_an_error(manager: Manager) -> None:
    script(manager, ScriptedModel(Reply(error=ChatError(400, "no"))))
    with pytest.raises(TurnFailed):
        compare(texts(2), models="scripted", retries=0)


def test_sessions_may_stay_to_go_on_talking(manager: Manager, model: ScriptedModel) -> None:
    result = compare(texts(2), models=BOTH, keep="sessions")
    session = result.session(1, "scripted-b")
    assert [turn.prompt for turn in session.history] == ["question 1"]
    assert session.ask("And?").text == "You said: And? (message 2)"
    with pytest.raises(InputError, match="there is no cell of row 2"):
        result.session(2)
    for session in [s for s in manager if s.name.startswith("ab-")]:
        session.delete()
    with pytest.raises(InputError, match="was not kept"):
        compare(["x"], models="scripted").session()


def test_a_budget_stops_before_it_is_passed_and_keeps_what_is_there(model: ScriptedModel) -> None:
    one = compare(["question x"], models="scripted").plan().tokens
    result = compare(texts(9), models="scripted", max_tokens=4 * one)
    assert result.plan().kept == 4
    assert result.notes[0] == f"stopped at {4 * one} tokens: one more answer could pass max_tokens={4 * one}"
    assert result.notes[1] == "5 cells of 9 have no answer yet: run it again to go on"


def test_an_old_answer_is_asked_for_again(manager: Manager, model: ScriptedModel) -> None:
    compare(["x"], models="scripted", scorers=len)
    compare(["x"], models="scripted", max_age=timedelta(days=1))
    assert len(model.requests) == 1
    script(manager, ScriptedModel("new"))
    result = compare(["x"], models="scripted", max_age=timedelta(0), scorers=len)
    assert (result.to_frame()["answer"][0], result.rows()[0].score) == ("new", 3.0)


def test_what_is_attached_goes_with_each_cell(model: ScriptedModel) -> None:
    pillow = pytest.importorskip("PIL.Image")
    scored: list[str] = []

    def measure(sample: Sample) -> int:
        scored.append(sample.answer)
        return 1

    for _ in range(2):
        prompts = [{"prompt": "Describe", "attach": pillow.new("RGB", (4, 4), "red")}, {"prompt": "Describe"}]
        result = compare(prompts, models=BOTH, scorers=Scorer("seen", "seen@1", measure))
    assert sorted(len(request.messages[-1].images) for request in model.requests) == [0, 0, 1, 1]
    assert len(scored) == 4
    assert "attach" not in result.to_frame().columns


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompts": []}, "there are no prompts"),
        ({"prompts": ["a", " "]}, "prompt 2 is empty"),
        ({"template": "{{ txt }}"}, "the template names a column 'txt' that is not there"),
        ({"models": [*BOTH, "scriptd"]}, "provider 'scripted' has no model 'scriptd' → did you mean scripted?"),
        ({"models": ["scripted", "scripted/scripted"]}, "two variants are the same: scripted (scripted)"),
        ({"providers": ["nowhere"]}, "there is no provider 'nowhere'"),
        ({"efforts": ["high"]}, "has no reasoning effort 'high'"),
        ({"repeats": 0}, "repeats must be at least 1, not 0"),
        ({"repeats": 10_000}, "this asks for 20,000 answers (1 prompt × 2 variants × 10,000 repeats; tokens unknown"),
        (
            {"repeats": 10**9},
            "this asks for up to 2,000,000,000 answers (1 prompt × 2 variants × 1,000,000,000 repeats)",
        ),
        ({"store": "."}, "store= names a folder, '.' → name a file in it"),
        ({"store": "a" * 300}, "store= is not the name of a file: File name too long → store='answers"),
        ({"store": "\ud800.sqlite"}, "store= is not the name of a file: '\\ud800.sqlite'"),
        ({"keep": "all"}, "keep cannot be 'all'"),
        ({"max_cost": 0}, "max_cost must be greater than 0"),
        ({"scorers": [len, len]}, "two scorers are called 'len'"),
        ({"scorers": [7]}, "7 is not a scorer"),
        ({"schema": 7}, "7 is not a schema"),
        ({"judge": "scriptd"}, "has no model 'scriptd' → did you mean scripted"),
        ({"judge": 7}, "judge must be the name of a model, or a Judge, not 7"),
        ({"judge": "scripted", "models": "scripted"}, "a judge compares two variants or more"),
        ({"cluster": "passage"}, "prompt 1 has no column 'passage', which cluster= names"),
        (
            {"prompts": [{"prompt": "a", "passage": 1}, {"prompt": "b", "passage": None}], "cluster": "passage"},
            "prompt 2 has no value in the column 'passage', which cluster= names",
        ),
        ({"store": "/proc/nowhere/a.sqlite"}, "/proc/nowhere/a.sqlite cannot be used"),
        ({"store": "other.sqlite"}, "other.sqlite holds 1 answer, and none of them belongs to this comparison"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_before_anything_is_asked(
    model: ScriptedModel, changes: dict[str, object], said: str
) -> None:
    compare(["another"], models="scripted", store="other.sqlite")
    with pytest.raises((InputError, ProviderError)) as caught:
        compare(**{"prompts": ["a"], "models": BOTH, **changes})
    assert [file.name for file in Path().iterdir()] == ["other.sqlite"]
    assert said in str(caught.value)
    assert len(model.requests) == 1
    assert "\n" not in str(caught.value)


def test_a_file_with_other_answers_takes_more_when_that_is_confirmed(model: ScriptedModel) -> None:
    compare(["another"], models="scripted", store="other.sqlite")
    assert compare(["a"], models="scripted", store="other.sqlite", confirm=True).plan().kept == 1


@dataclass
class Label:
    label: Literal["spam", "ham"]
    sure: float


def test_a_schema_maps_a_prompt_over_a_table_and_asks_once_more(manager: Manager) -> None:
    def reply(request: ChatRequest) -> str:
        if "cannot be used" in request.prompt:
            return '{"label": "ham", "sure": 0.5}'
        return '{"label": "spam", "sure": 1}' if "buy" in request.prompt else '{"label": "nothing"}'

    model = script(manager, ScriptedModel(reply))
    table = pd.DataFrame({"text": ["buy now", "hello"]})
    result = compare(table, "Classify: {{ text }}", models="scripted", schema=Label)
    last = result.to_frame().groupby("row").last()
    assert last["label"].tolist() == ["spam", "ham"]
    assert last["sure"].tolist() == [1.0, 0.5]
    assert all('"label"' in request.user_texts[0] for request in model.requests)
    assert (len(model.requests), result.notes) == (3, ())
    script(manager, ScriptedModel("no idea"))
    result = compare(["a", "b"], models="scripted", schema={"type": "array"})
    assert result.notes == ("2 answers of 2 do not conform to the schema: the answer holds no JSON",)
    assert result.to_frame()["value"].isna().all()


JUDGE = "scripted-judge"


def judges(request: ChatRequest) -> str:
    """Answer as a variant, or judge: `scripted` is better, but of "question 1" the judge prefers what it sees first."""
    if request.model != JUDGE:
        return "short" if request.prompt == "question 0" else f"{request.model} says it"
    if "question 1" in request.prompt:
        return "I cannot decide.\nVERDICT: A"
    first = request.prompt.partition("<answer-A")[2].partition("</answer-A")[0]
    return f"VERDICT: {'A' if 'scripted says' in first else 'B'}"


def judged(manager: Manager) -> ScriptedModel:
    return script(manager, ScriptedModel(judges, models=(*BOTH, JUDGE)))


def of_judge(model: ScriptedModel) -> list[str]:
    return [request.prompt for request in model.requests if request.model == JUDGE]


def test_a_judge_sees_both_orders_is_kept_and_counted_and_its_preferences_are_shown(manager: Manager) -> None:
    model = judged(manager)
    plan = compare(texts(4), models=BOTH, judge=JUDGE, ask=False).plan()
    assert (plan.left, plan.judging and plan.judging.cells) == (16, 8)
    result = compare(texts(4), models=BOTH, judge=JUDGE)
    assert len(of_judge(model)) == 6  # the same text twice is a tie without asking
    pair = result.preferences().pairs[0]
    assert (pair.first, pair.wins, pair.ties, pair.losses) == ("scripted", 2, 2, 0)
    assert (
        "scripted-judge chose by the order in 33% of 3 pairs, which count as ties: name another judge" in result.notes
    )
    assert "1 pair of answers with the same text counts as ties" in result.notes
    assert "Preferences by prompt, scripted-judge" in repr(result)
    frame = result.judgements()
    assert sorted(frame["outcome"]) == [0.5, 0.5, 1, 1]
    assert frame["row"].is_monotonic_increasing
    assert set(frame["rater"]) == {JUDGE}
    assert frame["flipped"].sum() == 1
    assert "question 2" in "".join(frame["sent"])
    assert result.to_frame().groupby("variant")["preferred_by_judge"].mean().tolist() == [0.75, 0.25]
    assert compare(texts(4), models=BOTH, judge=JUDGE).plan().left == 0
    assert len(model.requests) == 14
    compare(texts(5), models=BOTH, judge=JUDGE)
    assert len(of_judge(model)) == 8


def test_a_judge_s_prompt_is_the_user_s_and_one_that_is_a_candidate_is_warned_about(manager: Manager) -> None:
    model = judged(manager)
    judge = Judge(f"scripted/{JUDGE}", rubric="Be strict.", template="{request}|{first}|{second}|{target}|{rubric}")
    rows = [{"prompt": "question 2", "target": "42"}]
    compare(rows, models=BOTH, judge=judge)
    assert "question 2|scripted says it|scripted-b says it|42|Be strict." in of_judge(model)
    result = compare(rows, models=BOTH, judge="scripted")
    assert result.notes[-2] == "scripted judges its own answers, which models prefer: name another judge"
    with pytest.raises(InputError, match="there are no judgements to compare"):
        result.preferences()


def test_a_judge_counts_in_the_budget_and_its_failures_lose_no_answer(manager: Manager) -> None:
    model = judged(manager)
    plan = compare(texts(4), models=BOTH, judge=JUDGE, store="all.sqlite").plan()
    assert plan.judging is not None
    limit = plan.tokens + plan.judging.tokens // 2
    model = judged(manager)
    result = compare(texts(4), models=BOTH, judge=JUDGE, max_tokens=limit)
    assert len(of_judge(model)) in (2, 3)
    assert any(f"max_tokens={limit:,}" in note for note in result.notes)
    assert any("have no answer yet" in note for note in result.notes)
    model = script(manager, ScriptedModel(lambda _: Reply(error=ChatError(400, "no")), models=(*BOTH, JUDGE)))
    result = compare(texts(4), models=BOTH, judge=JUDGE, retries=0)
    assert any(note.startswith(f"judge {JUDGE}: ") and "failed" in note for note in result.notes)
    assert len(result.to_frame()) == 8
    model = judged(manager)
    with pytest.raises(TurnInterrupted, match=r"stopped: \d of 6 judgements are kept"):
        compare(texts(4), models=BOTH, judge=JUDGE, on_progress=interrupt_the_judge)
    assert compare(texts(4), models=BOTH, judge=JUDGE).plan().left == 0


def interrupt_the_judge(progress: Progress) -> None:
    if progress.judging is not None:
        raise KeyboardInterrupt
