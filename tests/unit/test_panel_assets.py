"""What a front end is handed of a panel: one module, which a browser can read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from copilot_nb.panels import assets
from copilot_nb.panels.chat import ChatPanel
from copilot_nb.panels.compare import ComparePanel
from copilot_nb.panels.sessions import SessionsPanel


def faults(module: str, folder: Path) -> str:
    """Return what Node's parser says against a module."""
    path = folder / "joined.mjs"
    path.write_text(module, "utf-8")
    return subprocess.run(["node", "--check", path], capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("panel", [ChatPanel, ComparePanel, SessionsPanel])
def test_the_joined_module_is_one_that_imports_nothing(panel: type, tmp_path: Path) -> None:
    esm = panel._esm
    assert not faults(esm, tmp_path)
    assert re.findall(r"^(?:import|export)\b.*", esm, re.MULTILINE) == ["export default {"]
    assert esm.count("\nclass Link ") == 1


def test_a_name_that_two_modules_use_is_found(tmp_path: Path) -> None:
    assert "already been declared" in faults(f"{assets.script('dom.js')}\nfunction button() {{}}", tmp_path)


def test_imports_come_first_and_once() -> None:
    joined = assets.script("chat.js")
    places = [joined.index(begin) for begin in ("function isComposing", "function el(", "class Notice", "class Chat ")]
    assert places == sorted(places)


def test_all_styles_are_used() -> None:
    stored = sorted(path.stem for path in Path(str(assets._STATIC)).glob("*.css"))
    assert sorted(assets._STYLES) == stored
    assert all(assets._STATIC.joinpath(f"{name}.css").read_text("utf-8") in assets.styles() for name in stored)
