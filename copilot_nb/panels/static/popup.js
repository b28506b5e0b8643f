// Popups below a button: a menu, or a one-line form.

import { button, el, moveFocus, newId } from "./dom.js";
import { onEnter } from "./keys.js";

/**
 * Show a popup below a button until Escape, a click elsewhere, or a call of the returned function. The focus moves into
 * the popup and back.
 * @param {HTMLElement} anchor
 * @param {HTMLElement} content
 * @param {AbortSignal} signal of the view
 */
export function popup(anchor, content, signal) {
  const root = /** @type {HTMLElement} */ (anchor.closest(".cnb-panel"));
  const before = document.activeElement;
  const back = before instanceof HTMLElement && root.contains(before) ? before : anchor;
  const over = new AbortController();
  const options = { signal: AbortSignal.any([signal, over.signal]), capture: true };
  const close = (refocus = true) => {
    if (over.signal.aborted) return;
    over.abort();
    content.remove();
    anchor.setAttribute("aria-expanded", "false");
    if (refocus) back.focus();
  };
  content.classList.add("cnb-popup");
  root.append(content);
  const from = anchor.getBoundingClientRect();
  const within = root.getBoundingClientRect();
  content.style.top = `${from.bottom - within.top + 2}px`;
  const left = Math.min(from.left - within.left, within.width - content.offsetWidth - 8);
  content.style.left = `${Math.max(4, left)}px`;
  anchor.setAttribute("aria-expanded", "true");
  /** @param {EventTarget | null} target */
  const isInside = (target) => target instanceof Node && (content.contains(target) || anchor.contains(target));
  document.addEventListener("pointerdown", (event) => isInside(event.target) || close(false), options);
  const escaped = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
  root.addEventListener("keydown", escaped, options);
  const first = /** @type {HTMLElement | null} */ (content.querySelector("input, [role=menuitem], button"));
  (first ?? content).focus();
  return close;
}

/** @typedef {{label: string, run: () => void, danger?: boolean} | null} MenuItem null is a separator */

/**
 * Open a menu below a button.
 * @param {HTMLElement} anchor
 * @param {MenuItem[]} items
 * @param {AbortSignal} signal
 */
export function menu(anchor, items, signal) {
  const list = el("div", { role: "menu", class: "cnb-menu", "aria-label": anchor.getAttribute("aria-label") ?? "" });
  let close = () => {};
  const nodes = items.map((item) => {
    if (!item) return el("div", { role: "separator" });
    const run = () => {
      close();
      item.run();
    };
    return button(item.label, run, { role: "menuitem", tabindex: -1, "data-danger": item.danger ?? false });
  });
  list.append(...nodes);
  const buttons = nodes.filter((node) => node instanceof HTMLButtonElement);
  list.addEventListener("keydown", (event) => moveFocus(event, buttons, "ArrowUp", "ArrowDown"));
  close = popup(anchor, list, signal);
}

/**
 * Ask for one line below a button; `done(text)` is called with what was typed.
 * @param {HTMLElement} anchor
 * @param {string} label
 * @param {string} value
 * @param {(text: string) => void} done
 * @param {AbortSignal} signal
 */
export function askLine(anchor, label, value, done, signal) {
  const id = newId();
  const input = el("input", { id, class: "cnb-input", value, autocomplete: "off", spellcheck: "false" });
  const ok = el("button", { class: "cnb-button" }, "OK");
  const form = el("form", { class: "cnb-ask" }, el("label", { for: id }, label), input, ok);
  const close = popup(anchor, form, signal);
  input.select();
  onEnter(input, () => form.requestSubmit());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    done(input.value);
  });
}
