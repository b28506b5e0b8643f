// Requests for permission and questions of a model, each with the buttons that answer it (approvals.py).

import { button, el, newId, saveFocus } from "./dom.js";
import { Form } from "./forms.js";
import { onEnter } from "./keys.js";

/**
 * @typedef {object} Ask
 * @property {string} id
 * @property {string} title
 * @property {string} html safe HTML of what is asked, all of it
 * @property {string} scope what "for this session" allows; "" if it can only be allowed once
 * @property {boolean} isQuestion
 * @property {boolean} isPlain whether a question has one text or one choice only
 * @property {import("./forms.js").Field[]} fields what a question takes
 * @property {boolean} mayDecide
 */

/** @typedef {"once" | "session" | "denied"} Outcome */
/** @typedef {{reason?: string, answers?: Record<string, any>}} Said */
/** @typedef {(id: string, outcome: Outcome, said: Said) => Promise<any>} Decide */

/** The requests that wait for an answer. The focus stays where it is; a screen reader announces a new request. */
export class Approvals {
  /**
   * @param {Decide} decide
   * @param {(text: string) => void} say announces a text
   * @param {((id: string) => void) | null} stop stops the turn that asks, where nothing else on the page does
   */
  constructor(decide, say, stop = null) {
    this.decide = decide;
    this.say = say;
    this.stop = stop;
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
    const form = ask.isQuestion && !ask.isPlain ? this.form(ask) : null;
    const controls = ask.mayDecide ? this.controls(ask, form) : [el("span", {}, "The owner of this page decides.")];
    const row = el("div", { class: "cnb-approval-row" }, ...controls, this.stopButton(ask));
    return el("div", { class: "cnb-approval", role: "group", "aria-label": ask.title }, text, form?.node, row);
  }

  /** @param {Ask} ask */
  stopButton(ask) {
    const { stop } = this;
    const props = { class: "cnb-button cnb-stop", title: "Stop this answer" };
    return stop && ask.mayDecide ? button("■ Stop", () => stop(ask.id), props) : null;
  }

  /** @param {Ask} ask */
  form(ask) {
    return new Form(ask.fields, (answers) => this.decide(ask.id, "once", { answers }));
  }

  /**
   * @param {Ask} ask
   * @param {Form | null} form
   */
  controls(ask, form) {
    /** @type {(outcome: Outcome, reason?: string) => Promise<any>} */
    const decide = (outcome, reason = "") => this.decide(ask.id, outcome, { reason });
    const decline = button("Decline", () => decide("denied"));
    if (form) return [form.send, decline];
    if (ask.isQuestion) return [...this.answers(ask), decline];
    const once = button("Approve once", () => decide("once"), { class: "cnb-button cnb-primary" });
    const session = button("Approve for this session", () => decide("session"), { title: `Allows ${ask.scope}` });
    const [field, label] = textField("Reason for denying", "Why not? (the model is told)");
    const deny = button("Deny", () => decide("denied", field.value), { "data-danger": true });
    onEnter(field, () => deny.click());
    return [once, ...(ask.scope ? [session] : []), deny, label, field];
  }

  /**
   * The choices of a plain question as buttons, and a field for another answer.
   * @param {Ask} ask
   */
  answers(ask) {
    const [{ name, label: title, choices, isFree }] = ask.fields;
    const fault = el("span", { class: "cnb-fault", role: "status" });
    /** @param {string} answer */
    const send = async (answer) => {
      const reply = await this.decide(ask.id, "once", { answers: { [name]: answer } });
      fault.textContent = reply?.fault ?? "";
    };
    const buttons = choices.map((choice) => button(choice.title, () => send(choice.value)));
    const [field, label] = textField(title, choices.length ? "Another answer" : title);
    const sendField = () => field.value.trim() && send(field.value);
    onEnter(field, sendField);
    const free = [label, field, button("Answer", sendField, { class: "cnb-button cnb-primary" }), fault];
    return [...buttons, ...(isFree || !choices.length ? free : [])];
  }
}

/**
 * What decides a request by asking the kernel, and shows its reply.
 * @param {import("./dom.js").Notice} notice
 * @param {(fields: object) => Promise<any>} ask sends the request "decide"
 * @returns {Decide}
 */
export function decider(notice, ask) {
  return async (request, outcome, said) => {
    const answer = await notice.attempt(() => ask({ request, outcome, ...said }));
    if (answer?.said) notice.show(answer.said, "said");
    return answer;
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
