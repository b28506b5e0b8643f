// Keys stay in a panel, but for the shortcuts of the whole application; the focus does not get lost.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { press } from "./page.js";

const { el, hide, Notice, panelRoot } = await import("../../copilot_nb/panels/static/dom.js");
const { replaceText } = await import("../../copilot_nb/panels/static/keys.js");

let root;
let field;
let heard;
const notebook = el("div");
const listen = (event) => heard.push([event.target, event.key]);

beforeEach(() => {
  heard = [];
  field = el("textarea", { "data-home": true });
  root = panelRoot("cnb-test", "Test", el("button", {}, "b"), field);
  notebook.replaceChildren(root);
  document.body.append(notebook);
  document.addEventListener("keydown", listen);
});
afterEach(() => document.removeEventListener("keydown", listen));

const PLAIN = [..."abcdhijklmnoqrstuvxyz0123", "Enter", "Escape", "Delete", " ", "ArrowUp", "F2", "Tab"];

test("no key without Ctrl or Cmd leaves a panel", () => {
  for (const key of PLAIN) for (const more of [{}, { shiftKey: true }, { altKey: true }]) press(field, key, more);
  assert.deepEqual(heard, []);
});

test("a shortcut of the application is told beside the notebook, and the browser's own is left out if it was taken", () => {
  const taken = (event) => event.key === "s" && event.preventDefault();
  document.addEventListener("keydown", taken);
  assert.equal(press(field, "s", { ctrlKey: true }), true);
  assert.equal(press(field, "l", { ctrlKey: true }), false);
  press(field, "C", { ctrlKey: true, shiftKey: true });
  press(field, "s", { metaKey: true });
  document.removeEventListener("keydown", taken);
  assert.deepEqual(
    heard.map(([target, key]) => [target === document.body, key]),
    [
      [true, "s"],
      [true, "l"],
      [true, "C"],
      [true, "s"],
    ],
  );
});

test("what edits a text, runs a cell or was dealt with in the panel is not told", () => {
  for (const key of [..."acvxyz", "Enter", "ArrowUp", "Backspace", "Home"]) press(field, key, { ctrlKey: true });
  press(field, "Z", { ctrlKey: true, shiftKey: true });
  field.addEventListener("keydown", (event) => event.preventDefault());
  press(field, "s", { ctrlKey: true });
  assert.deepEqual(heard, []);
});

test("JupyterLab looks for no shortcut at an element of a panel that has the focus", () => {
  for (const node of [root, ...root.children]) {
    node.focus();
    assert.equal(node.getAttribute("data-lm-suppress-shortcuts"), "true", node.tagName);
  }
});

test("a text of many lines is put into a field without the browser's slow undo", () => {
  const command = document.execCommand;
  const undoable = [];
  document.execCommand = (_name, _show, text) => {
    undoable.push(text);
    field.value = text;
    return true;
  };
  field.focus();
  for (const text of ["two\nlines", "x\n".repeat(201)]) {
    replaceText(field, text);
    assert.equal(field.value, text);
  }
  document.execCommand = command;
  assert.deepEqual(undoable, ["two\nlines"]);
});

test("a control that goes gives its focus to where one writes, and takes none from elsewhere", () => {
  const control = root.querySelector("button");
  control.focus();
  hide(control, true);
  assert.equal(document.activeElement, field);
  const other = el("button");
  document.body.append(other);
  other.focus();
  const notice = new Notice();
  root.append(notice.node);
  notice.show("oh");
  notice.clear();
  assert.equal(document.activeElement, other);
  notice.show("oh");
  notice.node.querySelector("button").focus();
  notice.clear();
  assert.equal(document.activeElement, field);
});
