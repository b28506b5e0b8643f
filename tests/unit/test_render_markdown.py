"""Every feature of Markdown that a model uses, and text that is cut off or made to be slow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from html import unescape
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from copilot_nb.render.escape import escape, quote, well_formed
from copilot_nb.render.markdown import MAX_CHARS, CodeBlock, block_parser, code_blocks, markdown_to_html

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'


def html(source: str, *, highlight: bool = True) -> str:
    return markdown_to_html(source, highlight=highlight).strip()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("a\nb", "<p>a\nb</p>"),
        ("a  \nb", "<p>a<br>\nb</p>"),
        ("# a\n###### b", "<h1>a</h1>\n<h6>b</h6>"),
        ("a\n===", "<h1>a</h1>"),
        ("**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("- [ ] a\n- b", '<ul>\n<li style="list-style-type:none">☐ a</li>\n<li>b</li>\n</ul>'),
        ("1. [x] a", "<ol>\n<li>☑ a</li>\n</ol>"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("---", "<hr>"),
        ("<b>a</b> &amp; &copy;", "<p>&lt;b&gt;a&lt;/b&gt; &amp; ©</p>"),
        (r"\*a\*", "<p>*a*</p>"),
        ("`<b> $a$`", "<p><code>&lt;b&gt; $a$</code></p>"),
        ("a\x00b", "<p>a\ufffdb</p>"),
        ("\ud83d\ude00 \ud83d", "<p>\U0001f600 \ufffd</p>"),
    ],
)
def test_text(source: str, expected: str) -> None:
    assert html(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[a](https://b.example)", f'<a href="https://b.example" {LINK}>a</a>'),
        ('[a](https://b.example "t")', f'<a href="https://b.example" title="t" {LINK}>a</a>'),
        ("[a](mailto:a@b.example)", f'<a href="mailto:a@b.example" {LINK}>a</a>'),
        ("<https://b.example>", f'<a href="https://b.example" {LINK}>https://b.example</a>'),
        ("[a][r]\n\n[r]: https://b.example", f'<a href="https://b.example" {LINK}>a</a>'),
        ("https://b.example/x_y_z?a=1&b=2", f'<a href="https://b.example/x_y_z?a=1&amp;b=2" {LINK}>'),
        ("(see https://b.example/x).", f'(see <a href="https://b.example/x" {LINK}>https://b.example/x</a>).'),
        ("![a](https://b.example/i.png)", f'<a href="https://b.example/i.png" {LINK}>a</a>'),
        ("![](https://b.example/i.png)", f'<a href="https://b.example/i.png" {LINK}>image</a>'),
        ("[![a](https://i.example)](https://b.example)", f'<p><a href="https://b.example" {LINK}>a</a></p>'),
    ],
)
def test_links(source: str, expected: str) -> None:
    assert expected in html(source)


@pytest.mark.parametrize(
    "source",
    ["[a](notes.md)", "[a](#b)", "[a](//b.example)", "[a](javascript:b)", "![a](data:image/png;base64,AA)", "http://"],
)
def test_a_text_that_is_not_a_link_stays_as_written(source: str) -> None:
    assert html(source) == f"<p>{source}</p>"


@given(st.text("az9-./_~+&=%:@?#A ", max_size=20))
@example("b.example/x_y/~z-1?a=1&b=2")
def test_an_address_is_encoded_as_by_the_library(end: str) -> None:
    assert block_parser().normalizeLink(f"https://{end}") == MarkdownIt().normalizeLink(f"https://{end}")


def test_a_link_to_nowhere_is_text() -> None:
    assert html("[*a*]() ![b]() [![c]()](https://d.example)") == (
        f'<p><em>a</em> b <a href="https://d.example" {LINK}>c</a></p>'
    )


@pytest.mark.parametrize(
    ("source", "addresses"),
    [
        (
            "详见 https://b.example/docs，然后。打开https://b.example/c。谢谢！",
            ["https://b.example/docs", "https://b.example/c"],
        ),
        ("https://b.example/docs了解更多", ["https://b.example/docs"]),
        ("https://zh.b.example/wiki/数学 と", ["https://zh.b.example/wiki/%E6%95%B0%E5%AD%A6"]),
        ("“https://b.example/x”…", ["https://b.example/x"]),
        ("https://b.example/é/ש/я", ["https://b.example/%C3%A9/%D7%A9/%D1%8F"]),
        (
            "https://b.example/Python_(language) (https://b.example/x).",
            ["https://b.example/Python_(language)", "https://b.example/x"],
        ),
        ("(https://b.example/a_(b))", ["https://b.example/a_(b)"]),
        ("ดูhttps://b.example/xแล้ว", ["https://b.example/x"]),
    ],
)
def test_where_a_bare_address_ends(source: str, addresses: list[str]) -> None:
    found = re.findall(r'href="([^"]*)"', html(source))
    assert [unquote(address) for address in found] == [unquote(address) for address in addresses]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("**注意：**请先保存", "<strong>注意：</strong>请先保存"),
        ("这是**“重点”**内容", "这是<strong>“重点”</strong>内容"),
        ("**加粗（括号）**后面", "<strong>加粗（括号）</strong>后面"),
        ("**'텍스트'**를", "<strong>'텍스트'</strong>를"),
        ("~~删除。~~后", "<s>删除。</s>后"),
        ("**ไทย:**ไทย", "<strong>ไทย:</strong>ไทย"),
        ("2 * 3 * 4 和 a_b_c", "2 * 3 * 4 和 a_b_c"),
        ("a**“b”**c", "a**“b”**c"),
    ],
)
def test_markers_may_touch_the_letters_of_a_script_without_blanks(source: str, expected: str) -> None:
    assert html(source) == f"<p>{expected}</p>"


def test_a_break_is_the_only_html() -> None:
    assert html("a<br>b<BR/>c<br />d</br>e") == "<p>a<br>\nb<br>\nc<br>\nd<br>\ne</p>"
    assert html("`<br>` <br onclick=a> <brx>") == "<p><code>&lt;br&gt;</code> &lt;br onclick=a&gt; &lt;brx&gt;</p>"


def test_a_block_of_markdown_holds_blocks_of_code() -> None:
    inside = "# A\n\n```bash\nls\n```\n\n## B\n"
    assert code_blocks(f"a\n\n```markdown\n{inside}```\nb") == (CodeBlock("markdown", inside.removesuffix("\n")),)
    assert html(f"```md\n{inside}```\n\nb", highlight=False).endswith("## B\n</pre>\n<p>b</p>")
    assert len(code_blocks("````md\n```sh\nls\n````\n```py\n```")) == 2
    assert code_blocks("- a\n  ~~~md\n  ~~~py\n  b\n  ~~~\n  ~~~\n") == (CodeBlock("md", "~~~py\nb\n~~~"),)
    assert [block.language for block in code_blocks("```python\n```bash\n```\n")] == ["python"]


def test_bullets_two_blanks_deep_belong_to_the_numbered_item() -> None:
    nested = html("1. a\n   - b\n   - c\n2. d\n   - e")
    assert nested.count("<ul>") == 2
    assert nested.count("<ol") == 1
    assert html("1. a\n  - b\n  - c\n2. d\n  - e") == nested
    assert html("10. a\n  - b\n    - c") == html("10. a\n    - b\n      - c")
    assert html("- a\n  1. b\n    - c\n  2. d") == html("- a\n  1. b\n     - c\n  2. d")
    assert html("1. a\n  - b\n    ```\n      x\n    ```\nc") == html("1. a\n   - b\n     ```\n       x\n     ```\nc")
    for same in ("```\n1. a\n  - b\n```", "1. a\n\n  b\n  - c", "1. a\n- b"):
        assert html(same, highlight=False).count("<ul>") == len(
            re.findall("^ *- ", same.partition("```")[0], re.MULTILINE)[:1]
        )


def test_a_bar_in_a_formula_or_in_code_ends_no_cell() -> None:
    head = "| a | b |\n|---|---|\n"
    row = html(head + r"| Bayes | $P(A|B)$ is $x$ |")
    assert "<span>$P(A|B)$</span> is <span>$x$</span></td>" in row
    assert r"<span>\(|x|\)</span></td>" in html(head + r"| a | \(|x|\) |")
    assert "<code>a | b</code></td>" in html(head + "| x | `a | b` |")
    for source in ("|$5|$6|", "|$HOME|$USER|", "| $5 | $6 |", "|a$|b$|"):
        assert html(head + source).count("<td") == 2
    assert html("\ufdd0") == "<p>\ufffd</p>"


def test_notes_stand_where_they_were_written() -> None:
    source = "a[^1] b[^x]\n\n[^1]: https://b.example\n[^2]: c\nd\n\ne [^y]"
    assert html(source) == (
        f'<p>a<sup>1</sup> b[^x]</p>\n<p><sup>1</sup> <a href="https://b.example" {LINK}>https://b.example</a></p>\n'
        "<p><sup>2</sup> c\nd</p>\n<p>e [^y]</p>"
    )
    assert html("[^a-z]+ and [^1]") == "<p>[^a-z]+ and [^1]</p>"


def test_tables_are_aligned_left_unless_they_say_otherwise() -> None:
    table = html("| a | b | c |\n|---|:-:|--:|\n| 1 | 2 |\n")
    assert '<th style="text-align:start">a</th>\n<th style="text-align:center">b</th>' in table
    assert '<td style="text-align:start">1</td>' in table
    assert '<td style="text-align:right"></td>' in table


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("שלום *world*", '<p dir="rtl" style="text-align:right">שלום <em>world</em></p>'),
        ("1. مرحبا\n   - ב", '<ol dir="rtl" style="padding:0 2em 0 0">'),
        ("**«שלום»** a", '<p dir="rtl" style="text-align:right">'),
        ("| א |\n|---|\n| b |", '<table dir="rtl" style="margin-left:auto;margin-right:0">'),
        ("# ש\n\na", '<h1 dir="rtl">ש</h1>\n<p>a</p>'),
        (
            "> ש",
            '<blockquote dir="rtl" style="border-left:0;border-right:5px solid ',
        ),
        ("a שלום", "<p>a שלום</p>"),
        ("- a\n- ש", "<ul>\n<li>a</li>\n<li>ש</li>\n</ul>"),
    ],
)
def test_blocks_that_are_written_from_right_to_left(source: str, expected: str) -> None:
    assert expected in html(source)


def test_long_lines_of_code_are_broken_between_words() -> None:
    for source in ("```python\nx\n```", "```\nx\n```"):
        assert "word-break:normal" in html(source)


def test_code_is_coloured_where_the_language_is_known() -> None:
    coloured = html("```python\nx = 1 < 2\n```")
    assert coloured.startswith('<div class="highlight"><pre data-language="python" style=')
    assert '<span class="o">&lt;</span>' in coloured
    for source in ("```python\nx = 1 < 2\n```", "```nosuch\nx = 1 < 2\n```", "    x = 1 < 2"):
        assert "x = 1 &lt; 2\n</pre>" in html(source, highlight=False)
    for source in ("```nosuch\nx = 1\n```", "```\nx = 1\n```", "```python\n" + "x = 1\n" * 5000):
        assert "<span" not in html(source)


def test_code_keeps_its_blank_lines() -> None:
    assert html("```text\n\n\n a\n\n```").endswith("<span></span>\n\n a\n\n</pre></div>")


@pytest.mark.parametrize(
    "formula",
    [
        *("$x$", "$a_1 + b_2$", "$-5$", "$$x$$", r"\(a_1 * b_1 * c\)", r"\[ a \]", r"$\$5$", r"$\text{a}\_b$"),
        *("$$\na\n+ b\n$$", "\\[\na\n- b\n\\]", "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}"),
    ],
)
@pytest.mark.parametrize("place", ["{}", "> {}", "- {}"])
def test_formulae_are_handed_on_as_they_are(formula: str, place: str) -> None:
    indent = {"{}": "\n", "> {}": "\n> ", "- {}": "\n  "}[place]
    rendered = html(place.replace("{}", formula.replace("\n", indent)))
    tag = "div" if "\n" in formula or (place == "{}" and formula == "$$x$$") else "span|div"
    assert any(f"<{t}>{quote(formula)}</{t}>" in rendered for t in tag.split("|")), rendered


@pytest.mark.parametrize(
    "source",
    [
        *(
            "costs $5 and $6",
            "$HOME/$USER",
            "a $ b $ c",
            "US$5 or CA$6",
            r"\$x\$",
            "$",
            "$$",
            "$$$$",
            r"\(",
            "$x",
            "x$",
        ),
        *(r"\\(x\\)", "&#36;x&#36;", "$a `b$ c`", "$$\n\na\n$$", "\\begin{a}\nb\n\\end{c}", "$a\n\nb$"),
    ],
)
def test_a_text_that_is_not_a_formula_is_not_typeset(source: str) -> None:
    rendered = html(source)
    for sign in ("$", "\\(", "\\[", "\\begin"):
        assert sign not in rendered.replace("<span>$</span>", "").replace("<code>b$ c</code>", "")


@pytest.mark.parametrize(
    ("source", "formulae"),
    [
        ("设函数$f(x)=x^2$在区间$[0,1]$上连续，则$a>0$。", ["$f(x)=x^2$", "$[0,1]$", "$a>0$"]),
        ("変数$n$は 변수 $n$은", ["$n$", "$n$"]),
        ("$n$th, 3$\\times$4, two $p$s, H$_2$O", ["$n$", "$\\times$", "$p$", "$_2$"]),
        ("$速度=距离/时间$ 需要$100美元和$x$", ["$速度=距离/时间$", "$x$"]),
        ("a $$ x^2 $$ b $$y$$ c", ["$$ x^2 $$", "$$y$$"]),
        ("$$, a splurge is $$$. echo $$ and kill $$ again", []),
        ("$5 (not 15$), 5$-10$, 5$, not 10$, 从$5到$8", []),
        ("$HOME/$USER ${HOME}/${USER} $(a)/$(b) $HOME$USER $x,$y", []),
        ("$5 million ($3 m)$ R$50 a R$60 foo$|bar$", []),
        (r"$5 \times 3$ and $3 x$", [r"$5 \times 3$", "$3 x$"]),
    ],
)
def test_which_dollar_signs_are_mathematics(source: str, formulae: list[str]) -> None:
    assert re.findall(r"<span>(\$.[^<]*)</span>", unescape(html(source))) == formulae


def test_a_formula_that_reaches_out_is_shown_as_source() -> None:
    assert html(r"$\href{https://b.example}{x}$") == r"<p><code>$\href{https://b.example}{x}$</code></p>"


def test_an_answer_cut_off_anywhere_renders() -> None:
    answer = (
        "# A\n\n**b** [c](https://d.example) $e$\n\n| f | g |\n|---|---|\n| `h` | i |\n\n```python\nj = 1\n```\n- [x] k"
    )
    for end in range(len(answer) + 1):
        assert "<script" not in html(answer[:end], highlight=False)
    assert re.fullmatch(r"<p>a</p>\n<pre [^>]*>b = 1</pre>", html("a\n\n```python\nb = 1", highlight=False))
    assert html("a [b](https://c.exam", highlight=False).startswith("<p>a [b](<a href=")
    assert html("| a | b |\n|--", highlight=False) == "<p>| a | b |\n|--</p>"
    assert html("a **b", highlight=False) == "<p>a **b</p>"


def test_code_blocks() -> None:
    source = "a\n```python\nx = 1\n\n```\n- b\n  ```{bash} c\n  ls\n  ```\n~~~\n~~~\n    indented\n\n```r:file.R\nopen"
    assert code_blocks(source) == (
        CodeBlock("python", "x = 1\n"),
        CodeBlock("bash", "ls"),
        CodeBlock("", ""),
        CodeBlock("r", "open"),
    )
    assert code_blocks("no code, only `x`") == ()


def test_escape_leaves_nothing_for_html_or_mathjax() -> None:
    assert escape('<a b="c">&') == '&lt;a b="c"&gt;&amp;'
    assert escape(r"$5 \(x\) \begin{a}") == r"<span>$</span>5 <span>\</span>(x\) <span>\</span>begin{a}"
    assert quote("<\"'$") == "&lt;&quot;&#x27;$"
    assert well_formed("a\ud83d\ude00\udc00") == "a\U0001f600\ufffd"


def test_a_source_that_is_too_large_or_grows_too_much_is_shown_as_it_is() -> None:
    assert html("*" * MAX_CHARS + "<") == f"<pre>{'*' * MAX_CHARS}&lt;</pre>"
    bomb = f"[a]: https://b.example/{'c' * 1900}\n\n" + "[a] " * 5000
    assert html(bomb) == f"<pre>{bomb.strip()} </pre>"


N = 100_000
SLOW = {
    **{
        repr(piece): piece * (N // len(piece))
        for piece in (">", "> ", ">a\n", "[", "![", "[a](", "*", "*a ", "a**b", "_a")
    },
    **{
        repr(piece): piece * (N // len(piece))
        for piece in ("`", "`a``b ", "~~", "- ", "- a\n", "> - ", "|", "&", "<", "\\")
    },
    **{
        repr(piece): piece * (N // len(piece))
        for piece in ("$", "$a ", "$$a\n", "\\(", "\\[\n", "\\begin{a}\n", "http://")
    },
    **{
        repr(piece): piece * (N // len(piece))
        for piece in ("```\n", "a\n=", "# ", "\n", "\t", "[a]: b\n", "*_~~", "\x00")
    },
    **{
        repr(piece): piece * (N // len(piece))
        for piece in (
            "<br",
            "[^1]: a\n",
            "[^1]: a\n[^1]\n\n",
            "```md\n```py\n",
            "函$a",
            "**：",
            "|$a|`b\n",
            "1. a\n  - b\n",
            "https://a.b/)",
        )
    },
    "backticks": "".join("`" * i + " " for i in range(1, 440)),
    "brackets": "[" * (N // 2) + "]" * (N // 2),
    "nested links": "[" * (N // 4) + "](https://a.example)" * (N // 16),
    "nested lists": "".join("  " * i + "- a\n" for i in range(300)),
    "wide table": "|" + "a|" * 12_500 + "\n|" + "-|" * 12_500 + "\n" + "a\n" * 12_500,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_hostile_text_takes_no_more_than_its_share(name: str) -> None:
    began = time.process_time()
    markdown_to_html(SLOW[name])
    assert time.process_time() - began < 10  # about 1 s; a quadratic step would take minutes


def test_importing_the_room_does_not_import_the_lexers() -> None:
    program = "import sys, json, copilot_nb.render.turn; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert not {"pygments", "pygments.lexers", "IPython", "copilot"} & set(modules)


PRELOADED = """
import sys
from copilot_nb.render.markdown import markdown_to_html, preload
preload()
before = set(sys.modules)
html = markdown_to_html(sys.argv[1], maths="mathml")
assert "<mfrac>" in html and 'class="highlight"' in html
print(*sorted(set(sys.modules) - before))
"""


def test_the_first_answer_with_code_and_formulae_imports_nothing_after_the_preload() -> None:
    answer = "$\\frac{a}{b}$ [b](https://c.d)\n\n```python\ndef f(): ...\n```\n\n| a |\n|---|\n| `b` |"
    done = subprocess.run([sys.executable, "-c", PRELOADED, answer], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
