// What the extension of JupyterLab reads in the text of cells.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const text = await import("../../labextension/scripts/text.js");
const EXPRESSIONS = JSON.parse(readFileSync(new URL("expressions.json", import.meta.url), "utf-8"));

test("a prompt is a cell that begins with %%copilot, unless it holds back a model's code", () => {
  for (const cell of ["%%copilot", "%%copilot a\nprose", "%%copilot\n", "\n \n%%copilot a -m b", "%%copilot\ta"])
    assert.equal(text.isPrompt(cell), true, cell);
  for (const cell of ["", "%copilot ls", "%%copilots", "x\n%%copilot a", "%%copilot?", "# %%copilot a"])
    assert.equal(text.isPrompt(cell), false, cell);
  assert.equal(text.isPrompt("%%copilot --do-not-run a\nx = 1"), false);
  assert.equal(text.isPrompt("%%copilot a --do-not-run-this\nx"), true);
});

test("a notebook uses copilot_nb if a cell loads, imports or calls it", () => {
  for (const cell of ["%load_ext copilot_nb", "x = 1\n%copilot ls", "%%copilot a\nx", "import copilot_nb as cp"])
    assert.equal(text.usesCopilot(["y = 2", cell]), true, cell);
  for (const cell of [
    "",
    "%load_ext autoreload",
    "# %load_ext copilot_nb",
    "print('%copilot')",
    "%copilots",
    "copilot_nb",
  ])
    assert.equal(text.usesCopilot([cell]), false, cell);
});

test("the first line of a prompt is marked word by word, and its expressions wherever they are", () => {
  const cell = "\n%%copilot 'my session' -m gpt {{ x }}\nIt's {{ y }}";
  const marks = text.marksOf(cell).map(({ from, to, kind }) => [kind, cell.slice(from, to)]);
  assert.deepEqual(marks, [
    ["line", "%%copilot 'my session' -m gpt {{ x }}"],
    ["magic", "%%copilot"],
    ["word", "'my session'"],
    ["option", "-m"],
    ["word", "gpt"],
    ["word", "{{"],
    ["word", "x"],
    ["word", "}}"],
    ["expression", "{{ y }}"],
  ]);
});

for (const { body, expressions } of EXPRESSIONS)
  test(`the expressions of ${JSON.stringify(body)}`, () => {
    assert.deepEqual(
      text.expressionsOf(body).map(({ from, to }) => body.slice(from, to)),
      expressions,
    );
  });

test("a change that only moves the marks leaves those that marking anew gives", () => {
  const pieces = ["{", "{{", "}", "}}", "\\", "\n", "\n\n", "x", " y ", "{{ z }}"];
  let seed = 1;
  const random = (/** @type {number} */ below) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const some = (/** @type {number} */ most) =>
    [...Array(random(most))].map(() => pieces[random(pieces.length)]).join("");
  let moved = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const [head, body, added] = ["%%copilot a\n", some(12), some(3)];
    const [from, to] = [random(body.length + 1), random(body.length + 1)].sort((a, b) => a - b);
    const old = head + body;
    const now = head + body.slice(0, from) + added + body.slice(to);
    const [at, till] = [head.length + from, head.length + to];
    if (!text.onlyMovesMarks(old.slice(at - 1, till + 1), now.slice(at - 1, at + added.length + 1))) continue;
    moved += 1;
    const move = (/** @type {number} */ place) => (place < at ? place : place + now.length - old.length);
    const kept = text.marksOf(old).map((mark) => ({ ...mark, from: move(mark.from), to: move(mark.to) }));
    assert.deepEqual(kept, text.marksOf(now), JSON.stringify([old, now]));
  }
  assert.ok(moved > 1_000, `${moved}`);
});

test("names pop up in the first line and in expressions, not in prose", () => {
  const prose = (/** @type {string} */ cell) => text.isInProse(cell.replace("|", ""), cell.indexOf("|"));
  for (const cell of ["%%copilot a\n|", "%%copilot a\nhel|p", "%%copilot a\n{{ x }} |", "%%copilot a\n\\{{ x|"])
    assert.equal(prose(cell), true, cell);
  for (const cell of [
    "%%copilot a|\nx",
    "%%copilot a\n{{ x|",
    "%%copilot a\n{{ x| }}",
    "x = 1\nx|",
    "%%copilot\n{{ {1: x|",
  ])
    assert.equal(prose(cell), false, cell);
  assert.equal(prose("%%copilot a\n{{ x\n\nra|"), true);
});

test("the session of a prompt is its first name, behind options and their values", () => {
  const sessions = {
    "%%copilot a b\nx": "a",
    "%%copilot -b --model gpt a": "a",
    "%%copilot --model=gpt --new a": "a",
    '%%copilot -s "be kind" "my session"': '"my session"',
    "%%copilot\na": "",
    "%%copilot -m gpt\na": "",
    "x = 1": "",
  };
  for (const [cell, session] of Object.entries(sessions)) assert.equal(text.sessionOf(cell), session, cell);
});

test("the correction is asked of the session of the prompt above, else of the one below", () => {
  const line = (/** @type {string[]} */ ...cells) => text.fixLine(cells, cells.indexOf("1 / 0"), "0123456789abcdef");
  assert.equal(line("%%copilot a\nx", "%%copilot b\nx", "1 / 0", "%%copilot c\nx"), "%copilot fix b --cell 01234567");
  assert.equal(line("%%copilot compare -m a,b\nx", "1 / 0", "%%copilot c\nx"), "%copilot fix c --cell 01234567");
  assert.equal(line("1 / 0", "x", "%%copilot c\nx"), "%copilot fix c --cell 01234567");
  assert.equal(line("%%copilot\nx", "1 / 0"), "%copilot fix --cell 01234567");
  assert.equal(line("%load_ext copilot_nb", "1 / 0"), "%copilot fix debug --cell 01234567");
});

const PROMPT = "%%copilot a\nx";
const LIVE = { isScheduled: false, isLive: true };
const SAVED = { isScheduled: false, isLive: false };
const output = (/** @type {any} */ facts) => ({ output_type: "display_data", metadata: { copilot_nb: facts } });
const turns = (/** @type {string[]} */ ...states) => [
  output({ turns: states.map((state, number) => ({ session: `s${number}`, state })) }),
];
const error = (/** @type {string} */ ename) => ({ output_type: "error", ename });
const marked = (/** @type {any[]} */ outputs, run = LIVE, source = PROMPT) => {
  const found = text.stateOf(source, outputs, run);
  return found && `${found.session}: ${found.state}`;
};

test("a run is marked while somebody works on it, and when it failed", () => {
  const scheduled = { isScheduled: true, isLive: true };
  assert.equal(marked([]), null);
  assert.equal(marked([], scheduled), "a: waiting");
  assert.equal(marked([error("TurnFailed")], scheduled), "a: waiting"); // of the run before
  assert.equal(marked([output({ session: "a", state: "queued" })]), "a: waiting");
  assert.equal(
    marked([{ output_type: "display_data", metadata: {} }, output({ session: "a", state: "working" })]),
    "a: answering",
  );
  assert.equal(marked([output({ session: "a", state: "done" })]), null);
  assert.equal(marked([output({ session: "a", state: "done" }), error("TurnFailed")]), "a: failed"); // no JSON
  assert.equal(marked([output({ session: "a", state: "interrupted" }), error("TurnInterrupted")]), "a: interrupted");
  assert.equal(marked([error("TurnFailed")], LIVE, "1 / 0"), null);
  assert.equal(marked([output({ session: "a", state: "working" })], SAVED), null);
  assert.equal(marked([{ output_type: "display_data", metadata: { copilot_nb: { panel: "p" } } }]), null);
});

test("a turn that showed nothing is marked by its error, and a refused prompt names no session", () => {
  for (const [ename, shown] of Object.entries({
    TurnFailed: "a: failed",
    TurnTimeout: "a: failed",
    ProviderError: "a: failed",
    TurnInterrupted: "a: interrupted",
    KeyboardInterrupt: "a: interrupted",
    InputError: ": not sent",
    SessionInUse: ": not sent",
    constructor: ": not sent",
  }))
    for (const run of [LIVE, SAVED]) assert.equal(marked([error(ename)], run), shown, ename);
});

test("of several sessions the mark names those in the most urgent state, and its title the state of each", () => {
  assert.equal(marked(turns("done", "working", "failed")), "s1: answering");
  assert.equal(marked(turns("done", "failed")), "s1: failed");
  assert.equal(marked(turns("done", "failed", "failed")), "2 of 3 sessions: failed");
  assert.equal(marked(turns("failed", "failed")), "2 sessions: failed");
  assert.equal(marked(turns("working", "failed"), SAVED), "s1: failed");
  const title = (/** @type {any[]} */ outputs) => text.stateOf(PROMPT, outputs, LIVE)?.title;
  assert.equal(title(turns("done", "failed", "working")), "s1: failed, s2: answering");
  assert.equal(title([error("InputError")]), "not sent");
});
