// The line above a conversation: its name, state and model, the use of the context window, and a menu.

import { button, el, icon } from "./dom.js";
import { askLine, menu } from "./popup.js";

/**
 * The facts of a session.
 * @typedef {object} Facts
 * @property {string} name
 * @property {string} id
 * @property {string} state
 * @property {boolean} busy
 * @property {string} model
 * @property {string} provider
 * @property {boolean} gone
 * @property {number} used tokens in the context window
 * @property {number} window size of the context window in tokens; 0: unknown
 */

/** @typedef {[provider: string, model: string]} Choice */

/**
 * @typedef {object} HeadOptions
 * @property {AbortSignal} signal
 * @property {(name: string) => void} rename
 * @property {(provider: string, model: string) => Promise<boolean>} choose resolves to whether the model was changed
 * @property {() => Promise<Choice[]>} models requests the available models
 * @property {() => import("./popup.js").MenuItem[]} items of the menu
 */

/** @type {Record<string, string>} */
const STATES = {
  working: "answering",
  queued: "queued",
  failed: "last answer failed",
  interrupted: "last answer interrupted",
};

/** The line above a conversation. */
export class Head {
  /** @param {HeadOptions} options */
  constructor(options) {
    this.options = options;
    /** @type {Facts | null} */
    this.facts = null;
    /** @type {Choice[]} */
    this.choices = [];
    const nameProps = { class: "cnb-button cnb-name", dir: "auto", "aria-haspopup": "dialog" };
    this.label = el("span");
    this.name = button(this.label, () => this.rename(), nameProps);
    this.name.append(icon("pencil"));
    this.state = el("span", { class: "cnb-state" });
    const title = "The model that answers from the next prompt on";
    this.models = el("select", { class: "cnb-models", "aria-label": "Model", title });
    const ask = () => this.askModels();
    this.models.addEventListener("pointerenter", ask, { once: true });
    this.models.addEventListener("focus", ask, { once: true });
    this.models.addEventListener("change", () => this.choose());
    this.bar = el("i");
    const meter = { class: "cnb-meter", role: "meter", "aria-label": "Context", "aria-valuemin": 0, hidden: true };
    this.meter = el("div", meter, this.bar);
    const more = { "aria-label": "Session", "aria-haspopup": "menu", "aria-expanded": "false" };
    this.more = button("⋯", () => menu(this.more, options.items(), options.signal), more);
    const gap = el("span", { class: "cnb-gap" });
    this.node = el("div", { class: "cnb-bar" }, this.name, this.state, gap, this.meter, this.models, this.more);
  }

  rename() {
    askLine(this.name, "New name", this.facts?.name ?? "", this.options.rename, this.options.signal);
  }

  async askModels() {
    this.showModels(await this.options.models());
  }

  async choose() {
    const [provider, model] = JSON.parse(this.models.value);
    if (!(await this.options.choose(provider, model))) this.showModels(this.choices);
  }

  /** @param {Facts} facts */
  show(facts) {
    const isOther = facts.model !== this.facts?.model || facts.provider !== this.facts?.provider;
    this.facts = facts;
    this.label.textContent = facts.name;
    this.name.title = `Rename ${facts.name}`;
    this.state.textContent = facts.gone ? "deleted; the next prompt begins it anew" : (STATES[facts.state] ?? "");
    this.state.dataset.state = facts.gone ? "gone" : facts.state;
    if (isOther || !this.models.options.length) this.showModels(this.choices);
    this.showMeter(facts);
  }

  /** @param {Facts} facts */
  showMeter({ used, window: size }) {
    this.meter.hidden = !used || !size; // a number of tokens alone does not show how full the window is
    if (this.meter.hidden) return;
    const share = Math.min(1, used / size);
    const percent = `${Math.round(share * 100)} %`;
    const text = `${used.toLocaleString()} of ${size.toLocaleString()} tokens of the model's window (${percent})`;
    this.meter.title = text;
    this.meter.setAttribute("aria-valuemax", String(size));
    this.meter.setAttribute("aria-valuenow", String(used));
    this.meter.setAttribute("aria-valuetext", text);
    this.meter.dataset.text = percent;
    this.bar.style.width = `${share * 100}%`;
    this.meter.classList.toggle("cnb-full", share > 0.8);
  }

  /** @param {Choice[]} choices */
  showModels(choices) {
    this.choices = choices;
    const { provider = "", model = "" } = this.facts ?? {};
    const isThere = choices.some(([p, m]) => p === provider && m === model);
    /** @type {Choice[]} */
    const all = isThere ? choices : [[provider, model], ...choices];
    /** @type {Map<string, HTMLOptGroupElement>} */
    const groups = new Map();
    for (const [p, m] of all) {
      const group = groups.get(p) ?? el("optgroup", { label: p });
      groups.set(p, group);
      const selected = p === provider && m === model;
      group.append(el("option", { value: JSON.stringify([p, m]), selected }, m || "default model"));
    }
    this.models.replaceChildren(...groups.values());
  }
}
