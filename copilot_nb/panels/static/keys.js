// Keyboard handling: the keys that a panel keeps, and Enter in a field.
// Why: docs/decisions/0028-shortcuts-of-the-application.md.

/**
 * Whether a key belongs to an input method that is composing a word. Safari, and Chromium with some input methods, end
 * the composition before the keydown event of the Enter that ended it; the event's key code identifies it.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

const SUPPRESS = "data-lm-suppress-shortcuts";
const MANY_LINES = 200;

/**
 * Keep a panel's keys from its notebook, where a letter in command mode may delete or add a cell. JupyterLab ignores
 * shortcuts if the focused element has the attribute `SUPPRESS` (on an ancestor it has no effect). A click beside all
 * controls focuses the panel, not the cell around it.
 *
 * Shortcuts of the whole application, such as the one that saves, are dispatched again outside the notebook.
 * @param {HTMLElement} root
 */
export function containKeys(root) {
  root.tabIndex = -1;
  root.addEventListener("focusin", (event) => /** @type {Element} */ (event.target).setAttribute(SUPPRESS, "true"));
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.defaultPrevented || !isOfApplication(event)) return;
    if (!document.body.dispatchEvent(new KeyboardEvent("keydown", event))) event.preventDefault();
  });
}

/**
 * Whether a key can be a shortcut of the application: a character with Ctrl or Cmd that does not edit text.
 * @param {KeyboardEvent} event
 */
function isOfApplication(event) {
  const isCommand = (event.ctrlKey || event.metaKey) && event.key.length === 1 && !event.getModifierState("AltGraph");
  const edits = event.shiftKey ? /[vz]/i : /[acvxyz]/i;
  return isCommand && !isComposing(event) && !edits.test(event.key);
}

/**
 * The character, in lower case, of a key pressed without modifiers and outside all fields; else "".
 * @param {KeyboardEvent} event
 */
export function characterOf(event) {
  const isAlone = !event.ctrlKey && !event.altKey && !event.metaKey && !event.defaultPrevented && !isComposing(event);
  const isInField = /** @type {Element} */ (event.target).closest("input:not([type=checkbox]), select, textarea");
  return isAlone && !isInField && event.key.length === 1 ? event.key.toLowerCase() : "";
}

/**
 * Call `act` on Enter in a field (JupyterLab prevents Enter from submitting a form in a cell), but not on the Enter of
 * an input method. Shift+Enter inserts a new line in a text area, which JupyterLab also prevents in a cell.
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {() => void} act
 */
export function onEnter(field, act) {
  field.addEventListener("keydown", (event) => {
    if (!(event instanceof KeyboardEvent) || event.key !== "Enter" || event.defaultPrevented || isComposing(event))
      return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey && field instanceof HTMLTextAreaElement) insertText(field, "\n");
    else act();
  });
}

/**
 * Replace the selection in a field, so that the browser's undo works; not with very many lines, because Chromium
 * takes time in proportion to their square (0.15 s for 200 lines, 16 s for 2,000).
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {string} text
 */
function insertText(field, text) {
  const command = text ? "insertText" : "delete";
  const canUndo = text.split("\n", MANY_LINES + 1).length <= MANY_LINES;
  if (canUndo && document.activeElement === field && document.execCommand(command, false, text)) return;
  field.setRangeText(text, field.selectionStart ?? 0, field.selectionEnd ?? 0, "end");
  field.dispatchEvent(new Event("input"));
}

/**
 * Replace all text in a field, so that the browser's undo works.
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
export function replaceText(field, text) {
  if (field.value === text) return;
  field.setSelectionRange(0, field.value.length);
  insertText(field, text);
}
