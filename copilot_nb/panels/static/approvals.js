// Requests for permission and questions of a model, each with the buttons that answer it (approvals.py).

import { button, el, newId, saveFocus } from "./dom.js";
import { onEnter } from "./keys.js";

/**
 * @typedef {object} Ask
 * @property {string} id
 * @property {string} title
 * @property {string} html safe HTML of what is asked, all of it
 * @property {string} scope what "for this session" allows; "" if it can only be allowed once
 * @property {boolean} isQuestion
 * @property {string[]} choices
 * @property {boolean} isFree whether a question takes other answers than the choices
 * @property {boolean} mayDecide
 */

/** @typedef {"once" | "session" | "denied"} Outcome */
/** @typedef {(id: string, outcome: Outcome, reason: string) => Promise<any>} Decide */

/** The requests that wait for an answer. The focus stays where it is; a screen reader announces a new request. */
export class Approvals {
  /**
   * @param {Decide} decide
   * @param {(text: string) => void} say announces a text
   */
  constructor(decide, say) {
    this.decide = decide;
    this.say = say;
    this.node = el("div", { class: "cnb-approvals", hidden: true });
    /** @type {Map<string, HTMLElement>} */
    this.shown = new Map();
  }

  /** @param {Ask[]} asks */
  show(asks) {
    for (const [id, node] of this.shown) {
      if (asks.some((ask) => ask.id === id)) continue;
      saveFocus(node);
      node.remove();
      this.shown.delete(id);
    }
    for (const ask of asks.filter((each) => !this.shown.has(each.id))) {
      const node = this.view(ask);
      this.shown.set(ask.id, node);
      this.node.append(node);
      this.say(ask.title);
    }
    this.node.hidden = !asks.length;
  }

  /**
   * @param {Ask} ask
   * @returns {HTMLElement}
   */
  view(ask) {
    const text = el("div", { class: "cnb-approval-text jp-RenderedHTMLCommon", tabindex: 0, role: "group" });
    text.innerHTML = ask.html;
    text.setAttribute("aria-label", ask.isQuestion ? "The question" : "All that is to be done");
    const controls = ask.mayDecide ? this.controls(ask) : [el("span", {}, "The owner of this page decides.")];
    const row = el("div", { class: "cnb-approval-row" }, ...controls);
    return el("div", { class: "cnb-approval", role: "group", "aria-label": ask.title }, text, row);
  }

  /** @param {Ask} ask */
  controls(ask) {
    /** @type {(outcome: Outcome, reason?: string) => Promise<any>} */
    const decide = (outcome, reason = "") => this.decide(ask.id, outcome, reason);
    if (ask.isQuestion) return this.answers(ask, decide);
    const once = button("Approve once", () => decide("once"), { class: "cnb-button cnb-primary" });
    const session = button("Approve for this session", () => decide("session"), { title: `Allows ${ask.scope}` });
    const [field, label] = textField("Reason for denying", "Why not? (the model is told)");
    const deny = button("Deny", () => decide("denied", field.value), { "data-danger": true });
    onEnter(field, () => deny.click());
    return [once, ...(ask.scope ? [session] : []), deny, label, field];
  }

  /**
   * @param {Ask} ask
   * @param {(outcome: Outcome, reason?: string) => Promise<any>} decide
   */
  answers(ask, decide) {
    const choices = ask.choices.map((choice) => button(choice, () => decide("once", choice)));
    const [field, label] = textField("Your answer", ask.choices.length ? "Another answer" : "Your answer");
    const send = () => field.value.trim() && decide("once", field.value);
    onEnter(field, send);
    const free = [label, field, button("Answer", send, { class: "cnb-button cnb-primary" })];
    return [...choices, ...(ask.isFree ? free : []), button("No answer", () => decide("denied"))];
  }
}

/**
 * What decides a request by asking the kernel, and shows its reply.
 * @param {import("./dom.js").Notice} notice
 * @param {(fields: object) => Promise<any>} ask sends the request "decide"
 * @returns {Decide}
 */
export function decider(notice, ask) {
  return async (request, outcome, reason) => {
    const answer = await notice.attempt(() => ask({ request, outcome, reason }));
    if (answer?.said) notice.show(answer.said, "said");
  };
}

/**
 * @param {string} name
 * @param {string} placeholder
 * @returns {[HTMLInputElement, HTMLElement]}
 */
function textField(name, placeholder) {
  const id = newId("reply");
  const field = el("input", { id, class: "cnb-input cnb-reply", placeholder, autocomplete: "off" });
  return [field, el("label", { for: id, class: "cnb-sr" }, name)];
}
