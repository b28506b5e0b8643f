"""The rules that are tried or left out for speed: what is found is what all of the library's rules find."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.answers import answer
from copilot_nb.render import dialect, markdown

PIECES = [
    *(
        "a",
        "b",
        " ",
        " ",
        "\n",
        "\n",
        "\n\n",
        "  ",
        "    ",
        "\t",
        "  \n",
        "请",
        "：",
        "א",
        "é",
        "\u00a0",
        "\u2028",
        "\r\n",
    ),
    *(
        "1. ",
        "2) ",
        "- ",
        "* ",
        "+ ",
        "> ",
        "# ",
        "## ",
        "---\n",
        "===\n",
        "|",
        "|-|-|\n",
        "[^1]: ",
        "[a]: https://a.b\n",
    ),
    *(
        "*",
        "**",
        "_",
        "__",
        "~",
        "~~",
        "`",
        "``",
        "```\n",
        "```md\n",
        "~~~\n",
        "[",
        "]",
        "(",
        ")",
        "[^1]",
        "[a]",
        "!",
        "![",
    ),
    *(
        "[a](https://a.b)",
        "<",
        ">",
        "<br>",
        "<https://a.b>",
        "https://a.b/c",
        "&amp;",
        "&",
        ":",
        "=",
        "{",
        "}",
        "@",
        "%",
    ),
    *("$", "$$", "$x$", "$$\n", "$5", "5", "\\", "\\(", "\\)", "\\[", "\\]", "\\begin{align}", "\\end{align}"),
]


class AllRules(dialect.InlineParser):
    """Parses each paragraph by all rules, those that pair markers, too."""

    def parse(self, src: str, md: MarkdownIt, env: object, tokens: list[Token]) -> list[Token]:
        state = dialect._State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


@pytest.fixture(scope="module")
def plain() -> MarkdownIt:
    """Return the parser with the library's own way through its rules."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(markdown, "try_by_sign", lambda _parser: None)
        patched.setattr(markdown, "InlineParser", AllRules)
        return markdown._parser.__wrapped__(False, "tex")


def tokens(parser: MarkdownIt, source: str) -> list[object]:
    return [token.as_dict() for token in parser.parse(source, {})]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_is_found_in_any_text(plain: MarkdownIt, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(250):
        source = "".join(chance.choices(PIECES, k=chance.randint(1, 40)))
        assert tokens(markdown._parser(False, "tex"), source) == tokens(plain, source), source


def test_the_same_is_found_in_an_answer(plain: MarkdownIt) -> None:
    assert tokens(markdown._parser(False, "tex"), answer(5_000)) == tokens(plain, answer(5_000))
