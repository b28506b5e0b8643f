"""What makes a panel hard to use: faults that axe finds, text that is too faint, and what is cut off or covered.

axe looks at a panel only, not at the page around it. Where it cannot decide by itself (``incomplete``), that is a fault
as well; but the contrast of a text that is short, or covered, it never decides, so that of every text is computed here
too. Themes differ in their colours only, so the other rules are tried in the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ALL_RULES = {"type": "tag", "values": TAGS}
COLOURS = {"type": "rule", "values": ["color-contrast"]}

# what axe says of each node, of which its whole report is made only in the page; how many texts it has compared
AXE = """async ([root, runOnly]) => {
    const resultTypes = ['violations', 'incomplete', 'passes'];
    const said = await axe.run(root ?? document, { runOnly, resultTypes });
    const why = ({ any, all, none }) => [...any, ...all, ...none].map((check) => check.message).join('; ');
    const told = (kind) => said[kind].flatMap(({ id, nodes }) =>
        nodes.map((node) => ({ kind, rule: id, html: node.html, why: why(node) })));
    const compared = said.passes.filter(({ id }) => id === 'color-contrast').flatMap(({ nodes }) => nodes);
    return [[...told('violations'), ...told('incomplete')], compared.length];
}"""

MISFITS = """root => {
    const found = [], around = root.getBoundingClientRect();
    const boxes = '.cnb-scroll, .cnb-list, .cnb-column-box, .cnb-notice, .cnb-popup, .cnb-offers';
    const popups = '.cnb-popup, .cnb-offers';
    const controls = 'button, input, select, textarea, summary, [role=option], .cnb-status, .cnb-hint';
    const say = (node, what) => found.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
    const hasBox = (node) => node.checkVisibility({ checkVisibilityCSS: true }) && !node.closest('.cnb-sr, [inert]');
    if (root.scrollWidth > root.clientWidth) say(root, 'scrolls sideways');
    for (const node of root.querySelectorAll(boxes)) {
        if (hasBox(node) && node.scrollWidth > node.clientWidth) say(node, 'scrolls sideways');
    }
    for (const node of root.querySelectorAll(controls)) {
        if (!hasBox(node) || !node.offsetWidth) continue;
        node.scrollIntoView({ block: 'center' });
        const { left, right, top, bottom } = node.getBoundingClientRect();
        if (left < around.left - 1 || right > around.right + 1) say(node, 'outside');
        if (node.tagName === 'BUTTON' && node.scrollWidth > node.clientWidth + 1) say(node, 'cut off');
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        const isMeant = hit?.closest(popups) && !node.closest(popups);
        const isSeen = !hit || node.contains(hit) || hit.contains(node);
        if (!isMeant && !isSeen) say(node, `covered by ${hit.outerHTML.slice(0, 60)}`);
    }
    return found;
}"""

FAINT = """root => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    const laid = (colours) => {
        for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    };
    const luminance = (colour) => colour.map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const found = [];
    for (const node of root.querySelectorAll('*')) {
        const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        const isSeen = node.checkVisibility({ checkVisibilityCSS: true }) && !node.matches(':disabled, .cnb-sr');
        if (!isText || !isSeen) continue;
        const around = [];
        for (let each = node; each; each = each.parentElement) around.unshift(getComputedStyle(each));
        const opacity = around.reduce((product, style) => product * style.opacity, 1);
        if (!opacity) continue; // shown by the mouse or the focus: the same colours as those of the last turn
        const back = ['white', ...around.map((style) => style.backgroundColor)];
        const ink = laid([...back, around.at(-1).color]), paper = laid(back);
        const seen = ink.map((part, i) => part * opacity + paper[i] * (1 - opacity));
        const [dark, light] = [luminance(seen), luminance(paper)].sort((a, b) => a - b);
        const contrast = (light + 0.05) / (dark + 0.05);
        if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${node.outerHTML.slice(0, 120)}`);
    }
    return found;
}"""


def faults(page: Page, root: str, themes: Mapping[str, Callable[[], None]], state: str) -> list[str]:
    """Return what axe finds in a panel: by all rules in the first theme, by the colours' in the others.

    Parameters
    ----------
    page : Page
        What shows the panel.
    root : str
        A selector of the panel.
    themes : mapping to callable
        How each theme is put on; the first is put on again at the end.
    state : str
        What the panel shows, for the report.
    """
    found = []
    first, *_ = themes
    for theme, put_on in themes.items():
        put_on()
        said, compared = asked_axe(page, root, ALL_RULES if theme == first else COLOURS)
        assert compared > 4
        found += [f"{theme}, {state}: faint {each}" for each in page.locator(root).first.evaluate(FAINT)]
        for fault in said:
            if (fault["kind"], fault["rule"]) == ("incomplete", "color-contrast"):
                continue
            if fault["rule"] == "scrollable-region-focusable" and 'role="listbox"' in fault["html"]:
                continue  # the arrow keys of the text field go through it (aria-activedescendant)
            found.append(f"{theme}, {state}: {fault['kind']} {fault['rule']}: {fault['html'][:120]}: {fault['why']}")
    themes[first]()
    return found


def asked_axe(page: Page, root: str | None, rules: Mapping[str, object]) -> tuple[list[dict[str, str]], int]:
    """Return the faults that axe finds, in a part of the page or all of it, and how many texts' contrast is right.

    The script is half a megabyte, and slow when it runs for the first time: it stays in the page.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    said, compared = page.evaluate(AXE, [root, rules])
    return said, compared


def misfits(shown: Locator) -> list[str]:
    """Return what of a panel is cut off, covered or outside of it."""
    found: list[str] = shown.evaluate(MISFITS)
    return found
