// A page for the modules of the panels: happy-dom's, without layout. Import this before any of them.

import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
const names = [
  ...["document", "navigator", "Node", "Element", "HTMLElement", "HTMLInputElement", "HTMLTextAreaElement", "Event"],
  ...["KeyboardEvent", "CompositionEvent", "MathMLElement", "ResizeObserver", "IntersectionObserver"],
  ...["MutationObserver", "File", "FileReader", "requestAnimationFrame", "sessionStorage"],
];
for (const name of names) Object.defineProperty(globalThis, name, { value: window[name], configurable: true });

document.execCommand = () => false; // there is no editing here: a field is written into in the plain way

/** Press a key in an element; whether the page has dealt with it. */
export function press(node, key, more = {}) {
  const event = new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  node.dispatchEvent(event);
  return event.defaultPrevented;
}

/** Let what was promised and is ready happen. */
export async function settled() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}
