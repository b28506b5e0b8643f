// The comparison: rounds of one prompt and its answers side by side, a vote under each (compare.py tells what there is).

const CHOICES = [["tie", "Tie"], ["none good", "None good"]];

/** Columns that scroll together: each is as far along as the one that was moved. */
class Together {
  constructor() {
    this.isOn = true;
    this.put = new WeakMap(); // where we have put a column, so that this is not taken for a move
  }

  watch(box, others, signal) {
    box.addEventListener("scroll", () => this.moved(box, others()), { signal, passive: true });
  }

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

/** One round: its prompt, a column for each answer, the vote. */
class RoundView {
  constructor(panel) {
    this.panel = panel;
    this.number = 0;
    this.columns = [];
    const id = newId("round");
    this.title = el("div", { class: "cnb-round-title", role: "heading", "aria-level": 3, id });
    this.prompt = el("div", { class: "cnb-prompt" });
    this.grid = el("div", { class: "cnb-columns" });
    this.vote = el("div", { class: "cnb-vote" });
    this.node = el("section", { class: "cnb-round", "aria-labelledby": id }, this.title, this.prompt, this.grid, this.vote);
  }

  apply(fields) {
    this.number = fields.round;
    this.blind = fields.blind;
    this.voted = fields.vote;
    this.title.textContent = `Round ${fields.round}${fields.blind ? ", blind" : ""}`;
    this.prompt.textContent = fields.prompt;
    fields.columns.forEach((column, at) => this.column(at).apply(column));
    this.showVote();
    this.panel.showRetries();
  }

  column(at) {
    if (!this.columns[at]) {
      this.columns[at] = new ColumnView(this, at);
      this.grid.append(this.columns[at].node);
    }
    return this.columns[at];
  }

  /** Show what has come of an answer. */
  answer(fields) {
    const wasOver = this.isOver;
    this.column(fields.column).apply(fields);
    if (this.isOver && !wasOver) {
      this.showVote();
      this.panel.announce.say(`Round ${this.number}: all have answered.`);
    }
  }

  get isOver() {
    return this.columns.every((column) => column.isOver);
  }

  showVote() {
    const best = this.columns.find((column) => column.isBest);
    const said = { best: `★ Best: ${best?.title ?? ""}`, tie: "Voted: a tie", "none good": "Voted: none is good" }[this.voted];
    const held = this.vote.contains(document.activeElement);
    this.vote.replaceChildren(el("span", { class: "cnb-vote-said" }, said ?? (this.isOver ? "Which one is best?" : "")));
    if (!this.isOver || (this.blind && this.voted)) { if (held) this.panel.input.focus(); return; }
    const choices = [...this.columns.map((column, i) => [i + 1, column.title]), ...CHOICES];
    const buttons = choices.map(([choice, label]) => button(label, () => this.panel.cast(this.number, choice), {
      "aria-pressed": this.voted ? String(choice === this.chosen(best)) : null,
    }));
    this.vote.append(toolbar(`Vote on round ${this.number}`, buttons));
    if (held) buttons[0].focus();
  }

  chosen(best) {
    return this.voted === "best" ? this.columns.indexOf(best) + 1 : this.voted;
  }
}

/** One answer of a round. */
class ColumnView {
  constructor(round, at) {
    this.isOver = this.isBest = false;
    this.title = "";
    const { together, signal } = round.panel;
    this.turn = new TurnView(newId("column"), { actions: () => this.actions(round, at + 1), codeActions: [], level: 4 });
    this.node = this.turn.node;
    const [asked, said] = this.node.children;
    const id = newId("title");
    this.heading = el("div", { role: "heading", "aria-level": 4, id });
    this.box = el("div", { class: "cnb-column-box", tabindex: 0, role: "region", "aria-labelledby": id });
    asked.remove();
    said.replaceWith(this.box);
    this.box.append(said);
    this.node.prepend(el("div", { class: "cnb-column-title" }, this.heading, this.turn.tools));
    this.node.classList.add("cnb-column");
    this.node.setAttribute("aria-labelledby", id);
    together.watch(this.box, () => round.columns.map((each) => each.box), signal);
  }

  /** An answer can be asked for again while nothing has come after it, no vote and no further round. */
  actions(round, column) {
    const { panel, number, voted } = round;
    const isLast = panel.last === round && !voted;
    return isLast && this.isOver ? [{ name: "retry", label: "Retry", run: () => panel.ask("retry", { round: number, column }) }] : [];
  }

  apply(fields) {
    this.turn.apply(fields);
    if ("over" in fields) { this.isOver = fields.over; this.turn.setState({}); }
    if ("best" in fields) this.isBest = fields.best;
    if ("letter" in fields) {
      this.title = fields.name ? (fields.shuffled ? `${fields.letter}: ${fields.name}` : fields.name) : `Answer ${fields.letter}`;
      this.heading.textContent = this.isBest ? `★ ${this.title}` : this.title;
      this.node.classList.toggle("cnb-best", this.isBest);
    }
  }
}

class ComparePage {
  constructor({ model, el: place, signal }) {
    this.signal = signal;
    this.together = new Together();
    this.rounds = new Map();
    this.announce = announcer();
    this.notice = noticeLine();
    this.trouble = noticeLine();
    this.build();
    place.append(this.root);
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (items) => items.forEach((item) => this.take(item)),
      trouble: (text) => (text ? this.trouble.show(text, "trouble") : this.trouble.clear()),
      expecting: () => this.isUnderWay,
    });
  }

  build() {
    this.names = el("span", { class: "cnb-title" });
    const [blind, blindBox] = checkbox("Blind", () => this.ask("blind", { on: blindBox.checked }));
    blind.title = "Hide whose the answers are until you have voted, from the next round on";
    const [together, togetherBox] = checkbox("Scroll together", () => { this.together.isOn = togetherBox.checked; });
    togetherBox.checked = true;
    this.blindBox = blindBox;
    this.earlier = button("Earlier rounds", () => this.before(), { class: "cnb-button cnb-earlier", hidden: true });
    this.list = el("div", { class: "cnb-rounds" });
    this.empty = el("div", { class: "cnb-empty" });
    const id = newId("prompt");
    this.input = el("textarea", { id, class: "cnb-input", rows: 2, placeholder: "One prompt to all (Enter sends, Shift+Enter: a new line)" });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.sendButton = button("Send to all", () => this.send(), { class: "cnb-button cnb-primary" });
    this.stopButton = button("Stop all", () => this.ask("stop"), { class: "cnb-button cnb-stop", hidden: true });
    this.wins = el("div", { class: "cnb-wins" });
    this.root = panelRoot("cnb-compare", "Comparison",
      el("div", { class: "cnb-compare-bar" }, this.names, blind, together),
      this.trouble.node, this.notice.node, this.earlier, this.empty, this.list,
      el("div", { class: "cnb-compare-send" }, el("label", { for: id, class: "cnb-sr" }, "Prompt to all"), this.input, this.sendButton, this.stopButton),
      this.wins, this.announce.node);
  }

  whole(message) {
    this.rounds.clear();
    this.list.replaceChildren();
    message.rounds.forEach((fields) => this.round(fields.round).apply(fields));
    this.showEarlier(message.earlier);
    this.frame(message.frame);
    this.settle();
  }

  take(item) {
    if (item.kind === "frame") this.frame(item.frame);
    else if (item.kind === "answer") this.rounds.get(item.round)?.answer(item);
    else if (item.kind === "round") this.begin(item);
    else if (item.kind === "voted") this.rounds.get(item.round)?.apply(item);
    this.settle();
  }

  begin(fields) {
    const round = this.round(fields.round);
    round.apply(fields);
    round.node.scrollIntoView({ block: "nearest" });
  }

  get last() {
    return this.rounds.get(Math.max(...this.rounds.keys()));
  }

  showRetries() {
    for (const round of this.rounds.values()) round.columns.forEach((each) => each.turn.setState({}));
  }

  round(number) {
    if (!this.rounds.has(number)) {
      const made = new RoundView(this);
      this.rounds.set(number, made);
      this.list.append(made.node);
    }
    return this.rounds.get(number);
  }

  /** What is above and below the rounds. Nobody is named where a blind comparison has not been voted on. */
  frame(frame) {
    this.blindBox.checked = frame.blind;
    this.names.textContent = frame.names.length ? frame.names.join(" · ") : `${frame.number} sessions, names hidden until the first vote`;
    this.empty.textContent = frame.blind
      ? "Ask something: all answer, in random order; vote for the best, and you are told whose it is."
      : "Ask something: all answer, side by side; vote for the best.";
    this.wins.replaceChildren(...(frame.rows.length && this.rounds.size ? [plainTable(frame)] : []));
  }

  async before() {
    const first = this.list.firstChild;
    try {
      const more = await this.link.ask("earlier", { before: Math.min(...this.rounds.keys()) });
      for (const fields of more.rounds) {
        const round = this.round(fields.round);
        round.apply(fields);
        this.list.insertBefore(round.node, first);
      }
      this.showEarlier(more.earlier);
    } catch (error) { this.notice.show(error.message); }
  }

  showEarlier(number) {
    this.earlier.hidden = !number;
    this.earlier.textContent = `Earlier rounds (${number})`;
  }

  async send() {
    const prompt = this.input.value;
    if (await this.ask("send", { prompt }) && this.input.value === prompt) this.input.value = "";
  }

  async cast(number, choice) {
    if (await this.ask("vote", { round: number, choice })) this.announce.say(`Voted on round ${number}.`);
  }

  /** Ask for something; whether it was done. What went wrong is shown. */
  async ask(what, more) {
    try {
      await this.link.ask(what, more);
      this.notice.clear();
      return true;
    } catch (error) {
      this.notice.show(error.message);
      return false;
    }
  }

  settle() {
    this.empty.hidden = this.rounds.size > 0;
    this.stopButton.hidden = !this.isUnderWay;
    this.sendButton.disabled = this.isUnderWay;
  }

  get isUnderWay() {
    return [...this.rounds.values()].some((round) => !round.isOver);
  }
}

/** A box to tick, in its label. */
function checkbox(label, onchange) {
  const box = el("input", { type: "checkbox", onchange });
  return [el("label", { class: "cnb-check" }, box, label), box];
}

/** A table of texts. */
function plainTable({ caption, heads, rows }) {
  const line = (tag, cells) => el("tr", {}, ...cells.map((cell) => el(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  return el("table", { class: "cnb-table" }, el("caption", {}, caption),
    el("thead", {}, line("th", heads)), el("tbody", {}, ...rows.map((row) => line("td", row))));
}

export default {
  render(view) {
    new ComparePage(view);
  },
};
