// Keeps the transcript in the saved notebook up to date, if the page can access the notebook (static_output.py).

const REST_MS = 5000; // after such a pause a short busy moment of the page does not disturb

/** @typedef {{metadata: {copilot_nb: {version: number}}}} Transcript as a display_data output, without its type */
/** @typedef {{list: any, index: number, version: number}} Output of a panel: `list` is the cell's, JupyterLab's own */

/**
 * Keep the transcript in the notebook up to date: replace it after a pause, or when the notebook is saved. Returns
 * false if the page cannot access the panel's notebook. The replacement comes too late for that save, so the notebook
 * then has unsaved changes.
 * @param {import("./link.js").Link} link
 */
export function keepWithNotebook(link) {
  const { model, signal } = link;
  const context = model.widget_manager?.context; // belongs to the first notebook that used the kernel
  const outputs = () => [...outputsOf(context.model.cells, model.get("panel_id"))];
  if (!context?.saveState || !context.model?.cells || context.model.collaborative || !outputs().length) return false;
  let version = 0;
  let isStale = false;
  let isAsked = false;
  let isUnsaved = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const keep = () => {
    if (!isStale || isAsked) return;
    isAsked = true;
    const failed = () => {
      isStale = false; // requested again after the next news
    };
    const ended = () => {
      isAsked = false;
    };
    link.ask("keep").catch(failed).finally(ended);
  };
  const restartTimer = () => {
    clearTimeout(timer);
    if (isStale) timer = setTimeout(keep, REST_MS);
  };
  /** @param {{version?: number, transcript?: Transcript}} message */
  const received = ({ version: newest = version, transcript }) => {
    version = newest;
    const wasStale = isStale;
    if (transcript) putInto(outputs(), transcript);
    isStale = outputs().some((each) => each.version < version);
    if (isStale && !wasStale) context.model.dirty = true;
    restartTimer();
  };
  /**
   * @param {unknown} _context
   * @param {string} state
   */
  const saving = (_context, state) => {
    if (state === "started") {
      isUnsaved = isStale;
      keep();
    } else if (isUnsaved || isStale) {
      context.model.dirty = true;
    }
  };
  model.on("msg:custom", received);
  document.addEventListener("keydown", restartTimer, { capture: true, signal });
  context.saveState.connect(saving);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    model.off("msg:custom", received);
    context.saveState.disconnect(saving);
  });
  return true;
}

/**
 * The outputs of a panel in a notebook: the widget, which has no version, and the transcript, of each of its cells.
 * @param {Iterable<any>} cells
 * @param {string} panel
 * @returns {Generator<Output>}
 */
function* outputsOf(cells, panel) {
  for (const { outputs: list } of cells) {
    for (let index = 0; index < (list?.length ?? 0); index += 1) {
      const known = list.get(index).metadata?.copilot_nb;
      if (known?.panel === panel) yield { list, index, version: known.version };
    }
  }
}

/**
 * @param {Output[]} outputs
 * @param {Transcript} transcript
 */
function putInto(outputs, transcript) {
  const { version } = transcript.metadata.copilot_nb;
  for (const each of outputs) {
    if (each.version < version) each.list.set(each.index, { output_type: "display_data", ...transcript });
  }
}
