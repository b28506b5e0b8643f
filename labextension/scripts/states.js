// Marks the prompt of a cell with the session that it asks, and whether that waits, answers or has failed.

import { dress } from "./notebooks.js";
import { ERROR, isPrompt, stateOf } from "./text.js";

/** @param {import("./plugins.js").Use} use */
export async function states(use) {
  const { INotebookTracker, NotebookActions } = await use("@jupyterlab/notebook");
  return {
    id: "copilot-nb:states",
    description: "Marks the prompts of cells whose session waits, answers or has failed.",
    autoStart: true,
    optional: [INotebookTracker],
    /** @param {[any, any]} services in an application without notebooks, Voilà, they are null */
    activate(...[_app, tracker]) {
      if (!tracker) return;
      dress();
      const scheduled = new WeakSet();
      const watch = (/** @type {any} */ panel) => new Watch(panel, scheduled);
      tracker.forEach(watch);
      tracker.widgetAdded.connect((/** @type {any} */ _tracker, /** @type {any} */ panel) => void watch(panel));
      const note = (/** @type {{cell: any}} */ { cell }, /** @type {boolean} */ is) => {
        if (is) scheduled.add(cell.model);
        else scheduled.delete(cell.model);
        show(cell, { isScheduled: is, isLive: true });
      };
      NotebookActions.executionScheduled.connect((/** @type {any} */ _, /** @type {any} */ run) => note(run, true));
      NotebookActions.executed.connect((/** @type {any} */ _, /** @type {any} */ run) => note(run, false));
    },
  };
}

/** Keeps the marks of one notebook. */
class Watch {
  /** The cells that are watched. */
  cells = new WeakSet();

  /**
   * @param {any} panel
   * @param {WeakSet<object>} scheduled the cells that are to run
   */
  constructor(panel, scheduled) {
    this.panel = panel;
    this.scheduled = scheduled;
    void panel.context.ready.then(() => {
      this.notebook = panel.content;
      this.attach(false);
      this.notebook.model.cells.changed.connect(() => this.attach(true));
      panel.sessionContext.statusChanged.connect((/** @type {any} */ _, /** @type {string} */ status) => {
        if (/restarting|dead/.test(status)) this.forget();
      });
    });
  }

  /** Watch the cells that are new. @param {boolean} isLive */
  attach(isLive) {
    for (const cell of this.notebook.widgets) {
      const { model } = cell;
      if (model.type !== "code" || this.cells.has(model)) continue;
      this.cells.add(model);
      show(cell, { isScheduled: false, isLive });
      model.outputs.changed.connect(() => {
        show(cell, { isScheduled: this.scheduled.has(model), isLive: true });
      });
    }
  }

  /** The kernel works on nothing any more. */
  forget() {
    for (const cell of this.notebook.widgets) {
      if (!this.cells.has(cell.model)) continue;
      this.scheduled.delete(cell.model);
      show(cell, { isScheduled: false, isLive: false });
    }
  }
}

/**
 * Mark the prompt of a code cell, or remove its mark.
 * @param {any} cell
 * @param {{isScheduled: boolean, isLive: boolean}} run
 */
function show(cell, run) {
  if (cell.isDisposed) return;
  const source = cell.model.sharedModel.getSource();
  const found = isPrompt(source) ? stateOf(source, outputsOf(cell.model), run) : null; // others may have many outputs
  if (!found && !cell.node.querySelector("[data-copilot-nb-state]")) return;
  void cell.ready.then(() => {
    const node = cell.promptNode;
    if (!node) return;
    node.title = found?.title ?? "";
    if (found) {
      const copilotNb = [found.session, found.state].filter(Boolean).join("\n");
      Object.assign(node.dataset, { copilotNb, copilotNbState: found.state });
    } else for (const name of ["copilotNb", "copilotNbState"]) delete node.dataset[name];
  });
}

/** @param {any} model */
function outputsOf({ outputs }) {
  const numbers = [...Array(outputs.length).keys()];
  return numbers.map((number) => {
    const output = outputs.get(number);
    const { type, metadata } = output;
    return { output_type: type, metadata, ename: type === "error" ? output.data[ERROR]?.ename : undefined };
  });
}
