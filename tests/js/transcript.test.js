// The order in which a transcript shows its turns.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import "./page.js";

const { Transcript } = await import("../../copilot_nb/panels/static/transcript.js");

const over = new AbortController();
let transcript;

beforeEach(() => {
  transcript = new Transcript({ label: "Conversation", signal: over.signal });
  document.body.append(transcript.node);
});
afterEach(() => transcript.node.remove());

const apply = (key, state, before = 0) => transcript.apply({ key, prompt: key, state, before });
const order = () =>
  [...transcript.list.children].map((node) => transcript.inOrder().find((each) => each.node === node).key);

test("a turn that runs stands before those that wait, whether or not it was seen to wait", () => {
  apply("first", "done");
  apply("waits", "queued", 1);
  apply("waits too", "queued", 2);
  apply("asked again", "working");
  assert.deepEqual(order(), ["first", "asked again", "waits", "waits too"]);
});

test("what was under way when the kernel ended is not said to answer", () => {
  apply("first", "done");
  apply("second", "working");
  apply("third", "queued", 1);
  for (const turn of transcript.inOrder()) turn.lost();
  const turns = transcript.inOrder();
  const unanswered = "The kernel ended before this was answered.";
  assert.deepEqual(
    turns.map((turn) => turn.status.textContent),
    ["", unanswered, unanswered],
  );
  assert.ok(turns.every((turn) => !turn.isUnderWay));
});

test("a turn that is put before others in the queue stands before them", () => {
  apply("first", "working");
  apply("waits", "queued", 1);
  apply("waits too", "queued", 2);
  for (const [key, before] of [
    ["waits", 2],
    ["waits too", 3],
  ])
    transcript.apply({ key, before });
  apply("asked again", "queued", 1);
  assert.deepEqual(order(), ["first", "asked again", "waits", "waits too"]);
  apply("asked again", "working");
  apply("waits", "working");
  assert.deepEqual(order(), ["first", "asked again", "waits", "waits too"]);
});
