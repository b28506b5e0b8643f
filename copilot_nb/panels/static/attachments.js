// The files that go with the next prompt: chosen, pasted or dropped, and shown as chips.

import { button, el, messageOf } from "./dom.js";
import { contentOf, filesOfLab, LAB_FILE } from "./files.js";

const MAX_SENT_CHARS = 8_000_000; // of the images of one prompt

/** The files that go with the next prompt. */
export class Attachments {
  /**
   * `changed` is called when the user adds or removes files.
   * @param {{notice: import("./dom.js").Notice, changed: () => void}} options
   */
  constructor({ notice, changed }) {
    this.notice = notice;
    this.changed = changed;
    /** @type {import("./files.js").Content[]} */
    this.files = [];
    this.reading = 0; // number of batches being read
    /** @type {Promise<unknown>} */
    this.read = Promise.resolve();
    this.chips = el("div", { class: "cnb-chips", hidden: true });
    this.picker = el("input", { type: "file", multiple: true, hidden: true, tabindex: -1, "aria-hidden": "true" });
    this.picker.addEventListener("change", () => {
      this.add(this.picker.files ?? []);
      this.picker.value = "";
    });
  }

  /**
   * Add files, or promises of files, to the next prompt; a notice says why a file cannot be added.
   * @param {Iterable<File | Promise<File>>} files
   */
  add(files) {
    const all = [...files];
    this.changed();
    this.reading += 1;
    this.read = this.read
      .then(() => this.take(all))
      .finally(() => {
        this.reading -= 1;
      });
  }

  /** @param {(File | Promise<File>)[]} files */
  async take(files) {
    const problems = [];
    for (const file of files) {
      try {
        this.put(await contentOf(await file));
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    if (problems.length) this.notice.show(problems.join("\n"));
    this.show();
  }

  /** @param {import("./files.js").Content} content */
  put(content) {
    const sizes = [...this.files, content].map((each) => each.base64?.length ?? 0);
    if (sizes.reduce((sum, size) => sum + size) > MAX_SENT_CHARS) {
      throw new Error(`${content.name} is too much for one prompt: send it with the next.`);
    }
    this.files.push(content);
  }

  /** Return the files and clear the list. */
  taken() {
    const { files } = this;
    this.files = [];
    this.show();
    return files;
  }

  show() {
    this.chips.hidden = this.files.length === 0;
    this.chips.replaceChildren(...this.files.map((file) => this.chip(file)));
  }

  /** @param {import("./files.js").Content} file */
  chip(file) {
    const remove = () => {
      this.files = this.files.filter((each) => each !== file);
      this.show();
      this.changed();
    };
    const image = file.base64 ? el("img", { src: `data:${file.type};base64,${file.base64}`, alt: "" }) : null;
    const props = { class: "cnb-button cnb-quiet", "aria-label": `Remove ${file.name}` };
    return el("span", { class: "cnb-chip" }, image, file.name, button("×", remove, props));
  }

  /**
   * Attach pasted files.
   * @param {ClipboardEvent} event
   */
  paste(event) {
    const data = event.clipboardData;
    if (!data?.files.length || data.types.includes("text/plain")) return; // cells of a table come as a picture, too
    event.preventDefault();
    this.add(data.files);
  }

  /**
   * Attach files dropped on an element, from the system or from JupyterLab's file browser, which has its own events.
   * @param {HTMLElement} node
   * @param {AbortSignal} signal
   */
  listenToDrags(node, signal) {
    const isText = (/** @type {any} */ event) => event.dataTransfer && !event.dataTransfer.types.includes("Files");
    /**
     * @param {string} name
     * @param {(event: any) => void} act
     */
    const on = (name, act) => {
      const heard = (/** @type {any} */ event) => {
        if (isText(event)) return; // it goes into the field
        event.preventDefault();
        event.stopPropagation();
        act(event);
      };
      node.addEventListener(name, heard, { signal });
    };
    /** @type {[string, (event: any) => Iterable<File | Promise<File>>][]} */
    const kinds = [
      ["", (event) => event.dataTransfer.files],
      ["lm-", filesOfLab],
    ];
    for (const [kind, filesOf] of kinds) {
      on(`${kind}dragover`, (event) => {
        event.dropAction = event.proposedAction;
        node.classList.add("cnb-over");
      });
      on(`${kind}drop`, (event) => {
        event.dropAction = "copy";
        node.classList.remove("cnb-over");
        this.add(filesOf(event));
      });
      node.addEventListener(`${kind}dragleave`, () => node.classList.remove("cnb-over"), { signal });
    }
    const enter = (/** @type {any} */ event) => {
      if (!event.mimeData.hasData(LAB_FILE)) return;
      event.preventDefault(); // a target that does not take this event gets nothing of the drag
      event.stopPropagation();
    };
    node.addEventListener("lm-dragenter", enter, { signal });
  }
}
