// The turns of one session, in a box that scrolls.

import { button, el, hide, keepPlace, saveFocus } from "./dom.js";
import { TurnView } from "./turn.js";

const NEAR_PX = 40; // at this distance the view counts as being at the end

/**
 * The parts of the panel that a transcript uses. `actions(turn)` returns the buttons of a turn; `earlier()` requests
 * the previous page; `thumbnail(turn, index)` returns a promise of the URL of a small copy of one of the prompt's
 * images; `finished(turn)` is called when an answer ends while it is shown.
 * @typedef {object} TranscriptOptions
 * @property {string} label
 * @property {AbortSignal} signal
 * @property {(turn: TurnView) => import("./turn.js").Action[]} [actions]
 * @property {import("./code.js").CodeAction[]} [codeActions]
 * @property {(() => void) | null} [earlier]
 * @property {((turn: TurnView, index: number) => Promise<string>) | null} [thumbnail]
 * @property {(turn: TurnView) => void} [finished]
 * @property {string | Node} [empty]
 */

/** The turns of one session, in a box that scrolls. */
export class Transcript {
  /** @param {TranscriptOptions} options */
  constructor(options) {
    this.actions = options.actions ?? (() => []);
    this.codeActions = options.codeActions ?? [];
    this.thumbnail = options.thumbnail ?? null;
    this.finished = options.finished ?? (() => {});
    /** @type {Map<string, TurnView>} */
    this.turns = new Map();
    this.first = 1;
    this.isStuck = true;
    const earlier = () => options.earlier?.();
    this.before = button("Earlier turns", earlier, { class: "cnb-button cnb-earlier", hidden: true });
    this.list = el("div", { class: "cnb-turns" });
    this.empty = el("div", { class: "cnb-empty" }, options.empty ?? "");
    const props = { class: "cnb-scroll", role: "region", tabindex: 0, "aria-label": options.label };
    this.scroll = el("div", props, this.before, this.empty, this.list);
    this.jump = button("↓ Latest", () => this.toEnd(), { class: "cnb-button cnb-jump", hidden: true });
    this.node = el("div", { class: "cnb-transcript" }, this.scroll, this.jump);
    this.scroll.addEventListener("scroll", () => this.scrolled(), { signal: options.signal, passive: true });
    keepPlace(this.scroll, options.signal, () => this.follow());
  }

  /**
   * Show these turns and no others.
   * @param {import("./turn.js").TurnFields[]} turns
   * @param {number} first
   */
  whole(turns, first) {
    this.turns.clear();
    saveFocus(this.list);
    this.list.replaceChildren();
    for (const fields of turns) this.turn(fields.key).apply(fields);
    this.setFirst(first);
    this.settle();
  }

  /**
   * Show more turns before these.
   * @param {import("./turn.js").TurnFields[]} turns
   * @param {number} first
   */
  prepend(turns, first) {
    const height = this.scroll.scrollHeight;
    const top = this.scroll.scrollTop;
    const next = this.list.firstChild;
    for (const fields of turns) {
      const turn = this.turn(fields.key);
      turn.apply(fields);
      this.list.insertBefore(turn.node, next);
    }
    this.setFirst(first);
    this.scroll.scrollTop = top + this.scroll.scrollHeight - height;
  }

  /**
   * Show the changes of a turn.
   * @param {import("./turn.js").TurnFields} fields
   */
  apply(fields) {
    const turn = this.turn(fields.key);
    const wasUnderWay = turn.isUnderWay;
    turn.apply(fields);
    if (fields.state !== undefined || fields.before !== undefined) this.place(turn);
    this.settle();
    if (wasUnderWay && !turn.isUnderWay) this.finished(turn);
  }

  /** @param {string} key */
  turn(key) {
    let turn = this.turns.get(key);
    if (!turn) {
      turn = new TurnView(key, this);
      this.turns.set(key, turn);
      this.list.append(turn.node);
    }
    return turn;
  }

  /**
   * Move a turn before the queued ones that come after it: one that runs, or that was put before them in the queue.
   * @param {TurnView} turn
   */
  place(turn) {
    const rank = turn.state === "queued" ? turn.before : -1;
    const later = [...this.turns.values()].filter((each) => each.state === "queued" && each.before > rank);
    const next = later.sort((a, b) => a.before - b.before).find((each) => each !== turn);
    if (!next) return;
    const isBehind = next.node.compareDocumentPosition(turn.node) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isBehind) this.list.insertBefore(turn.node, next.node);
  }

  /** @param {number} first */
  setFirst(first) {
    this.first = first;
    hide(this.before, first <= 1);
    this.before.textContent = `Earlier turns (${(first - 1).toLocaleString()})`;
  }

  settle() {
    this.empty.hidden = this.turns.size > 0;
    this.node.closest(".cnb-panel")?.classList.toggle("cnb-blank", !this.turns.size);
    this.follow();
  }

  follow() {
    if (this.isStuck) this.scroll.scrollTop = this.scroll.scrollHeight;
    else this.scrolled();
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroll;
    if (!clientHeight) return; // hidden, or removed from the page
    this.isStuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    hide(this.jump, this.isStuck);
  }

  toEnd() {
    this.isStuck = true;
    this.follow();
    hide(this.jump, true);
  }

  /** The turns in the order of the page, oldest first. */
  inOrder() {
    const keys = [...this.list.children].map((node) => /** @type {HTMLElement} */ (node).dataset.key ?? "");
    return keys.flatMap((key) => this.turns.get(key) ?? []);
  }

  get isUnderWay() {
    return [...this.turns.values()].some((turn) => turn.isUnderWay);
  }
}
