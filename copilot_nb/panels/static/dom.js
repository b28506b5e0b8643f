// Small elements that all panels use. Outside text enters the page by textContent; the only HTML is the safe HTML made
// by copilot_nb/render. Tools check each file of this folder as a module; assets.py joins the modules that a panel
// needs into one, without their imports and exports: no bundler, and nothing to build.

import { copyAsWritten } from "./copying.js";
import { containKeys } from "./keys.js";

/**
 * Make an element. A property that begins with "on" is a listener; true sets an attribute and false omits it.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/**
 * A button that shows `label`.
 * @param {string | Node} label
 * @param {(event: MouseEvent) => void} onclick
 * @param {Record<string, any>} [props]
 */
export function button(label, onclick, props = {}) {
  return el("button", { type: "button", class: "cnb-button", onclick, ...props }, label);
}

let idsGiven = 0;

/** An id that is unique among the elements and requests of all pages. */
export function newId(prefix = "cnb") {
  idsGiven += 1;
  return `${prefix}-${Math.random().toString(36).slice(2, 8)}-${idsGiven}`;
}

/**
 * The root element of a panel, which keeps its key events.
 * @param {string} name the panel's own class
 * @param {string} label what a screen reader calls it
 * @param {...Node} children
 */
export function panelRoot(name, label, ...children) {
  const root = el("div", { class: `cnb-panel ${name}`, role: "region", "aria-label": label }, ...children);
  containKeys(root);
  copyAsWritten(root);
  return root;
}

/**
 * Call before removing an element or its contents: if it has the focus, move the focus to another. The focus stays
 * where the user has moved it meanwhile.
 * @param {Element} node
 * @param {HTMLElement | null | undefined} to
 */
export function passFocus(node, to) {
  if (node.contains(document.activeElement)) to?.focus({ preventScroll: true });
}

/**
 * Call before removing an element or its contents: if it has the focus, move the focus to the element that is marked as
 * the panel's home (the composer), or to the panel.
 * @param {Element} node
 */
export function saveFocus(node) {
  /** @type {HTMLElement | null} */
  const root = node.closest(".cnb-panel");
  /** @type {HTMLElement | null | undefined} */
  const home = root?.querySelector("[data-home]");
  passFocus(node, home ?? root);
}

/**
 * Hide or show a control; if a hidden control had the focus, the focus moves to the panel's home.
 * @param {HTMLElement} node
 * @param {boolean} isHidden
 */
export function hide(node, isHidden) {
  if (isHidden) saveFocus(node);
  node.hidden = isHidden;
}

/**
 * Keep the scroll position of a box that is hidden or removed from the page and shown again: it has no size meanwhile,
 * and might restart at its top. `resized` is called whenever its size has changed and is not zero.
 * @param {HTMLElement} box
 * @param {AbortSignal} signal
 * @param {() => void} [resized]
 */
export function keepPlace(box, signal, resized = () => {}) {
  let top = 0;
  let isAway = false;
  const note = () => {
    if (box.clientHeight && !isAway) top = box.scrollTop;
  };
  const observer = new ResizeObserver(() => {
    if (isAway && box.clientHeight) box.scrollTop = top;
    isAway = !box.clientHeight;
    if (!isAway) resized();
  });
  box.addEventListener("scroll", note, { signal, passive: true });
  observer.observe(box);
  signal.addEventListener("abort", () => observer.disconnect());
}

/** A live region: a screen reader announces its text when idle. */
export function announcer() {
  const node = el("div", { class: "cnb-sr", role: "status", "aria-live": "polite" });
  /** @param {string} text */
  const say = (text) => {
    node.textContent = text;
  };
  return { node, say };
}

/** @typedef {"error" | "said" | "trouble"} NoticeKind */

/** A line that reports an error or a success; Escape, its button or the next notice removes it. */
export class Notice {
  constructor() {
    this.text = el("span");
    const dismiss = button("×", () => this.clear(), { class: "cnb-button cnb-quiet", "aria-label": "Dismiss" });
    this.node = el("div", { class: "cnb-notice", role: "alert", hidden: true }, this.text, dismiss);
  }

  /**
   * @param {string} message
   * @param {NoticeKind} [kind]
   */
  show(message, kind = "error") {
    this.node.dataset.kind = kind;
    this.text.textContent = message;
    this.node.hidden = false;
  }

  clear() {
    hide(this.node, true);
    this.text.textContent = "";
  }

  /**
   * Run some work, usually a request to the kernel, and show its error.
   * @template Result
   * @param {() => Promise<Result>} work
   * @returns {Promise<Result | null>} null if it failed
   */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      this.show(messageOf(error));
      return null;
    }
  }
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Move the focus among elements by the arrow keys, Home and End.
 * @param {KeyboardEvent} event
 * @param {HTMLElement[]} nodes
 * @param {string} back
 * @param {string} forth
 */
export function moveFocus(event, nodes, back, forth) {
  const at = nodes.findIndex((node) => node === event.target);
  /** @type {Record<string, number>} */
  const moves = { [back]: at - 1, [forth]: at + 1, Home: 0, End: nodes.length - 1 };
  const to = moves[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  nodes[(to + nodes.length) % nodes.length].focus();
}

/**
 * A toolbar: the Tab key stops at it once, and the arrow keys move between its buttons.
 * @param {string} label
 * @param {HTMLButtonElement[]} buttons
 */
export function toolbar(label, buttons) {
  const bar = el("div", { role: "toolbar", class: "cnb-toolbar", "aria-label": label }, ...buttons);
  /** @param {EventTarget | null} stop */
  const setTabStop = (stop) => {
    for (const each of buttons) each.tabIndex = each === stop ? 0 : -1;
  };
  setTabStop(buttons[0]);
  const shown = () => buttons.filter((each) => !each.hidden);
  bar.addEventListener("keydown", (event) => moveFocus(event, shown(), "ArrowLeft", "ArrowRight"));
  bar.addEventListener("focusin", (event) => setTabStop(event.target));
  return bar;
}

/**
 * Copy a text, in the old way if the page may not use the clipboard, and show the result on a button for a moment.
 * @param {string} text
 * @param {HTMLElement} node
 */
export async function copyText(text, node) {
  flash(node, (await isCopied(text)) ? "Copied" : "Cannot copy here");
}

/** @param {string} text */
async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "cnb-sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}

/**
 * Download a text as a file.
 * @param {string} name
 * @param {string} text
 * @param {string} type
 */
export function saveFile(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // by then the browser has read it
}

/** Paths in a square of 16, drawn as lines. */
const ICONS = {
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  pencil: "M3 13l.8-3L11 2.8l2.2 2.2L6 12.2z",
  cell: "M2.5 2.5h11v5h-11zM8 10v4M6 12h4",
};

/** @typedef {keyof typeof ICONS} Icon */

/** @param {Icon} name */
export function icon(name) {
  const node = el("span", { class: "cnb-icon", "aria-hidden": "true" });
  node.innerHTML = `<svg viewBox="0 0 16 16"><path d="${ICONS[name]}"/></svg>`;
  return node;
}

/** @type {WeakMap<Element, Node[]>} the contents of buttons that show a message for a moment */
const flashing = new WeakMap();

/**
 * Show for a moment on a button that its work is done.
 * @param {HTMLElement} node
 * @param {string} word
 */
export function flash(node, word) {
  const before = flashing.get(node) ?? [...node.childNodes];
  const label = node.getAttribute("aria-label");
  if (!flashing.has(node) && label) node.setAttribute("aria-label", word);
  flashing.set(node, before);
  node.textContent = word;
  setTimeout(() => {
    if (!flashing.delete(node)) return;
    node.replaceChildren(...before);
    if (label) node.setAttribute("aria-label", label);
  }, 1500);
}
