// The page's side of the protocol of panels (base.py), over a wire that loses, doubles and delays.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { settled } from "./page.js";

const { ANSWER_MS, CONTROL_MS, BEAT_MS, BUSY, Link, OFFLINE, RESTARTED, SILENCE_MS, SILENT } = await import(
  "../../copilot_nb/panels/static/link.js"
);
const { el } = await import("../../copilot_nb/panels/static/dom.js");

/** A signal of JupyterLab's. */
class Signal {
  slots = new Set();
  connect(slot) {
    this.slots.add(slot);
  }
  disconnect(slot) {
    this.slots.delete(slot);
  }
  emit(what) {
    for (const slot of this.slots) slot(null, what);
  }
}

class Kernel {
  status = "idle";
  connectionStatus = "connected";
  clientId = "page";
  username = "me";
  statusChanged = new Signal();
  connectionStatusChanged = new Signal();
  anyMessage = new Signal();
  aside = [];
  sendControlMessage(message) {
    this.aside.push(message);
  }
}

/** A panel's page, and the wire to a kernel that says what a test has it say. */
class Wire {
  sent = [];
  shown = [];
  trouble = "";
  isExpecting = false;
  ends = 0;
  over = new AbortController();

  constructor(kernel = null) {
    const widget = {
      comm: { on_msg: (received) => Object.assign(this, { received }) },
      trigger: (_event, content) => this.heard(content),
    };
    const model = {
      send: (message) => this.sent.push(message),
      get: () => "panel",
      on: (_event, heard) => {
        this.heard = heard;
      },
      off: () => {},
      widget_manager: kernel ? { kernel, get_model: async () => widget } : undefined,
    };
    this.model = model;
    this.link = new Link(model, this.over.signal, {
      root: el("div"),
      whole: (message) => this.shown.push(`whole ${message.seq}`),
      news: (item) => this.shown.push(item),
      trouble: (text) => {
        this.trouble = text;
      },
      lost: () => {
        this.ends += 1;
      },
      expecting: () => this.isExpecting,
    });
    wires.push(this);
  }

  /** The messages of a kind that were sent, the last one last. */
  asked(what) {
    return this.sent.filter((message) => message.do === what);
  }

  /** Answer the last hello. */
  begin(seq = 1) {
    this.heard({ kind: "whole", seq, re: this.asked("hello").at(-1).id });
    return this;
  }

  news(seq, ...items) {
    this.heard({ kind: "news", seq, items });
  }
}

const wires = [];
beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 }));
afterEach(() => {
  for (const wire of wires.splice(0)) wire.over.abort();
  mock.timers.reset();
});

/** Let time pass, a beat at a time. */
function pass(ms) {
  for (let passed = 0; passed < ms; passed += BEAT_MS) mock.timers.tick(BEAT_MS);
}

test("a page says hello and shows what it is told, in its order", () => {
  const wire = new Wire();
  assert.equal(wire.asked("hello").length, 1);
  wire.begin();
  wire.news(2, "a", "b");
  wire.news(3, "c");
  assert.deepEqual(wire.shown, ["whole 1", "a", "b", "c"]);
  assert.equal(wire.asked("hello").length, 1);
});

test("a page hears its panel from the comm, past anywidget, which may wait for good", async () => {
  const wire = new Wire(new Kernel());
  await settled();
  const message = { kind: "whole", seq: 1, re: wire.asked("hello")[0].id };
  wire.received({ content: { data: { method: "custom", content: message } } });
  assert.deepEqual(wire.shown, ["whole 1"]);
});

test("news before the whole are left out: they are in it", () => {
  const wire = new Wire();
  wire.news(1, "early");
  wire.begin(2);
  assert.deepEqual(wire.shown, ["whole 2"]);
});

test("what comes twice is shown once", () => {
  const wire = new Wire().begin();
  wire.news(2, "a");
  wire.news(2, "a");
  assert.deepEqual(wire.shown, ["whole 1", "a"]);
  assert.equal(wire.asked("hello").length, 1);
});

test("a gap has all asked for anew, and nothing shown until it comes", () => {
  const wire = new Wire().begin();
  wire.news(3, "after a lost one");
  assert.equal(wire.asked("hello").length, 2);
  wire.news(4, "more");
  wire.begin(4);
  wire.news(5, "next");
  assert.deepEqual(wire.shown, ["whole 1", "whole 4", "next"]);
});

test("an answer that knows of more than was heard has all asked for anew", async () => {
  const wire = new Wire().begin();
  const asked = wire.link.ask("usage");
  wire.heard({ re: wire.asked("usage")[0].id, seq: 2, ok: true, said: "much" });
  assert.equal((await asked).said, "much");
  assert.equal(wire.asked("hello").length, 2);
});

test("the whole that another view has asked for counts, and is not shown", () => {
  const wire = new Wire().begin();
  wire.heard({ kind: "whole", seq: 2, re: "another's" });
  wire.news(3, "a");
  assert.deepEqual(wire.shown, ["whole 1", "a"]);
});

test("a whole that nobody has asked for is shown: all begins anew", () => {
  const wire = new Wire().begin();
  wire.heard({ kind: "whole", seq: 2, re: "" });
  assert.deepEqual(wire.shown, ["whole 1", "whole 2"]);
});

test("what gets no answer is sent again under its id, ever more seldom, and answered once", async () => {
  const wire = new Wire().begin();
  const asked = wire.link.ask("send", { text: "hi" });
  pass(30_000);
  const tries = wire.asked("send");
  assert.deepEqual(new Set(tries.map((each) => each.id)).size, 1);
  assert.deepEqual(
    tries.map((each) => each.try),
    [1, 2, 3, 4, 5],
  );
  wire.heard({ re: tries[0].id, seq: 1, ok: true });
  wire.heard({ re: tries[0].id, seq: 1, error: "twice" });
  await asked;
  pass(120_000);
  assert.equal(wire.asked("send").length, 5);
});

test("an answer that has to wait is waited for", async () => {
  const wire = new Wire().begin();
  const asked = wire.link.ask("send");
  wire.heard({ re: wire.asked("send")[0].id, seq: 1, waits: true });
  wire.heard({ re: wire.asked("send")[0].id, seq: 1, error: "no" });
  await assert.rejects(asked, { message: "no" });
});

test("a hello that cannot be answered shows why, and is asked again", () => {
  const wire = new Wire();
  const [{ id }] = wire.asked("hello");
  wire.heard({ re: id, seq: 0, error: "the log is damaged" });
  assert.equal(wire.trouble, "the log is damaged");
  pass(ANSWER_MS + BEAT_MS);
  assert.equal(wire.asked("hello").length, 2);
});

test("where something is expected, silence is asked about; where nothing is, not", () => {
  const wire = new Wire().begin();
  pass(SILENCE_MS + 2 * BEAT_MS);
  assert.equal(wire.asked("seq").length, 0);
  wire.isExpecting = true;
  pass(BEAT_MS);
  assert.equal(wire.asked("seq").length, 1);
});

test("after a cell has ended, and when the connection is back, one asks what was lost", () => {
  const kernel = new Kernel();
  const wire = new Wire(kernel).begin();
  kernel.anyMessage.emit({ msg: { channel: "shell", header: { msg_type: "execute_reply", session: "k" } } });
  pass(SILENCE_MS + 2 * BEAT_MS);
  assert.equal(wire.asked("seq").length, 1);
  wire.heard({ re: wire.asked("seq")[0].id, seq: 1, ok: true });
  return Promise.resolve().then(() => {
    kernel.connectionStatusChanged.emit("connected");
    assert.equal(wire.asked("seq").length, 2);
  });
});

test("a busy kernel, a broken connection and a silent kernel are told apart, until something is heard", () => {
  const kernel = new Kernel();
  const wire = new Wire(kernel).begin();
  mock.timers.tick(1);
  wire.link.ask("usage");
  kernel.status = "busy";
  pass(ANSWER_MS + BEAT_MS);
  assert.equal(wire.trouble, BUSY);
  kernel.connectionStatus = "connecting";
  pass(2 * ANSWER_MS);
  assert.equal(wire.trouble, OFFLINE);
  wire.news(2, "alive");
  assert.equal(wire.trouble, "");
  const alone = new Wire().begin();
  mock.timers.tick(1);
  alone.link.ask("usage");
  pass(4 * ANSWER_MS);
  assert.equal(alone.trouble, SILENT);
});

test("what a kernel does not take at once is also sent past the cell that runs, once, without files", () => {
  const kernel = new Kernel();
  const wire = new Wire(kernel).begin();
  wire.link.ask("stop");
  wire.link.ask("send", { files: [{ name: "a" }] });
  mock.timers.tick(CONTROL_MS);
  pass(10_000);
  const told = kernel.aside.filter((each) => each.content.message.do !== "hello");
  assert.deepEqual(
    told.map((each) => each.content),
    [{ panel: "panel", message: wire.asked("stop")[0] }],
  );
});

test("what must not overtake names the message before it that has no answer yet", async () => {
  const wire = new Wire().begin();
  const first = wire.link.ask("send", { text: "1" });
  wire.link.ask("usage");
  wire.link.ask("send", { text: "2" });
  wire.link.ask("stop");
  wire.link.ask("rename");
  const [one, two] = wire.asked("send");
  assert.deepEqual(
    wire.sent.slice(1).map((each) => each.after),
    [undefined, undefined, one.id, undefined, two.id],
  );
  for (const each of wire.sent.slice(1)) wire.heard({ re: each.id, seq: 1, ok: true });
  await first;
  wire.link.ask("send", { text: "3" });
  assert.equal(wire.asked("send")[2].after, undefined);
});

test("a message with files waits for a cell that runs; it is sent again where the connection was lost", () => {
  const kernel = new Kernel();
  const wire = new Wire(kernel).begin();
  kernel.status = "busy";
  mock.timers.tick(1);
  wire.link.ask("send", { files: [{ name: "a" }] });
  pass(60_000);
  assert.equal(wire.asked("send").length, 1);
  kernel.connectionStatusChanged.emit("connected");
  pass(2 * ANSWER_MS);
  assert.equal(wire.asked("send").length, 2);
});

for (const [way, restart] of [
  ["restarts", (kernel) => kernel.statusChanged.emit("restarting")],
  ["dies", (kernel) => kernel.statusChanged.emit("dead")],
  [
    "is another",
    (kernel) => {
      for (const session of ["first", "page", "second"]) {
        kernel.anyMessage.emit({ msg: { channel: "iopub", header: { msg_type: "status", session } } });
      }
    },
  ],
]) {
  test(`when the kernel ${way}, all that waits is refused, and what is asked later`, async () => {
    const kernel = new Kernel();
    const wire = new Wire(kernel).begin();
    const before = assert.rejects(wire.link.ask("send"), { message: RESTARTED });
    restart(kernel);
    const later = assert.rejects(wire.link.ask("send"), { message: RESTARTED });
    mock.timers.tick(1);
    await Promise.all([before, later]);
    assert.equal(wire.trouble, RESTARTED);
    assert.equal(wire.ends, 1);
    const { length } = wire.sent;
    pass(60_000);
    assert.equal(wire.sent.length, length);
  });
}

for (const [what, comms, isLost] of [
  ["another", { other: {} }, true],
  ["the same", { panel: {} }, false],
]) {
  test(`a kernel that does not answer is asked for its panel: it has ${what}`, async () => {
    const kernel = new Kernel();
    kernel.requestCommInfo = async () => ({ content: { comms } });
    const wire = new Wire(kernel);
    mock.timers.tick(1);
    const asked = wire.link.ask("send");
    asked.catch(() => {});
    pass(4 * ANSWER_MS);
    await settled();
    mock.timers.tick(1);
    assert.equal(wire.trouble, isLost ? RESTARTED : SILENT);
    assert.equal(wire.link.root.classList.contains("cnb-lost"), isLost);
    if (isLost) await assert.rejects(asked, { message: RESTARTED });
  });
}

test("a front end that does not send to a dead kernel tells of a restart", async () => {
  const wire = new Wire().begin();
  wire.model.send = () => {
    throw new Error("Kernel is dead");
  };
  await assert.rejects(wire.link.ask("send"), { message: RESTARTED });
});

test("a view that is gone says nothing more", () => {
  const wire = new Wire(new Kernel());
  wire.over.abort();
  const { length } = wire.sent;
  pass(60_000);
  assert.equal(wire.sent.length, length);
});
