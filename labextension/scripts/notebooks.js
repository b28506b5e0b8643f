// What the plugins ask of a notebook, and their styles.

import { usesCopilot } from "./text.js";

/** The sources of a notebook's code cells. @param {any} notebook */
export const sourcesOf = (notebook) =>
  [...notebook.model.cells].filter(({ type }) => type === "code").map(({ sharedModel }) => sharedModel.getSource());

/** Whether a notebook uses copilot_nb. @param {any} notebook */
export const isOurs = (notebook) => Boolean(notebook.model) && usesCopilot(sourcesOf(notebook));

/** Python that loads the extension of IPython, where that has not been done. */
export const LOAD = 'get_ipython().extension_manager.load_extension("copilot_nb")';

/** Add the styles of the extension to the page, once. */
export function dress() {
  const href = new URL("style.css", import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}
