// A visitor's page asks when it has all its widgets; a widget hears its kernel side however slowly its module was loaded.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { settled } from "./page.js";

const {
  default: visitor,
  ASK_AGAIN_MS,
  LONGEST_RESTORE_MS,
} = await import("../../copilot_nb/panels/static/visitor.js");

const SECRET = "s".repeat(43);
const stored = new Map();
globalThis.localStorage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => stored.set(key, value),
};

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval"] }));
afterEach(() => {
  mock.timers.reset();
  stored.clear();
});

/** A page with a visitor's widget: the widget's model, its manager and its comm, and what anywidget hands over. */
class Page {
  sent = [];
  passedOn = [];
  slots = new Set();

  constructor(restoredStatus) {
    const widget = {
      comm: { on_msg: (received) => Object.assign(this, { received }) },
      _handle_comm_msg: (message) => this.passedOn.push(message.content.data.method),
      trigger: (_event, content) => this.heard(content),
    };
    const manager = {
      restoredStatus,
      restored: { connect: (slot) => this.slots.add(slot), disconnect: (slot) => this.slots.delete(slot) },
      get_model: async (id) => (id === "widget" ? widget : undefined),
    };
    visitor.initialize({
      model: {
        get: (name) => (name === "widget_id" ? "widget" : undefined),
        send: (message) => this.sent.push(message),
        on: (_event, heard) => Object.assign(this, { heard }),
        widget_manager: manager,
      },
    });
  }

  restore() {
    for (const slot of this.slots) slot();
  }
}

test("a page that is not restored asks when it is, once for each restore that it waits for", () => {
  const page = new Page(false);
  mock.timers.tick(10 * ASK_AGAIN_MS);
  assert.deepEqual(page.sent, []);
  page.restore();
  assert.deepEqual(page.sent, [{ token: "" }]);
  page.restore(); // the connection came back
  assert.equal(page.sent.length, 1);
  mock.timers.tick(ASK_AGAIN_MS);
  assert.equal(page.sent.length, 2);
});

test("a page that cannot be restored asks in the end, and only then", () => {
  const page = new Page(false);
  mock.timers.tick(LONGEST_RESTORE_MS);
  assert.equal(page.sent.length, 1);
  page.restore();
  assert.equal(page.sent.length, 1);
});

test("a page that is restored, or whose front end does not tell, asks at once", () => {
  for (const status of [true, undefined]) assert.deepEqual(new Page(status).sent, [{ token: "" }]);
});

test("an answer is heard from the comm, past anywidget, which may wait for good", async () => {
  const page = new Page(true);
  await settled();
  page.received({ content: { data: { method: "custom", content: { token: SECRET } } } });
  assert.equal(stored.get("copilot_nb.visitor"), SECRET);
  mock.timers.tick(5 * ASK_AGAIN_MS);
  assert.equal(page.sent.length, 1);
  page.received({ content: { data: { method: "update", state: {} } } });
  assert.deepEqual(page.passedOn, ["update"]);
});
