"""The options of `copilot_nb.compare`.

To add one, give `CompareOptions` a field and a line in its docstring, and `OptionValues` the same name. The signature
and the documentation of `compare` come from there.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from copilot_nb.errors import InputError
from copilot_nb.experiments.progress import Progress
from copilot_nb.experiments.scorers import Scorer
from copilot_nb.render.words import did_you_mean

_P = ParamSpec("_P")
_R = TypeVar("_R")

Names = str | Sequence[str]
Systems = str | Sequence[str] | Mapping[str, str]
Scorers = Scorer | Callable[..., object] | Iterable[Scorer | Callable[..., object]]
OnProgress = Callable[[Progress], object]


class OptionValues(TypedDict, total=False):
    """The options as keyword arguments: ``def compare(prompts, template, **options: Unpack[OptionValues])``."""

    models: Names
    providers: Names
    systems: Systems | None
    efforts: Names
    repeats: int
    schema: object
    scorers: Scorers
    cluster: str
    seed: int
    store: str | Path | None
    keep: Literal["answers", "sessions"]
    max_age: timedelta | None
    max_cost: float | None
    max_tokens: int | None
    retries: int
    ask: bool
    confirm: bool
    on_progress: OnProgress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What a comparison varies, and how it is run.

    Parameters
    ----------
    models, providers, efforts : str or sequence of str, optional
        As those of `copilot_nb.session`; a model may be named ``PROVIDER/MODEL``.
    systems : str, sequence of str or mapping of str to str, optional
        System messages; a mapping gives them names.
    repeats : int
        How often each prompt is asked of each variant (count).
    schema : dict or type, optional
        What each answer must look like: a JSON schema, a dataclass, a TypedDict, a pydantic model, or a type such as
        ``Literal["yes", "no"]``. The model is told, and asked once more where its answer does not conform; the values
        are columns of `to_frame`.
    scorers : Scorer or callable, or several, optional
        What scores the answers: a function of the answer will do. See `copilot_nb.experiments.scorers`.
    cluster : str, optional
        The column that says which prompts belong together; the statistics take them as one.
    seed : int
        Of the order in which prompts and variants are asked.
    store : str or Path, optional
        The file of the answers; by default one for the notebook, beside it.
    keep : {"answers", "sessions"}
        Whether a session is deleted once its answer is kept, or stays, to go on talking in it.
    max_age : timedelta, optional
        Ask again for answers that are older.
    max_cost, max_tokens : float, int, optional
        Ask no more once this call has cost so much, in the runtime's own figure, or taken so many tokens.
    retries : int
        How often a cell that failed is asked again in this call (count).
    ask : bool
        ``False``: ask for nothing, and return what is kept; its `plan` says what is missing.
    confirm : bool
        Ask also for more than 10,000 answers, or where the file holds only answers of other comparisons.
    on_progress : callable, optional
        Called, in the thread that called `compare`, with a `Progress`.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    models: Names = ""
    providers: Names = ""
    systems: Systems | None = None
    efforts: Names = ""
    repeats: int = 1
    schema: object = None
    scorers: Scorers = ()
    cluster: str = ""
    seed: int = 0
    store: str | Path | None = None
    keep: Literal["answers", "sessions"] = "answers"
    max_age: timedelta | None = None
    max_cost: float | None = None
    max_tokens: int | None = None
    retries: int = 1
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
        if self.retries < 0:
            raise InputError(f"retries must be at least 0, not {self.retries}", "retries=0 asks each cell once")


_NAMES = ("models", "providers", "efforts")
_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "systems": ((str, Iterable), "a text, a list of texts, or a mapping of names to texts"),
    "repeats": (numbers.Integral, "a whole number"),
    "cluster": (str, "the name of a column"),
    "store": ((str, Path), "the path of a file"),
    "max_age": (timedelta, "a timedelta, such as datetime.timedelta(days=2)"),
    "max_cost": (numbers.Real, "a number"),
    "max_tokens": (numbers.Real, "a number"),
    "retries": (numbers.Integral, "a whole number"),
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
        If there is no such option, or a value makes no sense.
    """
    known = OptionValues.__annotations__
    if unknown := next((name for name in given if name not in known), ""):
        raise InputError(f"compare has no option {unknown!r}", f"{did_you_mean(unknown, known)}see help(cp.compare)")
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in _NAMES:
        if isinstance(names := values.get(name), Iterable) and not isinstance(names, str):
            values[name] = tuple(names)
    return CompareOptions(**values)


def takes_compare_options(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Show the ``**options`` of a call as parameters, in its signature and (where it says ``{options}``) its docs."""
    signature, fields = inspect.signature(call), dataclasses.fields(CompareOptions)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(each.name, kind, default=each.default, annotation=each.type) for each in fields]
    vars(call)["__signature__"] = signature.replace(parameters=[*named, *options])
    documented = inspect.cleandoc(CompareOptions.__doc__ or "")
    lines = documented.partition("----------\n")[2].partition("\n\nRaises")[0]
    call.__doc__ = (call.__doc__ or "").replace("    {options}", textwrap.indent(lines, "    "))
    return call
