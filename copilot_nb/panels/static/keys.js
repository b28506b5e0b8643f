// Keys: which of them a panel keeps, and what Enter does in a field.

/**
 * Whether a key belongs to an input method that is composing a word. Safari, and Chromium with some input methods, end
 * the composition before they tell of the Enter that ended it; its code says so.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

const SUPPRESS = "data-lm-suppress-shortcuts";

/**
 * Keep the keys of a panel from its notebook, in whose command mode a letter deletes or adds a cell. JupyterLab looks
 * for no shortcut where the element with the focus has an attribute (on an element around it, it does nothing). A click
 * beside all controls gives the panel the focus, and not the cell around it.
 *
 * Shortcuts of the whole application, such as the one that saves, are told to it as if they were pressed beside the
 * notebook.
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
 * Whether a key can be a shortcut of the application: a character with Ctrl or Cmd that edits no text.
 * @param {KeyboardEvent} event
 */
function isOfApplication(event) {
  const isCommand = (event.ctrlKey || event.metaKey) && event.key.length === 1 && !event.getModifierState("AltGraph");
  const edits = event.shiftKey ? /[vz]/i : /[acvxyz]/i;
  return isCommand && !isComposing(event) && !edits.test(event.key);
}

/**
 * The character of a key that is pressed alone and beside all fields, in lower case; else "".
 * @param {KeyboardEvent} event
 */
export function characterOf(event) {
  const isAlone = !event.ctrlKey && !event.altKey && !event.metaKey && !event.defaultPrevented && !isComposing(event);
  const isInField = /** @type {Element} */ (event.target).closest("input:not([type=checkbox]), select, textarea");
  return isAlone && !isInField && event.key.length === 1 ? event.key.toLowerCase() : "";
}

/**
 * Let Enter in a field act (JupyterLab keeps it from submitting a form in a cell), but not the Enter of an input
 * method. Shift+Enter begins a new line in a text area, which JupyterLab keeps out of a cell, too.
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
 * Put a text in place of what is selected in a field, so that the browser's undo takes it back.
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {string} text
 */
function insertText(field, text) {
  const command = text ? "insertText" : "delete";
  if (document.activeElement === field && document.execCommand(command, false, text)) return;
  field.setRangeText(text, field.selectionStart ?? 0, field.selectionEnd ?? 0, "end");
  field.dispatchEvent(new Event("input"));
}

/**
 * Put a text in place of all that is in a field, so that the browser's undo takes it back.
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
export function replaceText(field, text) {
  if (field.value === text) return;
  field.setSelectionRange(0, field.value.length);
  insertText(field, text);
}
