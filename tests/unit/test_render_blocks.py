"""An answer rendered while it comes: what is finished stays, and all of it together is what the whole gives."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from copilot_nb.render.blocks import Blocks, BlockStream
from copilot_nb.render.markdown import MAX_CHARS, markdown_to_html
from copilot_nb.render.maths import Maths
from tests.unit.test_render_safety import HOSTILE

ANSWER = """# A plan

First, *this*:
- one
- two

```python
x = "$1"

y = 2
```
Then $e = mc^2$ and

$$
\\int_0^1 x \\, dx
$$

| a | b |
|---|---|
| 1 | 2 |

> done.
"""
PIECES = st.sampled_from(
    [
        *("*_`~$\\[]()<>#|-+=&:\"' \n\tab01\r\0é\u2028\x0b\ud83d\ude00"),
        *("\n\n", "- ", "1. ", "> ", "    ", "  ", "# h\n", "---\n", "===\n", "~~~\n", "```", "```py\n"),
        *("```md\n", "  - ", "   - ", "10. ", "[^1]: a", "[^1]", "<br>", "| $a|b$ |\n", "：", "函"),
        *("$$\n", "\\[", "\\]\n", "\\begin{a}", "\\end{a}\n", "|a|\n", "|-|\n", "|-|-|\n", "[a]: /u", "\r\n"),
    ]
)
LATE_DEFINITION = re.compile(r"\]:.*https?:|\[\^.*\[\^", re.DOTALL)


def fed(source: str, cuts: list[int], maths: Maths = "tex") -> Blocks:
    """Feed `source` cut by cut, and check that nothing that is finished changes."""
    stream, before = BlockStream(maths), Blocks((), "")
    for end in [*sorted(cuts), len(source)]:
        blocks = stream.feed(source[:end])
        assert blocks.finished[: len(before.finished)] == before.finished
        if len(blocks.finished) == len(before.finished):
            assert blocks.tail.startswith(before.tail.rstrip("\n"))
        assert blocks.run == 0
        blocks.tail.encode()
        before = blocks
    assert stream.finish() == markdown_to_html(source, maths=maths)
    return before


def joined(blocks: Blocks, maths: Maths = "tex") -> str:
    return "".join(blocks.finished) + markdown_to_html(blocks.tail, maths=maths)


def test_blocks_are_finished_as_soon_as_the_next_one_has_begun() -> None:
    stream = BlockStream()
    seen = [stream.feed(ANSWER[:end]) for end in range(len(ANSWER) + 1)]
    assert len(seen[-1].finished) == 7
    assert seen[-1].tail == "> done.\n"
    heading = next(blocks for blocks in seen if blocks.finished)
    assert heading == Blocks(("<h1>A plan</h1>\n",), "First, *this*:\n")
    assert joined(seen[-1], "mathml") == markdown_to_html(ANSWER, maths="mathml") == stream.finish()


@pytest.mark.parametrize("step", [1, 2, 7, 50, 1000])
@pytest.mark.parametrize("maths", ["tex", "mathml"])
def test_the_blocks_together_are_the_whole(step: int, maths: Maths) -> None:
    assert joined(fed(ANSWER, list(range(0, len(ANSWER), step)), maths), maths) == markdown_to_html(ANSWER, maths=maths)


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=40).map("".join), st.data())
def test_any_text_cut_anywhere(source: str, data: st.DataObject) -> None:
    assume(not re.search("[\ud800-\udbff]$", source))  # the half of a character that is held back
    cuts = data.draw(st.lists(st.integers(0, len(source)), max_size=30))
    blocks = fed(source, cuts)
    assert LATE_DEFINITION.search(source) or joined(blocks) == markdown_to_html(source)


def test_hostile_text_block_by_block() -> None:
    for source in HOSTILE:
        blocks = fed(source, list(range(0, len(source), 3)))
        if not LATE_DEFINITION.search(source):
            assert joined(blocks) == markdown_to_html(source)


@pytest.mark.parametrize(
    ("source", "finished"),
    [
        ("a\n#", 0),
        ("a\n#b\n", 0),
        ("a\n# b\n", 1),
        ("a\n===", 0),
        ("a\n\nb\n", 1),
        ("- a\n\n- b\n", 0),
        ("| a |\n| b |\n", 0),
        ("```\na\n\nb\n", 0),
        ("$$\na\n# b\n", 0),
        ("$$\na\n# b\n\nc\n", 1),
        ("[a]: https://b.example\n't\n", 0),
        ("[a]: https://b.example\n\nc\n", 0),
        ("\n\n\n", 0),
    ],
)
def test_what_more_text_could_change_is_not_finished(source: str, finished: int) -> None:
    assert len(BlockStream().feed(source).finished) == finished


def test_an_address_holds_for_the_blocks_after_it() -> None:
    early = BlockStream().feed("[a]: https://b.example\n\n[a]\n\nc\n").finished
    assert early == (markdown_to_html("[a]: https://b.example\n\n[a]"),)
    assert "href" in early[0]
    late = BlockStream().feed("[a]\n\nc\n\n[a]: https://b.example\n").finished
    assert late == ("<p>[a]</p>\n",)


def test_a_text_that_starts_over() -> None:
    stream = BlockStream()
    first = stream.feed("# a\n\nb\n")
    again = stream.feed("# c")
    assert (first.run, again) == (0, Blocks((), "# c", 1))
    assert stream.feed("# c\n\nd\n") == Blocks(("<h1>c</h1>\n",), "d\n", 1)
    assert stream.finish() == "<h1>c</h1>\n<p>d</p>\n"
    assert BlockStream().feed("") == Blocks((), "")
    assert BlockStream().finish() == ""


def test_half_a_character_waits_for_its_other_half() -> None:
    stream = BlockStream()
    assert stream.feed("a \ud83d").tail == "a "
    assert stream.feed("a \ud83d\ude00").tail == "a \U0001f600"


def test_what_is_too_large_stays_as_it_was_written() -> None:
    stream, large = BlockStream(), "a\n\n" * (MAX_CHARS // 3 + 1)
    before = stream.feed(large[:3000]).finished
    after = stream.feed(large)
    assert after.finished == before
    assert stream.finish().startswith("<pre>a\n")
    bomb = f"[a]: https://b.example/{'c' * 1900}\n\n" + "[a]\n\n" * 2000
    assert sum(map(len, BlockStream().feed(bomb).finished)) < 1_500_000


@pytest.mark.parametrize(
    "line",
    ["- a\n", "- a\n\n", "a\n", "a\n\n", "# a\n", "> a\n", "|a|\n", "$$\n", "```\n", "    a\n", "[a]: b\n", "a", "\r"],
)
def test_feeding_is_linear(line: str) -> None:
    source = line * (12_000 // len(line))
    began = time.process_time()
    stream = BlockStream()
    for end in itertools.chain(range(0, len(source), 40), [len(source)]):
        stream.feed(source[:end])
    assert time.process_time() - began < 4  # at most 1 s; parsing the whole at each of 300 steps takes 6 to 18 s
