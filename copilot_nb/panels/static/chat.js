// The page of a ChatPanel (chat.py): a head, the transcript and the composer.

import { Approvals } from "./approvals.js";
import { COMMANDS, escapeExpressions, KEYS } from "./commands.js";
import { Composer } from "./composer.js";
import { announcer, button, copyText, el, flash, hide, Notice, panelRoot } from "./dom.js";
import { Head } from "./head.js";
import { Link } from "./link.js";
import { popup } from "./popup.js";
import { keepHeight } from "./size.js";
import { Transcript } from "./transcript.js";

/** @typedef {import("./turn.js").TurnView} TurnView */

/**
 * Return a function that puts code into a new cell below the panel's cell; null if the front end does not permit that.
 * @param {import("./link.js").Model} model
 * @param {HTMLElement} root
 * @returns {((code: string) => void) | null}
 */
function cellMaker(model, root) {
  const shared = model.widget_manager?.context?.model?.sharedModel;
  if (typeof shared?.insertCell !== "function") return null;
  return (code) => {
    /** @type {HTMLElement | null} */
    const cell = root.closest(".jp-Cell");
    const cells = [...(cell?.parentElement?.querySelectorAll(":scope > .jp-Cell") ?? [])];
    const index = Number(cell?.dataset.windowedListIndex ?? cells.findIndex((each) => each === cell));
    const at = index >= 0 ? index + 1 : shared.cells.length;
    shared.insertCell(at, { cell_type: "code", source: code, metadata: { trusted: true } });
  };
}

/** A ChatPanel in the page. */
class Chat {
  /** @param {import("./link.js").View} view */
  constructor({ model, el: host, signal }) {
    this.signal = signal;
    this.live = announcer();
    this.examples = el("div", { class: "cnb-examples" });
    this.notice = new Notice();
    this.transcript = this.makeTranscript(signal);
    this.approvals = new Approvals(
      (request, outcome, said) => this.do("decide", { request, outcome, ...said }),
      (text) => this.live.say(text),
    );
    this.composer = new Composer({
      signal,
      notice: this.notice,
      send: (draft) => this.send(draft),
      stop: () => this.stop(),
      history: () => this.transcript.inOrder().map((turn) => escapeExpressions(turn.promptText)),
    });
    this.head = this.makeHead(signal);
    const parts = [this.head, this.notice, this.transcript, this.approvals, this.composer, this.live];
    this.root = panelRoot("cnb-chat", "Chat", ...parts.map((each) => each.node));
    host.append(this.root);
    this.keepInView(signal);
    this.root.addEventListener("keydown", (event) => event.key === "Escape" && this.notice.clear(), { signal });
    const toCell = cellMaker(model, this.root);
    if (toCell) {
      const run = (/** @type {string} */ code, /** @type {HTMLElement} */ node) => {
        toCell(code);
        flash(node, "Done");
      };
      this.transcript.codeActions.push({ label: "To a new cell", icon: "cell", run });
    }
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (item) => this.take(item),
      trouble: (text) => this.trouble(text),
      lost: () => this.lost(),
      expecting: () => this.head.facts?.busy || this.transcript.isUnderWay,
    });
  }

  /** @param {AbortSignal} signal */
  makeTranscript(signal) {
    return new Transcript({
      label: "Conversation",
      signal,
      empty: this.makeEmpty(),
      actions: (turn) => this.actions(turn),
      thumbnail: async (turn, index) => (await this.link.ask("thumbnail", { turn: turn.key, index })).src,
      earlier: () => this.earlier(),
      finished: (turn) => this.live.say(spoken(turn)),
    });
  }

  /** The contents of an empty transcript: suggested prompts, which a click puts into the field. */
  makeEmpty() {
    const about = el("p", {}, "Ask something, or begin with one of these.");
    return el("div", {}, about, this.examples);
  }

  /** @param {string[]} texts */
  showExamples(texts) {
    const show = (/** @type {string} */ text) =>
      button(text, () => this.composer.suggest(text), { class: "cnb-button cnb-example" });
    if (!this.examples.childElementCount) this.examples.append(...texts.map(show)); // once, as a button keeps its focus
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Head}
   */
  makeHead(signal) {
    /** @returns {Promise<import("./head.js").Choice[]>} */
    const models = async () => {
      const answer = await this.notice.attempt(() => this.link.ask("models"));
      return answer?.choices ?? this.head.choices;
    };
    return new Head({
      signal,
      models,
      rename: (name) => this.do("rename", { name }),
      choose: async (provider, model) => Boolean(await this.do("model", { provider, model })),
      items: () => [
        { label: "Usage", run: () => this.do("usage") },
        { label: "Rename…", run: () => this.head.rename() },
        { label: "Fork", run: () => this.fork({}) },
        null,
        { label: "Take back the last turn", run: () => this.do("rewind", { count: 1 }) },
        { label: "Bring back what was taken back", run: () => this.do("undo") },
        { label: "Take back all turns", run: () => this.do("rewind"), danger: true },
        null,
        { label: "Commands and keys", run: () => this.help() },
      ],
    });
  }

  /**
   * Send a request to the kernel and show its reply; the promise resolves to null if the request failed.
   * @param {string} what
   * @param {object} [more]
   */
  async do(what, more = {}) {
    this.notice.clear();
    const answer = await this.notice.attempt(() => this.link.ask(what, more));
    if (answer?.said) this.notice.show(answer.said, "said");
    return answer;
  }

  /** @param {object} more */
  async fork(more) {
    const answer = await this.do("fork", more);
    if (!answer) return null;
    const go = button("Show it here", () => this.do("show", { name: answer.name }));
    this.notice.text.append(" ", go);
    return answer;
  }

  /** @param {any} message */
  whole(message) {
    this.head.choices = message.choices;
    this.showExamples(message.examples);
    this.transcript.whole(message.turns, message.first);
    this.approvals.show(message.asks);
    this.session(message.session);
    if (message.problem) this.notice.show(message.problem);
  }

  /** @param {any} item */
  take(item) {
    if (item.kind === "turn") this.transcript.apply(item);
    else if (item.kind === "asks") this.approvals.show(item.asks);
    else if (item.kind === "session") this.session(item);
  }

  /** @param {import("./head.js").Facts} facts */
  session(facts) {
    if (!this.head.facts) keepHeight(this.root, facts.id, this.signal);
    this.head.show(facts);
    this.root.setAttribute("aria-label", `Chat: ${facts.name}`);
    hide(this.composer.stop, !facts.busy);
    this.composer.keepFor(facts.id);
  }

  /** The kernel has ended, and with it what was answering. */
  lost() {
    for (const turn of this.transcript.inOrder()) turn.lost();
    if (this.head.facts) this.session({ ...this.head.facts, state: "", busy: false });
  }

  /**
   * @param {TurnView} turn
   * @returns {import("./turn.js").Action[]}
   */
  actions(turn) {
    if (turn.state === "queued") {
      return [{ name: "withdraw", label: "Withdraw", run: () => this.do("stop", { turn: turn.key }) }];
    }
    if (turn.state === "working") return [];
    const copy = async (/** @type {HTMLElement} */ node) => {
      const answer = await this.do("text", { turn: turn.key });
      if (answer) copyText(answer.text, node);
    };
    return [
      { name: "copy", label: "Copy", run: copy },
      { name: "retry", label: "Retry", run: () => this.do("resend", { turn: turn.key, text: null }) },
      { name: "edit", label: "Edit", run: () => this.composer.edit(turn, this.after(turn)) },
      { name: "fork", label: "Fork", run: () => this.fork({ turn: turn.key }) },
    ];
  }

  /** Stop the running answer by its key: when the kernel receives the request, the next one may be running. */
  stop() {
    const turns = this.transcript.inOrder();
    const turn = turns.find((each) => each.state === "working") ?? turns.find((each) => each.isUnderWay);
    return this.do("stop", turn ? { turn: turn.key } : {});
  }

  /**
   * The number of turns after this one.
   * @param {TurnView} turn
   */
  after(turn) {
    const turns = this.transcript.inOrder();
    return turns.length - 1 - turns.indexOf(turn);
  }

  async earlier() {
    const page = await this.do("earlier", { before: this.transcript.first });
    if (page) this.transcript.prepend(page.turns, page.first);
  }

  /** @param {import("./composer.js").Draft} draft */
  async send(draft) {
    this.transcript.toEnd();
    const { text, files, editing, literal } = draft;
    let done;
    if (draft.isCommand) done = await this.command(text);
    else if (editing) done = await this.do("resend", { turn: editing.key, text, files, literal });
    else done = await this.do("send", { text, files, literal });
    if (done?.refused) this.refuse(done.refused);
    if (done === null || done?.refused) this.composer.restore(draft);
  }

  /**
   * Say why a text was not sent, and offer to send it literally.
   * @param {string} why
   */
  refuse(why) {
    this.notice.show(why);
    this.notice.text.append(
      " ",
      button("Send as it is", () => this.composer.submit(true)),
    );
  }

  /**
   * Keep the composer in view as the conversation makes the panel taller, if it is visible and the panel has the focus.
   * @param {AbortSignal} signal
   */
  keepInView(signal) {
    let isSeen = false;
    const { node } = this.composer;
    const grown = new ResizeObserver(() => {
      if (isSeen && this.root.contains(document.activeElement)) node.scrollIntoView({ block: "nearest" });
    });
    const seen = new IntersectionObserver(
      (entries) => {
        isSeen = entries.some((each) => each.isIntersecting);
      },
      { threshold: 0.5 },
    );
    grown.observe(this.root);
    seen.observe(node);
    signal.addEventListener("abort", () => {
      grown.disconnect();
      seen.disconnect();
    });
  }

  /**
   * Run a slash command; null (or a promise of it) if it failed.
   * @param {string} text
   * @returns {Promise<any> | null | undefined | void}
   */
  command(text) {
    const [word, ...rest] = text.trim().split(/\s+/);
    const line = rest.join(" ");
    const last = this.transcript.inOrder().at(-1);
    switch (word) {
      case "/model":
        return line ? this.do("model", { model: rest[0], provider: rest[1] ?? "" }) : this.head.models.focus();
      case "/rename":
        return line ? this.do("rename", { name: line }) : this.head.rename();
      case "/fork":
        return this.fork({ name: line });
      case "/rewind":
        return this.do("rewind", { count: Number(line || 1) });
      case "/undo":
        return this.do("undo");
      case "/retry":
        return last && this.do("resend", { turn: last.key, text: null });
      case "/stop":
        return this.stop();
      case "/clear":
        return this.do("rewind");
      case "/usage":
        return this.do("usage");
      case "/help":
        return this.help();
      default:
        this.refuse(`There is no command ${word}; /help lists them.`);
        return null;
    }
  }

  help() {
    const rows = COMMANDS.map(([word, takes, help]) => {
      return el("tr", {}, el("th", { scope: "row" }, el("b", {}, word), ` ${takes}`), el("td", {}, help));
    });
    const table = el("table", { class: "cnb-table" }, el("tbody", {}, ...rows));
    const props = { class: "cnb-help", role: "dialog", "aria-label": "Commands and keys", tabindex: -1 };
    popup(this.head.more, el("div", props, table, el("p", {}, KEYS)), this.signal);
  }

  /** @param {string} text */
  trouble(text) {
    if (text) this.notice.show(text, "trouble");
    else if (this.notice.node.dataset.kind === "trouble") this.notice.clear();
  }
}

/**
 * The text that a screen reader announces when an answer has ended.
 * @param {TurnView} turn
 */
function spoken(turn) {
  if (turn.state !== "done") return `The answer ${turn.state === "failed" ? "failed" : "was interrupted"}.`;
  let text = "";
  for (const block of turn.answer.children) {
    if (text.length > 600) break;
    text += `${block.matches(".cnb-code") ? "(code)" : (block.textContent ?? "").slice(0, 600)}\n`;
  }
  return `Answer: ${text.trim()}`;
}

export default {
  /** @param {import("./link.js").View} view */
  render({ model, el: host, signal }) {
    const over = new AbortController();
    const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
    new Chat({ model, el: host, signal: until });
    return () => over.abort();
  },
};
