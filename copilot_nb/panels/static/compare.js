// The comparison: rounds of one prompt and its answers side by side, a vote under each (compare.py has the fields).

import { Approvals, decider } from "./approvals.js";
import { announcer, button, el, hide, Notice, newId, panelRoot, saveFile, saveFocus } from "./dom.js";
import { KeptDraft } from "./drafts.js";
import { characterOf, onEnter, replaceText } from "./keys.js";
import { Link } from "./link.js";
import { RoundView, SharedScroll } from "./round.js";
import { keepHeight } from "./size.js";
import { unsharedView } from "./unshared.js";
import { Widths } from "./widths.js";

/** @typedef {{caption: string, heads: string[], rows: string[][]}} Table */
/**
 * The fields around the rounds; `fixed`: the answers are there already, so nothing can be sent.
 * @typedef {Table & {names: string[], hidden: string, empty: string, blind?: boolean, fixed?: boolean}} Frame
 */

class ComparePage {
  names = el("span", { class: "cnb-title" });
  earlier = button("Earlier rounds", () => this.before(), { class: "cnb-button cnb-earlier", hidden: true });
  note = el("div", { class: "cnb-note" });
  list = el("div", { class: "cnb-rounds" });
  empty = el("div", { class: "cnb-empty" });
  write = el("div", { class: "cnb-compare-send" });
  wins = el("div", { class: "cnb-wins" });
  input = el("textarea", {
    id: newId("prompt"),
    class: "cnb-input",
    rows: 2,
    "data-home": true,
    placeholder: "One prompt to all (Enter sends, Shift+Enter: a new line, Esc: to the vote)",
  });
  sendButton = button("Send to all", () => this.send(), { class: "cnb-button cnb-primary" });
  stopButton = button("Stop all", () => this.ask("stop"), { class: "cnb-button cnb-stop", hidden: true });
  csv = button("Download CSV", () => this.download(), { title: "All rounds, one line for each answer" });
  blind = checkbox("Blind", (isOn) => this.ask("blind", { on: isOn }));
  sharedScroll = new SharedScroll();
  announce = announcer();
  notice = new Notice();
  trouble = new Notice();
  approvals = new Approvals(
    decider(this.notice, (fields) => this.link.ask("decide", fields)),
    (text) => this.announce.say(text),
  );
  /** @type {Map<number, RoundView>} */
  rounds = new Map();
  isFixed = false; // the answers are there already, so nothing can be sent
  goesOn = false; // the vote that was just cast had the focus, so the next round's vote gets it

  /** @param {import("./link.js").View} view */
  constructor({ model, el: place, signal }) {
    this.signal = signal;
    this.root = this.build();
    this.widths = new Widths(this.root, signal);
    place.append(this.root);
    keepHeight(this.input, "comparison", signal);
    new KeptDraft(this.input).as(model.get("panel_id"));
    onEnter(this.input, () => this.send());
    this.root.addEventListener("keydown", (event) => this.key(event), { signal });
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (item) => this.take(item),
      trouble: (text) => (text ? this.trouble.show(text, "trouble") : this.trouble.clear()),
      lost: () => this.lost(),
      expecting: () => this.isUnderWay,
    });
  }

  build() {
    this.blind.label.title = "Hide whose the answers are until you have voted, from the next round on";
    const sharedScroll = checkbox("Scroll together", (isOn) => {
      this.sharedScroll.isOn = isOn;
    });
    sharedScroll.box.checked = true;
    const bar = el("div", { class: "cnb-compare-bar" }, this.names, this.blind.label, sharedScroll.label, this.csv);
    const label = el("label", { for: this.input.id, class: "cnb-sr" }, "Prompt to all");
    this.write.append(label, this.input, this.sendButton, this.stopButton);
    const middle = [this.trouble.node, this.notice.node, this.note, this.earlier, this.empty, this.list];
    const below = [this.approvals.node, this.write, this.wins, this.announce.node];
    return panelRoot("cnb-compare", "Comparison", bar, ...middle, ...below);
  }

  /** @param {any} message */
  whole(message) {
    this.isFixed = Boolean(message.frame.fixed);
    this.rounds.clear();
    saveFocus(this.list);
    this.list.replaceChildren();
    for (const fields of message.rounds) this.round(fields.round).apply(fields);
    this.showUnshared(message.unshared);
    this.note.textContent = message.note;
    this.showEarlier(message.earlier);
    this.frame(message.frame);
    this.approvals.show(message.asks ?? []);
    this.settle();
  }

  /** @param {any} item */
  take(item) {
    if (item.kind === "frame") this.frame(item.frame);
    else if (item.kind === "asks") this.approvals.show(item.asks);
    else if (item.kind === "answer") this.rounds.get(item.round)?.answer(item);
    else if (item.kind === "round") this.begin(item);
    else if (item.kind === "voted") this.rounds.get(item.round)?.apply(item);
    this.settle();
  }

  /** @param {import("./round.js").RoundFields} fields */
  begin(fields) {
    const round = this.round(fields.round);
    round.apply(fields);
    round.node.scrollIntoView({ block: "nearest" });
    if (this.goesOn && this.root.contains(document.activeElement)) round.toVote();
    this.goesOn = false;
  }

  /** The kernel has ended, and with it what was answering. */
  lost() {
    for (const round of this.rounds.values()) for (const column of round.columns) column.turn.lost();
    this.settle();
  }

  get last() {
    return this.rounds.get(Math.max(...this.rounds.keys()));
  }

  showRetries() {
    for (const round of this.rounds.values()) for (const column of round.columns) column.turn.showTools();
  }

  /** @param {number} number */
  round(number) {
    const known = this.rounds.get(number);
    if (known) return known;
    const made = new RoundView(this);
    this.rounds.set(number, made);
    this.list.append(made.node);
    return made;
  }

  /**
   * Show the fields above and below the rounds; without names before the first vote of a blind comparison.
   * @param {Frame} frame
   */
  frame(frame) {
    this.blind.box.checked = Boolean(frame.blind);
    hide(this.blind.label, this.isFixed);
    hide(this.write, this.isFixed);
    this.names.textContent = frame.names.length ? frame.names.join(" · ") : frame.hidden;
    this.root.setAttribute("aria-label", ["Comparison", ...frame.names].join(" · "));
    this.empty.textContent = frame.empty;
    this.wins.replaceChildren(...(frame.rows.length && this.rounds.size ? [plainTable(frame)] : []));
  }

  async before() {
    const first = this.list.firstChild;
    const more = await this.notice.attempt(() => this.link.ask("earlier", { before: Math.min(...this.rounds.keys()) }));
    if (!more) return;
    for (const fields of more.rounds) {
      const round = this.round(fields.round);
      round.apply(fields);
      this.list.insertBefore(round.node, first);
    }
    this.showUnshared(more.unshared);
    this.showEarlier(more.earlier);
  }

  /** @param {import("./unshared.js").UnsharedFields[]} unshared */
  showUnshared(unshared) {
    for (const fields of unshared) {
      const next = this.rounds.get(fields.before)?.node ?? null;
      this.list.insertBefore(unsharedView(fields, this.signal), next);
    }
  }

  /** @param {number} number */
  showEarlier(number) {
    hide(this.earlier, !number);
    this.earlier.textContent = `Earlier rounds (${number})`;
  }

  async send() {
    const prompt = this.input.value;
    const wasSent = await this.ask("send", { prompt });
    if (wasSent && this.input.value === prompt) replaceText(this.input, "");
  }

  async download() {
    const file = await this.notice.attempt(() => this.link.ask("csv"));
    // Excel recognises UTF-8 by the byte order mark
    if (file) saveFile(file.name, `\ufeff${file.text}`, "text/csv;charset=utf-8");
  }

  /**
   * Vote by key on the round that has the focus, else on the last one. A vote already given changes only by the keys of
   * its buttons.
   * @param {KeyboardEvent} event
   */
  key(event) {
    if (event.key === "Escape" && event.target === this.input) this.last?.toVote();
    const node = /** @type {Element} */ (event.target);
    const round = [...this.rounds.values()].find((each) => each.node.contains(node)) ?? this.last;
    const choice = round?.choices.get(characterOf(event));
    if (!round || choice === undefined || (round.voted && !round.vote.contains(node))) return;
    event.preventDefault();
    this.cast(round.number, choice);
  }

  /**
   * @param {number} number
   * @param {string | number} choice
   */
  async cast(number, choice) {
    if (await this.ask("vote", { round: number, choice })) this.say(`Voted on round ${number}.`);
  }

  /**
   * @param {number} round
   * @param {number} column
   */
  retry(round, column) {
    this.ask("retry", { round, column });
  }

  /** @param {string} text */
  say(text) {
    this.announce.say(text);
  }

  /**
   * Send a request and show an error; returns whether it succeeded.
   * @param {string} what
   * @param {object} [more]
   */
  async ask(what, more) {
    const answer = await this.notice.attempt(() => this.link.ask(what, more));
    if (answer) this.notice.clear();
    return answer !== null;
  }

  /** The round whose vote had the focus was voted on. */
  afterVote() {
    this.goesOn = this.isFixed;
    (this.isFixed ? this.root : this.input).focus({ preventScroll: true });
  }

  settle() {
    this.empty.hidden = this.list.childElementCount > 0;
    hide(this.csv, !this.rounds.size);
    const isWorking = this.isUnderWay && !this.link?.isDead;
    hide(this.stopButton, !isWorking);
    if (isWorking) saveFocus(this.sendButton);
    this.sendButton.disabled = isWorking;
  }

  get isUnderWay() {
    return [...this.rounds.values()].some((round) => !round.isOver);
  }
}

/**
 * A checkbox in its label.
 * @param {string} label
 * @param {(isOn: boolean) => void} changed
 */
function checkbox(label, changed) {
  const box = el("input", { type: "checkbox", onchange: () => changed(box.checked) });
  return { box, label: el("label", { class: "cnb-check" }, box, label) };
}

/**
 * A table of texts.
 * @param {Table} table
 */
function plainTable({ caption, heads, rows }) {
  const head = el("tr", {}, ...heads.map((each) => el("th", { scope: "col" }, each)));
  const body = rows.map((row) => el("tr", {}, ...row.map((each) => el("td", {}, each))));
  const parts = [el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, ...body)];
  return el("table", { class: "cnb-table" }, ...parts);
}

export default {
  /** @param {import("./link.js").View} view */
  render(view) {
    new ComparePage(view);
  },
};
