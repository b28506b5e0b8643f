// Copying from a panel: formulas are copied as TeX, and controls of the page are left out.

const CONTROLS = ".cnb-code-bar, .cnb-foot, .cnb-tools, .cnb-sr, button";

/**
 * Copy the selection as readable text: a browser would copy each symbol of MathML on a separate line.
 * @param {HTMLElement} root
 */
export function copyAsWritten(root) {
  root.addEventListener("copy", (event) => {
    const isInField = /** @type {Element} */ (event.target).closest?.("input, textarea");
    const selection = document.getSelection();
    if (isInField || !selection?.rangeCount || selection.isCollapsed || !event.clipboardData) return;
    const selected = wholeFormulas(selection.getRangeAt(0).cloneRange()).cloneContents();
    if (!selected.querySelector(`math, ${CONTROLS}`)) return;
    for (const node of selected.querySelectorAll(CONTROLS)) node.remove();
    const box = document.createElement("div");
    box.className = "cnb-copied copilot-nb jp-RenderedHTMLCommon";
    box.append(selected);
    event.clipboardData.setData("text/html", box.innerHTML);
    for (const math of box.querySelectorAll("math")) {
      const tex = document.createElement("span");
      tex.style.whiteSpace = "pre";
      tex.textContent = math.getAttribute("data-tex");
      math.replaceWith(tex);
    }
    root.append(box);
    // biome-ignore lint/performance/useDomNodeTextContent: a text has its line ends only where it is laid out
    event.clipboardData.setData("text/plain", box.innerText.trim());
    box.remove();
    event.preventDefault();
  });
}

/**
 * Extend a range to include the whole formulas at its ends.
 * @param {Range} range
 */
function wholeFormulas(range) {
  const first = formulaOf(range.startContainer);
  const last = formulaOf(range.endContainer);
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  return range;
}

/** @param {Node} node */
function formulaOf(node) {
  return (node instanceof Element ? node : node.parentElement)?.closest("math");
}
