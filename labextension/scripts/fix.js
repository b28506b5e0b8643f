// A button below an error that asks for its correction: `%copilot fix` in a new cell below, which proposes a cell and
// runs nothing. It stands only in notebooks that use copilot_nb.
//
// The kernel may have been restarted since, or not have loaded the extension. So the button first has it loaded, and
// gives the kernel the error as the notebook shows it.
//
// Why: docs/decisions/0059-the-button-brings-the-error.md.

import { dress, isOurs, LOAD, sourcesOf } from "./notebooks.js";
import { ERROR, fixLine, isCommand } from "./text.js";

/** @typedef {{ename: string, evalue: string, traceback: string[]}} Shown an error, as the notebook stores it */
const STDERR = "application/vnd.jupyter.stderr";

/** @param {import("./plugins.js").Use} use */
export async function fixButton(use) {
  const modules = ["@jupyterlab/rendermime", "@jupyterlab/notebook", "@lumino/widgets"];
  const [{ IRenderMimeRegistry, RenderedError }, notebooks, { Panel, Widget }] = await Promise.all(modules.map(use));
  const { INotebookTracker, NotebookActions } = notebooks;

  /**
   * Where an output is; nothing outside of a notebook (a console, a view of the output alone).
   * @param {any} tracker
   * @param {Node} node
   */
  const placeOf = (tracker, node) => {
    const panel = tracker.find((/** @type {any} */ { content }) => content.node.contains(node));
    const cell = panel?.content.widgets.find((/** @type {any} */ each) => each.node.contains(node));
    return cell ? { panel, notebook: panel.content, cell } : null;
  };

  /**
   * Ask for the correction of a cell, in the cell below: the one that has asked for it before, or a new one.
   * @param {{panel: any, notebook: any, cell: any}} place
   * @param {Shown} shown
   */
  const ask = ({ panel, notebook, cell }, shown) => {
    const code = notebook.widgets.filter((/** @type {any} */ { model }) => model.type === "code");
    const line = fixLine(sourcesOf(notebook), code.indexOf(cell), cell.model.id);
    notebook.activeCellIndex = notebook.widgets.indexOf(cell);
    notebook.deselectAll();
    const below = notebook.widgets[notebook.activeCellIndex + 1];
    if (below?.model.sharedModel.getSource() === line) {
      notebook.activeCellIndex += 1;
    } else {
      NotebookActions.insertBelow(notebook);
      notebook.activeCell.model.sharedModel.setSource(line);
    }
    bring(panel.sessionContext.session?.kernel, cell.model, shown);
    void NotebookActions.run(notebook, panel.sessionContext);
  };

  return {
    id: "copilot-nb:fix",
    description: "A button below an error that asks Copilot for its correction.",
    autoStart: true,
    optional: [IRenderMimeRegistry, INotebookTracker],
    /** @param {[any, any, any]} services in an application without notebooks, Voilà, they are null */
    activate(...[_app, rendermime, tracker]) {
      if (!rendermime || !tracker) return;
      dress();
      /** An error as Lab shows it, and below it the button. */
      class FixableError extends Panel {
        /** @param {any} options */
        constructor(options) {
          super();
          this.error = new RenderedError({ ...options, mimeType: STDERR });
          this.bar = new Widget();
          this.bar.addClass("copilot-nb-fix");
          this.addWidget(this.error);
          this.addWidget(this.bar);
        }

        /** @param {any} model */
        async renderModel(model) {
          this.shown = model.data[ERROR];
          await this.error.renderModel(model);
          this.offer();
        }

        onAfterAttach() {
          this.offer();
        }

        offer() {
          const place = this.isAttached && this.shown && placeOf(tracker, this.node);
          const isFixable = place && isOurs(place.notebook) && !isCommand(place.cell.model.sharedModel.getSource());
          if (!isFixable || this.shown.ename === "KeyboardInterrupt" || this.bar.node.firstChild) return;
          const button = document.createElement("button");
          Object.assign(button, { type: "button", textContent: "Fix with Copilot" });
          button.addEventListener("click", () => ask(place, this.shown));
          this.bar.node.append(button);
        }
      }
      const createRenderer = (/** @type {any} */ options) => new FixableError(options);
      rendermime.addFactory({ safe: true, mimeTypes: [ERROR], createRenderer }, 100); // Lab's own for errors has 110
    },
  };
}

/**
 * Have the kernel load copilot_nb and remember an error, before it gets the line that asks about it.
 * @param {any} kernel
 * @param {any} model the failed cell's
 * @param {Shown} shown
 */
function bring(kernel, { id, sharedModel }, { ename, evalue, traceback }) {
  const error = { name: ename, traceback: traceback.join("\n") || evalue, cell: sharedModel.getSource(), cell_id: id };
  const text = JSON.stringify(JSON.stringify(error)); // a literal of Python, too
  const failures = '__import__("copilot_nb.notebook.failures").notebook.failures';
  const code = `${LOAD}\n${failures}.remember_saved(get_ipython(), ${text})`;
  const request = kernel?.requestExecute({ code, silent: true, store_history: false, stop_on_error: false });
  request?.done.catch(() => {}); // the kernel has ended: the line below says so
}
