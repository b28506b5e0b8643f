"""Lists the available models, as a table and as JSON.

Without a provider name, the built-in providers and those that the user has chosen are asked. A provider whose API key
is merely in the environment is not asked: listing models is free, but the user has not given copilot_nb that key.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import CopilotNBError
from copilot_nb.render.table import Table

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.providers.base import ModelInfo

COLUMNS = ("model", "provider", "window", "output", "tools", "images", "efforts", "price")
UNKNOWN = "–"
_SAID = {True: "yes", False: "no", None: UNKNOWN}


@dataclass(frozen=True)
class ModelList:
    """A list of models, with notes on providers that could not list theirs.

    Attributes
    ----------
    models : tuple of (str, ModelInfo)
        Pairs of provider and model.
    notes : tuple of str
        Notes for the reader.
    """

    models: tuple[tuple[str, ModelInfo], ...]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """Return the models as a table; unknown values are shown as a dash."""
        rows = tuple(_row(provider, info) for provider, info in self.models)
        said = "\n".join(self.notes)
        return Table(COLUMNS, rows, caption=said, empty=said or "There are no models.")

    def as_json(self) -> list[dict[str, Any]]:
        """Return the models as data for JSON; unknown values are ``null``."""
        return [{"provider": provider, **dataclasses.asdict(info)} for provider, info in self.models]


def list_models(manager: Manager, provider: str = "", *, refresh: bool = False) -> ModelList:
    """Return the models of one provider, or of the built-in providers and those that the user has chosen.

    Parameters
    ----------
    manager : Manager
        The manager of the providers.
    provider : str
        The provider; ``""`` for the built-in providers and those that the user has chosen.
    refresh : bool
        Whether to ask the providers again even if a recent list is cached.

    Raises
    ------
    ProviderError
        If the provider does not exist or cannot list its models.
    """
    if provider:
        infos = manager.loop.blocking(manager.providers[provider].list_models(refresh=refresh))
        notes = () if infos else (f"{provider} does not list its models; name one with --model.",)
        return ModelList(tuple((provider, info) for info in infos), notes)
    return manager.loop.blocking(_all(manager, refresh))


async def _all(manager: Manager, refresh: bool) -> ModelList:
    providers = manager.providers
    found = await asyncio.gather(*(_of(manager, name, refresh) for name in providers.chosen_names))
    others = [name for name in providers.names if name not in providers.chosen_names]
    notes = [note for _, note in found if note]
    notes += [f"not asked: {', '.join(others)} (%copilot models --provider NAME)"] if others else []
    aliases = manager.settings.aliases
    notes += [f"aliases: {', '.join(f'{name} = {model}' for name, model in aliases.items())}"] if aliases else []
    models = [(name, info) for name, (infos, _) in zip(providers.chosen_names, found, strict=True) for info in infos]
    return ModelList(tuple(models), tuple(notes))


async def _of(manager: Manager, name: str, refresh: bool) -> tuple[Sequence[ModelInfo], str]:
    """Return the models of a provider, or a note that says why it has none."""
    try:
        return await manager.providers[name].list_models(refresh=refresh), ""
    except CopilotNBError as error:
        return (), f"{name}: {error}"


def _row(provider: str, info: ModelInfo) -> tuple[str, ...]:
    efforts = UNKNOWN if info.efforts is None else ", ".join(info.efforts) or "none"
    window, output = _tokens(info.window_tokens), _tokens(info.output_tokens)
    return (info.model_id, provider, window, output, _SAID[info.tools], _SAID[info.vision], efforts, _price(info))


def _tokens(tokens: int | None) -> str:
    return UNKNOWN if tokens is None else f"{tokens:,}"


def _price(info: ModelInfo) -> str:
    if info.multiplier is not None:
        return f"{info.multiplier:g}×"
    if info.price is None:
        return UNKNOWN
    return "free" if info.price == (0, 0) else "${:.4g} in, ${:.4g} out per million".format(*info.price)
