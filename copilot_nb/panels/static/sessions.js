// The list of sessions (sessions.py sends its rows), and below it the open conversation, a separate widget.

import { announcer, button, el, messageOf, Notice, newId, panelRoot, passFocus } from "./dom.js";
import { Grid } from "./grid.js";
import { onEnter } from "./keys.js";
import { Link } from "./link.js";
import { menu } from "./popup.js";
import { counted } from "./row.js";
import { keepHeight } from "./size.js";

const AGES_MS = 20_000; // interval between updates of "3 minutes ago"

/** @typedef {import("./row.js").RowView} RowView */
/** @typedef {{id: string, name: string, chat: string}} Open the conversation that is open; `chat` names its widget */

class SessionsPage {
  form = el("div", { class: "cnb-create" });
  conversation = el("div", { class: "cnb-conversation" });
  newButton = button("New session", () => this.create(), { class: "cnb-button cnb-primary" });
  announce = announcer();
  notice = new Notice();
  trouble = new Notice();
  problem = new Notice();
  /** @type {string[]} */
  providers = [];
  /** @type {string[]} */
  models = [];
  /** @type {Open | null} */
  opened = null;
  /** @type {AbortController | null} */
  viewing = null;
  presses = 0; // of keys and of the pointer's buttons, in this panel
  pressesAtOpen = -1; // when the user opened the conversation that is coming

  /** @param {import("./link.js").View} view */
  constructor({ model, el: place, signal, host }) {
    this.signal = signal;
    this.host = host;
    this.grid = new Grid({
      open: (row) => this.open(row),
      showMenu: (view) => this.showMenu(view),
      rename: (view) => this.rename(view),
      remove: (view) => this.remove(view),
      say: (text) => this.announce.say(text),
      fallback: () => this.newButton,
    });
    this.root = this.build();
    place.append(this.root);
    for (const kind of ["keydown", "pointerdown"]) {
      this.root.addEventListener(kind, () => this.presses++, { capture: true, signal });
    }
    keepHeight(this.grid.node, "sessions", signal);
    const ages = setInterval(() => this.grid.age(), AGES_MS);
    signal.addEventListener("abort", () => {
      clearInterval(ages);
      this.leave();
    });
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (item) => this.take(item),
      updated: () => this.grid.layout(),
      lost: () => this.grid.lost(),
      trouble: (text) => (text ? this.trouble.show(text) : this.trouble.clear()),
    });
  }

  build() {
    const refresh = button("Refresh", () => this.ask("refresh"), { class: "cnb-button cnb-quiet" });
    const label = el("label", { for: this.grid.filter.id, class: "cnb-sr" }, "Find sessions");
    const tools = [label, this.grid.filter, this.grid.count, refresh, this.newButton];
    const bar = el("div", { class: "cnb-sessions-bar" }, ...tools);
    const notices = [this.trouble.node, this.problem.node, this.notice.node];
    const below = [this.form, this.grid.node, this.conversation, this.announce.node];
    return panelRoot("cnb-sessions", "Sessions", bar, ...notices, ...below);
  }

  /** @param {any} message */
  whole(message) {
    this.providers = message.providers;
    this.models = message.models;
    this.grid.whole(message.rows);
    this.showProblem(message.problem);
    this.show(message.open);
    this.grid.layout();
  }

  /** @param {any} item */
  take(item) {
    if (item.kind === "row") this.grid.put(item.row);
    else if (item.kind === "gone") this.grid.views.delete(item.id);
    else if (item.kind === "open") this.show(item.open);
    else if (item.kind === "problem") this.showProblem(item.problem);
  }

  /** @param {string} text */
  showProblem(text) {
    if (text) this.problem.show(text);
    else this.problem.clear();
  }

  /** @param {RowView} view */
  showMenu(view) {
    const items = [
      { label: "Open (Enter)", run: () => this.open(view.row) },
      { label: "Rename… (F2)", run: () => this.rename(view) },
      { label: "Duplicate…", run: () => this.duplicate(view) },
      { label: "Delete… (Delete)", run: () => this.remove(view), danger: true },
    ];
    menu(view.menu, items, this.signal);
  }

  // forms below a row

  /** @param {RowView} view */
  rename(view) {
    const { name } = view.row;
    this.askName(view, `New name of ${name}`, name, "Rename", async (to) => {
      if (to !== name) await this.link.ask("rename", { name, to });
      return `Renamed to ${to}.`;
    });
  }

  /** @param {RowView} view */
  duplicate(view) {
    const { name } = view.row;
    const names = new Set([...this.grid.views.values()].map((each) => each.row.name));
    let number = 2;
    while (names.has(`${name}-${number}`)) number += 1;
    this.askName(view, `Name of the copy of ${name}`, `${name}-${number}`, "Duplicate", async (to) => {
      await this.link.ask("duplicate", { name, to });
      return `${to} begins with the history of ${name}.`;
    });
  }

  /** @param {RowView} view */
  remove(view) {
    const { row } = view;
    const about = ` (id ${row.id}, ${counted(row.turns, "turn")}) and its history? This cannot be undone.`;
    const question = el("span", {}, "Delete ", el("strong", {}, row.name), about);
    const work = async () => {
      await this.link.ask("delete", { name: row.name, session: row.id });
      return `Deleted ${row.name}.`;
    };
    const yes = button("Delete", () => this.finish(work), { class: "cnb-button cnb-danger" });
    const keep = button("Keep", () => this.grid.closeEditor());
    const props = { class: "cnb-edit", role: "alertdialog", "aria-label": question.textContent };
    this.grid.edit(view, el("div", props, question, yes, keep), keep);
  }

  /**
   * @param {RowView} view
   * @param {string} label
   * @param {string} value
   * @param {string} verb
   * @param {(name: string) => Promise<string>} done
   */
  askName(view, label, value, verb, done) {
    const [input, field] = nameField(label, value);
    const cancel = () => this.grid.closeEditor();
    const form = formOf([...field], verb, cancel, () => this.finish(() => done(input.value.trim())));
    this.grid.edit(view, form, input);
    input.select();
  }

  /**
   * Run a form's work and close the form; on an error show it, and keep the form.
   * @param {() => Promise<string>} work
   */
  async finish(work) {
    const { editor } = this.grid;
    const said = await this.showResult(work);
    if (said === null || this.grid.editor !== editor) return;
    this.grid.closeEditor();
    this.grid.layout();
  }

  create() {
    const known = this.form.querySelector("input");
    if (known) {
      known.focus();
      return;
    }
    const close = () => {
      passFocus(this.form, this.newButton);
      this.form.replaceChildren();
    };
    const [name, nameFields] = nameField("Name", "");
    const [model, provider, list] = ["model", "provider", "models"].map(newId);
    const free = { autocomplete: "off", spellcheck: "false" };
    const models = el("datalist", { id: list }, ...this.models.map((each) => el("option", { value: each })));
    const modelInput = el("input", { id: model, class: "cnb-input", list, placeholder: "the default", ...free });
    const providers = this.providers.map((each) => el("option", { value: each }, each));
    const first = el("option", { value: "" }, "the default");
    const providerInput = el("select", { id: provider, class: "cnb-input" }, first, ...providers);
    const submit = async () => {
      const { presses } = this;
      const wanted = { name: name.value.trim(), model: modelInput.value.trim(), provider: providerInput.value };
      const said = await this.showResult(async () => {
        await this.link.ask("create", wanted);
        return `Created ${wanted.name}.`;
      });
      if (said === null) return;
      close();
      this.open({ id: "", name: wanted.name }, presses);
    };
    const modelFields = [el("label", { for: model }, "Model"), modelInput, models];
    const providerFields = [el("label", { for: provider }, "Provider"), providerInput];
    const form = formOf([...nameFields, ...modelFields, ...providerFields], "Create", close, submit);
    form.setAttribute("aria-label", "New session");
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    this.form.replaceChildren(form);
    name.focus();
  }

  /**
   * Run some work and show its result; `null` if it failed.
   * @param {() => Promise<string>} work
   */
  async showResult(work) {
    const said = await this.notice.attempt(work);
    if (said === null) return null;
    this.notice.clear();
    this.announce.say(said);
    return said;
  }

  /**
   * @param {string} what
   * @param {object} [more]
   */
  ask(what, more) {
    return this.showResult(async () => {
      await this.link.ask(what, more);
      return "";
    });
  }

  /**
   * @param {{id: string, name: string}} row
   * @param {number} [presses] until the user decided to open it
   */
  async open(row, presses = this.presses) {
    this.pressesAtOpen = presses;
    if (this.opened?.id === row.id) this.toConversation();
    else if ((await this.ask("open", { name: row.name })) === null) this.pressesAtOpen = -1;
  }

  /** Show the conversation, and move the focus into its field if the user, who opened it, has done nothing since. */
  toConversation() {
    this.conversation.scrollIntoView({ block: "nearest" });
    /** @type {HTMLElement | null} */
    const field = this.conversation.querySelector(".cnb-write");
    const isAwaited = this.presses === this.pressesAtOpen && this.root.contains(document.activeElement);
    if (isAwaited) field?.focus({ preventScroll: true });
    this.pressesAtOpen = -1;
  }

  // the open conversation

  /** @param {Open | null} open */
  show(open) {
    if (open?.chat !== this.opened?.chat) {
      this.leave();
      if (open) this.enter(open);
    } else if (open) {
      this.conversation.setAttribute("aria-label", `Conversation: ${open.name}`);
    }
    this.opened = open;
    for (const view of this.grid.views.values()) {
      view.node.setAttribute("aria-selected", String(view.row.id === open?.id));
    }
  }

  leave() {
    this.viewing?.abort();
    this.conversation.replaceChildren();
  }

  /** @param {Open} open */
  async enter(open) {
    const viewing = new AbortController();
    this.viewing = viewing;
    const place = el("div");
    const back = () => {
      this.ask("close");
      this.grid.focus(this.grid.active);
    };
    const close = button("Close the conversation", back, { class: "cnb-button cnb-quiet" });
    this.conversation.append(el("div", { class: "cnb-conversation-bar" }, close), place);
    try {
      const widget = await this.widget(open.chat, viewing.signal);
      await widget.render({ el: place, signal: AbortSignal.any([viewing.signal, this.signal]) });
      if (!viewing.signal.aborted) this.toConversation();
    } catch (error) {
      const inCell = `in a cell: cp.ChatPanel("${open.name}")`;
      if (!viewing.signal.aborted) place.textContent = `It cannot be shown here (${messageOf(error)}); ${inCell}`;
    }
  }

  /**
   * The widget of a conversation; the kernel's message may arrive before the widget.
   * @param {string} reference
   * @param {AbortSignal} signal
   */
  async widget(reference, signal) {
    const { host } = this;
    if (!host) throw new Error("this front end shows no widget in a widget");
    for (let left = 50; ; left -= 1) {
      try {
        return await host.getWidget(reference);
      } catch (error) {
        if (!left || signal.aborted) throw error;
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      }
    }
  }
}

/**
 * A field for the name of a session, with its label.
 * @param {string} label
 * @param {string} value
 * @returns {[HTMLInputElement, HTMLElement[]]}
 */
function nameField(label, value) {
  const id = newId("name");
  const free = { autocomplete: "off", spellcheck: "false", required: true };
  const input = el("input", { id, class: "cnb-input", value, ...free });
  return [input, [el("label", { for: id }, label), input]];
}

/**
 * A form in the list: fields, a button that submits it (as Enter in a field does), and a button that cancels.
 * @param {HTMLElement[]} fields
 * @param {string} verb
 * @param {() => void} cancel
 * @param {() => void} submit
 */
function formOf(fields, verb, cancel, submit) {
  const send = el("button", { class: "cnb-button cnb-primary" }, verb);
  const form = el("form", { class: "cnb-edit" }, ...fields, send, button("Cancel", cancel));
  for (const field of fields) if (field instanceof HTMLInputElement) onEnter(field, () => form.requestSubmit());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  return form;
}

export default {
  /** @param {import("./link.js").View} view */
  render(view) {
    new SessionsPage(view);
  },
};
