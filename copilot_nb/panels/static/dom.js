// Small elements that all panels are made of. Text from outside goes into the page by textContent; the only HTML is
// what copilot_nb/render made, which is safe. Each file of this folder is a module to the tools that check it; base.py
// joins those that a panel needs into one, without their imports and exports: no bundler, and nothing to build.

import { copyAsWritten } from "./copying.js";
import { containKeys } from "./keys.js";

/**
 * Make an element. A property that begins with "on" is a listener; true and false set and leave out an attribute.
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

/** An id that no other element or request of any page has. */
export function newId(prefix = "cnb") {
  idsGiven += 1;
  return `${prefix}-${Math.random().toString(36).slice(2, 8)}-${idsGiven}`;
}

/**
 * The element of a panel; its keys stay in it.
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
 * Before an element goes, or what is in it: if it has the focus, give that to the element of the panel that is marked
 * as its home (where one writes), or to the panel.
 * @param {Element} node
 */
export function saveFocus(node) {
  if (!node.contains(document.activeElement)) return;
  /** @type {HTMLElement | null} */
  const root = node.closest(".cnb-panel");
  /** @type {HTMLElement | null | undefined} */
  const home = root?.querySelector("[data-home]");
  (home ?? root)?.focus({ preventScroll: true });
}

/**
 * Hide or show a control; one that had the focus does not take it along.
 * @param {HTMLElement} node
 * @param {boolean} isHidden
 */
export function hide(node, isHidden) {
  if (isHidden) saveFocus(node);
  node.hidden = isHidden;
}

/**
 * Let a box that scrolls stay where it was when it is hidden or taken from the page, and shown again: it has no size
 * meanwhile, and may begin at its top. `resized` is called whenever its size has changed and is not nothing.
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

/** A region whose text a screen reader reads out when it has nothing else to say. */
export function announcer() {
  const node = el("div", { class: "cnb-sr", role: "status", "aria-live": "polite" });
  /** @param {string} text */
  const say = (text) => {
    node.textContent = text;
  };
  return { node, say };
}

/** @typedef {"error" | "said" | "trouble"} NoticeKind */

/** A line that tells of something that went wrong, or was done; Escape, its button or the next one takes it away. */
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
   * Do some work, mostly asking the kernel for something, and show what goes wrong.
   * @template Result
   * @param {() => Promise<Result>} work
   * @returns {Promise<Result | null>} null where it failed
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
 * Move the focus among elements by arrow keys, Home and End.
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
 * A row of buttons that is one stop of the Tab key; the arrow keys go along it.
 * @param {string} label
 * @param {HTMLButtonElement[]} buttons
 */
export function toolbar(label, buttons) {
  const bar = el("div", { role: "toolbar", class: "cnb-toolbar", "aria-label": label }, ...buttons);
  /** @param {EventTarget | null} stop */
  const rove = (stop) => {
    for (const each of buttons) each.tabIndex = each === stop ? 0 : -1;
  };
  rove(buttons[0]);
  const shown = () => buttons.filter((each) => !each.hidden);
  bar.addEventListener("keydown", (event) => moveFocus(event, shown(), "ArrowLeft", "ArrowRight"));
  bar.addEventListener("focusin", (event) => rove(event.target));
  return bar;
}

/**
 * Copy a text, where a page may not use the clipboard in the old way, and let a button say for a moment whether it was.
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
 * Have the browser save a text as a file.
 * @param {string} name
 * @param {string} text
 * @param {string} type
 */
export function saveFile(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // by then the browser has read it
}

/** Each a path in a square of 16, drawn as a line. */
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

/** @type {WeakMap<Element, Node[]>} what buttons show that say something else for the moment */
const flashing = new WeakMap();

/**
 * Let a button say for a moment that it has done its work.
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
