// Where one writes: commands, recalled prompts, edits, drafts, files and the Enter of input methods.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { press, settled } from "./page.js";

const { Composer } = await import("../../copilot_nb/panels/static/composer.js");
const { COMMANDS, isCommand } = await import("../../copilot_nb/panels/static/commands.js");
const { el, Notice } = await import("../../copilot_nb/panels/static/dom.js");

let sent;
let composer;
let notice;
const over = new AbortController();

function made() {
  const stop = () => {};
  const history = () => ["first", "second"];
  return new Composer({ send: (draft) => sent.push(draft), stop, notice, signal: over.signal, history });
}

beforeEach(() => {
  sent = [];
  notice = new Notice();
  composer = made();
  document.body.append(composer.node);
});
afterEach(() => composer.node.remove());

function type(text) {
  composer.text.value = text;
  composer.text.dispatchEvent(new Event("input", { bubbles: true }));
}

const offered = () => (composer.offers.hidden ? [] : [...composer.offers.children].map((each) => each.dataset.word));
const picked = () => composer.offers.querySelector("[aria-selected=true]")?.dataset.word;

/** A turn that can be edited. */
function turn(promptText) {
  return { key: "1", promptText, images: el("div") };
}

test("Enter sends what was written and empties the field", async () => {
  type("hello");
  assert.equal(press(composer.text, "Enter"), true);
  await settled();
  assert.deepEqual(sent, [{ text: "hello", files: [], editing: null, isCommand: false, literal: false }]);
  assert.equal(composer.text.value, "");
});

test("nothing is sent where nothing was written", async () => {
  type(" \n ");
  press(composer.text, "Enter");
  await settled();
  assert.deepEqual(sent, []);
});

test("Shift+Enter begins a line where the cursor is", () => {
  type("onetwo");
  composer.text.setSelectionRange(3, 3);
  assert.equal(press(composer.text, "Enter", { shiftKey: true }), true);
  assert.equal(composer.text.value, "one\ntwo");
  assert.deepEqual(sent, []);
});

for (const [browser, how] of [
  ["Chromium", { isComposing: true }],
  ["Safari", { keyCode: 229 }],
]) {
  test(`the Enter that ends a word of an input method does not send, as ${browser} tells it`, async () => {
    type("にほん");
    assert.equal(press(composer.text, "Enter", how), false);
    await settled();
    assert.deepEqual(sent, []);
    type("/");
    press(composer.text, "Enter", how);
    assert.equal(composer.text.value, "/", "no command is chosen by it");
  });
}

test("a slash offers all commands, and letters those that fit", () => {
  type("/");
  assert.deepEqual(
    offered(),
    COMMANDS.map(([word]) => word),
  );
  type("/re");
  assert.deepEqual(offered(), ["/rename", "/rewind", "/retry"]);
  type("/re and more");
  assert.deepEqual(offered(), []);
  type("a /");
  assert.deepEqual(offered(), []);
});

test("arrows go through what is offered and around; Escape closes it, and the text stays", () => {
  type("/re");
  assert.equal(picked(), "/rename");
  press(composer.text, "ArrowUp");
  assert.equal(picked(), "/retry");
  press(composer.text, "ArrowDown");
  press(composer.text, "ArrowDown");
  assert.equal(picked(), "/rewind");
  assert.equal(composer.text.getAttribute("aria-activedescendant"), `${composer.offers.id}-1`);
  press(composer.text, "Escape");
  assert.deepEqual(offered(), []);
  assert.equal(composer.text.value, "/re");
});

test("a chosen command that takes nothing is done, one that takes something is written out", async () => {
  type("/und");
  press(composer.text, "Enter");
  await settled();
  assert.deepEqual(sent, [{ text: "/undo", files: [], editing: null, isCommand: true, literal: false }]);
  type("/mod");
  press(composer.text, "Tab");
  assert.equal(composer.text.value, "/model ");
  assert.equal(sent.length, 1);
});

test("a chosen command that may be left alone is done by Enter, and written out by Tab", async () => {
  type("/fork");
  press(composer.text, "Tab");
  assert.equal(composer.text.value, "/fork ");
  type("/fork");
  press(composer.text, "Enter");
  await settled();
  assert.deepEqual(
    sent.map((each) => each.text),
    ["/fork"],
  );
});

for (const modifier of ["ctrlKey", "altKey", "metaKey"]) {
  test(`Enter sends with ${modifier}, too`, async () => {
    type("hello");
    press(composer.text, "Enter", { [modifier]: true });
    await settled();
    assert.equal(sent.length, 1);
  });
}

test("a draft outlives an edit that is cancelled, and one that is sent", async () => {
  for (const [end, prompts] of [
    ["Escape", []],
    ["Enter", ["old"]],
  ]) {
    type("a long draft");
    composer.edit(turn("old"), 0);
    composer.edit(turn("old"), 0);
    assert.equal(composer.text.value, "old");
    press(composer.text, end);
    await settled();
    assert.equal(composer.text.value, "a long draft");
    assert.deepEqual(
      sent.map((each) => each.text),
      prompts,
    );
  }
});

test("a draft is there again when the page is reloaded, until it is sent; an edit is no draft", async () => {
  const reloaded = (session) => {
    const another = made();
    another.keepFor(session);
    return another.text.value;
  };
  composer.keepFor("s1");
  type("a draft");
  composer.edit(turn("old"), 0);
  type("old, but better");
  assert.equal(reloaded("s1"), "a draft");
  assert.equal(reloaded("s2"), "");
  press(composer.text, "Escape");
  press(composer.text, "Enter");
  await settled();
  assert.equal(reloaded("s1"), "");
});

test("an edit that is refused is an edit again, and the draft waits", async () => {
  type("a draft");
  composer.edit(turn("old"), 0);
  press(composer.text, "Enter");
  await settled();
  composer.restore(sent[0]);
  assert.equal(composer.text.value, "old");
  assert.equal(composer.editing, sent[0].editing);
  press(composer.text, "Escape");
  assert.equal(composer.text.value, "a draft");
});

test("a line is a command by its first word", () => {
  for (const text of ["/help", "/model gpt-5", "/unknown", "/take-over", "/usr is full"])
    assert.equal(isCommand(text), true, text);
  for (const text of ["/usr/bin", " /help", "help", "//", "/-"]) assert.equal(isCommand(text), false, text);
});

test("up and down go through earlier prompts, from an empty field only", () => {
  press(composer.text, "ArrowUp");
  assert.equal(composer.text.value, "second");
  press(composer.text, "ArrowUp");
  press(composer.text, "ArrowUp");
  assert.equal(composer.text.value, "first");
  press(composer.text, "ArrowDown");
  assert.equal(composer.text.value, "second");
  press(composer.text, "ArrowDown");
  assert.equal(composer.text.value, "");
  type("mine");
  assert.equal(press(composer.text, "ArrowUp"), false);
  assert.equal(composer.text.value, "mine");
});

test("an edited prompt is sent in place of its turn, with its braces as they were", async () => {
  const edited = turn("a {{ b }}");
  composer.edit(edited, 2);
  assert.equal(composer.text.value, "a \\{{ b }}");
  assert.match(composer.edited.textContent, /this turn and the 2 turns after it/);
  press(composer.text, "Enter");
  await settled();
  assert.deepEqual(sent, [{ text: "a \\{{ b }}", files: [], editing: edited, isCommand: false, literal: false }]);
  assert.equal(composer.edited.hidden, true);
});

test("an edited prompt that begins with a slash is a prompt", async () => {
  composer.edit(turn("/etc is what?"), 0);
  press(composer.text, "Enter");
  await settled();
  assert.equal(sent[0].isCommand, false);
});

test("what begins with a slash can be sent as it is", async () => {
  type("/etc");
  composer.submit(true);
  await settled();
  assert.deepEqual(sent, [{ text: "/etc", files: [], editing: null, isCommand: false, literal: true }]);
});

test("what could not be sent comes back, after what was written since", async () => {
  type("first");
  press(composer.text, "Enter");
  await settled();
  type("second");
  composer.restore(sent[0]);
  assert.equal(composer.text.value, "second\n\nfirst");
});

test("files go with the next prompt only, once they were read", async () => {
  composer.attachments.add([new File(["some text"], "a.txt", { type: "text/plain" })]);
  assert.equal(composer.attachments.reading, 1);
  type("look");
  press(composer.text, "Enter");
  await composer.attachments.read;
  await settled();
  assert.deepEqual(sent[0].files, [{ name: "a.txt", text: "some text" }]);
  assert.equal(composer.attachments.chips.hidden, true);
  type("and now");
  press(composer.text, "Enter");
  await settled();
  assert.deepEqual(sent[1].files, []);
});

test("of files that cannot go one is told why, and the others go", async () => {
  const large = new File(["x".repeat(200_001)], "large.txt");
  composer.attachments.add([large, new File(["\0"], "a.bin"), new File(["y"], "b.txt")]);
  await composer.attachments.read;
  assert.deepEqual(
    composer.attachments.files.map((each) => each.name),
    ["b.txt"],
  );
  assert.match(notice.text.textContent, /^large.txt is too large .*\na.bin is neither text nor an image/);
});
