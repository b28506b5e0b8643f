"""The pages for users, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*|\{\w+\})\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (``""``: a cell with magics), and its code."""

    language: str
    code: str

    @property
    def is_settings(self) -> bool:
        """Whether it belongs into `ipython_config.py`."""
        return self.language == "python" and self.code.startswith("c.")

    @property
    def is_cell(self) -> bool:
        """Whether it is to be run in a notebook."""
        return self.language in ("", "python") and not self.is_settings


def name_of(page: Path) -> str:
    """Return a page's place in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, but for the directives of the site."""
    found = _BLOCK.findall(page.read_text("utf-8"))
    return [Block(language, code) for language, code in found if not language.startswith("{")]


def text_of_all_pages() -> str:
    """Return the text of all pages."""
    return "\n".join(page.read_text("utf-8") for page in PAGES)
