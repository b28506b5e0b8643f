// Earlier turns that not all sessions of a comparison have: a column for each session, its turns one below the other
// (earlier_turns.py).

import { el, keepPlace, newId } from "./dom.js";
import { TurnView } from "./turn.js";
import { lineUp } from "./widths.js";

/**
 * @typedef {object} UnsharedFields
 * @property {string} title
 * @property {number} before number of the round that follows
 * @property {{name: string, turns: import("./turn.js").TurnFields[]}[]} columns
 */

/**
 * @param {UnsharedFields} fields
 * @param {AbortSignal} signal
 */
export function unsharedView({ title, columns }, signal) {
  const id = newId("unshared");
  const heading = el("div", { class: "cnb-round-title", role: "heading", "aria-level": 3, id }, title);
  const grid = el("div", { class: "cnb-columns" }, ...columns.map((each) => columnOf(each, signal)));
  lineUp(grid, columns.length);
  return el("section", { class: "cnb-round cnb-unshared", "aria-labelledby": id }, heading, grid);
}

/**
 * @param {UnsharedFields["columns"][number]} fields
 * @param {AbortSignal} signal
 */
function columnOf({ name, turns }, signal) {
  const id = newId("title");
  const heading = el("div", { role: "heading", "aria-level": 4, id }, name);
  const views = turns.map((fields) => {
    const view = new TurnView(newId("turn"), { actions: () => [], codeActions: [], level: 5 });
    view.apply(fields);
    return view.node;
  });
  const said = views.length ? views : [el("div", { class: "cnb-empty" }, "No other turns")];
  const box = el("div", { class: "cnb-column-box", tabindex: 0, role: "group", "aria-labelledby": id }, ...said);
  keepPlace(box, signal);
  return el("div", { class: "cnb-column" }, el("div", { class: "cnb-column-title" }, heading), box);
}
