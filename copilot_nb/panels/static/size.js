// The height that one has given a panel, which stays when its cell is run again or the page is reloaded.

const KEY = "copilot_nb-height-";

/**
 * Give a panel the height it had, and remember the one that it is given by its handle: the browser writes that into its
 * style. A page that may keep nothing has the usual height.
 * @param {HTMLElement} root
 * @param {string} name of what is shown
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
 * @template Result
 * @param {() => Result} look
 * @returns {Result | null}
 */
function stored(look) {
  try {
    return look();
  } catch {
    return null;
  }
}
