"""The options of `copilot_nb.compare`.

To add one, give `CompareOptions` a field and a line in its docstring, and `CompareOptionValues` the same name. The
signature and the documentation of `compare` come from there.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from copilot_nb.errors import InputError
from copilot_nb.experiments.judge import Judge
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.scorers import Scorer
from copilot_nb.render.words import did_you_mean

_P = ParamSpec("_P")
_R = TypeVar("_R")

Names = str | Sequence[str]
Systems = str | Sequence[str] | Mapping[str, str]
Scorers = Scorer | Callable[..., object] | Iterable[Scorer | Callable[..., object]]
OnProgress = Callable[[Progress], object]


class CompareOptionValues(TypedDict, total=False):
    """The options as keyword arguments: ``def compare(prompts, template, **options: Unpack[CompareOptionValues])``."""

    models: Names
    providers: Names
    systems: Systems | None
    efforts: Names
    repeats: int
    schema: object
    scorers: Scorers
    judge: str | Judge
    cluster: str
    seed: int
    store: str | Path | None
    keep: Literal["answers", "sessions"]
    max_age: timedelta | None
    max_cost: float | None
    max_tokens: int | None
    retries: int
    executor: Executor | None
    client: object
    ask: bool
    confirm: bool
    on_progress: OnProgress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """The options of a comparison: its variants, and how it runs.

    Parameters
    ----------
    models, providers, efforts : str or sequence of str, optional
        As in `copilot_nb.session`; ``"a,b"`` names two, as a list does. A model may be written ``PROVIDER/MODEL``.
    systems : str, sequence of str or mapping of str to str, optional
        System messages; a mapping gives them names.
    repeats : int
        How often each prompt is sent to each variant (count).
    schema : dict or type, optional
        The schema of each answer: a JSON schema, a dataclass, a TypedDict, a pydantic model, or a type such as
        ``Literal["yes", "no"]``. The prompt describes it to the model, which is asked once more if its answer does not
        conform; the values are columns of `to_frame`.
    scorers : Scorer or callable, or several, optional
        Score the answers; a function of the answer is enough. See `copilot_nb.experiments.scorers`.
    judge : str or Judge, optional
        A model that compares the answers of each two variants, in both orders: its name, or a
        `copilot_nb.experiments.judge.Judge` with its own rubric or prompt. Its replies are stored and counted like the
        answers.
    cluster : str, optional
        The column that groups prompts; the statistics treat each group as one prompt.
    seed : int
        The seed of the order of prompts and variants.
    store : str or Path, optional
        The file of the answers; by default a file next to the notebook.
    keep : {"answers", "sessions"}
        Whether each session is deleted once its answer is stored, or kept to continue the conversation.
    max_age : timedelta, optional
        Request answers that are older than this again.
    max_cost, max_tokens : float, int, optional
        Request no more answers once this call has reached this cost, in the runtime's unit, or number of tokens.
    retries : int
        How often a failed cell is retried in this call (count).
    executor : concurrent.futures.Executor, optional
        Where the cells run: the threads of a `ThreadPoolExecutor` use the sessions of this kernel; each worker of
        another executor has a runtime of its own.
    client : distributed.Client, optional
        Run the cells on the workers of this Dask cluster.
    ask : bool
        ``False``: request nothing, write nothing, and return the stored answers; `plan` says how many are missing.
    confirm : bool
        Allow more than 10,000 answers, or a file that holds only answers of other comparisons.
    on_progress : callable, optional
        Called with a `Progress`, in the thread that called `compare`.

    Raises
    ------
    InputError
        If a value is invalid.
    """

    models: Names = ""
    providers: Names = ""
    systems: Systems | None = None
    efforts: Names = ""
    repeats: int = 1
    schema: object = None
    scorers: Scorers = ()
    judge: str | Judge = ""
    cluster: str = ""
    seed: int = 0
    store: str | Path | None = None
    keep: Literal["answers", "sessions"] = "answers"
    max_age: timedelta | None = None
    max_cost: float | None = None
    max_tokens: int | None = None
    retries: int = 1
    executor: Executor | None = None
    client: object = None
    ask: bool = True
    confirm: bool = False
    on_progress: OnProgress | None = None

    def __post_init__(self) -> None:
        for name in _NAMES:
            _check_names(name, getattr(self, name))
        for name, (kind, wanted) in _KINDS.items():
            if (value := getattr(self, name)) is not None and not isinstance(value, kind):
                raise InputError(f"{name} must be {wanted}, not {value!r}")
        texts = self.systems.values() if isinstance(self.systems, Mapping) else self.systems
        if not all(isinstance(text, str) for text in texts or ()):
            raise InputError(f"systems must be texts, not {self.systems!r}", 'systems=["…", "…"]')
        self._check_values()

    def _check_values(self) -> None:
        if self.repeats < 1:
            raise InputError(f"repeats must be at least 1, not {self.repeats}", "repeats=1 asks each prompt once")
        if self.keep not in ("answers", "sessions"):
            raise InputError(f"keep cannot be {self.keep!r}", 'keep="answers" or keep="sessions"')
        for name, limit in (("max_cost", self.max_cost), ("max_tokens", self.max_tokens)):
            if limit is not None and not limit > 0:
                raise InputError(f"{name} must be greater than 0, not {limit}", "leave it out for no limit")
        if self.executor is not None and self.client is not None:
            raise InputError("executor and client cannot both be given", "executor=… or client=…")
        is_elsewhere = self.client is not None or not isinstance(self.executor, ThreadPoolExecutor | None)
        if self.keep == "sessions" and is_elsewhere:
            raise InputError('keep="sessions" is not possible in other processes', "leave out executor= and client=")
        if self.retries < 0:
            raise InputError(f"retries must be at least 0, not {self.retries}", "retries=0 asks each cell once")


_NAMES = ("models", "providers", "efforts")
_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "systems": ((str, Iterable), "a text, a list of texts, or a mapping of names to texts"),
    "repeats": (numbers.Integral, "a whole number"),
    "judge": ((str, Judge), "the name of a model, or a Judge"),
    "cluster": (str, "the name of a column"),
    "store": ((str, Path), "the path of a file"),
    "max_age": (timedelta, "a timedelta, such as datetime.timedelta(days=2)"),
    "max_cost": (numbers.Real, "a number"),
    "max_tokens": (numbers.Real, "a number"),
    "retries": (numbers.Integral, "a whole number"),
    "executor": (Executor, "a concurrent.futures.Executor"),
    "on_progress": (Callable, "a function"),  # type: ignore[dict-item] # an abstract class, which isinstance takes
}


def _check_names(option: str, names: Names) -> None:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, Iterable) or not all(isinstance(each, str) for each in listed):
        raise InputError(f"{option} must be a text or a list of texts, not {names!r}", f'{option}=["…", "…"]')
    if not listed:
        raise InputError(f"{option} is an empty list", "leave it out for the default")


def compare_options(given: Mapping[str, object]) -> CompareOptions:
    """Return the options of a call; ``None`` leaves an option at its default.

    Raises
    ------
    InputError
        If there is no such option, or a value is invalid.
    """
    known = CompareOptionValues.__annotations__
    if unknown := next((name for name in given if name not in known), ""):
        raise InputError(f"compare has no option {unknown!r}", f"{did_you_mean(unknown, known)}see help(cp.compare)")
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in _NAMES:
        if isinstance(names := values.get(name), Iterable) and not isinstance(names, str):
            values[name] = tuple(names)
    return CompareOptions(**values)


def takes_compare_options(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Show the ``**options`` of a call as parameters, in its signature and (at ``{options}``) in its docstring."""
    signature, fields = inspect.signature(call), dataclasses.fields(CompareOptions)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(each.name, kind, default=each.default, annotation=each.type) for each in fields]
    vars(call)["__signature__"] = signature.replace(parameters=[*named, *options])
    documented = inspect.cleandoc(CompareOptions.__doc__ or "")
    lines = documented.partition("----------\n")[2].partition("\n\nRaises")[0]
    call.__doc__ = (call.__doc__ or "").replace("    {options}", textwrap.indent(lines, "    "))
    return call
