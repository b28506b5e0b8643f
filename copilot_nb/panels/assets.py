"""The browser side of the panels: the scripts and styles in `static`.

Each script is an ES module, so that tools can check it as one. A page cannot import these modules (the front end
receives a single text), so the modules that a panel needs are joined into one, without a bundler. Joining removes the
imports and exports: a module must not rename its imports, and top-level names must be unique across all modules.

Why: docs/decisions/0023-panel-modules-without-a-bundler.md.
"""

from __future__ import annotations

import re
from importlib.resources import files

_STATIC = files("copilot_nb.panels").joinpath("static")
_STYLES = ("panel", "turn", "approvals", "chat", "sessions", "compare")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


def script(name: str) -> str:
    """Return a module of `static`, preceded by the modules it imports, as one module without imports."""
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
