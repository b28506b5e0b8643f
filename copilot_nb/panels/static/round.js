// One round of a comparison: its prompt, a column for each answer, the vote (compare.py has its fields).

import { button, el, keepPlace, newId, toolbar } from "./dom.js";
import { TurnView } from "./turn.js";
import { lineUp } from "./widths.js";

/** @typedef {[choice: string | number, label: string, key: string]} Choice a possible vote and its key */

/** @type {Choice[]} */
const CHOICES = [
  ["tie", "Tie", "t"],
  ["none good", "None good", "n"],
];
const MOST_KEYS = 9; // columns that have a key: their numbers

/** @typedef {import("./turn.js").TurnFields & {column: number, over?: boolean, best?: boolean, letter?: string,
 *   name?: string, shuffled?: boolean}} ColumnFields */

/**
 * @typedef {{round: number, prompt: string, blind: boolean, vote: string | null, final: boolean,
 *   columns: ColumnFields[]}} RoundFields
 */

/**
 * The parts of the panel that a round uses.
 * @typedef {object} RoundPanel
 * @property {AbortSignal} signal
 * @property {SharedScroll} sharedScroll
 * @property {import("./widths.js").Widths} widths
 * @property {boolean} isFixed whether the answers are there already
 * @property {() => void} afterVote the vote that had the focus was cast
 * @property {RoundView | undefined} last
 * @property {(text: string) => void} say
 * @property {() => void} showRetries
 * @property {(round: number, choice: string | number) => void} cast
 * @property {(round: number, column: number) => void} retry
 */

/** Columns that scroll together: all follow the one that the user scrolls. */
export class SharedScroll {
  constructor() {
    this.isOn = true;
    /** @type {WeakMap<HTMLElement, number>} our own scroll positions, which do not count as scrolling by the user */
    this.put = new WeakMap();
  }

  /**
   * @param {HTMLElement} box
   * @param {() => HTMLElement[]} others
   * @param {AbortSignal} signal
   */
  watch(box, others, signal) {
    box.addEventListener("scroll", () => this.moved(box, others()), { signal, passive: true });
  }

  /**
   * @param {HTMLElement} box
   * @param {HTMLElement[]} others
   */
  moved(box, others) {
    const isOurs = Math.abs((this.put.get(box) ?? -9) - box.scrollTop) < 2;
    this.put.delete(box);
    if (isOurs || !this.isOn) return;
    const part = box.scrollTop / Math.max(1, box.scrollHeight - box.clientHeight);
    for (const other of others) {
      if (other === box) continue;
      const top = Math.round(part * (other.scrollHeight - other.clientHeight));
      if (Math.abs(other.scrollTop - top) < 1) continue;
      other.scrollTop = top;
      this.put.set(other, other.scrollTop);
    }
  }
}

/** One round. */
export class RoundView {
  /** @param {RoundPanel} panel */
  constructor(panel) {
    this.panel = panel;
    this.number = 0;
    this.final = false; // the names were shown after the vote, so it cannot change
    /** @type {string | null} */
    this.voted = null;
    /** @type {ColumnView[]} */
    this.columns = [];
    /** @type {Map<string, string | number>} the current vote of each key */
    this.choices = new Map();
    const id = newId("round");
    this.title = el("div", { class: "cnb-round-title", role: "heading", "aria-level": 3, id });
    this.prompt = el("div", { class: "cnb-prompt" });
    this.grid = el("div", { class: "cnb-columns" });
    this.vote = el("div", { class: "cnb-vote" });
    const parts = [this.title, this.prompt, this.grid, this.vote];
    this.node = el("section", { class: "cnb-round", "aria-labelledby": id }, ...parts);
  }

  /** @param {RoundFields} fields */
  apply(fields) {
    this.number = fields.round;
    const isFirstVote = !this.voted && Boolean(fields.vote);
    this.final = fields.final;
    this.voted = fields.vote;
    this.title.textContent = `Round ${fields.round}${fields.blind ? ", blind" : ""}`;
    this.prompt.textContent = fields.prompt;
    for (const [at, column] of fields.columns.entries()) this.column(at).apply(column);
    this.panel.widths.use(this.grid, this.columns.length);
    this.showVote(isFirstVote);
    this.panel.showRetries();
  }

  /** @param {number} at */
  column(at) {
    if (!this.columns[at]) {
      this.columns[at] = new ColumnView(this, at);
      if (at) this.grid.append(this.panel.widths.separator(at));
      this.grid.append(this.columns[at].node);
    }
    return this.columns[at];
  }

  /**
   * Show the changes of an answer.
   * @param {ColumnFields} fields
   */
  answer(fields) {
    const wasOver = this.isOver;
    this.column(fields.column).apply(fields);
    if (this.isOver && !wasOver) {
      this.showVote();
      this.panel.say(`Round ${this.number}: all have answered.`);
    }
  }

  get isOver() {
    return this.columns.every((column) => column.isOver);
  }

  showVote(isFirstVote = false) {
    const best = this.columns.find((column) => column.isBest);
    /** @type {Record<string, string>} */
    const words = { best: `★ Best: ${best?.title ?? ""}`, tie: "Voted: a tie", "none good": "Voted: none is good" };
    const said = this.voted ? words[this.voted] : this.isOver ? "Which one is best?" : "";
    const held = this.vote.contains(document.activeElement);
    const line = el("div", { class: "cnb-vote-line" }, el("span", { class: "cnb-vote-said" }, said));
    this.vote.replaceChildren(line);
    this.choices.clear();
    if (!this.isOver || this.final) {
      if (held) this.panel.afterVote();
      return;
    }
    const pressed = this.voted === "best" ? this.columns.findIndex((each) => each === best) + 1 : this.voted;
    /** @type {Choice[]} */
    const columns = this.columns.map((column, i) => [
      i + 1,
      `${column.title} is best`,
      i < MOST_KEYS ? String(i + 1) : "",
    ]);
    const buttons = [...columns, ...CHOICES].map(([choice, label, key]) => {
      if (key) this.choices.set(key, choice);
      const props = {
        "aria-pressed": this.voted ? String(choice === pressed) : null,
        "aria-keyshortcuts": key || null,
      };
      const made = button(label, () => this.panel.cast(this.number, choice), props);
      if (key) made.append(el("kbd", { "aria-hidden": "true" }, key.toUpperCase()));
      return made;
    });
    const bar = toolbar(`Vote on round ${this.number}`, buttons);
    line.append(...buttons.slice(columns.length));
    const below = el("div", { class: "cnb-columns" }, ...buttons.slice(0, columns.length));
    lineUp(below, columns.length);
    bar.append(below, line);
    this.vote.append(bar);
    if (held && isFirstVote && this.panel.isFixed) this.panel.afterVote();
    else if (held) buttons[0].focus();
  }

  /** Move the focus to the vote, if a vote is possible. */
  toVote() {
    this.vote.querySelector("button")?.focus();
  }
}

/** One answer of a round. */
class ColumnView {
  /**
   * @param {RoundView} round
   * @param {number} at
   */
  constructor(round, at) {
    this.isOver = this.isBest = false;
    this.title = "";
    const { sharedScroll, signal } = round.panel;
    const actions = () => this.actions(round, at + 1);
    this.turn = new TurnView(newId("column"), { actions, codeActions: [], level: 4 });
    this.node = this.turn.node;
    const { asked, said } = this.turn;
    const id = newId("title");
    this.heading = el("div", { role: "heading", "aria-level": 4, id });
    this.box = el("div", { class: "cnb-column-box", tabindex: 0, role: "group", "aria-labelledby": id });
    asked.remove();
    said.replaceWith(this.box);
    this.box.append(said);
    this.node.prepend(el("div", { class: "cnb-column-title" }, this.heading, this.turn.tools));
    this.node.classList.add("cnb-column");
    this.node.setAttribute("aria-labelledby", id);
    keepPlace(this.box, signal);
    sharedScroll.watch(this.box, () => round.columns.map((each) => each.box), signal);
  }

  /**
   * Whether an answer can be requested again: until a vote or a later round.
   * @param {RoundView} round
   * @param {number} column
   */
  actions(round, column) {
    const { panel, number, voted } = round;
    const isLast = panel.last === round && !voted && !panel.isFixed;
    return isLast && this.isOver ? [{ name: "retry", label: "Retry", run: () => panel.retry(number, column) }] : [];
  }

  /** @param {ColumnFields} fields */
  apply(fields) {
    this.turn.apply(fields);
    if (fields.over !== undefined) {
      this.isOver = fields.over;
      this.turn.showTools();
    }
    if (fields.best !== undefined) this.isBest = fields.best;
    if (fields.letter !== undefined) {
      const name = fields.shuffled ? `${fields.letter}: ${fields.name}` : fields.name;
      this.title = fields.name ? (name ?? "") : `Answer ${fields.letter}`;
      this.heading.textContent = this.isBest ? `★ ${this.title}` : this.title;
      this.node.classList.toggle("cnb-best", this.isBest);
    }
  }
}
