// Marks a panel's place in its notebook, so that the styles of static_output.py hide the transcript beside it.

/**
 * Mark a panel's place for the styles of the transcript beside it (static_output.py): "living" hides the transcript; no
 * state hides the place. A panel that was living stays so, and shows its last state.
 * @param {HTMLElement} root
 * @param {AbortSignal} signal
 * @param {{typeset: (node: Element) => void} | undefined} typesetter
 * @returns {(state: "living" | "silent") => void}
 */
export function placeOf(root, signal, typesetter) {
  /** @returns {HTMLElement | null} */
  const found = () => root.closest(".jp-OutputArea-child, .output_area"); // of JupyterLab, of the classic Notebook
  let isSpared = false;
  const mark = (/** @type {"living" | "silent"} */ state) => {
    const place = found();
    if (place && place.dataset.cnbPanel !== "living") place.dataset.cnbPanel = state;
    else if (!root.isConnected && !signal.aborted) requestAnimationFrame(() => mark(state));
    if (place && state === "living" && !isSpared) {
      isSpared = true;
      spareTypesetting(place, signal, typesetter);
    }
  };
  signal.addEventListener("abort", () => {
    const place = found();
    setTimeout(() => {
      if (!hasPanel(place)) place?.removeAttribute("data-cnb-panel");
    });
  });
  return mark;
}

/**
 * Make MathJax skip the transcript, which could take it a second, while the panel hides the transcript.
 * @param {HTMLElement} place
 * @param {AbortSignal} signal
 * @param {{typeset: (node: Element) => void} | undefined} typesetter
 */
function spareTypesetting(place, signal, typesetter) {
  const transcript = () => place.nextElementSibling?.querySelector(".cnb-static");
  const spare = () => transcript()?.classList.add("mathjax_ignore");
  const observer = new MutationObserver(spare);
  if (place.parentElement) observer.observe(place.parentElement, { childList: true, subtree: true });
  spare();
  signal.addEventListener("abort", () => {
    observer.disconnect();
    setTimeout(() => {
      const left = transcript(); // visible by now, if there is no other view
      if (!left?.isConnected || hasPanel(place)) return;
      left.classList.remove("mathjax_ignore");
      typesetter?.typeset(left);
    });
  });
}

/** @param {Element | null} place */
const hasPanel = (place) => Boolean(place?.querySelector(".cnb-panel"));
