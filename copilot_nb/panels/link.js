// A page's connection to its panel in the kernel (base.py has the protocol).

const BEAT_MS = 1000; // how often one looks whether an answer is late
const ANSWER_MS = 3000; // a kernel that is not busy answers within milliseconds
const ASIDE_MS = 400; // what a kernel has not answered by then is sent past the cell that may run
const LONGEST_MS = 60_000; // between two tries
const SILENCE_MS = 5000; // after that, where something should have been heard, one asks whether a message was lost
const RESTARTED = "The kernel was restarted: open this panel again (%copilot panel NAME, or run its cell).";
const SILENT = "The kernel does not answer. It is busy, or was restarted: then open this panel again.";
const OFFLINE = "No connection to the kernel; what was asked for here is done as soon as there is one.";
const BUSY = "The kernel is busy with a cell; this will be done when it has ended.";

/**
 * The connection to the panel in the kernel (base.py has the protocol).
 *
 * `whole(message)` shows everything anew, `news(items)` what has changed; `trouble(text)` tells that the kernel does not
 * answer, and `trouble("")` that it does again.
 *
 * Any message may be lost, either way. What gets no answer is said again, with the same id: the kernel does it once. A
 * lost piece of news shows by a gap in `seq`; the last one, where `expecting()` is true, where a cell has ended or the
 * connection was broken, by asking for `seq` after some silence.
 */
class Link {
  constructor(model, signal, { root, whole, news, trouble, expecting = () => false }) {
    Object.assign(this, { model, signal, whole, news, expecting });
    this.place = placeOf(root, signal, model.widget_manager?.rendermime?.latexTypesetter);
    this.trouble = (text) => { if (text) this.place("silent"); trouble(text); };
    this.seq = 0;
    this.isInStep = this.isDead = this.isUnsure = false;
    this.waiting = new Map(); // what was asked and has no answer yet, by its id
    this.heardAt = Date.now();
    this.connectedAt = 0;
    const received = (message) => this.received(message);
    model.on("msg:custom", received);
    const beat = setInterval(() => this.look(), BEAT_MS);
    signal.addEventListener("abort", () => { clearInterval(beat); model.off("msg:custom", received); });
    this.watchKernel();
    this.keeps = keepWithNotebook(this);
    this.hello();
  }

  /** Ask for something to be done; the promise gives the answer, or an Error with the kernel's line. */
  ask(what, more = {}) {
    return new Promise((resolve, reject) => this.post({ do: what, id: newId("ask"), ...more }, resolve, reject));
  }

  hello() {
    this.isInStep = false;
    this.waiting.delete(this.helloId);
    this.helloId = newId("hello");
    this.post({ do: "hello", id: this.helloId, keeps: this.keeps });
  }

  /** Ask whether a message was lost. */
  askSeq() {
    if (this.isSeqAsked) return;
    this.isSeqAsked = true;
    this.isUnsure = false;
    this.ask("seq").catch(() => {}).finally(() => { this.isSeqAsked = false; });
  }

  post(message, resolve = () => {}, reject = () => {}) {
    const asked = { message, resolve, reject, tries: 0 };
    this.waiting.set(message.id, asked);
    if (this.isDead) this.died();
    else this.transmit(asked);
  }

  transmit(asked) {
    asked.tries += 1;
    asked.sentAt = Date.now();
    asked.dueAt = asked.sentAt + Math.min(LONGEST_MS, ANSWER_MS * 2 ** Math.max(0, asked.tries - 2));
    const message = { ...asked.message, try: asked.tries };
    try {
      this.model.send(message);
    } catch { this.died(); } // JupyterLab sends nothing to a dead kernel
    if (asked.tries === 1) setTimeout(() => { if (this.waiting.has(message.id)) this.sendAside(message); }, ASIDE_MS);
  }

  /** Send past the cell that runs, where the front end can and the kernel hears it (aside.py); files are too much for it. */
  sendAside(message) {
    const kernel = this.kernel;
    if (this.signal.aborted || message.files?.length || typeof kernel?.sendControlMessage !== "function") return;
    const header = { msg_id: newId("aside"), msg_type: "copilot_nb_aside", session: kernel.clientId, username: kernel.username,
      version: "5.3", date: new Date().toISOString() };
    const content = { panel: this.model.get("panel_id"), message };
    kernel.sendControlMessage({ channel: "control", header, parent_header: {}, metadata: {}, content, buffers: [] });
  }

  /** Say again what has got no answer; where something should have been heard, ask whether it was lost. */
  look() {
    if (this.isDead) return;
    const now = Date.now();
    const late = [...this.waiting.values()].filter((each) => each.dueAt <= now);
    const unheard = late.filter((each) => each.sentAt > this.heardAt);
    if (unheard.length) this.late(Math.max(...unheard.map((each) => each.tries)));
    for (const each of late) {
      if (this.isOnItsWay(each)) each.dueAt = now + ANSWER_MS;
      else this.transmit(each);
    }
    const isSilent = now - this.heardAt > SILENCE_MS;
    if (this.isInStep && isSilent && (this.isUnsure || this.expecting())) this.askSeq();
  }

  /** Whether a message with files, which is large, just waits: for the cell that runs, or for the connection. */
  isOnItsWay(asked) {
    const { status, connectionStatus = "connected" } = this.kernel ?? {};
    if (!asked.message.files?.length) return false;
    return connectionStatus !== "connected" || (status === "busy" && asked.sentAt > this.connectedAt);
  }

  late(tries) {
    const { status, connectionStatus = "connected" } = this.kernel ?? {};
    if (connectionStatus !== "connected") this.trouble(OFFLINE);
    else if (status === "busy") this.trouble(BUSY);
    else if (tries > 1) this.trouble(this.kernel ? RESTARTED : SILENT);
  }

  died() {
    this.isDead = true;
    const asked = [...this.waiting.values()];
    this.waiting.clear();
    asked.forEach((each) => each.reject(new Error(RESTARTED)));
    setTimeout(() => this.trouble(RESTARTED)); // after whoever has asked has shown that
  }

  received(message) {
    this.heardAt = Date.now();
    if (!this.isDead) this.trouble("");
    if (message.kind === "whole") this.takeWhole(message);
    else if (message.kind === "news") this.takeNews(message);
    else this.takeAnswer(message);
  }

  takeWhole(message) {
    const isForAnother = message.re !== "" && !this.waiting.has(message.re);
    if (this.isInStep && (isForAnother || message.seq <= this.seq)) {
      this.follows(message);
      return;
    }
    this.waiting.delete(this.helloId);
    this.seq = message.seq;
    this.isInStep = true;
    this.whole(message);
    this.place("living");
  }

  takeNews(message) {
    if (this.isInStep && this.follows(message)) this.news(message.items);
  }

  /** Whether a message is the next one; one that is known already is not, and before one that is not was a lost one. */
  follows(message) {
    if (message.seq > this.seq + 1) this.hello();
    if (message.seq !== this.seq + 1) return false;
    this.seq = message.seq;
    return true;
  }

  takeAnswer(message) {
    if (this.isInStep && message.seq > this.seq) this.hello();
    const asked = this.waiting.get(message.re);
    if (!asked || message.waits) return;
    if (message.re === this.helloId) { // there is nothing to show: it is asked for again
      this.trouble(message.error);
      return;
    }
    this.waiting.delete(message.re);
    if (message.error) asked.reject(new Error(message.error));
    else asked.resolve(message);
  }

  /** The front end's own connection, where it is to be had (JupyterLab, Notebook). */
  get kernel() {
    return this.model.widget_manager?.kernel ?? null;
  }

  watchKernel() {
    this.listen("statusChanged", (status) => {
      if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) this.died();
    });
    this.listen("connectionStatusChanged", (status) => {
      if (status !== "connected") return;
      this.connectedAt = Date.now(); // what was sent before may be lost
      if (this.isInStep) this.askSeq();
    });
    this.listen("anyMessage", ({ msg: { channel, header } }) => {
      if (header.msg_type === "execute_reply") this.isUnsure = true;
      if (channel === "iopub") this.heardFrom(header.session);
    });
  }

  /** Every kernel stamps what it says: another stamp is another kernel, which was put in the place of ours elsewhere. */
  heardFrom(stamp) {
    if (stamp === this.kernel?.clientId) return; // the server's own word
    this.stamp ??= stamp;
    if (stamp !== this.stamp && !this.isDead) this.died();
  }

  listen(name, slot) {
    const signal = this.kernel?.[name];
    const heard = (_kernel, what) => slot(what);
    signal?.connect(heard);
    this.signal.addEventListener("abort", () => signal?.disconnect(heard));
  }
}

/**
 * Mark where a panel stands, for the styles of the transcript beside it (frozen.py): "living" hides the transcript, and
 * nothing the place. A panel that was living stays so: it shows what it knows.
 */
function placeOf(root, signal, typesetter) {
  const found = () => root.closest(".jp-OutputArea-child");
  let isSpared = false;
  const mark = (state) => {
    const place = found();
    if (place && place.dataset.cnbPanel !== "living") place.dataset.cnbPanel = state;
    else if (!root.isConnected && !signal.aborted) requestAnimationFrame(() => mark(state));
    if (place && state === "living" && !isSpared) {
      isSpared = true;
      spareTypesetting(place, signal, typesetter);
    }
  };
  signal.addEventListener("abort", () => {
    const place = found();
    setTimeout(() => { if (!hasPanel(place)) place?.removeAttribute("data-cnb-panel"); });
  });
  return mark;
}

/** Have MathJax pass over the transcript, on which it may work for a second, as long as the panel hides it. */
function spareTypesetting(place, signal, typesetter) {
  const transcript = () => place.nextElementSibling?.querySelector(".cnb-static");
  const spare = () => transcript()?.classList.add("mathjax_ignore");
  const observer = new MutationObserver(spare);
  observer.observe(place.parentElement, { childList: true, subtree: true });
  spare();
  signal.addEventListener("abort", () => {
    observer.disconnect();
    setTimeout(() => { // by then the transcript can be seen, if there is no other view
      const left = transcript();
      if (!left?.isConnected || hasPanel(place)) return;
      left.classList.remove("mathjax_ignore");
      typesetter?.typeset(left);
    });
  });
}

const hasPanel = (place) => Boolean(place?.querySelector(".cnb-panel"));

const REST_MS = 5000; // after so long a pause nobody minds that the page is busy for a moment

/**
 * Keep the transcript of a saved notebook up to date (frozen.py): replace it when nothing has happened for a while, or the
 * notebook is saved; false where the panel's notebook is not at hand. It comes too late for that save, so the notebook has
 * something unsaved again.
 */
function keepWithNotebook(link) {
  const { model, signal } = link;
  const context = model.widget_manager?.context; // of the first notebook that has used the kernel, maybe not of this one
  const outputs = () => [...outputsOf(context.model.cells, model.get("panel_id"))];
  if (!context?.saveState || !context.model?.cells || context.model.collaborative || !outputs().length) return false;
  let version = 0, isStale = false, isAsked = false, isUnsaved = false, resting;
  const keep = () => {
    if (!isStale || isAsked) return;
    isAsked = true;
    link.ask("keep").catch(() => { isStale = false; }).finally(() => { isAsked = false; }); // asked again after the next news
  };
  const stir = () => {
    clearTimeout(resting);
    if (isStale) resting = setTimeout(keep, REST_MS);
  };
  const told = ({ version: newest = version, transcript }) => {
    version = newest;
    const wasStale = isStale;
    if (transcript) putInto(outputs(), transcript);
    isStale = outputs().some((each) => each.version < version);
    if (isStale && !wasStale) context.model.dirty = true;
    stir();
  };
  const saving = (_context, state) => {
    if (state === "started") {
      isUnsaved = isStale;
      keep();
    } else if (isUnsaved || isStale) {
      context.model.dirty = true;
    }
  };
  model.on("msg:custom", told);
  document.addEventListener("keydown", stir, { capture: true, signal });
  context.saveState.connect(saving);
  signal.addEventListener("abort", () => {
    clearTimeout(resting);
    model.off("msg:custom", told);
    context.saveState.disconnect(saving);
  });
  return true;
}

/** The outputs of a panel in a notebook: itself, which has no version, and its transcript, in each cell that has shown it. */
function* outputsOf(cells, panel) {
  for (const { outputs: list } of cells) {
    for (let index = 0; index < (list?.length ?? 0); index += 1) {
      const known = list.get(index).metadata?.copilot_nb;
      if (known?.panel === panel) yield { list, index, version: known.version };
    }
  }
}

function putInto(outputs, transcript) {
  const { version } = transcript.metadata.copilot_nb;
  for (const each of outputs) if (each.version < version) each.list.set(each.index, { output_type: "display_data", ...transcript });
}
