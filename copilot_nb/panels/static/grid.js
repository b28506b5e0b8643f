// The list of sessions as a grid with arrow-key navigation: filtered, sorted, a hundred rows at once.

import { button, el, hide, newId, passFocus } from "./dom.js";
import { counted, HEADS, RowView } from "./row.js";

const MORE_ROWS = 100; // rows that are shown at once, and that "show more" adds

/** @typedef {import("./row.js").Row} Row */
/** @typedef {{view: RowView, node: HTMLElement}} Editor a form below a row */

/**
 * Actions on a row.
 * @typedef {object} GridActions
 * @property {(row: Row) => void} open
 * @property {(view: RowView) => void} showMenu
 * @property {(view: RowView) => void} rename
 * @property {(view: RowView) => void} remove
 * @property {(text: string) => void} say announces a text
 * @property {() => HTMLElement} fallback gets the focus if no row is left
 */

/** The list of sessions. */
export class Grid {
  filter = el("input", {
    id: newId("filter"),
    type: "search",
    class: "cnb-input",
    "data-home": true,
    placeholder: "Find sessions",
    title: "Find by name, model, notebook or state",
  });
  count = el("span", { class: "cnb-count", role: "status", "aria-live": "polite" });
  heads = HEADS.map(([key, label]) => {
    const props = { role: "columnheader", scope: "col", class: `cnb-cell-${key}` };
    return el(
      "th",
      props,
      button(label, () => this.sort(key), { class: "cnb-sort" }),
    );
  });
  body = el("tbody", { role: "rowgroup" });
  empty = el("div", { class: "cnb-empty" });
  more = button("Show more", () => this.showMore(), { hidden: true });
  /** @type {Map<string, RowView>} */
  views = new Map();
  /** @type {RowView[]} */
  shown = [];
  /** @type {RowView | null} */
  active = null;
  /** @type {Editor | null} */
  editor = null;
  limit = MORE_ROWS;
  /** @type {import("./row.js").Column} */
  order = "used";
  isDown = false;

  /** @param {GridActions} actions */
  constructor(actions) {
    this.actions = actions;
    const last = el("th", { role: "columnheader", class: "cnb-cell-menu" }, el("span", { class: "cnb-sr" }, "Actions"));
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...this.heads, last));
    const grid = { class: "cnb-table cnb-grid", role: "grid", "aria-label": "Sessions" };
    this.node = el("div", { class: "cnb-list" }, el("table", grid, head, this.body), this.empty, this.more);
    this.filter.addEventListener("input", () => {
      this.limit = MORE_ROWS;
      this.layout();
    });
    this.filter.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" || !this.shown.length) return;
      event.preventDefault();
      this.focus(this.shown[0]);
    });
  }

  showMore() {
    this.limit += MORE_ROWS;
    this.layout();
  }

  /**
   * Show these rows and no others.
   * @param {Row[]} rows
   */
  whole(rows) {
    const known = new Set(rows.map((row) => row.id));
    for (const id of [...this.views.keys()].filter((each) => !known.has(each))) this.views.delete(id);
    for (const row of rows) this.put(row);
  }

  /** @param {Row} row */
  put(row) {
    const view = this.views.get(row.id);
    if (view) view.apply(row);
    else this.views.set(row.id, new RowView(this, row));
  }

  /** The kernel has ended: what its sessions do is not known any more. */
  lost() {
    for (const view of this.views.values()) view.apply({ ...view.row, state: "" });
  }

  /** Update how long ago each session was used. */
  age() {
    for (const view of this.views.values()) view.age();
  }

  /** Sort the visible rows without moving rows that are in place, because one may have the focus. */
  layout() {
    if (this.editor && !this.views.has(this.editor.view.row.id)) this.closeEditor();
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = [...this.views.values()].filter((view) => words.every((word) => view.text.includes(word)));
    this.sorted(matching);
    this.shown = matching.slice(0, this.limit);
    const held = this.active && this.active.node === document.activeElement ? this.active : null;
    const place = held ? [...this.body.children].indexOf(held.node) : -1;
    this.arrange();
    if (held && document.activeElement !== held.node) this.refocus(held, place);
    this.setTabStop();
    this.tell(matching.length, words.length > 0);
  }

  arrange() {
    const { editor, body } = this;
    const nodes = this.shown.flatMap((view) => (editor?.view === view ? [view.node, editor.node] : [view.node]));
    const wanted = new Set(/** @type {Element[]} */ (nodes));
    for (const node of [...body.children]) if (!wanted.has(node)) node.remove();
    for (const [at, node] of nodes.entries()) {
      if (body.children[at] !== node) body.insertBefore(node, body.children[at] ?? null);
    }
  }

  /**
   * Return the focus to a row that has lost it, or to the row now in its place.
   * @param {RowView} held
   * @param {number} place
   */
  refocus(held, place) {
    const next = this.shown.includes(held) ? held : this.shown[Math.min(place, this.shown.length - 1)];
    (next?.node ?? this.actions.fallback()).focus();
  }

  /** @param {RowView[]} views */
  sorted(views) {
    const key = HEADS.find(([name]) => name === this.order)?.[2] ?? (() => 0);
    const keyed = new Map(views.map((view) => [view, key(view.row)]));
    const compare = (/** @type {RowView} */ a, /** @type {RowView} */ b) => {
      const [left, right] = [keyed.get(a) ?? 0, keyed.get(b) ?? 0];
      return left < right ? -1 : left > right ? 1 : 0;
    };
    views.sort((a, b) => (this.isDown ? compare(b, a) : compare(a, b)) || (a.row.name < b.row.name ? -1 : 1));
  }

  /**
   * @param {number} number of the rows that fit
   * @param {boolean} isFiltered
   */
  tell(number, isFiltered) {
    const all = this.views.size;
    const said = isFiltered ? `${number.toLocaleString()} of ${counted(all, "session")}` : counted(all, "session");
    if (this.count.textContent !== said) this.count.textContent = said;
    this.empty.textContent = all ? "None of the sessions fits." : "No sessions yet.";
    this.empty.hidden = number > 0;
    hide(this.more, number <= this.limit);
    this.more.textContent = `Show more (${(number - this.limit).toLocaleString()})`;
    const order = this.isDown ? "descending" : "ascending";
    for (const [i, [key]] of HEADS.entries()) {
      this.heads[i].setAttribute("aria-sort", key === this.order ? order : "none");
    }
  }

  /**
   * Sort by a column; for the current column, reverse the order.
   * @param {import("./row.js").Column} key
   */
  sort(key) {
    this.isDown = this.order === key && !this.isDown;
    this.order = key;
    this.layout();
  }

  /** Make one row, with its controls, the only stop of the Tab key. */
  setTabStop() {
    if (!this.active || !this.shown.includes(this.active)) this.active = this.shown[0] ?? null;
    for (const view of this.shown) view.setTabStop(view === this.active ? 0 : -1);
  }

  /** @param {RowView} view */
  activate(view) {
    this.active = view;
    this.setTabStop();
  }

  /** @param {RowView | null} view */
  focus(view) {
    view?.node.focus();
  }

  /** @param {Row} row */
  open(row) {
    this.actions.open(row);
  }

  /** @param {string} text */
  say(text) {
    this.actions.say(text);
  }

  /** @param {RowView} view */
  showMenu(view) {
    this.activate(view);
    this.actions.showMenu(view);
  }

  /**
   * @param {KeyboardEvent} event
   * @param {RowView} view
   */
  key(event, view) {
    if (event.target !== view.node && !["ArrowUp", "ArrowDown", "F2", "Delete"].includes(event.key)) return;
    const at = this.shown.indexOf(view);
    const end = this.shown.length - 1;
    /** @type {Record<string, number>} */
    const moves = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: end, PageUp: at - 10, PageDown: at + 10 };
    /** @type {Record<string, () => void>} */
    const acts = {
      Enter: () => this.open(view.row),
      F2: () => this.actions.rename(view),
      Delete: () => this.actions.remove(view),
    };
    const to = moves[event.key];
    const act = acts[event.key];
    if (to === undefined && !act) return;
    event.preventDefault();
    if (act) act();
    else if (to < 0 && event.key === "ArrowUp") this.filter.focus();
    else this.focus(this.shown[Math.max(0, Math.min(to, end))]);
  }

  /**
   * Show a form below a row.
   * @param {RowView} view
   * @param {HTMLElement} content
   * @param {HTMLElement} first gets the focus
   */
  edit(view, content, first) {
    this.closeEditor();
    const cell = el("td", { role: "gridcell", colspan: HEADS.length + 1 }, content);
    const node = el("tr", { role: "row", class: "cnb-editor" }, cell);
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.closeEditor();
    });
    this.editor = { view, node };
    this.activate(view);
    this.layout();
    first.focus();
  }

  closeEditor() {
    if (!this.editor) return;
    const { view, node } = this.editor;
    this.editor = null;
    passFocus(node, view.node);
    node.remove();
  }
}
