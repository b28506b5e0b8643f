// The turns of one session, as a page shows them (feed.py has their fields).

const WIDE = "pre, table, math[display=block]"; // what scrolls by itself where it is wider than the panel
/** Lets the keyboard scroll those that need it; only some browsers see to that. */
const wide = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
});

/** Has those that come into view hear "cnb-seen", once. */
const unseen = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((each) => each.isIntersecting)) {
    unseen.unobserve(target);
    target.dispatchEvent(new Event("cnb-seen"));
  }
});

const NEAR_PX = 40; // so near to the end one is at the end

/**
 * The turns of one session, in a box that scrolls (feed.py has their fields).
 *
 * `actions(turn)` gives the buttons of a turn, `{label, name, run(button)}`; `earlier()` asks for the page before;
 * `thumbnail(turn, index)` gives, later, the address of a small copy of an image that went with its prompt;
 * `codeActions` are further buttons of a piece of code, `{label, name, run(code, button)}`; `finished(turn)` is called
 * when an answer has ended while one looked on.
 */
class Transcript {
  constructor({
    label, signal, actions = () => [], codeActions = [], earlier = null, thumbnail = null, finished = () => {}, empty = "",
  }) {
    Object.assign(this, { actions, codeActions, thumbnail, finished });
    this.turns = new Map();
    this.first = 1;
    this.isStuck = true;
    this.before = button("Earlier turns", () => earlier?.(), { class: "cnb-button cnb-earlier", hidden: true });
    this.list = el("div", { class: "cnb-turns" });
    this.empty = el("div", { class: "cnb-empty" }, empty);
    const props = { class: "cnb-scroll", role: "region", tabindex: 0, "aria-label": label };
    this.scroll = el("div", props, this.before, this.empty, this.list);
    this.jump = button("↓ Latest", () => this.toEnd(), { class: "cnb-button cnb-jump", hidden: true });
    this.node = el("div", { class: "cnb-transcript" }, this.scroll, this.jump);
    this.scroll.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
    const grown = new ResizeObserver(() => this.follow());
    grown.observe(this.scroll);
    signal.addEventListener("abort", () => grown.disconnect());
  }

  /** Show these turns and no others. */
  whole(turns, first) {
    this.turns.clear();
    this.list.replaceChildren();
    for (const fields of turns) this.turn(fields.key).apply(fields);
    this.setFirst(first);
    this.settle();
  }

  /** Show more turns before these. */
  prepend(turns, first) {
    const height = this.scroll.scrollHeight, top = this.scroll.scrollTop;
    const next = this.list.firstChild;
    for (const fields of turns) {
      const turn = this.turn(fields.key);
      turn.apply(fields);
      this.list.insertBefore(turn.node, next);
    }
    this.setFirst(first);
    this.scroll.scrollTop = top + this.scroll.scrollHeight - height;
  }

  /** Show what has changed of a turn. */
  apply(fields) {
    const turn = this.turn(fields.key);
    const began = turn.state === "queued" && fields.state && fields.state !== "queued";
    const ended = turn.isUnderWay && ["done", "failed", "interrupted"].includes(fields.state);
    turn.apply(fields);
    if (began) this.beforeTheWaiting(turn);
    this.settle();
    if (ended) this.finished(turn);
  }

  turn(key) {
    let turn = this.turns.get(key);
    if (!turn) {
      turn = new TurnView(key, this);
      this.turns.set(key, turn);
      this.list.append(turn.node);
    }
    return turn;
  }

  /** A prompt that did not wait in line stands before those that do. */
  beforeTheWaiting(turn) {
    const waiting = [...this.turns.values()].find((each) => each !== turn && each.state === "queued");
    const isBehind = waiting && waiting.node.compareDocumentPosition(turn.node) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isBehind) this.list.insertBefore(turn.node, waiting.node);
  }

  setFirst(first) {
    this.first = first;
    this.before.hidden = first <= 1;
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
    this.isStuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.jump.hidden = this.isStuck;
  }

  toEnd() {
    this.isStuck = true;
    this.follow();
    this.jump.hidden = true;
  }

  /** The turns in the order of the page, the last one last. */
  inOrder() {
    return [...this.list.children].map((node) => this.turns.get(node.dataset.key));
  }

  get isUnderWay() {
    return [...this.turns.values()].some((turn) => turn.isUnderWay);
  }
}

/** One turn in a transcript. */
class TurnView {
  constructor(key, transcript) {
    this.key = key;
    this.transcript = transcript;
    this.state = "";
    this.before = this.depth = 0;
    const id = newId("turn");
    this.prompt = el("div", { class: "cnb-prompt", id, dir: "auto" });
    this.images = el("div", { class: "cnb-images", hidden: true });
    this.head = el("div", { class: "cnb-head" });
    this.answer = el("div", { class: "cnb-answer" });
    this.tail = el("div", { class: "cnb-tail", dir: "auto" });
    this.outcome = el("div", { class: "cnb-outcome" });
    this.status = el("span", { class: "cnb-status" });
    this.footer = el("span", { class: "cnb-footer" });
    this.tools = el("div", { class: "cnb-tools" });
    this.more = button("Show all", () => this.unfold(), { class: "cnb-button cnb-quiet cnb-unfold", hidden: true });
    this.node = el("article", { class: "cnb-turn", "data-key": key, "aria-labelledby": id },
      el("div", { class: "cnb-asked" }, el("span", { class: "cnb-sr" }, "You: "), this.images, this.prompt, this.more),
      el("div", { class: "cnb-said copilot-nb jp-RenderedHTMLCommon" }, this.head, this.answer, this.tail, this.outcome),
      el("div", { class: "cnb-foot" }, this.status, this.footer, this.tools));
  }

  get isUnderWay() {
    return this.state === "queued" || this.state === "working";
  }

  get promptText() {
    return this.prompt.textContent;
  }

  apply(fields) {
    if ("prompt" in fields) this.setPrompt(fields.prompt);
    if ("images" in fields) this.setImages(fields.images);
    if ("head" in fields) this.setHead(fields.head);
    if ("answer" in fields) { this.answer.replaceChildren(); this.depth = 0; this.add(fields.answer); }
    if ("more" in fields) this.add(fields.more);
    if ("tail" in fields) this.tail.textContent = fields.tail;
    if ("text" in fields) this.tail.append(fields.text);
    if ("outcome" in fields) this.outcome.innerHTML = fields.outcome;
    if ("footer" in fields) this.footer.textContent = fields.footer;
    if ("at" in fields && fields.at) this.node.title = new Date(fields.at).toLocaleString();
    if ("state" in fields || "before" in fields) this.setState(fields);
  }

  setPrompt(text) {
    this.prompt.textContent = text;
    const isLong = text.length > 1200 || text.split("\n").length > 14;
    this.prompt.classList.toggle("cnb-folded", isLong);
    this.more.hidden = !isLong;
  }

  /** What went with the prompt: a name, and when it was seen and the kernel has made it a small copy. */
  setImages(names) {
    this.images.hidden = !names.length;
    this.images.replaceChildren(...names.map((name, index) => {
      const frame = el("span", { class: "cnb-image" }, name);
      if (!this.transcript.thumbnail) return frame;
      frame.addEventListener("cnb-seen", () => this.transcript.thumbnail(this, index).then(
        (src) => { frame.replaceChildren(el("img", { src, alt: name, title: name })); this.transcript.follow(); },
        () => {}, // the name stays
      ));
      unseen.observe(frame);
      return frame;
    }));
  }

  unfold() {
    const isFolded = this.prompt.classList.toggle("cnb-folded");
    this.more.textContent = isFolded ? "Show all" : "Show less";
  }

  /** Notes and reasoning; a reasoning that was opened stays open. */
  setHead(html) {
    const isOpen = this.head.querySelector("details")?.open;
    this.head.innerHTML = html;
    const details = this.head.querySelector("details");
    if (details && isOpen) details.open = true;
  }

  add(html) {
    const known = this.answer.childNodes.length;
    this.answer.insertAdjacentHTML("beforeend", html);
    for (const node of [...this.answer.childNodes].slice(known)) this.decorate(node);
  }

  /** Say how deep a heading is: below those of the panel, and of the answer's own none is skipped. */
  place(heading) {
    this.depth = Math.min(this.depth + 1, Number(heading.tagName[1]));
    heading.setAttribute("aria-level", String(this.depth + (this.transcript.level ?? 1)));
  }

  /** Give each piece of code its buttons, and let every block be written in its own direction. */
  decorate(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (!node.matches("pre, .highlight")) node.dir = "auto";
    for (const each of [node, ...node.querySelectorAll(WIDE)]) if (each.matches(WIDE)) wide.observe(each);
    if (/^H[1-6]$/.test(node.tagName)) this.place(node);
    const blocks = node.matches("pre") ? [node] : [...node.querySelectorAll("pre")];
    for (const pre of blocks) {
      const block = pre.closest(".highlight") ?? pre;
      const code = () => pre.textContent.replace(/\n$/, "");
      const copy = button("Copy code", (event) => { copyText(code()); flash(event.currentTarget, "Copied"); });
      const others = this.transcript.codeActions.map((each) =>
        button(each.label, (event) => each.run(code(), event.currentTarget)));
      const frame = el("div", { class: "cnb-code" });
      block.replaceWith(frame);
      frame.append(toolbar("Code", [copy, ...others]), block);
    }
  }

  setState(fields) {
    this.state = fields.state ?? this.state;
    this.before = fields.before ?? this.before;
    this.node.dataset.state = this.state;
    const waits = this.before ? `Queued, ${this.before} before it` : "Queued";
    this.status.textContent = { queued: waits, working: "Answering…" }[this.state] ?? "";
    this.node.setAttribute("aria-busy", String(this.state === "working"));
    const held = this.tools.contains(document.activeElement);
    const buttons = this.transcript.actions(this).map((each) =>
      button(each.label, (event) => each.run(event.currentTarget), { "data-action": each.name }));
    this.tools.replaceChildren(...(buttons.length ? [toolbar("This turn", buttons)] : []));
    if (held) buttons[0]?.focus();
  }
}
