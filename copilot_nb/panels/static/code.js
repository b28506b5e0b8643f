// A code block in an answer, with its language and buttons above it; and the end of a streaming answer.

import { button, copyText, el, icon, toolbar } from "./dom.js";

/** @typedef {import("./dom.js").Icon} Icon */
/** @typedef {{label: string, icon: Icon, run: (code: string, node: HTMLElement) => void}} CodeAction */

/**
 * A frame around a piece of code, with its language, *Copy code* and further buttons.
 * @param {Element} pre
 * @param {string} language
 * @param {CodeAction[]} actions
 */
export function codeFrame(pre, language, actions) {
  const code = () => (pre.textContent ?? "").replace(/\n$/, "");
  /** @type {CodeAction} */
  const copy = { label: "Copy code", icon: "copy", run: copyText };
  const buttons = [copy, ...actions].map((each) => {
    const run = () => each.run(code(), node);
    const node = button(icon(each.icon), run, { "aria-label": each.label, title: each.label });
    return node;
  });
  const bar = el("div", { class: "cnb-code-bar" }, el("span", {}, language), toolbar("Code", buttons));
  return el("div", { class: "cnb-code" }, bar);
}

/**
 * @typedef {{kind: "text" | "code" | "table" | "list", language: string}} Open the kind of the unfinished block
 */

/** The end of a streaming answer: text or code that grows, or a table or a list that is drawn again, and text below. */
export class Tail {
  /** @param {() => CodeAction[]} actions of code */
  constructor(actions) {
    this.actions = actions;
    this.node = el("div", { class: "cnb-tail", dir: "auto" });
    this.drawn = el("div");
    /** @type {Element} where text is added */
    this.target = this.node;
  }

  /** @param {Open} open */
  begin({ kind, language }) {
    this.node.dataset.kind = kind;
    this.node.replaceChildren();
    this.target = this.node;
    if (kind === "table" || kind === "list") {
      this.drawn = el("div");
      this.target = el("div", { class: "cnb-rest" });
      this.node.append(this.drawn, this.target);
    }
    if (kind !== "code") return;
    this.target = el("pre");
    const frame = codeFrame(this.target, language, this.actions());
    frame.append(el("div", { class: "highlight" }, this.target));
    this.node.append(frame);
  }

  /** @param {{open?: Open, tail?: string, text?: string, draft?: string}} fields those that have changed */
  apply({ open, tail, text, draft }) {
    if (open) this.begin(open);
    if (tail !== undefined) this.target.textContent = tail;
    if (text) this.target.append(text);
    if (draft) this.drawn.innerHTML = draft;
  }
}
