// What the pages of all panels share. It is put before the module of each panel (see base.py): no import, no bundler.
//
// Link: the connection to the panel in the kernel. Transcript: the turns of one session. The rest are small elements.
// Text from outside goes into the page by textContent; the only HTML is what copilot_nb/render made, which is safe.

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

const ANSWER_MS = 3000; // a kernel that is not busy answers within milliseconds
const SILENCE_MS = 5000; // while something is under way, one looks whether a message was lost
const RESTARTED = "The kernel was restarted: open this panel again (%copilot panel NAME, or run its cell).";
const BUSY = "The kernel is busy with a cell; this will be done when it has ended.";

/**
 * The connection to the panel in the kernel (base.py has the protocol).
 *
 * `whole(message)` shows everything anew, `news(items)` what has changed; `trouble(text)` tells that the kernel does not
 * answer, and `trouble("")` that it does again. While `expecting()` is true, silence makes it ask whether it has missed
 * something.
 */
class Link {
  constructor(model, signal, { whole, news, trouble, expecting = () => false }) {
    Object.assign(this, { model, signal, whole, news, trouble, expecting });
    this.seq = 0;
    this.isInStep = false;
    this.isDead = false;
    this.asked = new Map();
    this.heardAt = Date.now();
    model.on("msg:custom", (message) => this.received(message));
    const watch = setInterval(() => this.lookForLoss(), SILENCE_MS);
    signal.addEventListener("abort", () => clearInterval(watch));
    this.watchKernel();
    this.hello();
  }

  /** Ask for something to be done; the promise gives the answer, or an Error with the kernel's line. */
  ask(what, more = {}) {
    const id = newId("ask");
    const told = new Promise((resolve, reject) => this.asked.set(id, { resolve, reject }));
    if (this.isDead) this.trouble(RESTARTED);
    const late = setTimeout(() => this.late(), ANSWER_MS);
    this.model.send({ do: what, id, ...more });
    return told.finally(() => clearTimeout(late));
  }

  hello() {
    this.isInStep = false;
    this.helloId = newId("hello");
    this.helloLate ??= setTimeout(() => { this.helloLate = undefined; if (!this.isInStep) this.late(); }, ANSWER_MS);
    this.model.send({ do: "hello", id: this.helloId });
  }

  received(message) {
    if (this.signal.aborted) return;
    this.heardAt = Date.now();
    if (!this.isDead) this.trouble("");
    if (message.kind === "whole") this.takeWhole(message);
    else if (message.kind === "news") this.takeNews(message);
    else this.takeAnswer(message);
  }

  takeWhole(message) {
    const follows = message.seq === this.seq + 1;
    if (this.isInStep && message.re !== "" && message.re !== this.helloId) {
      if (follows) this.seq = message.seq; // another view has asked
      else this.hello();
      return;
    }
    this.seq = message.seq;
    this.isInStep = true;
    this.whole(message);
  }

  takeNews(message) {
    if (!this.isInStep) return;
    if (message.seq !== this.seq + 1) { this.hello(); return; }
    this.seq = message.seq;
    this.news(message.items);
  }

  takeAnswer(message) {
    if (message.re === this.helloId && message.error) this.trouble(message.error);
    const asked = this.asked.get(message.re);
    if (!asked) return;
    this.asked.delete(message.re);
    if (message.error) asked.reject(new Error(message.error));
    else asked.resolve(message);
  }

  async lookForLoss() {
    if (!this.isInStep) { if (!this.isDead && Date.now() - this.heardAt > SILENCE_MS) this.hello(); return; }
    if (!this.expecting() || Date.now() - this.heardAt < SILENCE_MS) return;
    const answer = await this.ask("seq");
    if (answer.seq !== this.seq) this.hello();
  }

  late() {
    this.trouble(!this.isDead && this.kernel?.status === "busy" ? BUSY : RESTARTED);
  }

  /** The front end's own connection, where it is to be had (JupyterLab, Notebook). */
  get kernel() {
    return this.model.widget_manager?.kernel ?? null;
  }

  watchKernel() {
    const changed = (_kernel, status) => {
      if (!["restarting", "autorestarting", "terminating", "dead"].includes(status)) return;
      this.isDead = true;
      this.trouble(RESTARTED);
    };
    const signals = this.kernel?.statusChanged;
    signals?.connect(changed);
    this.signal.addEventListener("abort", () => signals?.disconnect(changed));
  }
}

const NEAR_PX = 40; // so near to the end one is at the end

/**
 * The turns of one session, in a box that scrolls (feed.py has their fields).
 *
 * `actions(turn)` gives the buttons of a turn, `{label, name, run(button)}`; `earlier()` asks for the page before;
 * `codeActions` are further buttons of a piece of code, `{label, name, run(code, button)}`; `finished(turn)` is called
 * when an answer has ended while one looked on.
 */
class Transcript {
  constructor({ label, signal, actions = () => [], codeActions = [], earlier = null, finished = () => {}, empty = "" }) {
    Object.assign(this, { actions, codeActions, finished });
    this.turns = new Map();
    this.first = 1;
    this.isStuck = true;
    this.before = button("Earlier turns", () => earlier?.(), { class: "cnb-button cnb-earlier", hidden: true });
    this.list = el("div", { class: "cnb-turns" });
    this.empty = el("div", { class: "cnb-empty" }, empty);
    const props = { class: "cnb-scroll", role: "region", tabindex: 0, "aria-label": label };
    this.scroll = el("div", props, this.before, this.empty, this.list);
    this.jump = button("↓ Latest", () => this.toEnd(), { class: "cnb-button cnb-jump", hidden: true });
    this.node = el("div", { class: "cnb-transcript" }, this.scroll, this.jump);
    this.scroll.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
    const grown = new ResizeObserver(() => this.follow());
    grown.observe(this.scroll);
    signal.addEventListener("abort", () => grown.disconnect());
  }

  /** Show these turns and no others. */
  whole(turns, first) {
    this.turns.clear();
    this.list.replaceChildren();
    for (const fields of turns) this.turn(fields.key).apply(fields);
    this.setFirst(first);
    this.settle();
  }

  /** Show more turns before these. */
  prepend(turns, first) {
    const height = this.scroll.scrollHeight, top = this.scroll.scrollTop;
    const next = this.list.firstChild;
    for (const fields of turns) {
      const turn = this.turn(fields.key);
      turn.apply(fields);
      this.list.insertBefore(turn.node, next);
    }
    this.setFirst(first);
    this.scroll.scrollTop = top + this.scroll.scrollHeight - height;
  }

  /** Show what has changed of a turn. */
  apply(fields) {
    const turn = this.turn(fields.key);
    const began = turn.state === "queued" && fields.state && fields.state !== "queued";
    const ended = turn.isUnderWay && ["done", "failed", "interrupted"].includes(fields.state);
    turn.apply(fields);
    if (began) this.beforeTheWaiting(turn);
    this.settle();
    if (ended) this.finished(turn);
  }

  turn(key) {
    let turn = this.turns.get(key);
    if (!turn) {
      turn = new TurnView(key, this);
      this.turns.set(key, turn);
      this.list.append(turn.node);
    }
    return turn;
  }

  /** A prompt that did not wait in line stands before those that do. */
  beforeTheWaiting(turn) {
    const waiting = [...this.turns.values()].find((each) => each !== turn && each.state === "queued");
    const isBehind = waiting && waiting.node.compareDocumentPosition(turn.node) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isBehind) this.list.insertBefore(turn.node, waiting.node);
  }

  setFirst(first) {
    this.first = first;
    this.before.hidden = first <= 1;
    this.before.textContent = `Earlier turns (${(first - 1).toLocaleString()})`;
  }

  settle() {
    this.empty.hidden = this.turns.size > 0;
    this.node.closest(".cnb-panel")?.classList.toggle("cnb-blank", !this.turns.size);
    this.follow();
  }

  follow() {
    if (this.isStuck) this.scroll.scrollTop = this.scroll.scrollHeight;
    else this.scrolled();
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    this.isStuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.jump.hidden = this.isStuck;
  }

  toEnd() {
    this.isStuck = true;
    this.follow();
    this.jump.hidden = true;
  }

  /** The turns in the order of the page, the last one last. */
  inOrder() {
    return [...this.list.children].map((node) => this.turns.get(node.dataset.key));
  }

  get isUnderWay() {
    return [...this.turns.values()].some((turn) => turn.isUnderWay);
  }
}

/** One turn in a transcript. */
class TurnView {
  constructor(key, transcript) {
    this.key = key;
    this.transcript = transcript;
    this.state = "";
    this.before = 0;
    const id = newId("turn");
    this.prompt = el("div", { class: "cnb-prompt", id });
    this.head = el("div", { class: "cnb-head" });
    this.answer = el("div", { class: "cnb-answer" });
    this.tail = el("div", { class: "cnb-tail" });
    this.outcome = el("div", { class: "cnb-outcome" });
    this.status = el("span", { class: "cnb-status" });
    this.footer = el("span", { class: "cnb-footer" });
    this.tools = el("div", { class: "cnb-tools" });
    this.more = button("Show all", () => this.unfold(), { class: "cnb-button cnb-quiet cnb-unfold", hidden: true });
    this.node = el("article", { class: "cnb-turn", "data-key": key, "aria-labelledby": id },
      el("div", { class: "cnb-asked" }, el("span", { class: "cnb-sr" }, "You: "), this.prompt, this.more),
      el("div", { class: "cnb-said copilot-nb jp-RenderedHTMLCommon" }, this.head, this.answer, this.tail, this.outcome),
      el("div", { class: "cnb-foot" }, this.status, this.footer, this.tools));
  }

  get isUnderWay() {
    return this.state === "queued" || this.state === "working";
  }

  get promptText() {
    return this.prompt.textContent;
  }

  apply(fields) {
    if ("prompt" in fields) this.setPrompt(fields.prompt);
    if ("head" in fields) this.setHead(fields.head);
    if ("answer" in fields) { this.answer.replaceChildren(); this.add(fields.answer); }
    if ("more" in fields) this.add(fields.more);
    if ("tail" in fields) this.tail.textContent = fields.tail;
    if ("text" in fields) this.tail.append(fields.text);
    if ("outcome" in fields) this.outcome.innerHTML = fields.outcome;
    if ("footer" in fields) this.footer.textContent = fields.footer;
    if ("at" in fields && fields.at) this.node.title = new Date(fields.at).toLocaleString();
    if ("state" in fields || "before" in fields) this.setState(fields);
  }

  setPrompt(text) {
    this.prompt.textContent = text;
    const isLong = text.length > 1200 || text.split("\n").length > 14;
    this.prompt.classList.toggle("cnb-folded", isLong);
    this.more.hidden = !isLong;
  }

  unfold() {
    const isFolded = this.prompt.classList.toggle("cnb-folded");
    this.more.textContent = isFolded ? "Show all" : "Show less";
  }

  /** Notes and reasoning; a reasoning that was opened stays open. */
  setHead(html) {
    const isOpen = this.head.querySelector("details")?.open;
    this.head.innerHTML = html;
    const details = this.head.querySelector("details");
    if (details && isOpen) details.open = true;
  }

  add(html) {
    const known = this.answer.childNodes.length;
    this.answer.insertAdjacentHTML("beforeend", html);
    for (const node of [...this.answer.childNodes].slice(known)) this.decorate(node);
  }

  /** Give each piece of code its buttons. */
  decorate(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const blocks = node.matches("pre") ? [node] : [...node.querySelectorAll("pre")];
    for (const pre of blocks) {
      const block = pre.closest(".highlight") ?? pre;
      const code = () => pre.textContent.replace(/\n$/, "");
      const copy = button("Copy code", (event) => { copyText(code()); flash(event.currentTarget, "Copied"); });
      const others = this.transcript.codeActions.map((each) =>
        button(each.label, (event) => each.run(code(), event.currentTarget)));
      const frame = el("div", { class: "cnb-code" });
      block.replaceWith(frame);
      frame.append(block, toolbar("Code", [copy, ...others]));
    }
  }

  setState(fields) {
    this.state = fields.state ?? this.state;
    this.before = fields.before ?? this.before;
    this.node.dataset.state = this.state;
    const waits = this.before ? `Queued, ${this.before} before it` : "Queued";
    this.status.textContent = { queued: waits, working: "Answering…" }[this.state] ?? "";
    this.node.setAttribute("aria-busy", String(this.state === "working"));
    const held = this.tools.contains(document.activeElement);
    const buttons = this.transcript.actions(this).map((each) =>
      button(each.label, (event) => each.run(event.currentTarget), { "data-action": each.name }));
    this.tools.replaceChildren(...(buttons.length ? [toolbar("This turn", buttons)] : []));
    if (held) buttons[0]?.focus();
  }
}
