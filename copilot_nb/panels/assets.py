"""The page's side of the panels: the scripts and styles in `static`.

Each script is an ES module, so that tools check it as one. A page cannot import from here (a front end is handed one
text), so the modules that a panel needs are joined into one, without a bundler: imports and exports are left out, so a
module must not rename what it imports, and a name is used once at the top of all of them.
"""

from __future__ import annotations

import re
from importlib.resources import files

_STATIC = files("copilot_nb.panels").joinpath("static")
_STYLES = ("panel", "turn", "chat", "sessions", "compare")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


def script(name: str) -> str:
    """Return a module of `static`, with those that it imports before it, as one module that imports nothing."""
    modules: dict[str, str] = {}
    _collect(name, modules)
    return "\n".join(modules.values())


def _collect(name: str, modules: dict[str, str]) -> None:
    text = _STATIC.joinpath(name).read_text("utf-8")
    for imported in _IMPORT.findall(text):
        if imported not in modules:
            _collect(imported, modules)
    modules[name] = _EXPORT.sub("", _IMPORT.sub("", text))


def styles() -> str:
    """Return the styles of all panels."""
    return "\n".join(_STATIC.joinpath(f"{name}.css").read_text("utf-8") for name in _STYLES)
