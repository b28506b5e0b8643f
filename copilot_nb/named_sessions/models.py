"""The models there are, of all providers that may be asked: a table, and the same as JSON.

Without a provider's name those are asked that a user has chosen. One whose key merely lies in the environment is not:
its list would cost nothing, but nobody has said that the key is for us.
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
    """Models, and what kept a provider from telling its own.

    Attributes
    ----------
    models : tuple of (str, ModelInfo)
        Each with its provider.
    notes : tuple of str
        What a reader should know.
    """

    models: tuple[tuple[str, ModelInfo], ...]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """Return the models as a table; what is unknown is a dash."""
        rows = tuple(_row(provider, info) for provider, info in self.models)
        said = "\n".join(self.notes)
        return Table(COLUMNS, rows, caption=said, empty=said or "There are no models.")

    def as_json(self) -> list[dict[str, Any]]:
        """Return the models, ready for JSON; what is unknown is ``null``."""
        return [{"provider": provider, **dataclasses.asdict(info)} for provider, info in self.models]


def list_models(manager: Manager, provider: str = "", *, refresh: bool = False) -> ModelList:
    """Return the models of one provider, or of all that a user has chosen.

    Parameters
    ----------
    manager : Manager
        Whose providers.
    provider : str
        Which one; ``""``: all that a user has chosen, and can answer.
    refresh : bool
        Whether they are asked even if they told a short while ago.

    Raises
    ------
    ProviderError
        If there is no such provider, or it cannot be asked.
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
    """Return a provider's models, or why there are none."""
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
