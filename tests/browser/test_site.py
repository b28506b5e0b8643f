"""The documentation site, built from `docs/`: without a warning, with all that the code can do, and readable."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import copilot_nb
from copilot_nb.notebook.arguments import ASK_OPTIONS
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.settings import CopilotNB
from tests.documentation import ROOT

from .accessibility import ALL_RULES, COLOURS, asked_axe
from .chromium import new_context

LOOKED_AT = ("index", "install", "reference/settings")
RULES = {"light": ALL_RULES, "dark": COLOURS}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{folder}/.doctrees"]
    done = subprocess.run([*command, ROOT / "docs", folder], check=False, capture_output=True, text=True, timeout=300)
    assert not done.stderr
    assert done.returncode == 0
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


def test_every_page_is_there_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        page = (site / source.relative_to(ROOT / "docs")).with_suffix(".html").read_text("utf-8")
        assert not re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="https?://', page)


def test_every_picture_of_a_page_is_on_the_site_in_both_themes(site: Path) -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        page = (site / source.relative_to(ROOT / "docs")).with_suffix(".html")
        shown = re.findall(r'<img [^>]*?class="(only-\w+)"[^>]*? src="([^"]+)"', page.read_text("utf-8"))
        meant = re.findall(r'(?:src|srcset)="([^"]+)"', source.read_text("utf-8"))
        assert sorted(Path(file).name for _, file in shown) == sorted(Path(file).name for file in meant)
        assert all(f"{kind.removeprefix('only-')}.png" in file for kind, file in shown)
        assert all((page.parent / file).is_file() for _, file in shown)


def test_the_reference_names_all_that_the_code_can_do(site: Path) -> None:
    cell, line, settings, python = (
        text_of(site / f"reference/{name}.html") for name in ("cell", "line", "settings", "python")
    )
    assert not [flag for option in ASK_OPTIONS for flag in option.flags if flag not in cell]
    assert not [word for word in SUBCOMMANDS if f"%copilot {word}" not in line]
    assert not [name for name in CopilotNB.class_trait_names(config=True) if name not in settings]
    assert not [name for name in copilot_nb.__all__ if name != "__version__" and f"copilot_nb.{name}" not in python]


def test_axe_finds_no_fault_in_either_theme(site: Path, browser: Browser) -> None:
    refused: list[str] = []
    with new_context(browser, refused) as context:
        page = context.new_page()
        for name in LOOKED_AT:
            page.goto((site / f"{name}.html").as_uri())
            for theme, rules in RULES.items():
                page.emulate_media(color_scheme=theme)
                page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
                found = [fault for fault in asked_axe(page, None, rules)[0] if fault["kind"] == "violations"]
                assert not [(fault["rule"], fault["html"][:200]) for fault in found], (name, theme)
    assert not refused
