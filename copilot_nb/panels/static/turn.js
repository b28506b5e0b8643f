// The view of one turn (deltas.py describes its fields).

import { codeFrame, Tail } from "./code.js";
import { button, el, newId, saveFocus, toolbar } from "./dom.js";

const WIDE = "pre, table, math[display=block]"; // elements that scroll if they are wider than the panel
/** Makes elements that scroll focusable for the keyboard, which only some browsers do. */
const wide = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});

/** Sends "cnb-seen" once to an element that comes into view. */
const unseen = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((each) => each.isIntersecting)) {
    unseen.unobserve(target);
    target.dispatchEvent(new Event("cnb-seen"));
  }
});

/** @typedef {"" | "queued" | "working" | "done" | "failed" | "interrupted"} TurnState */

/**
 * The fields of a turn, or its changed fields.
 * @typedef {object} TurnFields
 * @property {string} key
 * @property {TurnState} [state]
 * @property {number} [before] number of turns queued before it
 * @property {string} [prompt]
 * @property {string[]} [images]
 * @property {string} [head]
 * @property {string} [answer]
 * @property {string} [more]
 * @property {import("./code.js").Open} [open]
 * @property {string} [tail]
 * @property {string} [text]
 * @property {string} [draft]
 * @property {string} [shown] the end of what running code has printed
 * @property {string} [drawn] HTML of the figures of running code
 * @property {string} [outcome]
 * @property {string} [footer]
 * @property {string} [figures]
 * @property {string} [at]
 */

/** @typedef {{name: string, label: string, run: (node: HTMLElement) => void}} Action a button of a turn */

/**
 * The container of a turn: a transcript, or a column of a comparison.
 * @typedef {object} Shower
 * @property {(turn: TurnView) => Action[]} actions
 * @property {import("./code.js").CodeAction[]} codeActions
 * @property {number} [level] of the heading above the turn
 * @property {((turn: TurnView, index: number) => Promise<string>) | null} [thumbnail]
 * @property {() => void} [follow]
 */

/** One turn in a transcript. */
export class TurnView {
  /**
   * @param {string} key
   * @param {Shower} shower
   */
  constructor(key, shower) {
    this.key = key;
    this.shower = shower;
    /** @type {TurnState} */
    this.state = "";
    this.before = this.depth = 0;
    this.promptText = this.figures = this.at = "";
    const id = newId("turn");
    this.prompt = el("div", { class: "cnb-prompt", id, dir: "auto" });
    this.images = el("div", { class: "cnb-images", hidden: true });
    this.head = el("div", { class: "cnb-head" });
    this.answer = el("div", { class: "cnb-answer" });
    this.tail = new Tail(() => shower.codeActions);
    this.shown = el("pre", { class: "cnb-shown", hidden: true });
    this.drawn = el("div", { class: "cnb-drawn" });
    this.outcome = el("div", { class: "cnb-outcome" });
    this.status = el("span", { class: "cnb-status" });
    this.footer = el("span", { class: "cnb-footer" });
    this.tools = el("div", { class: "cnb-tools" });
    this.more = button("Show all", () => this.unfold(), { class: "cnb-button cnb-quiet cnb-unfold", hidden: true });
    const you = el("span", { class: "cnb-sr" }, "You: ");
    const saidClass = "cnb-said copilot-nb jp-RenderedHTMLCommon";
    this.asked = el("div", { class: "cnb-asked" }, you, this.images, this.prompt, this.more);
    const running = [this.shown, this.drawn];
    this.said = el("div", { class: saidClass }, this.head, this.answer, ...running, this.tail.node, this.outcome);
    this.foot = el("div", { class: "cnb-foot" }, this.status, this.footer, this.tools);
    const props = { class: "cnb-turn", "data-key": key, "aria-labelledby": id };
    this.node = el("article", props, this.asked, this.said, this.foot);
  }

  get isUnderWay() {
    return this.state === "queued" || this.state === "working";
  }

  /** @param {TurnFields} fields */
  apply(fields) {
    if (fields.prompt !== undefined) this.setPrompt(fields.prompt);
    if (fields.images) this.setImages(fields.images);
    if (fields.head !== undefined) this.setHead(fields.head);
    if (fields.answer !== undefined) {
      this.answer.replaceChildren();
      this.depth = 0;
      this.add(fields.answer);
    }
    if (fields.more) this.add(fields.more);
    this.tail.apply(fields);
    if (fields.shown !== undefined) this.setShown(fields.shown);
    if (fields.drawn !== undefined) this.drawn.innerHTML = fields.drawn;
    if (fields.outcome !== undefined) this.outcome.innerHTML = fields.outcome;
    if (fields.footer !== undefined) this.footer.textContent = fields.footer;
    if (fields.figures !== undefined || fields.at) this.setFigures(fields);
    if (fields.state !== undefined || fields.before !== undefined) this.setState(fields);
  }

  /** @param {string} text */
  setShown(text) {
    this.shown.textContent = text;
    this.shown.hidden = !text;
  }

  /**
   * Show the usage figures and the time of a turn as a tooltip, because they take up space and are rarely needed.
   * @param {{figures?: string, at?: string}} fields
   */
  setFigures({ figures, at }) {
    this.figures = figures ?? this.figures;
    this.at = at ? new Date(at).toLocaleString() : this.at;
    this.footer.title = [this.figures, this.at].filter(Boolean).join("\n");
  }

  /** @param {string} text */
  setPrompt(text) {
    this.promptText = text;
    this.prompt.replaceChildren(...promptParts(text));
    const isLong = text.length > 1200 || text.split("\n").length > 14;
    this.prompt.classList.toggle("cnb-folded", isLong);
    this.more.hidden = !isLong;
  }

  /**
   * Show the prompt's images: first the names; then, once in view, the small copies that the kernel makes.
   * @param {string[]} names
   */
  setImages(names) {
    this.images.hidden = !names.length;
    this.images.replaceChildren(...names.map((name, index) => this.image(name, index)));
  }

  /**
   * @param {string} name
   * @param {number} index
   */
  image(name, index) {
    const frame = el("span", { class: "cnb-image" }, name);
    const { thumbnail } = this.shower;
    if (!thumbnail) return frame;
    const show = (/** @type {string} */ src) => {
      frame.replaceChildren(el("img", { src, alt: name, title: name }));
      this.shower.follow?.();
    };
    frame.addEventListener("cnb-seen", () => thumbnail(this, index).then(show, () => {})); // else the name stays
    unseen.observe(frame);
    return frame;
  }

  unfold() {
    const isFolded = this.prompt.classList.toggle("cnb-folded");
    this.more.textContent = isFolded ? "Show all" : "Show less";
  }

  /**
   * Show notes and reasoning; reasoning that the user has opened stays open.
   * @param {string} html
   */
  setHead(html) {
    const isOpen = this.head.querySelector("details")?.open;
    this.head.innerHTML = html;
    const details = this.head.querySelector("details");
    if (details && isOpen) details.open = true;
  }

  /** @param {string} html */
  add(html) {
    const known = this.answer.childNodes.length;
    this.answer.insertAdjacentHTML("beforeend", html);
    for (const node of [...this.answer.childNodes].slice(known)) {
      if (node instanceof HTMLElement || node instanceof MathMLElement) this.decorate(node);
    }
  }

  /**
   * Set the level of a heading: below the panel's headings, and without skipping a level within the answer.
   * @param {Element} heading
   */
  place(heading) {
    this.depth = Math.min(this.depth + 1, Number(heading.tagName[1]));
    heading.setAttribute("aria-level", String(this.depth + (this.shower.level ?? 1)));
  }

  /**
   * Add buttons to each code block, and set the text direction of every block separately.
   * @param {HTMLElement | MathMLElement} node
   */
  decorate(node) {
    if (!node.matches("pre, .highlight")) node.setAttribute("dir", "auto");
    for (const each of [node, ...node.querySelectorAll(WIDE)]) if (each.matches(WIDE)) wide.observe(each);
    if (/^H[1-6]$/.test(node.tagName)) this.place(node);
    for (const pre of node.matches("pre") ? [node] : node.querySelectorAll("pre")) this.frameCode(pre);
  }

  /** @param {HTMLElement | MathMLElement} pre */
  frameCode(pre) {
    const block = pre.closest(".highlight") ?? pre;
    const frame = codeFrame(pre, pre.dataset.language ?? "", this.shower.codeActions);
    block.replaceWith(frame);
    frame.append(block);
  }

  /** @param {{state?: TurnState, before?: number}} fields */
  setState(fields) {
    this.state = fields.state ?? this.state;
    this.before = fields.before ?? this.before;
    this.node.dataset.state = this.state;
    const waits = this.before ? `Queued, ${this.before} before it` : "Queued";
    /** @type {Partial<Record<TurnState, string>>} */
    const words = { queued: waits, working: "Answering…" };
    this.status.textContent = words[this.state] ?? "";
    this.node.setAttribute("aria-busy", String(this.state === "working"));
    this.showTools();
  }

  /** The kernel has ended: what it had not answered stays as it is. */
  lost() {
    if (!this.isUnderWay) return;
    this.setState({ state: "interrupted" });
    this.status.textContent = "The kernel ended before this was answered.";
  }

  showTools() {
    const held = this.tools.contains(document.activeElement);
    saveFocus(this.tools);
    const buttons = this.shower.actions(this).map((each) => {
      const node = button(each.label, () => each.run(node), { "data-action": each.name });
      return node;
    });
    this.tools.replaceChildren(...(buttons.length ? [toolbar("This turn", buttons)] : []));
    if (held) buttons[0]?.focus();
  }
}

/**
 * A prompt as written, with fenced text as code.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
function promptParts(text) {
  const parts = text.split(/^(?:```|~~~)[^\n`]*\n([\s\S]*?)\n(?:```|~~~)[ \t]*(?:\n|$)/m);
  if (parts.length === 1) return parts;
  return parts.map((part, i) => (i % 2 ? el("pre", {}, part) : part.trim())).filter((part) => part !== "");
}
