// The page of a ChatPanel (chat.py): a head, the transcript, and where one writes.

const COMMANDS = [
  ["/model", "MODEL [PROVIDER]", "let another model answer from the next prompt on"],
  ["/rename", "NAME", "give the session another name"],
  ["/fork", "[NAME]", "a new session with this one's history"],
  ["/rewind", "[N]", "take back the last turn, or the last N"],
  ["/undo", "", "bring back what was taken back"],
  ["/retry", "", "ask the last prompt again, in place of its answer"],
  ["/stop", "", "stop the answer under way; what has come is kept"],
  ["/clear", "", "take back all turns (/undo brings them back)"],
  ["/usage", "", "tokens, time and cost of the session"],
  ["/help", "", "these commands and the keys"],
];
const KEYS = "Enter sends · Shift+Enter begins a new line · ↑ recalls earlier prompts · {{ expression }} is replaced by its "
  + "value in the kernel · a prompt that begins with / is written with a blank before it";
const MAX_FILE_BYTES = 200_000;
const MAX_READ_BYTES = 50_000_000; // of what is fetched from the server, to see what it is
const MAX_IMAGE_BYTES = 3_000_000; // what is larger is made smaller here: a kernel's connection takes no more than 10 MB
const MAX_SENT_CHARS = 8_000_000; // of the images of one prompt
const MAX_IMAGE_PX = 2000; // of the longest edge

/** What one writes so that a prompt is sent to the letter. */
function asWritten(prompt) {
  return prompt.replaceAll("{{", "\\{{");
}

const COMMAND = /^\/[a-z]+(\s|$)/;

/** What of a file goes with a prompt: its text, or an image; an Error says why nothing can. */
async function contentOf(file) {
  if (!file.type.startsWith("image/") || file.type === "image/svg+xml") return { name: file.name, text: await textOf(file) };
  const image = await smallEnough(file);
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    const failed = () => reject(new Error(`${file.name} cannot be read.`));
    Object.assign(reader, { onload: resolve, onerror: failed }).readAsDataURL(image);
  });
  return { name: file.name, type: image.type, base64: reader.result.split(",")[1] };
}

/** An image that a kernel can be sent: as it is, or made smaller. */
async function smallEnough(file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is a damaged image, or of a kind that cannot be read here.`);
  }
  const scale = Math.min(1, MAX_IMAGE_PX / Math.max(image.width, image.height));
  if (file.size <= MAX_IMAGE_BYTES && scale === 1) return file;
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const whole = await canvas.convertToBlob({ type: "image/png" });
  if (whole.size <= MAX_IMAGE_BYTES) return whole;
  Object.assign(context, { globalCompositeOperation: "destination-over", fillStyle: "white" });
  context.fillRect(0, 0, canvas.width, canvas.height); // a JPEG has no transparency
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

/** The text of a file, or an Error that says why it cannot be put into a prompt. */
async function textOf(file) {
  if (file.size > MAX_FILE_BYTES) {
    throw new Error(`${file.name} is too large (${Math.ceil(file.size / 1000)} kB; 200 kB go into a prompt)`);
  }
  const bytes = await file.arrayBuffer();
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch { /* said below */ }
  throw new Error(`${file.name} is neither text nor an image: it cannot be attached.`);
}

const LAB_FILE = "application/x-jupyter-icontentsrich";

/** What is dragged from JupyterLab's list of files; of several it tells only the last. */
function filesOfLab(event) {
  const { model, withContent } = event.mimeData.getData(LAB_FILE);
  const number = event.mimeData.getData("application/x-jupyter-icontents")?.length ?? 1;
  const file = async () => {
    if (number > 1) throw new Error("JupyterLab hands over one file at a time: drag them one by one.");
    if (model.type === "directory") throw new Error(`${model.name} is a folder: it cannot be attached.`);
    if (model.size > MAX_READ_BYTES) throw new Error(`${model.name} is too large to be attached.`);
    const { content, format, mimetype } = await withContent();
    const parts = { base64: () => Uint8Array.from(atob(content), (char) => char.charCodeAt(0)), json: () => JSON.stringify(content, null, 1) };
    return new File([parts[format]?.() ?? content], model.name, { type: mimetype ?? "" });
  };
  return [file()];
}

/** What puts code into a new cell below the panel's own, where the front end lets a page do that; else null. */
function cellMaker(model, root) {
  const shared = model.widget_manager?.context?.model?.sharedModel;
  if (typeof shared?.insertCell !== "function") return null;
  return (code) => {
    const cell = root.closest(".jp-Cell");
    const shown = cell ? [...cell.parentElement.querySelectorAll(":scope > .jp-Cell")].indexOf(cell) : -1;
    const index = Number(cell?.dataset.windowedListIndex ?? shown);
    const at = index >= 0 ? index + 1 : shared.cells.length;
    shared.insertCell(at, { cell_type: "code", source: code, metadata: { trusted: true } });
  };
}

/** Where one writes: the text, the files that go with it, and what is offered after a slash. */
class Composer {
  constructor({ send, stop, notice, signal, history }) {
    Object.assign(this, { onSend: send, notice, history });
    this.files = [];
    this.reading = 0; // how many times files are being read
    this.recalled = -1;
    this.editing = null;
    const id = newId("write"), listId = newId("commands"), hintId = newId("hint");
    this.text = el("textarea", { id, rows: 1, class: "cnb-write", placeholder: "Ask… (/ for commands)", "aria-label": "Prompt",
      "aria-describedby": hintId, "aria-controls": listId, "aria-autocomplete": "list", spellcheck: "false", dir: "auto" });
    this.offers = el("div", { id: listId, role: "listbox", class: "cnb-offers", "aria-label": "Commands", hidden: true });
    this.chips = el("div", { class: "cnb-chips", hidden: true });
    this.edited = el("div", { class: "cnb-edited", hidden: true });
    this.picker = el("input", { type: "file", multiple: true, hidden: true, tabindex: -1, "aria-hidden": "true" });
    this.stop = button("■ Stop", stop, { class: "cnb-button cnb-stop", hidden: true });
    this.sendButton = el("button", { class: "cnb-button cnb-send" }, "Send");
    const attach = button("Attach", () => this.picker.click(), { title: "Send text files and images with the prompt; or drop or paste them here" });
    const hint = el("span", { class: "cnb-hint", id: hintId }, "Enter sends, Shift+Enter: new line");
    this.node = el("form", { class: "cnb-composer" }, this.edited, this.chips, this.offers, this.text,
      el("div", { class: "cnb-row" }, attach, hint, this.stop, this.sendButton), this.picker);
    this.listen(signal);
  }

  listen(signal) {
    const on = (node, event, listener) => node.addEventListener(event, listener, { signal });
    on(this.node, "submit", (event) => { event.preventDefault(); this.submit(); });
    on(this.text, "keydown", (event) => this.key(event));
    on(this.text, "input", () => { this.recalled = -1; this.changed(); });
    on(this.text, "blur", () => { this.offers.hidden = true; });
    on(this.picker, "change", () => { this.attach(this.picker.files); this.picker.value = ""; });
    on(this.text, "paste", (event) => {
      const { files, types } = event.clipboardData;
      if (!files.length || types.includes("text/plain")) return; // cells of a table come as a picture, too
      event.preventDefault();
      this.attach(files);
    });
    this.listenToDrags(on);
  }

  /** Files from the system, and from JupyterLab's list of files, which has drags of its own. */
  listenToDrags(on) {
    for (const [over, leave, drop, filesOf] of [
      ["dragover", "dragleave", "drop", (event) => event.dataTransfer.files],
      ["lm-dragover", "lm-dragleave", "lm-drop", filesOfLab],
    ]) {
      on(this.node, over, (event) => {
        if (event.dataTransfer && !event.dataTransfer.types.includes("Files")) return; // text, into the field
        event.preventDefault();
        event.stopPropagation();
        event.dropAction = event.proposedAction;
        this.node.classList.add("cnb-over");
      });
      on(this.node, leave, () => this.node.classList.remove("cnb-over"));
      on(this.node, drop, (event) => {
        if (event.dataTransfer && !event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        event.stopPropagation();
        event.dropAction = "copy";
        this.node.classList.remove("cnb-over");
        this.attach(filesOf(event));
      });
    }
    on(this.node, "lm-dragenter", (event) => { // whoever does not take this gets nothing of the drag
      if (!event.mimeData.hasData(LAB_FILE)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  set(text) {
    this.text.value = text;
    this.changed();
    this.text.setSelectionRange(text.length, text.length);
  }

  changed() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight + 2, 240)}px`;
    const typed = /^\/[a-z]*$/.test(this.text.value) ? this.text.value : null;
    const fitting = typed === null ? [] : COMMANDS.filter(([word]) => word.startsWith(typed));
    this.offers.replaceChildren(...fitting.map(([word, takes, help], i) => {
      const choose = (event) => { event.preventDefault(); this.choose(word, takes); };
      return el("div", { role: "option", id: `${this.offers.id}-${i}`, "data-word": word, "data-takes": takes, onpointerdown: choose },
        el("b", {}, word), ` ${takes} `, el("span", {}, help));
    }));
    this.offers.hidden = fitting.length === 0;
    this.offers.style.maxHeight = `min(20em, ${this.node.offsetTop}px)`;
    this.pick(0);
  }

  pick(index) {
    const options = [...this.offers.children];
    this.picked = options.length ? (index + options.length) % options.length : -1;
    options.forEach((each, i) => each.setAttribute("aria-selected", String(i === this.picked)));
    if (this.offers.hidden || this.picked < 0) this.text.removeAttribute("aria-activedescendant");
    else this.text.setAttribute("aria-activedescendant", options[this.picked].id);
    options[this.picked]?.scrollIntoView({ block: "nearest" });
  }

  choose(word, takes) {
    this.set(takes ? `${word} ` : word);
    this.offers.hidden = true;
    if (!takes) this.submit();
    this.text.focus();
  }

  key(event) {
    if (event.isComposing) return;
    const isOffering = !this.offers.hidden;
    const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    const act = {
      Enter: () => { if (plain) return isOffering ? this.choosePicked() : this.submit(); return this.newLine(event); },
      Tab: () => { if (!isOffering || !plain) return false; this.choosePicked(); },
      Escape: () => { if (isOffering) this.offers.hidden = true; else if (this.editing) this.stopEditing(); else return false; },
      ArrowUp: () => { if (!plain) return false; return isOffering ? this.pick(this.picked - 1) : this.recall(1); },
      ArrowDown: () => { if (!plain) return false; return isOffering ? this.pick(this.picked + 1) : this.recall(-1); },
    }[event.key];
    if (act && act() !== false) { event.preventDefault(); event.stopPropagation(); }
  }

  /** JupyterLab keeps line breaks by Shift+Enter out of a cell, also out of a text field in it. */
  newLine(event) {
    if (!event.shiftKey) return false;
    this.text.setRangeText("\n", this.text.selectionStart, this.text.selectionEnd, "end");
    this.text.dispatchEvent(new Event("input"));
    return undefined;
  }

  choosePicked() {
    const { word, takes } = this.offers.children[this.picked].dataset;
    this.choose(word, takes);
  }

  /** Up, in an empty line or among recalled ones: the prompt before; Down: the one after. */
  recall(step) {
    if (this.recalled < 0 && (this.text.value || step < 0)) return false;
    const prompts = this.history();
    const at = this.recalled + step;
    if (at >= prompts.length) return undefined;
    this.set(at < 0 ? "" : prompts[prompts.length - 1 - at]);
    this.recalled = Math.max(at, -1);
    return undefined;
  }

  /** Let files, or promises of some, go with the next prompt; of those that cannot, one is told why. */
  attach(files) {
    this.reading += 1;
    this.attached = Promise.all([this.attached, this.read([...files])]).finally(() => { this.reading -= 1; });
  }

  async read(files) {
    const problems = [];
    for (const file of files) {
      try {
        const content = await contentOf(await file);
        const sizes = [...this.files, content].map((each) => each.base64?.length ?? 0);
        if (sizes.reduce((sum, size) => sum + size) > MAX_SENT_CHARS) {
          throw new Error(`${content.name} is too much for one prompt: send it with the next.`);
        }
        this.files.push(content);
      } catch (error) { problems.push(error.message); }
    }
    if (problems.length) this.notice.show(problems.join("\n"));
    this.showFiles();
    this.text.focus();
  }

  showFiles() {
    this.chips.hidden = this.files.length === 0;
    this.chips.replaceChildren(...this.files.map((file) => el("span", { class: "cnb-chip" },
      file.base64 ? el("img", { src: `data:${file.type};base64,${file.base64}`, alt: "" }) : null, file.name,
      button("×", () => { this.files = this.files.filter((each) => each !== file); this.showFiles(); this.text.focus(); },
        { class: "cnb-button cnb-quiet", "aria-label": `Remove ${file.name}` }))));
  }

  /** Let the next prompt take the place of a turn. */
  edit(turn, later) {
    this.editing = turn;
    const more = later ? ` and the ${later === 1 ? "turn" : `${later} turns`} after it` : "";
    const images = turn.images.childElementCount ? "; its images are sent again" : "";
    this.edited.replaceChildren(`Sending takes the place of this turn${more}${images}.`, button("Cancel", () => this.stopEditing()));
    this.edited.hidden = false;
    this.set(asWritten(turn.promptText));
    this.text.focus();
  }

  stopEditing() {
    this.editing = null;
    this.edited.hidden = true;
    this.set("");
    this.text.focus();
  }

  async submit() {
    const text = this.text.value, editing = this.editing;
    const isCommand = !editing && COMMAND.test(text);
    if (!text.trim() && !this.files.length && !this.reading && !editing?.images.childElementCount) return;
    this.editing = null;
    this.edited.hidden = true;
    this.set("");
    this.recalled = -1;
    if (isCommand) { this.onSend({ text, files: [], isCommand }); return; }
    if (this.reading) await this.attached; // a large file takes a moment
    const draft = { text, files: this.files, editing };
    this.files = [];
    this.showFiles();
    if (text.trim() || draft.files.length || editing) this.onSend(draft);
  }

  /** Put back what could not be sent, after what has been written since. */
  restore(draft) {
    this.files.push(...draft.files);
    this.showFiles();
    const text = [this.text.value, draft.text].filter((each) => each.trim()).join("\n\n");
    if (draft.editing && !this.editing) this.edit(draft.editing, 0);
    this.set(text);
  }
}

/** A ChatPanel in the page. */
class Chat {
  constructor(model, host, signal) {
    Object.assign(this, { model, signal, facts: {} });
    this.live = announcer();
    this.notice = noticeLine();
    this.transcript = this.makeTranscript(signal);
    this.composer = new Composer({ signal, notice: this.notice, send: (draft) => this.send(draft), stop: () => this.stop(),
      history: () => this.transcript.inOrder().map((turn) => asWritten(turn.promptText)) });
    this.root = panelRoot("cnb-chat", "Chat", this.makeHead(), this.notice.node, this.transcript.node, this.composer.node, this.live.node);
    host.append(this.root);
    this.root.addEventListener("keydown", (event) => { if (event.key === "Escape") this.notice.clear(); }, { signal });
    const toCell = cellMaker(model, this.root);
    if (toCell) {
      this.transcript.codeActions.push({ label: "To a new cell", run: (code, node) => { toCell(code); flash(node, "Done"); } });
    }
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (items) => items.forEach((item) => this.take(item)),
      trouble: (text) => this.trouble(text),
      expecting: () => this.facts.busy || this.transcript.isUnderWay,
    });
  }

  makeTranscript(signal) {
    return new Transcript({
      label: "Conversation",
      signal,
      empty: "Nothing has been said yet. What you send here, in a cell (%%copilot NAME) or from Python is one conversation.",
      actions: (turn) => this.actions(turn),
      thumbnail: async (turn, index) => (await this.link.ask("thumbnail", { turn: turn.key, index })).src,
      earlier: () => this.earlier(),
      finished: (turn) => this.live.say(this.spoken(turn)),
    });
  }

  makeHead() {
    this.name = button("", () => this.rename(), { class: "cnb-button cnb-name", dir: "auto", "aria-haspopup": "dialog" });
    this.state = el("span", { class: "cnb-state" });
    this.models = el("select", { class: "cnb-models", "aria-label": "Model", title: "The model that answers from the next prompt on" });
    const ask = () => this.askModels();
    this.models.addEventListener("pointerenter", ask, { once: true });
    this.models.addEventListener("focus", ask, { once: true });
    this.models.addEventListener("change", () => {
      const [provider, name] = JSON.parse(this.models.value);
      this.do("model", { provider, model: name }).then((answer) => answer ?? this.showModels());
    });
    this.meter = el("span", { class: "cnb-meter", role: "meter", "aria-label": "Context", "aria-valuemin": 0, hidden: true }, el("i"));
    this.more = button("⋯", () => this.openMenu(), { "aria-label": "Session", "aria-haspopup": "menu", "aria-expanded": "false" });
    return el("div", { class: "cnb-bar" }, this.name, this.state, el("span", { class: "cnb-gap" }), this.meter, this.models, this.more);
  }

  openMenu() {
    menu(this.more, [
      { label: "Usage", run: () => this.do("usage") },
      { label: "Rename…", run: () => this.rename() },
      { label: "Fork", run: () => this.fork({}) },
      { label: "Take back the last turn", run: () => this.do("rewind", { count: 1 }) },
      { label: "Undo that", run: () => this.do("undo") },
      { label: "Clear", run: () => this.do("rewind", {}) },
      { label: "Commands and keys", run: () => this.help() },
    ], this.signal);
  }

  rename() {
    askLine(this.name, "New name", this.facts.name ?? "", (name) => this.do("rename", { name }), this.signal);
  }

  /** Ask the kernel for something and show what it says to that; the promise gives null where it could not be done. */
  async do(what, more = {}) {
    this.notice.clear();
    try {
      const answer = await this.link.ask(what, more);
      if (answer.said) this.notice.show(answer.said, "said");
      return answer;
    } catch (error) {
      this.notice.show(error.message);
      return null;
    }
  }

  async fork(more) {
    const answer = await this.do("fork", more);
    if (!answer) return null;
    const go = button("Show it here", () => { this.notice.clear(); this.do("show", { name: answer.name }); });
    this.notice.node.querySelector("span").append(" ", go);
    return answer;
  }

  whole(message) {
    this.choices = message.choices;
    this.transcript.whole(message.turns, message.first);
    this.session(message.session);
    if (message.problem) this.notice.show(message.problem);
  }

  take(item) {
    if (item.kind === "turn") this.transcript.apply(item);
    else if (item.kind === "session") this.session(item);
  }

  session(facts) {
    const isOther = facts.model !== this.facts.model || facts.provider !== this.facts.provider;
    this.facts = facts;
    this.name.textContent = facts.name;
    this.name.title = `Rename ${facts.name}`;
    this.root.setAttribute("aria-label", `Chat: ${facts.name}`);
    const words = { working: "answering", queued: "queued", failed: "last answer failed", interrupted: "last answer interrupted" };
    this.state.textContent = facts.gone ? "deleted; the next prompt begins it anew" : words[facts.state] ?? "";
    this.state.dataset.state = facts.gone ? "gone" : facts.state;
    this.composer.stop.hidden = !facts.busy;
    if (isOther || !this.models.options.length) this.showModels();
    this.showMeter(facts);
  }

  showMeter({ used, window: size }) {
    const share = size ? Math.min(1, used / size) : 0;
    this.meter.hidden = !used;
    const text = size
      ? `${used.toLocaleString()} of ${size.toLocaleString()} tokens of the model's window (${Math.round(share * 100)} %)`
      : `${used.toLocaleString()} tokens of the model's window`;
    this.meter.title = text;
    this.meter.setAttribute("aria-valuemax", String(size || used));
    this.meter.setAttribute("aria-valuenow", String(used));
    this.meter.setAttribute("aria-valuetext", text);
    this.meter.dataset.text = size ? `${Math.round(share * 100)} %` : `${used.toLocaleString()} tokens`;
    this.meter.classList.toggle("cnb-bare", !size);
    this.meter.firstChild.style.width = `${share * 100}%`;
    this.meter.classList.toggle("cnb-full", share > 0.8);
  }

  async askModels() {
    try {
      this.choices = (await this.link.ask("models")).choices;
      this.showModels();
    } catch (error) {
      this.notice.show(error.message);
    }
  }

  showModels() {
    const { provider, model } = this.facts;
    const all = [...(this.choices ?? [])];
    if (!all.some(([p, m]) => p === provider && m === model)) all.unshift([provider, model]);
    const groups = new Map();
    for (const [p, m] of all) {
      if (!groups.has(p)) groups.set(p, el("optgroup", { label: p }));
      const isChosen = p === provider && m === model;
      groups.get(p).append(el("option", { value: JSON.stringify([p, m]), selected: isChosen }, m || "default model"));
    }
    this.models.replaceChildren(...groups.values());
  }

  actions(turn) {
    if (turn.state === "queued") {
      return [{ name: "withdraw", label: "Withdraw", run: () => this.do("stop", { turn: turn.key }) }];
    }
    if (turn.state === "working") return [];
    const copy = async (node) => {
      const answer = await this.do("text", { turn: turn.key });
      if (answer) { await copyText(answer.text); flash(node, "Copied"); }
    };
    return [
      { name: "copy", label: "Copy", run: copy },
      { name: "retry", label: "Retry", run: () => this.do("resend", { turn: turn.key, text: null }) },
      { name: "edit", label: "Edit", run: () => this.composer.edit(turn, this.after(turn)) },
      { name: "fork", label: "Fork", run: () => this.fork({ turn: turn.key }) },
    ];
  }

  /** Stop the answer one sees; by the time the kernel hears it, it may be at the next. */
  stop() {
    const turns = this.transcript.inOrder();
    const turn = turns.find((each) => each.state === "working") ?? turns.find((each) => each.isUnderWay);
    return this.do("stop", turn ? { turn: turn.key } : {});
  }

  /** How many turns are after this one. */
  after(turn) {
    const turns = this.transcript.inOrder();
    return turns.length - 1 - turns.indexOf(turn);
  }

  spoken(turn) {
    let text = "";
    for (const block of turn.answer.children) {
      if (text.length > 600) break;
      text += (block.matches(".cnb-code") ? "(code)" : block.textContent.slice(0, 600)) + "\n";
    }
    return turn.state === "done" ? `Answer: ${text.trim()}` : `The answer ${turn.state === "failed" ? "failed" : "was interrupted"}.`;
  }

  async earlier() {
    const page = await this.do("earlier", { before: this.transcript.first });
    if (page) this.transcript.prepend(page.turns, page.first);
  }

  async send(draft) {
    this.transcript.toEnd();
    if (!this.transcript.turns.size) this.keepInView();
    let done;
    if (draft.isCommand) done = await this.command(draft.text);
    else if (draft.editing) done = await this.do("resend", { turn: draft.editing.key, text: draft.text, files: draft.files });
    else done = await this.do("send", { text: draft.text, files: draft.files });
    if (done === null) this.composer.restore(draft);
  }

  /** The first prompt makes the panel taller: stay with where one writes. */
  keepInView() {
    const grown = new ResizeObserver(() => {
      if (!this.transcript.turns.size) return;
      grown.disconnect();
      this.composer.node.scrollIntoView({ block: "nearest" });
    });
    grown.observe(this.root);
    this.signal.addEventListener("abort", () => grown.disconnect());
  }

  /** Do what a line that begins with a slash says; null (or a promise of it) where that could not be done. */
  command(text) {
    const [word, ...rest] = text.trim().split(/\s+/);
    const line = rest.join(" ");
    const last = this.transcript.inOrder().at(-1);
    switch (word) {
      case "/model": return line ? this.do("model", { model: rest[0], provider: rest[1] ?? "" }) : this.models.focus();
      case "/rename": return line ? this.do("rename", { name: line }) : this.rename();
      case "/fork": return this.fork({ name: line });
      case "/rewind": return this.do("rewind", { count: Number(line || 1) });
      case "/undo": return this.do("undo");
      case "/retry": return last && this.do("resend", { turn: last.key, text: null });
      case "/stop": return this.stop();
      case "/clear": return this.do("rewind", {});
      case "/usage": return this.do("usage");
      case "/help": return this.help();
      default:
        this.notice.show(`There is no command ${word}; /help lists them. To send this as a prompt, put a blank before it.`);
        return null;
    }
  }

  help() {
    const rows = COMMANDS.map(([word, takes, help]) => `${word} ${takes}`.trim().padEnd(24) + help);
    this.notice.show([...rows, KEYS].join("\n"), "help");
  }

  trouble(text) {
    if (text) this.notice.show(text, "trouble");
    else if (this.notice.node.dataset.kind === "trouble") this.notice.clear();
  }
}

export default {
  render({ model, el: host, signal }) {
    const over = new AbortController();
    const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
    new Chat(model, host, until);
    return () => over.abort();
  },
};
