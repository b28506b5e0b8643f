"""What the README and the pages in `docs/` say, compared with the code. Their examples run in `tests/kernel`."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from traitlets.config import Config

import copilot_nb
from copilot_nb import cli
from copilot_nb.notebook.arguments import ASK_OPTIONS, parse_cell
from copilot_nb.notebook.subcommands import SUBCOMMANDS
from copilot_nb.settings import CopilotNB
from docs import tables
from tests.documentation import PAGES, ROOT, blocks_of, name_of, text_of_all_pages
from tests.unit.test_structure import MODULES, imports_of

DOCUMENTS = [
    *PAGES,
    *sorted((ROOT / "docs").glob("*/*.md")),
    *sorted(ROOT.glob("*.md")),
    ROOT / "notebooks" / "README.md",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAX_README_LINES = 150
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(words: list[str], text: str) -> list[str]:
    return sorted(word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


def test_the_index_names_every_page() -> None:
    assert not missing([f.name for f in (ROOT / "docs").glob("*.md") if f.name != "index.md"], page("index"))


@pytest.mark.parametrize("document", dict.fromkeys(DOCUMENTS), ids=name_of)
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in ("".join(each) for each in links):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = (document.parent / target).resolve() if target else document
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_every_picture_is_shown_and_taken_by_the_script() -> None:
    script = (ROOT / "docs" / "screenshots.py").read_text("utf-8")
    taken = {
        f"{name}-{theme}.png" for name in re.findall(r'"(\w+/images/[\w-]+)"', script) for theme in ("light", "dark")
    }
    there = [path for folder in ("notebooks", "docs") for path in (ROOT / folder / "images").iterdir()]
    assert taken == {path.relative_to(ROOT).as_posix() for path in there}
    assert not missing([path.name for path in there], text_of_all_pages())


@each_page
def test_every_block_of_a_page_is_checked(page: Path) -> None:
    for block in blocks_of(page):
        assert block.language in ("", "python", "sh"), block.code
        assert block.language or block.code.startswith("%"), block.code


@each_page
def test_the_settings_of_a_page_can_be_made(page: Path) -> None:
    for block in blocks_of(page):
        if block.is_settings:
            c = Config()
            exec(block.code, {"c": c})
            assert set(c.CopilotNB) <= set(CopilotNB.class_trait_names(config=True))
            CopilotNB(config=c)


@each_page
def test_the_command_lines_of_a_page_can_be_typed(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for line in (line for block in blocks_of(page) if block.language == "sh" for line in block.code.splitlines()):
        words = shlex.split(line.removeprefix("COPILOT_NB_CACHE=/opt/copilot-nb/copilot "), comments=True)
        match [words[0].removeprefix("/opt/copilot-nb/bin/"), *words[1:]]:
            case ["copilot-nb", *words]:
                cli._parser().parse_args(words)
            case ["make", target, *_]:
                assert target in targets
            case ["python3", "-m", "venv", "/opt/copilot-nb"] | ["npm", "install", "-g", "configurable-http-proxy"]:
                pass
            case ["pip", "install", "jupyterhub", "jupyterlab", "."]:
                pass
            case ["pip", "install", ".", *_] | ["pip", "install", "--no-deps", "."] | ["pip", "install", "voila"]:
                pass
            case ["jupyter", "labextension", "disable", name]:
                scripts = (ROOT / "labextension" / "scripts").glob("*.js")
                assert name == "copilot-nb" or any(f'id: "{name}"' in script.read_text("utf-8") for script in scripts)
            case ["voila", notebook, *_]:
                assert (ROOT / notebook).exists()
            case words:
                pytest.fail(f"nothing checks the command {words}")


@each_page
def test_the_extras_of_a_page_are_the_package_s(page: Path) -> None:
    extras = re.findall(r'pip install "?(?:copilot-nb|\.)\[([\w,]+)\]', page.read_text("utf-8"))
    assert set(",".join(extras).split(",")) - {""} <= set(PROJECT["optional-dependencies"])


@each_page
def test_the_lines_within_the_text_of_a_page_can_be_read(page: Path) -> None:
    for code in re.findall(r"`(%%?copilot [^`[]+)`", page.read_text("utf-8")):
        word, _, rest = code.partition(" ")[2].partition(" ")
        if code.startswith("%%") and word != "compare":
            parse_cell(f"{word} {rest}")
        elif not rest:
            assert word.rstrip("?") in SUBCOMMANDS
        else:
            assert getattr(SUBCOMMANDS[word].parse(rest), "prompt", "") in ("", "PROMPT", "REASON", "TEXT")


def test_every_option_is_explained() -> None:
    own = [flag for command in SUBCOMMANDS.values() for flag in command.parser()._option_string_actions]
    assert not missing([*own, *(flag for option in ASK_OPTIONS for flag in option.flags)], text_of_all_pages())


@pytest.mark.parametrize("path", tables.PAGES, ids=name_of)
def test_the_tables_of_a_page_say_what_the_help_says(path: Path) -> None:
    page = path.read_text("utf-8")
    assert tables.written(page) == page, "run: python -m docs.tables"


def test_each_table_is_in_a_page_and_each_of_its_links_is_of_a_row() -> None:
    pages = "".join(path.read_text("utf-8") for path in tables.PAGES)
    for name, links in tables.LINKS.items():
        assert pages.count(f"<!-- table of {name}, ") == 1
        table = tables.written(f"<!-- table of {name}, by python -m docs.tables -->\n<!-- end -->")
        assert not [target for target in links.values() if f"]({target}) |" not in table]


def test_every_public_name_is_explained() -> None:
    assert not missing(list(copilot_nb.__all__), page("python") + page("voila"))


def test_every_variable_of_ours_is_explained() -> None:
    source = "".join(file.read_text("utf-8") for file in (ROOT / "copilot_nb").rglob("*.py"))
    assert not missing(list(set(re.findall(r"COPILOT_NB_[A-Z_]+", source))), page("settings"))


def test_the_map_of_the_code_names_every_folder_and_library() -> None:
    places = {f"{module.folder}/" if "/" in module.place else module.place for module in MODULES}
    found = {found.library for module in MODULES for found in imports_of(module)}
    libraries = found - sys.stdlib_module_names - {"copilot_nb"}
    assert not missing([*places, *libraries], (ROOT / "CONTRIBUTING.md").read_text("utf-8"))


def test_every_decision_is_in_the_index_and_has_its_three_parts() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    for file in sorted(folder.glob("[0-9]*.md")):
        title = re.fullmatch(r"# (\d+)\. (.+)", file.read_text("utf-8").splitlines()[0])
        assert title, file
        assert f"| [{title[1]}]({file.name}) | {title[2]} |" in index
        assert re.findall(r"^## (\w+)$", file.read_text("utf-8"), re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]


def test_every_decision_is_named_where_the_code_follows_it() -> None:
    folders = [ROOT / "copilot_nb", ROOT / "labextension"]
    sources = [path for folder in folders for kind in ("*.py", "*.js") for path in folder.rglob(kind)]
    named = {name for path in sources for name in re.findall(r"docs/decisions/([\w.-]+\.md)", path.read_text("utf-8"))}
    assert named == {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}


@pytest.mark.parametrize("document", dict.fromkeys(DOCUMENTS), ids=name_of)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    named = set(re.findall(r"`([\w./-]+/[\w./-]+\.(?:py|js|css|txt))`", document.read_text("utf-8")))
    assert not [name for name in named if not (ROOT / name).exists() and not (ROOT / "copilot_nb" / name).exists()]
