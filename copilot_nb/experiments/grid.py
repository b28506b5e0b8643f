"""The grid of a comparison: all combinations of prompt, variant and repeat, and the order in which they run.

Each cell is one isolated session. Its key is a hash of everything that its answer depends on (the prompt, the system
message, the model and its address, the effort, the repeat) and of nothing else: not of its place in the grid, not of
scorers. So a stored answer is found again after prompts, models or repeats are added, and a prompt that occurs in two
rows is asked once.

The order interleaves the variants prompt by prompt and repeat by repeat, so that drift of a provider, or a stop
halfway, affects all variants alike. A seed determines the order of the prompts, and of the variants within a prompt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.options import CompareOptions, Names, Systems
from copilot_nb.experiments.prompts import Prompt
from copilot_nb.named_sessions.aliases import split
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.providers.byok import Byok

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager

KEY_VERSION = 1
"""Part of each key; change it when the same cell would get another answer."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the compared configurations.

    Attributes
    ----------
    name : str
        The options that distinguish it from the other variants, such as its model.
    options : SessionOptions
        Options of its sessions, all resolved.
    address : str
        The base URL of a provider that the user configured; ``""`` for other providers.
    system : str
        The name of its system message, or its text if it has no name; ``""``: the default.
    """

    name: str
    options: SessionOptions
    address: str = ""
    system: str = ""

    @property
    def asked(self) -> dict[str, object]:
        """The options that an answer depends on, without empty ones, so that adding an option changes no key."""
        return {**{name: value for name, value in self.options.said().items() if value}, "address": self.address}

    @property
    def label(self) -> str:
        """The model and its provider, as text."""
        return self.options.label


@dataclass(frozen=True, slots=True)
class Cell:
    """One prompt, sent to one variant once.

    Attributes
    ----------
    key : str
        A hash of everything that the answer depends on.
    prompt_key : str
        A hash of the prompt's turns and images.
    prompt, variant : Prompt, Variant
        The prompt, and the variant that answers it.
    repeat : int
        Counted from 0.
    """

    key: str
    prompt_key: str
    prompt: Prompt
    variant: Variant
    repeat: int


@dataclass(frozen=True, slots=True)
class Grid:
    """All cells of a comparison.

    Attributes
    ----------
    prompts : tuple of Prompt
        In the order of the input.
    variants : tuple of Variant
        In the order of the options.
    cells : tuple of Cell
        In the order in which they run; two cells with the same key share one answer.
    """

    prompts: tuple[Prompt, ...]
    variants: tuple[Variant, ...]
    cells: tuple[Cell, ...]

    @property
    def by_row(self) -> tuple[Cell, ...]:
        """The cells in the order of the input: by prompt, by variant, by repeat."""
        places = {variant: number for number, variant in enumerate(self.variants)}
        return tuple(sorted(self.cells, key=lambda cell: (cell.prompt.row, places[cell.variant], cell.repeat)))

    @property
    def repeats(self) -> int:
        """How often each prompt is sent to each variant (count)."""
        return len(self.cells) // (len(self.prompts) * len(self.variants) or 1)

    @property
    def unique(self) -> dict[str, Cell]:
        """The cells by key, without duplicates, in order."""
        found: dict[str, Cell] = {}
        for cell in self.cells:
            found.setdefault(cell.key, cell)
        return found


def make_grid(prompts: Sequence[Prompt], variants: Sequence[Variant], repeats: int, seed: int) -> Grid:
    """Return the grid of a comparison, its cells in the order in which they run."""
    keys = [prompt_key(prompt) for prompt in prompts]
    cells = []
    for repeat in range(repeats):
        shuffled = random.Random(f"{seed} {repeat}")  # noqa: S311 - an order, not a secret
        for prompt in shuffled.sample(prompts, len(prompts)):
            for variant in shuffled.sample(variants, len(variants)):
                key = _cell_key(keys[prompt.row], variant, repeat)
                cells.append(Cell(key, keys[prompt.row], prompt, variant, repeat))
    return Grid(tuple(prompts), tuple(variants), tuple(cells))


def prompt_key(prompt: Prompt) -> str:
    """Return a hash of a prompt's turns and images (64 hexadecimal digits); it does not depend on the row."""
    images = [hashlib.sha256(image.data).hexdigest() for image in prompt.images]
    return _digest({"turns": prompt.turns, "images": images})


def cell_of(prompt: Prompt, variant: Variant) -> Cell:
    """Return the cell that sends `prompt` to `variant` once."""
    key = prompt_key(prompt)
    return Cell(_cell_key(key, variant, 0), key, prompt, variant, 0)


def _cell_key(prompt: str, variant: Variant, repeat: int) -> str:
    return _digest({"prompt": prompt, **variant.asked, "repeat": repeat, "version": KEY_VERSION})


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def variants_of(manager: Manager, options: CompareOptions) -> tuple[Variant, ...]:
    """Return all combinations of the options as variants, checked against the models of each provider.

    Raises
    ------
    InputError, ProviderError
        If a model, provider or effort does not exist or cannot be used, or two variants are the same.
    """
    systems = _by_name(options.systems)
    named = (_listed(options.models), _listed(options.providers), systems.items(), _listed(options.efforts))
    found = [await variant_of(manager, *each) for each in itertools.product(*named)]
    _check_different(found)
    return _renamed(found)


async def variant_of(
    manager: Manager, model: str, provider: str, system: tuple[str, str | None], effort: str
) -> Variant:
    """Return one combination of options, resolved, under the name of its system message.

    Raises
    ------
    InputError, ProviderError
        As in `variants_of`.
    """
    if not provider:
        provider, model = split(model, manager.providers.names)
    name, text = system
    asked = SessionOptions(model=model, provider=provider, system=text, effort=effort, tools="none")
    options = await manager.selector.for_new(manager.selector.expanded(asked))
    source = manager.providers[options.provider]
    address = source.spec.base_url if isinstance(source, Byok) else ""
    return Variant(name, options, address, name or text or "")


def _renamed(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Return `variants`, each named by the options that differ between them; a single one by its model."""
    names = ("model", "provider", "system", "effort")
    differs = {name: len({getattr(each.options, name) for each in variants}) > 1 for name in names}
    return tuple(dataclasses.replace(each, name=_name_of(each, differs, len(variants) == 1)) for each in variants)


def _name_of(variant: Variant, differs: Mapping[str, bool], is_alone: bool) -> str:
    options = variant.options
    parts = (
        (options.model or options.provider, differs["model"] or is_alone),
        (options.provider, differs["provider"]),
        (variant.name, differs["system"]),
        (f"{options.effort or 'default'} effort", differs["effort"]),
    )
    return " · ".join(part for part, is_told in parts if is_told)


def _listed(names: Names) -> Sequence[str]:
    """Return the names; one text may hold several, separated by commas."""
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    return [name for name in listed if name] or [""]


def _by_name(systems: Systems | None) -> Mapping[str, str | None]:
    if systems is None:
        return {"": None}
    if isinstance(systems, Mapping):
        return dict(systems) or {"": None}
    if isinstance(systems, str):
        return {"": systems}
    return {f"system {number}": text for number, text in enumerate(systems, 1)} or {"": None}


def _check_different(variants: Iterable[Variant]) -> None:
    seen: dict[str, str] = {}
    for variant in variants:
        key = _digest(variant.asked)
        if key in seen:
            raise InputError(
                f"two variants are the same: {variant.label}",
                "name each model, provider, system message and effort once",
            )
        seen[key] = variant.name
