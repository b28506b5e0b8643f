// The sessions beside the notebook: the panel of `%copilot panel`, of the kernel of the notebook in front.
//
// The panel is the output of a request to the kernel, drawn by the notebook's own renderers, which know its widgets. It
// is asked for only when the user opens the side or presses the button in it, and only in a notebook that uses
// copilot_nb. When the page is reloaded, what was open is opened again: sessionStorage has the choice of this tab.
//
// Why: docs/decisions/0050-ask-a-kernel-by-the-users-act.md.

import { dress, isOurs, LOAD } from "./notebooks.js";

const COMMAND = "copilot-nb:side";
const KEY = "copilot-nb:side";
const CODE = `${LOAD}
display(__import__("copilot_nb.panels").panels.panel_beside())`;
/** With an id the request counts as a cell's, of which the kernel expects that it shows widgets. */
const CELL = { cellId: "copilot-nb-side" };
const SPEECH =
  "M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2H9l-5 4v-4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm2 4v2h12V7zm0 5v2h8v-2z";
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
<path class="jp-icon3 jp-icon-selectable" fill="#616161" d="${SPEECH}"/></svg>`;

/** @param {import("./plugins.js").Use} use */
export async function side(use) {
  const modules = ["@jupyterlab/notebook", "@jupyterlab/outputarea", "@lumino/widgets", "@jupyterlab/apputils"];
  const [{ INotebookTracker }, outputs, { Widget, PanelLayout }, { ICommandPalette }] = await Promise.all(
    modules.map(use),
  );
  const [{ LabIcon }, { ILayoutRestorer }] = await Promise.all(
    ["@jupyterlab/ui-components", "@jupyterlab/application"].map(use),
  );
  return {
    id: "copilot-nb:side",
    description: "The Copilot sessions beside the notebook.",
    autoStart: true,
    optional: [INotebookTracker, ICommandPalette, ILayoutRestorer],
    /** @param {[any, any, any, any]} services in an application without notebooks, Voilà, they are null */
    activate(...[{ shell, commands }, tracker, palette, restorer]) {
      if (!tracker) return;
      dress();
      const icon = new LabIcon({ name: "copilot-nb:sessions", svgstr: ICON });
      const widget = new Widget();
      widget.id = "copilot-nb-side";
      Object.assign(widget.title, { icon, caption: "Copilot sessions" });
      widget.layout = new PanelLayout();
      const here = new Side(widget, tracker, outputs);
      shell.add(widget, "right", { rank: 900 });
      restorer?.add(widget, widget.id);
      commands.addCommand(COMMAND, {
        label: "Show the Copilot Sessions beside the Notebook",
        caption: "Copilot sessions",
        icon,
        execute: () => {
          shell.activateById(widget.id);
          here.open();
        },
      });
      palette?.addItem({ command: COMMAND, category: "Copilot" });
    },
  };
}

/** The side area: the panel of the notebook in front, or a line that says why there is none, and a button. */
class Side {
  /** The shown panels, by their notebook's. @type {Map<any, {area: any, kernel: string}>} */
  shown = new Map();
  /** The notebooks whose kernel's ends are heard. */
  heard = new WeakSet();
  note = document.createElement("p");
  button = document.createElement("button");
  blank = document.createElement("div");

  /**
   * @param {any} widget
   * @param {any} tracker
   * @param {{OutputAreaModel: any, SimplifiedOutputArea: any}} outputs
   */
  constructor(widget, tracker, outputs) {
    this.widget = widget;
    this.tracker = tracker;
    this.outputs = outputs;
    widget.addClass("copilot-nb-side");
    widget.node.tabIndex = -1;
    this.note.setAttribute("role", "status");
    this.button.textContent = "Show the sessions";
    this.button.addEventListener("click", () => this.open());
    this.blank.className = "copilot-nb-blank";
    this.blank.append(this.note, this.button);
    widget.node.append(this.blank);
    tracker.currentChanged.connect(() => this.turn());
    this.turn();
  }

  get notebook() {
    return this.tracker.currentWidget;
  }

  /** Show what belongs to the notebook in front, and ask its kernel for nothing, unless this was open before. */
  turn() {
    const { notebook } = this;
    if (notebook && !this.heard.has(notebook)) this.hear(notebook);
    for (const [each, { area }] of this.shown) area.setHidden(each !== notebook);
    const name = notebook?.title.label;
    this.say(notebook ? `The Copilot sessions of ${name}` : "Open a notebook to see its Copilot sessions.");
  }

  /** Show the panel of the notebook in front: the user has asked for it. */
  open() {
    const { notebook } = this;
    const kernel = notebook?.sessionContext.session?.kernel;
    if (!notebook || this.shown.get(notebook)?.kernel === kernel?.id) return;
    if (!isOurs(notebook.content)) {
      this.say(`${notebook.title.label} does not use copilot_nb: run %load_ext copilot_nb in a cell.`);
    } else if (!kernel) {
      this.say(`${notebook.title.label} has no kernel.`);
    } else {
      this.show(notebook, kernel);
    }
  }

  /**
   * @param {any} notebook
   * @param {any} kernel
   */
  show(notebook, kernel) {
    this.drop(notebook);
    const { OutputAreaModel, SimplifiedOutputArea } = this.outputs;
    const model = new OutputAreaModel({ trusted: true });
    const area = new SimplifiedOutputArea({ model, rendermime: notebook.content.rendermime });
    const request = kernel.requestExecute({ code: CODE, store_history: false, stop_on_error: false }, true, CELL);
    const shown = { area, kernel: kernel.id };
    const failed = () => {
      shown.kernel = ""; // what went wrong is shown; opening the side asks again
    };
    request.done.then((/** @type {any} */ { content }) => content.status === "ok" || failed(), failed);
    area.future = request;
    this.shown.set(notebook, shown);
    this.widget.layout.addWidget(area);
    remember(notebook.context.path, true);
    this.say(`The sessions of ${notebook.title.label} come as soon as its kernel is free.`);
    model.changed.connect(() => {
      if (this.blank.contains(document.activeElement)) this.widget.node.focus();
      this.turn();
    });
  }

  /**
   * Hear of the ends of a notebook and its kernel, and open what was open before the page was reloaded.
   * @param {any} notebook
   */
  hear(notebook) {
    const { sessionContext, context } = notebook;
    this.heard.add(notebook);
    notebook.disposed.connect(() => this.drop(notebook));
    sessionContext.kernelChanged.connect(() => this.end(notebook));
    sessionContext.statusChanged.connect((/** @type {any} */ _, /** @type {string} */ status) => {
      if (/restarting|dead/.test(status)) this.end(notebook);
    });
    void Promise.all([context.ready, sessionContext.ready]).then(() => {
      if (isRemembered(context.path) && this.notebook === notebook) this.open();
    });
  }

  /** The kernel has ended, and its panel with it. @param {any} notebook */
  end(notebook) {
    if (!this.shown.has(notebook)) return;
    this.drop(notebook);
    remember(notebook.context.path, false);
    if (notebook === this.notebook) this.say(`The kernel of ${notebook.title.label} was restarted.`);
  }

  /** @param {any} notebook */
  drop(notebook) {
    this.shown.get(notebook)?.area.dispose();
    this.shown.delete(notebook);
  }

  /** Show a line instead of a panel, unless there is a panel. @param {string} text */
  say(text) {
    const shown = this.shown.get(this.notebook);
    this.blank.hidden = Boolean(shown?.area.model.length);
    this.button.hidden = !this.notebook || Boolean(shown);
    this.note.textContent = text;
  }
}

/** @returns {string[]} the paths of the notebooks whose sessions this tab shows */
function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  } catch {
    return []; // the browser stores nothing for this page
  }
}

/** @param {string} path */
const isRemembered = (path) => remembered().includes(path);

/**
 * @param {string} path
 * @param {boolean} isOpen
 */
function remember(path, isOpen) {
  const others = remembered().filter((each) => each !== path);
  try {
    sessionStorage.setItem(KEY, JSON.stringify(isOpen ? [...others, path] : others));
  } catch {
    // the browser stores nothing for this page
  }
}
