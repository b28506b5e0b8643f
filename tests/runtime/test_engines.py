"""Comparisons that run outside the kernel: in an executor's threads and processes, and on a Dask cluster.

Their models are behind a server, which counts what all processes ask.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context

from copilot_nb.errors import InputError, ProviderError, TurnInterrupted
from copilot_nb.experiments import api
from copilot_nb.experiments.api import compare
from copilot_nb.experiments.engines.base import EngineGone
from copilot_nb.experiments.progress import Progress
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.keys import Secret
from copilot_nb.providers.spec import spec_of
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel

from ..loopback import Asked, Fault, Loopback, Reply, plain
from .conftest import script

BOTH = ["m-a", "m-b"]
KEY = "ENGINES_TEST_KEY"
SERVED = {"type": "openai-compatible"}


class Model(Loopback):
    """A server that answers its first requests, and holds back all later answers until `let_go` is set.

    Attributes
    ----------
    at_once : int
        How many it answers at once (count).
    """

    def __init__(self) -> None:
        super().__init__("ok", models=("m-a", "m-b"))
        self.at_once = 0
        self.let_go = threading.Event()

    def take(self, asked: Asked) -> Fault | None:
        return super().take(asked) or (self._hold if len(self.asked) > self.at_once else None)

    def _hold(self, reply: Reply) -> None:
        self.let_go.wait()
        plain(reply)

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return Counter((asked.user_texts[-1], asked.model) for asked in self.asked)


@pytest.fixture(scope="module")
def server() -> Iterator[Model]:
    with Model() as server:
        yield server
        server.let_go.set()


@pytest.fixture
def model(server: Model) -> Iterator[Model]:
    server.asked.clear()
    server.at_once = sys.maxsize
    server.let_go.clear()
    yield server
    server.let_go.set()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home-of-workers")


@pytest.fixture(scope="module")
def kernel(server: Model, home: Path) -> Iterator[Manager]:
    """A manager that has the server as the provider `served`, and no runtime before it needs one."""
    served = {**SERVED, "base_url": f"{server.url}/v1"}
    with closing(Manager(CopilotNB(home=str(home), offline=True, providers={"served": served}))) as manager:
        yield manager


@pytest.fixture(autouse=True)
def _in_a_folder(kernel: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(api, "shared_manager", lambda: kernel)
    monkeypatch.chdir(tmp_path)


def texts(number: int) -> list[str]:
    return [f"question {each}" for each in range(number)]


def sessions_in(home: Path) -> list[str]:
    folder = home / "session-state"
    return [each.name for each in folder.glob("[!.]*")]


@pytest.fixture(scope="module")
def processes() -> Iterator[BaseContext]:
    """Start processes quickly: they are forked from one that has imported what each would import for two seconds."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = get_mp_context()
        context.set_forkserver_preload(["distributed", "copilot_nb.experiments.api", "copilot_nb.runtime.client"])
        yield context


@pytest.fixture(scope="module")
def cluster(processes: BaseContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Two workers of four threads."""
    with (
        dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}),  # Dask never removes its own
        LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None, memory_limit=0) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_what_a_killed_worker_had_kept_is_not_asked_again(cluster: Client, model: Model, home: Path) -> None:
    model.at_once = 6
    kept: list[tuple[str, str]] = []

    def kill(progress: Progress) -> None:
        if progress.done == 6 and not kept:
            wait_until(lambda: len(model.asked) == 14)  # each thread has a cell
            kept.extend(list(model.counts)[:6])
            os.kill(min(cluster.run(os.getpid).values()), signal.SIGKILL)
            model.let_go.set()

    result = compare(texts(8), models=BOTH, providers="served", client=cluster, on_progress=kill)
    assert (result.plan().left, result.notes) == (0, ())
    twice = {cell for cell, number in model.counts.items() if number == 2}
    assert len(twice) == 4  # those under way on the worker
    assert not twice & set(kept)
    assert model.counts.total() == 16 + 4
    assert compare(texts(8), models=BOTH, providers="served", client=cluster).plan().left == 0
    assert model.counts.total() == 16 + 4
    assert sessions_in(home) == []


WATCH = """
import sys
sys.opened = []
sys.addaudithook(lambda event, about: event in ("open", "sqlite3.connect") and sys.opened.append(str(about[0])))
"""


def test_the_kernel_alone_opens_the_file(cluster: Client, model: Model) -> None:
    cluster.run(exec, WATCH)
    result = compare(texts(4), models=BOTH, providers="served", client=cluster, store="one.sqlite")
    assert (result.plan().left, model.counts.total()) == (0, 8)
    cluster.run(exec, "import sys; open(sys.executable, 'rb').close()")
    for opened in cluster.run(eval, "__import__('sys').opened").values():
        assert sys.executable in opened, "the workers are watched"
        assert not [path for path in opened if "one.sqlite" in path]


def test_what_dask_gives_up_is_wanted_again(cluster: Client, model: Model, home: Path) -> None:
    """Dask runs a task again `allowed-failures` times, here never."""
    scheduler = cluster.cluster.scheduler
    allowed, scheduler.allowed_failures = scheduler.allowed_failures, 0
    model.at_once = 2

    def kill(progress: Progress) -> None:
        if progress.done == 2 and not model.let_go.is_set():
            wait_until(lambda: len(model.asked) == 10)
            os.kill(min(cluster.run(os.getpid).values()), signal.SIGKILL)
            model.let_go.set()

    result = compare(texts(5), models=BOTH, providers="served", client=cluster, on_progress=kill)
    scheduler.allowed_failures = allowed
    assert result.plan().left == 4
    assert result.notes[0] == "4 cells lost: the workers that ran it died (KilledWorker) → run it again"
    assert sessions_in(home) == []
    result = compare(texts(5), models=BOTH, providers="served", client=cluster)
    assert (result.plan().left, model.counts.total()) == (0, 14)
    assert sorted(result.to_frame()["attempts"]) == [1] * 6 + [2] * 4


def test_an_interrupt_stops_the_turns_on_the_workers(cluster: Client, model: Model, home: Path) -> None:
    model.at_once = 2

    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            wait_until(lambda: len(model.asked) == 10)
            raise KeyboardInterrupt

    with pytest.raises(TurnInterrupted, match="stopped: 2 of 20 answers are kept"):
        compare(texts(10), models=BOTH, providers="served", client=cluster, on_progress=interrupt)
    assert sessions_in(home) == []
    model.let_go.set()
    result = compare(texts(10), models=BOTH, providers="served", client=cluster)
    assert (result.plan().left, model.counts.total()) == (0, 20 + 8)
    assert sorted(result.to_frame()["attempts"]) == [1] * 12 + [2] * 8
    handlers = cluster.run(eval, "__import__('signal').getsignal(2).name")  # a notebook's interrupt reaches them, too
    assert set(handlers.values()) == {"SIG_IGN"}


def test_a_worker_without_the_key_says_which_variable_it_lacks(
    cluster: Client, kernel: Manager, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "a-key-of-these-tests")
    kernel.providers.add_own(spec_of("keyed", {**SERVED, "base_url": f"{model.url}/v1", "api_key_env": KEY}))
    with pytest.raises(ProviderError) as caught:
        compare(["a"], models="m-a", providers="keyed", client=cluster)
    assert re.fullmatch(
        rf"the worker \d+ on \S+ has no environment variable {KEY}, which holds the key of keyed → set it where the "
        "workers are started, then start them again",
        str(caught.value),
    )
    assert model.asked == []
    cluster.run(exec, f"import os; os.environ[{KEY!r}] = 'a-key-of-these-tests'")
    result = compare(["a"], models="m-a", providers="keyed", client=cluster)
    assert (result.plan().left, model.asked[0].key) == (0, "a-key-of-these-tests")


def test_threads_use_the_sessions_of_this_kernel(kernel: Manager, model: Model) -> None:
    scripted = script(kernel, ScriptedModel())
    with ThreadPoolExecutor(3) as executor:
        result = compare(texts(4), models="scripted/scripted", executor=executor)
        assert (result.plan().left, len(scripted.requests)) == (0, 4)
        model.at_once = 1

        def interrupt(progress: Progress) -> None:
            if progress.done == 1:
                wait_until(lambda: len(model.asked) == 4)
                raise KeyboardInterrupt

        with pytest.raises(TurnInterrupted, match="stopped: 1 of 5 answers are kept"):
            compare(texts(5), models="served/m-a", executor=executor, store="b.sqlite", on_progress=interrupt)
    with ThreadPoolExecutor(3) as executor:
        executor.shutdown()
        with pytest.raises(EngineGone, match="the executor runs no more cells: cannot schedule new futures after"):
            compare(texts(5), models="served/m-b", executor=executor, store="c.sqlite")


def test_a_limit_of_cost_stops_after_one_answer_of_unknown_cost(model: Model) -> None:
    seen: list[str] = []
    result = compare(
        texts(3), models="served/m-a", max_cost=5.0, on_progress=lambda progress: seen.append(str(progress))
    )
    assert (model.counts.total(), result.plan().kept, result.plan().unknown) == (1, 1, 1)
    assert "cost of 1 answer unknown" in seen[-1]
    assert result.notes[0] == ("stopped: max_cost cannot be kept, because an answer's cost is unknown; max_tokens can")
    assert compare(texts(3), models="served/m-a", max_tokens=10_000).plan().left == 0


def test_a_broken_pool_loses_no_answer(processes: BaseContext, model: Model, home: Path) -> None:
    model.at_once = 2

    def kill(progress: Progress) -> None:
        if progress.done == 2 and not model.let_go.is_set():
            wait_until(lambda: len(model.asked) == 3)
            next(iter(executor._processes.values())).kill()
            model.let_go.set()

    for left, told in ((3, kill), (0, None)):
        with ProcessPoolExecutor(1, mp_context=processes) as executor:
            result = compare(texts(5), models="served/m-a", executor=executor, on_progress=told)
        assert result.plan().left == left
        assert bool(result.notes) is bool(left)
    assert sorted(result.to_frame()["attempts"]) == [1] * 4 + [2]
    assert sessions_in(home) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": 7}, "executor must be a concurrent.futures.Executor, not 7"),
        ({"client": 7}, "client must be a distributed.Client, not int → client=Client(…)"),
        ({"client": 7, "executor": Executor()}, "executor and client cannot both be given"),
        ({"executor": Executor(), "keep": "sessions"}, 'keep="sessions" is not possible in other processes'),
        ({"executor": Executor(), "models": "scripted/scripted"}, "provider 'scripted' runs in this kernel only"),
        (
            {"executor": Executor(), "models": "typed/m-a"},
            "the key of typed is typed in, kept by this kernel only, and",
        ),
        ({"executor": Executor(), "models": "ring/m-a"}, "the key of ring is the system keyring (service copilot_nb, "),
        ({"client": object(), "models": "typed/m-a"}, "and keys are not sent to other processes → set a variable"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_asked(
    kernel: Manager, model: Model, options: dict[str, Any], said: str
) -> None:
    script(kernel, ScriptedModel())
    kernel.providers.add_own(spec_of("typed", {**SERVED, "base_url": model.url}, typed=Secret("a-typed-key")))
    kernel.providers.add_own(spec_of("ring", {**SERVED, "base_url": model.url, "keyring": True}))
    with pytest.raises(InputError) as caught:
        compare(["a"], **{"models": "served/m-a", **options})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "a-typed-key" not in str(caught.value)
    assert model.asked == []


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.02)
