"""What the name of a local model means: a GGUF file, here or on Hugging Face, and one of its two presets.

A name is one of: the installed model's; one that the setting `local_models` lists; the path of a GGUF file; a
repository on Hugging Face. Followed by ``:creative`` it takes the other preset. Looking a name up loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import ProviderError
from copilot_nb.providers.local import hugging_face
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.providers.local.presets import CREATIVE
from copilot_nb.render.words import did_you_mean

if TYPE_CHECKING:
    from copilot_nb.settings import CopilotNB

Source = Path | hugging_face.HubFile

OTHER_MODELS = (
    "others need a login (%copilot login, then -p github) "
    "or a key (%copilot provider add openai --ask-key, then -p openai)"
)
_BUNDLED_STEM = "SmolLM2-135M-Instruct.Q4_1"


@dataclass(frozen=True, slots=True)
class LocalName:
    """A model by its full name, which means the same in every folder, and the file it is in."""

    model_id: str
    source: Source


class LocalNames:
    """The names of this kernel's local models.

    Parameters
    ----------
    settings : CopilotNB
        Name the default model's file (`local_model_path`) and list others (`local_models`); read at each use.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self._settings = settings

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The names that are known beforehand, each with its second preset; the default first.

        Raises
        ------
        ProviderError
            If there is none.
        """
        return tuple(name + preset for name in self._known() for preset in ("", CREATIVE))

    def _known(self) -> Iterator[str]:
        listed = list(self._settings.local_models)
        if not listed or self._settings.local_model_path or self._has_default():
            yield default_name(find_local_model(self._settings.local_model_path))
        yield from listed

    def _has_default(self) -> bool:
        try:
            return find_local_model(self._settings.local_model_path).exists()
        except ProviderError:
            return False

    def find(self, model_id: str) -> LocalName:
        """Return what `model_id` names; ``""`` is the default.

        Raises
        ------
        ProviderError
            If it names nothing, or a file that cannot be read.
        """
        name = model_id.removesuffix(CREATIVE)
        preset = model_id[len(name) :]
        listed: dict[str, str] = self._settings.local_models
        if name in listed:
            return LocalName(model_id, self._source(listed[name]))
        if _is_path(name):
            path = find_local_model(name, "--model")
            return LocalName(f"{path}{preset}", path)
        if repository := hugging_face.parse(name):
            hugging_face.require(repository)
            return LocalName(model_id, repository)
        return self._default(name, preset)

    def _default(self, name: str, preset: str) -> LocalName:
        known = self.model_ids
        if name and name not in known:
            shown = f"{did_you_mean(name + preset, known)}it has: {', '.join(known)}, and any GGUF file by its path"
            raise ProviderError(f"provider 'local' has no model {name + preset!r}", f"{shown}; {OTHER_MODELS}")
        first = known[0]
        return self.find(first) if first in self._settings.local_models else self._installed(preset)

    def _installed(self, preset: str) -> LocalName:
        path = find_local_model(self._settings.local_model_path)
        return LocalName(default_name(path) + preset, path)

    @staticmethod
    def _source(text: str) -> Source:
        if (repository := hugging_face.parse(text)) and not _is_path(text):
            hugging_face.require(repository)
            return repository
        return find_local_model(text, "local_models")


def default_name(path: Path) -> str:
    """Name a model after its file; the one that `copilot-nb install-model` installs is ``smollm2-135m``."""
    return "smollm2-135m" if path.stem == _BUNDLED_STEM else path.stem


def _is_path(name: str) -> bool:
    return name.lower().endswith(".gguf") and hugging_face.parse(name) is None
