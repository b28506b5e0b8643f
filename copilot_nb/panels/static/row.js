// A row of the list of sessions (sessions.py sends the rows).

import { button, el, saveFocus } from "./dom.js";

/**
 * `used` is a time, in seconds since 1970.
 * @typedef {{id: string, name: string, model: string, turns: number, used: number, notebook: string,
 *   state: string}} Row
 */
/** @typedef {"name" | "model" | "turns" | "used" | "state"} Column */

/** @type {[column: Column, label: string, key: (row: Row) => string | number][]} the sort key of each column */
export const HEADS = [
  ["name", "Name", (row) => row.name.toLowerCase()],
  ["model", "Model", (row) => row.model.toLowerCase()],
  ["turns", "Turns", (row) => -row.turns],
  ["used", "Last used", (row) => -row.used],
  ["state", "State", (row) => row.state.slice(2)],
];

const ASKS = "asks"; // the first word of the state of a session that waits for an answer

/** @type {[seconds: number, name: string][]} */
const UNITS = [
  [31_536_000, "year"],
  [2_592_000, "month"],
  [604_800, "week"],
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
];

/**
 * The age of a time, in words.
 * @param {number} seconds since 1970; 0: unknown
 */
export function ago(seconds) {
  if (!seconds) return "";
  const passed = Date.now() / 1000 - seconds;
  const [unit, name] = UNITS.find(([size]) => passed >= size) ?? [0, ""];
  return unit ? `${counted(Math.floor(passed / unit), name)} ago` : "just now";
}

/**
 * @param {number} number
 * @param {string} noun
 */
export function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * The parts of the page that a row uses.
 * @typedef {object} RowPage
 * @property {(row: Row) => void} open
 * @property {(view: RowView) => void} showMenu
 * @property {(event: KeyboardEvent, view: RowView) => void} key
 * @property {(view: RowView) => void} activate
 * @property {(text: string) => void} say announces a text
 */

/** A row of the list. */
export class RowView {
  /**
   * @param {RowPage} page
   * @param {Row} row
   */
  constructor(page, row) {
    this.page = page;
    this.row = row;
    this.text = "";
    const open = () => page.open(this.row);
    const name = { type: "button", class: "cnb-link", tabindex: -1, dir: "auto", onclick: open };
    this.name = el("button", name);
    /** what leads to a question, in place of the state */
    this.asks = el("button", { ...name, class: "cnb-link", title: "Show what it asks" });
    const menu = { class: "cnb-button cnb-quiet", tabindex: -1, "aria-haspopup": "menu" };
    this.menu = button("⋯", () => page.showMenu(this), menu);
    const cell = (/** @type {string} */ key) => el("td", { role: "gridcell", class: `cnb-cell-${key}` });
    this.cells = {
      name: cell("name"),
      model: cell("model"),
      turns: cell("turns"),
      used: cell("used"),
      state: cell("state"),
    };
    this.cells.name.append(this.name);
    const actions = el("td", { role: "gridcell", class: "cnb-cell-menu" }, this.menu);
    this.node = el("tr", { role: "row", tabindex: -1 }, ...Object.values(this.cells), actions);
    this.node.addEventListener("keydown", (event) => page.key(event, this));
    this.node.addEventListener("focusin", () => page.activate(this));
    this.node.addEventListener("dblclick", open);
    this.apply(row);
  }

  /** @param {Row} row */
  apply(row) {
    this.row = row;
    this.name.textContent = row.name;
    this.menu.setAttribute("aria-label", `Actions of ${row.name}`);
    this.cells.model.textContent = row.model;
    const unit = el("span", { class: "cnb-unit" }, row.turns === 1 ? " turn" : " turns"); // shown if there is no column
    this.cells.turns.replaceChildren(row.turns.toLocaleString(), unit);
    this.applyState(row);
    this.node.title = [`id ${row.id}`, row.notebook].filter(Boolean).join(", ");
    this.text = `${row.name} ${row.model} ${row.notebook} ${row.state}`.toLowerCase();
    this.age();
  }

  /** @param {Row} row */
  applyState(row) {
    const state = row.state.slice(2).split(" ")[0];
    if (this.cells.state.dataset.state === state) return;
    this.cells.state.dataset.state = state;
    this.asks.textContent = row.state;
    saveFocus(this.asks);
    this.cells.state.replaceChildren(state === ASKS ? this.asks : row.state);
    if (state === ASKS) this.page.say(`${row.name} asks you something.`);
  }

  age() {
    this.cells.used.textContent = ago(this.row.used);
    this.cells.used.title = this.row.used ? new Date(this.row.used * 1000).toLocaleString() : "";
  }

  /** @param {number} stop of the Tab key: 0, or -1 for none */
  setTabStop(stop) {
    if (this.node.tabIndex === stop) return;
    for (const node of [this.node, this.name, this.menu, this.asks]) node.tabIndex = stop;
  }
}
