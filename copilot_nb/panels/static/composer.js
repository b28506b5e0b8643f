// The composer: a text field, the prompt's files, and suggestions for slash commands.

import { Attachments } from "./attachments.js";
import { escapeExpressions, isCommand, matchingCommands } from "./commands.js";
import { button, el, newId } from "./dom.js";
import { KeptDraft } from "./drafts.js";
import { isComposing, onEnter, replaceText } from "./keys.js";

const MAX_HEIGHT_PX = 240;
const MANY_CHARS = 10_000; // from this length on the field has its full height

/** @typedef {import("./turn.js").TurnView} TurnView */
/** @typedef {import("./files.js").Content} Content */
/**
 * @typedef {{text: string, files: Content[], editing: TurnView | null, isCommand: boolean, literal: boolean}} Draft
 */

/**
 * @typedef {object} ComposerOptions
 * @property {(draft: Draft) => void} send
 * @property {() => void} stop
 * @property {import("./dom.js").Notice} notice
 * @property {AbortSignal} signal
 * @property {() => string[]} history earlier prompts, the last one last
 */

/** The composer. */
export class Composer {
  hint = el("span", { class: "cnb-hint", id: newId("hint") }, "Enter sends, Shift+Enter: new line");
  offers = el("div", {
    id: newId("commands"),
    role: "listbox",
    class: "cnb-offers",
    "aria-label": "Commands",
    hidden: true,
  });
  text = el("textarea", {
    id: newId("write"),
    rows: 1,
    class: "cnb-write",
    placeholder: "Ask… (/ for commands)",
    "aria-label": "Prompt",
    "aria-describedby": this.hint.id,
    "aria-controls": this.offers.id,
    "aria-autocomplete": "list",
    "data-home": true,
    dir: "auto",
  });
  edited = el("div", { class: "cnb-edited", hidden: true });
  sendButton = el("button", { class: "cnb-button cnb-send" }, "Send");
  recalled = -1;
  picked = -1;
  /** @type {TurnView | null} */
  editing = null;
  draft = ""; // the text before a turn was edited
  kept = new KeptDraft(this.text, () => !this.editing);

  /** @param {ComposerOptions} options */
  constructor({ send, stop, notice, signal, history }) {
    this.onSend = send;
    this.history = history;
    this.attachments = new Attachments({ notice, changed: () => this.text.focus() });
    this.stop = button("■ Stop", stop, { class: "cnb-button cnb-stop", hidden: true });
    const title = "Send text files and images with the prompt; or drop or paste them here";
    const attach = button("Attach", () => this.attachments.picker.click(), { title });
    const row = el("div", { class: "cnb-row" }, attach, this.hint, this.stop, this.sendButton);
    const { chips, picker } = this.attachments;
    this.node = el("form", { class: "cnb-composer" }, this.edited, chips, this.offers, this.text, row, picker);
    this.listen(signal);
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("keydown", (event) => this.key(event));
    onEnter(this.text, () => this.submit());
    this.text.addEventListener("input", () => {
      this.recalled = -1;
      this.changed();
    });
    this.text.addEventListener("blur", () => this.closeOffers());
    this.text.addEventListener("paste", (event) => this.attachments.paste(event));
    this.attachments.listenToDrags(this.node, signal);
    this.node.addEventListener("click", (event) => {
      const isBeside = !(/** @type {Element} */ (event.target).closest("button, textarea, [role=option]"));
      if (isBeside) this.text.focus();
    });
    const widths = new ResizeObserver(() => this.text.clientWidth && this.fit());
    widths.observe(this.node);
    signal.addEventListener("abort", () => widths.disconnect());
  }

  /**
   * Keep what is typed for this session, and show what was kept.
   * @param {string} id of the session
   */
  keepFor(id) {
    this.kept.as(id);
    this.fit();
  }

  /** @param {string} text */
  set(text) {
    replaceText(this.text, text);
    this.text.setSelectionRange(text.length, text.length);
  }

  /**
   * Put a prompt into the field, to edit or send.
   * @param {string} text
   */
  suggest(text) {
    this.text.focus();
    this.set(text);
  }

  changed() {
    this.fit();
    this.offer(matchingCommands(this.text.value));
  }

  /** Fit the field's height to its text; a very long text gets the full height without a layout. */
  fit() {
    const isLong = this.text.value.length > MANY_CHARS;
    if (!isLong) this.text.style.height = "auto";
    this.text.style.height = `${isLong ? MAX_HEIGHT_PX : Math.min(this.text.scrollHeight + 2, MAX_HEIGHT_PX)}px`;
  }

  /** @param {[word: string, takes: string, help: string][]} commands */
  offer(commands) {
    const options = commands.map(([word, takes, help], i) => {
      const choose = (/** @type {Event} */ event) => {
        event.preventDefault();
        this.choose(word, required(takes));
      };
      const id = `${this.offers.id}-${i}`;
      const props = { role: "option", id, "data-word": word, "data-takes": takes, onpointerdown: choose };
      return el("div", props, el("b", {}, word), ` ${takes} `, el("span", {}, help));
    });
    this.offers.replaceChildren(...options);
    this.offers.hidden = options.length === 0;
    this.offers.style.maxHeight = `min(20em, ${this.node.offsetTop}px)`;
    this.pick(0);
  }

  closeOffers() {
    this.offers.hidden = true;
  }

  /** @param {number} index */
  pick(index) {
    const options = [...this.offers.children];
    this.picked = options.length ? (index + options.length) % options.length : -1;
    for (const [i, each] of options.entries()) each.setAttribute("aria-selected", String(i === this.picked));
    const picked = options[this.picked];
    if (this.offers.hidden || !picked) this.text.removeAttribute("aria-activedescendant");
    else this.text.setAttribute("aria-activedescendant", picked.id);
    picked?.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} isWrittenOut also if all arguments of the command are optional */
  choosePicked(isWrittenOut) {
    const { word = "", takes = "" } = /** @type {HTMLElement} */ (this.offers.children[this.picked]).dataset;
    this.choose(word, isWrittenOut ? takes : required(takes));
  }

  /**
   * @param {string} word
   * @param {string} takes
   */
  choose(word, takes) {
    this.set(takes ? `${word} ` : word);
    this.closeOffers();
    this.text.focus();
    if (!takes) this.submit();
  }

  /**
   * Handle a key; keys without a meaning here are left to the field, and Enter to `onEnter`.
   * @param {KeyboardEvent} event
   */
  key(event) {
    const isPlain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (isComposing(event) || !isPlain) return;
    const isOffering = !this.offers.hidden;
    /** @type {Record<string, () => boolean | void>} false: not handled */
    const acts = isOffering
      ? {
          Enter: () => this.choosePicked(false),
          Tab: () => this.choosePicked(true),
          Escape: () => this.closeOffers(),
          ArrowUp: () => this.pick(this.picked - 1),
          ArrowDown: () => this.pick(this.picked + 1),
        }
      : {
          Escape: () => (this.editing ? this.cancelEditing() : false),
          ArrowUp: () => this.recall(1),
          ArrowDown: () => this.recall(-1),
        };
    const act = acts[event.key];
    if (!act || act() === false) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * Recall the previous (Up) or next (Down) prompt if the field is empty or shows a recalled one; else return false.
   * @param {number} step
   */
  recall(step) {
    if (this.recalled < 0 && (this.text.value || step < 0)) return false;
    const prompts = this.history();
    const at = this.recalled + step;
    if (at >= prompts.length) return true;
    this.set(at < 0 ? "" : prompts[prompts.length - 1 - at]);
    this.recalled = Math.max(at, -1);
    return true;
  }

  /**
   * Edit a turn: the next prompt replaces it.
   * @param {TurnView} turn
   * @param {number} later number of turns after it
   */
  edit(turn, later) {
    if (!this.editing) this.draft = this.text.value;
    this.editing = turn;
    const more = later ? ` and the ${later === 1 ? "turn" : `${later} turns`} after it` : "";
    const images = turn.images.childElementCount ? "; its images are sent again" : "";
    const cancel = button("Cancel", () => this.cancelEditing());
    this.edited.replaceChildren(`Sending takes the place of this turn${more}${images}.`, cancel);
    this.edited.hidden = false;
    this.text.focus();
    this.set(escapeExpressions(turn.promptText));
  }

  cancelEditing() {
    this.text.focus();
    this.stopEditing();
  }

  /** Stop editing a turn and restore the earlier draft. */
  stopEditing() {
    const { draft } = this;
    this.editing = null;
    this.draft = "";
    this.edited.hidden = true;
    this.recalled = -1;
    this.set(draft);
  }

  /** @param {boolean} [literal] send the text literally: no command, no `{{ expression }}` */
  async submit(literal = false) {
    const { attachments, editing } = this;
    const text = this.text.value;
    const isEmpty = !text.trim() && !attachments.files.length && !attachments.reading;
    if (isEmpty && !editing?.images.childElementCount) return;
    this.stopEditing();
    if (!editing && !literal && isCommand(text)) {
      this.onSend({ text, files: [], editing: null, isCommand: true, literal });
      return;
    }
    if (attachments.reading) await attachments.read; // a large file takes a moment
    const files = attachments.taken();
    if (text.trim() || files.length || editing) this.onSend({ text, files, editing, isCommand: false, literal });
  }

  /**
   * Put a draft that could not be sent back into the field, after the text typed since.
   * @param {Draft} draft
   */
  restore(draft) {
    this.attachments.files.push(...draft.files);
    this.attachments.show();
    if (draft.editing && !this.editing) {
      this.edit(draft.editing, 0);
      this.set(draft.text);
    } else {
      this.set([this.text.value, draft.text].filter((each) => each.trim()).join("\n\n"));
    }
  }
}

/**
 * The required arguments of a command.
 * @param {string} takes
 */
function required(takes) {
  return takes.startsWith("[") ? "" : takes;
}
