// Remembers the height of a panel, or of a part of it, when its cell is run again or the page is reloaded.

const KEY = "copilot_nb-height-";

/**
 * Restore the height of an element, and store the height that the user sets by its handle, which the browser writes
 * into its style. Without storage the element has its default height.
 * @param {HTMLElement} root
 * @param {string} name of its contents
 * @param {AbortSignal} signal
 */
export function keepHeight(root, name, signal) {
  const known = stored(() => localStorage.getItem(KEY + name));
  if (known && !root.style.height) root.style.height = known;
  const resized = new ResizeObserver(() => {
    const { height } = root.style;
    if (height) stored(() => localStorage.setItem(KEY + name, height));
  });
  resized.observe(root);
  signal.addEventListener("abort", () => resized.disconnect());
}

/**
 * What a look into the browser's storage gives; null: it stores nothing for this page.
 * @template Result
 * @param {() => Result} look
 * @returns {Result | null}
 */
export function stored(look) {
  try {
    return look();
  } catch {
    return null;
  }
}
