// What the pages of all panels share: small elements. This, link.js and transcript.js are put before the module of each
// panel (see base.py): no import, no bundler. Text from outside goes into the page by textContent; the only HTML is what
// copilot_nb/render made, which is safe.

/**
 * Make an element. A property that begins with "on" is a listener; true and false set and leave out an attribute.
 * @param {string} tag
 * @param {Object<string, any>} [props]
 * @param {...(Node|string|null|undefined)} children
 * @returns {any}
 */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A button; `label` is what it shows. */
function button(label, onclick, props = {}) {
  return el("button", { type: "button", class: "cnb-button", onclick, ...props }, label);
}

let idsGiven = 0;
/** An id that no other element or request of any page has. */
function newId(prefix = "cnb") {
  idsGiven += 1;
  return `${prefix}-${Math.random().toString(36).slice(2, 8)}-${idsGiven}`;
}

/**
 * The element of a panel. JupyterLab's shortcuts are kept out of it: Enter on a button would open the cell.
 * @param {string} name the panel's own class
 * @param {string} label what a screen reader calls it
 */
function panelRoot(name, label, ...children) {
  const props = { class: `cnb-panel ${name}`, role: "region", "aria-label": label, "data-lm-suppress-shortcuts": "true" };
  return el("div", props, ...children);
}

/** A region in which what is said is read out when the reader has nothing else to say. */
function announcer() {
  const node = el("div", { class: "cnb-sr", role: "status", "aria-live": "polite" });
  return { node, say: (text) => { node.textContent = text; } };
}

/** A line that tells of something that went wrong, or was done; it goes by Escape, its button, or the next one. */
function noticeLine() {
  const text = el("span");
  const node = el("div", { class: "cnb-notice", role: "alert", hidden: true }, text);
  const clear = () => { node.hidden = true; text.textContent = ""; };
  node.append(button("×", clear, { class: "cnb-button cnb-quiet", "aria-label": "Dismiss" }));
  const show = (message, kind = "error") => {
    node.dataset.kind = kind;
    text.textContent = message;
    node.hidden = false;
  };
  return { node, show, clear };
}

/**
 * Show something below a button until Escape, a click elsewhere, or `close()`; the focus goes in, and back.
 * @param {HTMLElement} anchor
 * @param {HTMLElement} content
 * @param {AbortSignal} signal of the view
 */
function popup(anchor, content, signal) {
  const root = anchor.closest(".cnb-panel");
  const over = new AbortController();
  const options = { signal: AbortSignal.any([signal, over.signal]), capture: true };
  const close = (refocus = true) => {
    if (over.signal.aborted) return;
    over.abort();
    content.remove();
    anchor.setAttribute("aria-expanded", "false");
    if (refocus) anchor.focus();
  };
  content.classList.add("cnb-popup");
  root.append(content);
  const from = anchor.getBoundingClientRect(), within = root.getBoundingClientRect();
  content.style.top = `${from.bottom - within.top + 2}px`;
  const left = Math.min(from.left - within.left, within.width - content.offsetWidth - 8);
  content.style.left = `${Math.max(4, left)}px`;
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", (event) => {
    if (!content.contains(event.target) && !anchor.contains(event.target)) close(false);
  }, options);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); close(); }
  }, options);
  (content.querySelector("input, [role=menuitem], button") ?? content).focus();
  return close;
}

/**
 * Open a menu below a button.
 * @param {HTMLElement} anchor
 * @param {{label: string, run: () => void, danger?: boolean}[]} items
 */
function menu(anchor, items, signal) {
  const list = el("div", { role: "menu", class: "cnb-menu", "aria-label": anchor.getAttribute("aria-label") ?? "" });
  let close = () => {};
  for (const item of items) {
    const run = () => { close(); item.run(); };
    list.append(button(item.label, run, { role: "menuitem", tabindex: -1, "data-danger": item.danger ?? false }));
  }
  list.addEventListener("keydown", (event) => moveFocus(event, [...list.children], "ArrowUp", "ArrowDown"));
  close = popup(anchor, list, signal);
  return close;
}

/** Ask for one line below a button; `done(text)` is called with what was typed. */
function askLine(anchor, label, value, done, signal) {
  const id = newId();
  const input = el("input", { id, class: "cnb-input", value, autocomplete: "off", spellcheck: "false" });
  const form = el("form", { class: "cnb-ask" }, el("label", { for: id }, label), input, el("button", { class: "cnb-button" }, "OK"));
  const close = popup(anchor, form, signal);
  input.select();
  input.addEventListener("keydown", (event) => { // JupyterLab keeps Enter from submitting a form in a cell
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); close(); done(input.value); });
}

/** Move the focus among elements by arrow keys, Home and End. */
function moveFocus(event, nodes, back, forth) {
  const at = nodes.indexOf(event.target);
  const to = { [back]: at - 1, [forth]: at + 1, Home: 0, End: nodes.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  nodes[(to + nodes.length) % nodes.length].focus();
}

/** A row of buttons that is one stop of the Tab key; the arrow keys go along it. */
function toolbar(label, buttons) {
  const bar = el("div", { role: "toolbar", class: "cnb-toolbar", "aria-label": label }, ...buttons);
  buttons.forEach((each, i) => { each.tabIndex = i ? -1 : 0; });
  bar.addEventListener("keydown", (event) => moveFocus(event, buttons.filter((each) => !each.hidden), "ArrowLeft", "ArrowRight"));
  bar.addEventListener("focusin", (event) => buttons.forEach((each) => { each.tabIndex = each === event.target ? 0 : -1; }));
  return bar;
}

/** Copy a text; where a page may not use the clipboard, the old way. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "cnb-sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Let a button say for a moment that it has done its work. */
function flash(node, word) {
  const before = node.dataset.label ?? node.textContent;
  node.dataset.label = before;
  node.textContent = word;
  setTimeout(() => { node.textContent = before; }, 1500);
}
