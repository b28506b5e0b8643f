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
 * Keep the keys of a panel from its notebook. JupyterLab looks for no shortcut where the element with the focus has an
 * attribute (on an element around it, it does nothing).
 * @param {HTMLElement} root
 */
export function containKeys(root) {
  root.setAttribute(SUPPRESS, "true");
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
 * Put a text in place of what is selected in a field.
 * @param {HTMLTextAreaElement} field
 * @param {string} text
 */
function insertText(field, text) {
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input"));
}
