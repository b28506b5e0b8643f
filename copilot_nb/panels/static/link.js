// A page's connection to its panel in the kernel (base.py has the protocol).

import { newId } from "./dom.js";
import { keepWithNotebook } from "./keep.js";
import { takeMessages } from "./messages.js";
import { placeOf } from "./place.js";

export const BEAT_MS = 1000; // interval of the check for late answers
export const ANSWER_MS = 3000; // a kernel that is not busy answers within milliseconds
export const CONTROL_MS = 400; // then an unanswered message is also sent on the control channel
const LONGEST_MS = 60_000; // longest pause between two tries
export const SILENCE_MS = 5000; // after that, ask whether an expected message was lost
export const RESTARTED = "The kernel was restarted: open this panel again (%copilot panel NAME, or run its cell).";
export const SILENT = "The kernel does not answer. It is busy, or was restarted: then open this panel again.";
export const OFFLINE = "No connection to the kernel; what was asked for here is done as soon as there is one.";
export const BUSY = "The kernel is busy with a cell; this will be done when it has ended.";

/**
 * The widget's model, as anywidget hands it over. `widget_manager` is there in JupyterLab and Notebook; it has the
 * front end's own objects: the kernel, and the first notebook that has used it.
 * @typedef {object} Model
 * @property {(message: object) => void} send
 * @property {(name: string) => any} get
 * @property {(event: string, heard: (message: any) => void) => void} on
 * @property {(event: string, heard: (message: any) => void) => void} off
 * @property {any} [widget_manager]
 */

/**
 * The argument of anywidget's render.
 * @typedef {object} View
 * @property {Model} model
 * @property {HTMLElement} el
 * @property {AbortSignal} signal
 * @property {{getWidget: (reference: string) => Promise<{render: (where: object) => Promise<void>}>}} [host]
 */

/**
 * * What a panel does with what it hears. `whole(message)` shows everything anew, `news(item)` what has changed, and
 * `updated()` is called after some of those; `trouble(text)` tells that the kernel does not answer, and `trouble("")`
 * that it does again; `lost()` that the kernel has ended; `expecting()` says whether something should be heard soon.
 * @typedef {object} Page
 * @property {HTMLElement} root
 * @property {(message: any) => void} whole
 * @property {(item: any) => void} news
 * @property {() => void} [updated]
 * @property {(text: string) => void} trouble
 * @property {() => void} [lost]
 * @property {() => boolean} [expecting]
 */

/** Requests that do not wait for earlier requests (base.py has the same list). */
const AT_ONCE = ["csv", "decide", "earlier", "keep", "models", "seq", "stop", "text", "thumbnail", "usage"];

/** @typedef {{id: string, do: string, files?: unknown[], [more: string]: unknown}} Message */

/**
 * @typedef {object} Asked a message that has no answer yet
 * @property {Message} message
 * @property {(answer: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {number} tries
 * @property {number} sentAt
 * @property {number} dueAt
 */

/**
 * The connection to the panel in the kernel.
 *
 * Any message may be lost, in either direction. An unanswered request is sent again with the same id, and the kernel
 * executes it once. Lost news is detected by a gap in `seq`. For the last message there is no gap: if `expecting()` is
 * true, a cell has ended or the connection was broken, the page asks for `seq` after some silence.
 */
export class Link {
  /**
   * @param {Model} model
   * @param {AbortSignal} signal
   * @param {Page} page
   */
  constructor(model, signal, page) {
    const { root, whole, news, trouble, updated = () => {}, lost = () => {}, expecting = () => false } = page;
    this.model = model;
    this.signal = signal;
    this.whole = whole;
    this.news = news;
    this.updated = updated;
    this.lost = lost;
    this.expecting = expecting;
    this.place = placeOf(root, signal, model.widget_manager?.rendermime?.latexTypesetter);
    /** @param {string} text */
    this.trouble = (text) => {
      if (text) this.place("silent");
      trouble(text);
    };
    this.seq = 0;
    this.root = root;
    this.hasBegun = this.isInStep = this.isDead = this.isUnsure = this.isSeqAsked = false;
    /** @type {Map<string, Asked>} */
    this.waiting = new Map();
    this.helloId = "";
    /** @type {string | undefined} the kernel's stamp on each of its messages */
    this.stamp = undefined;
    this.receivedAt = Date.now();
    this.connectedAt = 0;
    /** @param {any} message */
    const received = (message) => this.received(message);
    model.on("msg:custom", received);
    takeMessages(model, model.get("panel_id"));
    const beat = setInterval(() => this.checkLate(), BEAT_MS);
    signal.addEventListener("abort", () => {
      clearInterval(beat);
      model.off("msg:custom", received);
    });
    this.watchKernel();
    this.keeps = keepWithNotebook(this);
    this.hello();
  }

  /**
   * Send a request; the promise resolves to the answer, or rejects with the kernel's error line.
   * @param {string} what
   * @param {object} [more]
   * @returns {Promise<any>}
   */
  ask(what, more = {}) {
    const message = { do: what, id: newId("ask"), ...more };
    const after = AT_ONCE.includes(what) ? null : this.lastInOrder();
    return new Promise((resolve, reject) => this.post(after ? { ...message, after } : message, resolve, reject));
  }

  /** The last unanswered message, which the next one must not overtake. */
  lastInOrder() {
    const inOrder = [...this.waiting.values()].filter(({ message }) => ![...AT_ONCE, "hello"].includes(message.do));
    return inOrder.at(-1)?.message.id;
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
    const ended = () => {
      this.isSeqAsked = false;
    };
    this.ask("seq").then(ended, ended);
  }

  /**
   * @param {Message} message
   * @param {(answer: any) => void} [resolve]
   * @param {(error: Error) => void} [reject]
   */
  post(message, resolve = () => {}, reject = () => {}) {
    const asked = { message, resolve, reject, tries: 0, sentAt: 0, dueAt: 0 };
    this.waiting.set(message.id, asked);
    if (this.isDead) this.died();
    else this.transmit(asked);
  }

  /** @param {Asked} asked */
  transmit(asked) {
    asked.tries += 1;
    asked.sentAt = Date.now();
    asked.dueAt = asked.sentAt + Math.min(LONGEST_MS, ANSWER_MS * 2 ** Math.max(0, asked.tries - 2));
    const message = { ...asked.message, try: asked.tries };
    try {
      this.model.send(message);
    } catch {
      this.died(); // JupyterLab sends nothing to a dead kernel
    }
    if (asked.tries > 1) return;
    setTimeout(() => {
      if (this.waiting.has(message.id)) this.sendOnControl(message);
    }, CONTROL_MS);
  }

  /**
   * Send on the control channel, past the running cell, if the front end and the kernel support that
   * (control_channel.py); files are too large.
   * @param {Message} message
   */
  sendOnControl(message) {
    const kernel = this.kernel;
    if (this.signal.aborted || message.files?.length || typeof kernel?.sendControlMessage !== "function") return;
    const header = {
      msg_id: newId("aside"),
      msg_type: "copilot_nb_aside",
      session: kernel.clientId,
      username: kernel.username,
      version: "5.3",
      date: new Date().toISOString(),
    };
    const content = { panel: this.model.get("panel_id"), message };
    kernel.sendControlMessage({ channel: "control", header, parent_header: {}, metadata: {}, content, buffers: [] });
  }

  /** Send unanswered messages again; if an expected message has not arrived, ask whether it was lost. */
  checkLate() {
    if (this.isDead) return;
    const now = Date.now();
    const late = [...this.waiting.values()].filter((each) => each.dueAt <= now);
    const unanswered = late.filter((each) => each.sentAt > this.receivedAt);
    if (unanswered.length) this.late(Math.max(...unanswered.map((each) => each.tries)));
    for (const each of late) {
      if (this.isHeldUp(each)) each.dueAt = now + ANSWER_MS;
      else this.transmit(each);
    }
    const isSilent = now - this.receivedAt > SILENCE_MS;
    if (this.isInStep && isSilent && (this.isUnsure || this.expecting())) this.askSeq();
  }

  /**
   * Whether a large message with files is merely waiting for the running cell or the connection.
   * @param {Asked} asked
   */
  isHeldUp(asked) {
    const { status, connectionStatus = "connected" } = this.kernel ?? {};
    if (!asked.message.files?.length) return false;
    return connectionStatus !== "connected" || (status === "busy" && asked.sentAt > this.connectedAt);
  }

  /** @param {number} tries */
  late(tries) {
    const { status, connectionStatus = "connected" } = this.kernel ?? {};
    if (connectionStatus !== "connected") this.trouble(OFFLINE);
    else if (status === "busy") this.trouble(BUSY);
    else if (tries > 1) {
      this.trouble(SILENT);
      this.findPanel();
    }
  }

  /** Ask the kernel whether it has the panel: a restarted kernel has none, and does not answer messages to it. */
  async findPanel() {
    const found = await this.kernel?.requestCommInfo?.({ target_name: "jupyter.widget" }).catch(() => null);
    const comms = found?.content?.comms;
    if (comms && !(this.model.get("panel_id") in comms) && !this.isDead) this.died();
  }

  died() {
    const isNew = !this.isDead;
    this.isDead = true;
    if (isNew) this.lost();
    this.root.classList.toggle("cnb-lost", !this.hasBegun); // only the notice is visible
    const asked = [...this.waiting.values()];
    this.waiting.clear();
    for (const each of asked) each.reject(new Error(RESTARTED));
    setTimeout(() => this.trouble(RESTARTED), 0); // after the callers have shown the error
  }

  /** @param {any} message */
  received(message) {
    this.receivedAt = Date.now();
    if (!this.isDead) this.trouble("");
    if (message.kind === "whole") this.takeWhole(message);
    else if (message.kind === "news") this.takeNews(message);
    else this.takeAnswer(message);
  }

  /** @param {any} message */
  takeWhole(message) {
    const isForAnother = message.re !== "" && !this.waiting.has(message.re);
    if (this.isInStep && (isForAnother || message.seq <= this.seq)) {
      this.follows(message);
      return;
    }
    this.waiting.delete(this.helloId);
    this.seq = message.seq;
    this.isInStep = true;
    this.hasBegun = true;
    this.whole(message);
    this.place("living");
  }

  /** @param {any} message */
  takeNews(message) {
    if (!this.isInStep || !this.follows(message)) return;
    for (const item of message.items) this.news(item);
    this.updated();
  }

  /**
   * Whether a message is the next in sequence; a repeated one is not, and a gap before it means that one was lost.
   * @param {{seq: number}} message
   */
  follows(message) {
    if (message.seq > this.seq + 1) this.hello();
    if (message.seq !== this.seq + 1) return false;
    this.seq = message.seq;
    return true;
  }

  /** @param {any} message */
  takeAnswer(message) {
    if (this.isInStep && message.seq > this.seq) this.hello();
    const asked = this.waiting.get(message.re);
    if (!asked || message.waits) return;
    if (message.re === this.helloId) {
      this.trouble(message.error); // nothing to show: the page asks again
      return;
    }
    this.waiting.delete(message.re);
    if (message.error) asked.reject(new Error(message.error));
    else asked.resolve(message);
  }

  /** The front end's own connection to the kernel, in JupyterLab and Notebook; elsewhere null. */
  get kernel() {
    return this.model.widget_manager?.kernel ?? null;
  }

  watchKernel() {
    this.listen("statusChanged", (status) => {
      if (["restarting", "autorestarting", "terminating", "dead"].includes(status)) this.died();
    });
    this.listen("connectionStatusChanged", (status) => {
      if (status !== "connected") return;
      this.connectedAt = Date.now(); // earlier messages may be lost
      if (this.isInStep) this.askSeq();
    });
    this.listen("anyMessage", ({ msg: { channel, header } }) => {
      if (header.msg_type === "execute_reply") this.isUnsure = true;
      if (channel === "iopub") this.checkStamp(header.session);
    });
  }

  /**
   * Every kernel stamps its messages: a different stamp means that another client has replaced or restarted our kernel.
   * @param {string} stamp
   */
  checkStamp(stamp) {
    if (stamp === this.kernel?.clientId) return; // a message of the server itself
    this.stamp ??= stamp;
    if (stamp !== this.stamp && !this.isDead) this.died();
  }

  /**
   * @param {string} name of a signal of the kernel
   * @param {(what: any) => void} slot
   */
  listen(name, slot) {
    const signal = this.kernel?.[name];
    /**
     * @param {unknown} _kernel
     * @param {any} what
     */
    const heard = (_kernel, what) => slot(what);
    signal?.connect(heard);
    this.signal.addEventListener("abort", () => signal?.disconnect(heard));
  }
}
