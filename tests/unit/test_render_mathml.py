"""Formulae as MathML: what a model writes is drawn, what is not understood stays source, and nothing gets out."""

from __future__ import annotations

import random
import re
import time
from html import unescape
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.render.mathml import mathml
from tests.unit.test_render_safety import ANSWER_TAGS, HOSTILE, MATHS_PAYLOADS, SCRIPTS, Checker

TAGS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom"),
    *("msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none"),
    *("mtable", "mtr", "mtd"),
}
VALUE = re.compile(
    r"true|false|block|inline|normal|prefix|infix|postfix|text-align:\s*(left|right|center)|[+-]?\d|"
    r"-?\d?(\.\d+)?(em|ex)|0px"
)


class MathsChecker(Checker):
    """Knows the elements of MathML too."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            super().handle_starttag(tag, attrs)
            return
        assert "math" in self.open or tag == "math"
        for name, value in attrs:
            assert name not in {"href", "class", "id", "src", "xmlns"}
            assert VALUE.fullmatch(value or "") or name == "data-tex", (name, value)
        self.open.append(tag)
        self.runs.append("")


def check(html: str) -> None:
    checker = MathsChecker(ANSWER_TAGS)
    checker.feed(html)
    checker.close()
    assert not checker.open
    html.encode()


def text_of(html: str) -> str:
    return re.sub(r'<(?:[^>"]|"[^"]*")*>|\s', "", html)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"x^2 + \alpha_1", "x2+α1"),
        (r"\frac{a}{b}", "ab"),
        (r"\sum_{i=0}^n i", "∑i=0ni"),
        (r"x \le 3 \implies y \in \mathbb{R}", "x≤3⟹y∈ℝ"),
        (r"\mathcal{L}(\theta) = \mathbf{v} \cdot \bm{x}", "ℒ(θ)=𝐯·𝒙"),
        (r"\text{if } x < 0", "if&nbsp;x&lt;0"),
        (r"\left( \frac12 \right)", "(12)"),
        (r"\begin{pmatrix}1 & 2\\3 & 4\end{pmatrix}", "(1234)"),
        (r"\begin{cases}1 & x>0\\0 & \text{else}\end{cases}", "{1x&gt;00else"),
        (r"\operatorname{argmin}_x f'(x)", "argminxf′(x)"),
        (r"\hat y \approx \sqrt[3]{z}", "y^≈z3"),
        (r"\label{a} x \nonumber", "x"),
        (r"\boxed{x}", "x"),
        (r"\text{a\_b, 50\% \& c}", "a_b,&nbsp;50%&nbsp;&amp;&nbsp;c"),
        (r"\texttt{a\_b}", "a_b"),
        (r"E = f \tag{1}", "E=f(1)"),
        (r"E \tag*{A.1}", "EA.1"),
        (r"\begin{aligned}a &= b \\[4pt] &= c \\*[-.5em] d\end{aligned}", "a=b=cd"),
        (r"\underbrace{a+b}_{n} \xrightarrow{f} c", "a+b⏟n→fc"),
    ],
)
def test_formulae_are_drawn(tex: str, text: str) -> None:
    html = markdown_to_html(f"${tex}$", maths="mathml")
    assert f'<math data-tex="${tex}$" display="inline">' in unescape(html)
    assert text_of(html) == text
    check(html)


@pytest.mark.parametrize("name", ["align", "align*", "aligned", "split", "gather", "gathered", "eqnarray"])
def test_lines_of_a_formula_are_rows_without_numbers(name: str) -> None:
    html = mathml(f"\\begin{{{name}}}\na &= b \\\\\nc &= d\n\\end{{{name}}}", display=True)
    assert html.count("<mtr>") == 2
    assert text_of(html) == "a=bc=d"


@pytest.mark.parametrize(("script", "tag"), [("^{-1}", "msup"), ("_n", "msub"), ("_n^2", "msubsup")])
def test_what_a_script_belongs_to_is_one_piece(script: str, tag: str) -> None:
    html = mathml(rf"\begin{{pmatrix}}1 & 2\end{{pmatrix}}{script}", display=False)
    (scripted,) = ET.fromstring(html).iter(tag)
    assert [len(scripted), scripted[0].tag] == [1 + len(re.findall(r"[_^]", script)), "mrow"]
    assert text_of(html).startswith("(12)")


def test_a_formula_in_lines_of_its_own_is_displayed() -> None:
    for source in ("$$x$$", "$$\nx\n$$", r"\[x\]", "\\begin{equation}\nx\n\\end{equation}", "a $$x$$"):
        assert ' display="block"><mrow>' in markdown_to_html(source, maths="mathml")
    assert ' display="inline"><mrow>' in markdown_to_html(r"\(x\)", maths="mathml")


@pytest.mark.parametrize(
    "formula",
    [
        *(r"$\nosuch{x}$", r"$\frac{$", r"$x^$", r"$\left( x$", r"$a & b$", r"$\begin{a}x\end{a}$", r"$x_1_2$"),
        *(r"$\href{https://a.example}{x}$", r"$\color{}$", r"$\ce{H2O}$", f"${'{' * 300}x{'}' * 300}$"),
    ],
)
def test_tex_that_is_not_understood_stays_as_written(formula: str) -> None:
    assert markdown_to_html(formula, maths="mathml") == f"<p><code>{formula}</code></p>\n".replace("&", "&amp;")


def test_lengths_are_bounded() -> None:
    html = mathml(r"\hspace{99em}x\rule{50em}{50em}\hspace{0.5em}", display=False)
    assert re.findall(r'(?:width|height)="([^"]*)"', html) == ["0.5em"]


def test_hostile_markdown_becomes_harmless() -> None:
    for source in HOSTILE:
        check(markdown_to_html(source, maths="mathml"))


@pytest.mark.parametrize(
    "place", ["$\\text{{{}}}$", "$\\mbox{{{}}}$", "$\\operatorname{{{}}}$", "$x {} y$", "$\\verb|{}|$"]
)
def test_hostile_formulae_are_harmless(place: str) -> None:
    for source in [*SCRIPTS, *MATHS_PAYLOADS, r"\unicode{x3c}script\unicode{x3e}", "&#60;img src=x&#62;", "&lt;b&gt;"]:
        check(markdown_to_html(place.format(source), maths="mathml"))


TEX = [
    *(
        "{",
        "}",
        "^",
        "_",
        "&",
        "\\\\",
        "'",
        "%",
        "[",
        "]",
        ".",
        "$",
        "x",
        "12",
        "<b>",
        "&lt;",
        '"',
        "\0",
        "é",
        "\ud83d",
    ),
    *(
        "\\frac",
        "\\left(",
        "\\right)",
        "\\middle|",
        "\\sqrt",
        "\\over",
        "\\limits",
        "\\sum",
        "\\not",
        "\\hline",
        "\\verb|",
    ),
    *(
        "\\begin{align}",
        "\\end{align}",
        "\\begin{array}",
        "{cc}",
        "\\substack",
        "\\mathbf",
        "\\color{red}",
        "\\genfrac",
    ),
    *(
        "\\text{a}",
        "\\hbox{",
        "\\unicode",
        "\\href{a}",
        "\\class{a}",
        "\\style{a}",
        "\\rule{1em}{1em}",
        "\\hspace{1em}",
    ),
    *("\\sideset", "\\skew", "\\mathchoice", "\\prescript", "\\raise", "\\above", "\\tag", "\\operatorname{a}"),
]


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(TEX), max_size=40).map("".join), st.booleans())
def test_any_tex_is_harmless(tex: str, display: bool) -> None:
    check(mathml(tex, display=display))


def test_long_formulae_take_no_more_than_their_share() -> None:
    rng = random.Random(1)
    began = time.process_time()
    for piece in TEX:
        mathml(piece * (4000 // len(piece)), display=False)
    for _ in range(50):
        mathml("".join(rng.choices(TEX, k=400)), display=True)
    assert mathml("x" * 5000, display=False) == ""
    assert time.process_time() - began < 10  # about 1 s
