// The list of sessions (sessions.py tells its rows): a grid to go through by the arrow keys, and below it the
// conversation that is open, which is a widget of its own.

const MORE_ROWS = 100; // rows that are shown at once, and that "show more" adds
const AGES_MS = 20_000; // how often "3 minutes ago" is looked at again
const HEADS = [
  ["name", "Name", (row) => row.name.toLowerCase()],
  ["model", "Model", (row) => row.model.toLowerCase()],
  ["turns", "Turns", (row) => -row.turns],
  ["used", "Last used", (row) => -row.used],
  ["state", "State", (row) => row.state.slice(2)],
];
const UNITS = [[31_536_000, "year"], [2_592_000, "month"], [604_800, "week"], [86_400, "day"], [3600, "hour"], [60, "minute"]];

/** How long ago a time is, in words. */
function ago(seconds) {
  if (!seconds) return "";
  const passed = Date.now() / 1000 - seconds;
  const [unit, name] = UNITS.find(([size]) => passed >= size) ?? [0, ""];
  if (!unit) return "just now";
  const number = Math.floor(passed / unit);
  return `${number} ${name}${number === 1 ? "" : "s"} ago`;
}

function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

/** Let Enter in a field send its form off: in JupyterLab it does not by itself. */
function sentByEnter(form) {
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    form.requestSubmit();
  });
  return form;
}

/** A row of the grid. */
class RowView {
  constructor(page) {
    this.page = page;
    this.name = el("button", { type: "button", class: "cnb-link", tabindex: -1, dir: "auto", onclick: () => page.open(this.row) });
    this.menu = button("⋯", () => page.showMenu(this), { class: "cnb-button cnb-quiet", tabindex: -1, "aria-haspopup": "menu" });
    this.cells = Object.fromEntries(HEADS.map(([key]) => [key, el("td", { role: "gridcell", class: `cnb-cell-${key}` })]));
    this.cells.name.append(this.name);
    const actions = el("td", { role: "gridcell", class: "cnb-cell-menu" }, this.menu);
    this.node = el("tr", { role: "row", tabindex: -1 }, ...Object.values(this.cells), actions);
    this.node.addEventListener("keydown", (event) => page.key(event, this));
    this.node.addEventListener("focusin", () => page.activate(this));
    this.node.addEventListener("dblclick", () => page.open(this.row));
  }

  apply(row) {
    this.row = row;
    this.name.textContent = row.name;
    this.menu.setAttribute("aria-label", `Actions of ${row.name}`);
    this.cells.model.textContent = row.model;
    const unit = el("span", { class: "cnb-unit" }, row.turns === 1 ? " turn" : " turns"); // shown where there is no column
    this.cells.turns.replaceChildren(row.turns.toLocaleString(), unit);
    this.cells.state.textContent = row.state;
    this.cells.state.dataset.state = row.state.slice(2).split(" ")[0];
    this.node.title = [`id ${row.id}`, row.notebook].filter(Boolean).join(", ");
    this.text = `${row.name} ${row.model} ${row.notebook} ${row.state}`.toLowerCase();
    this.age();
  }

  age() {
    this.cells.used.textContent = ago(this.row.used);
    this.cells.used.title = this.row.used ? new Date(this.row.used * 1000).toLocaleString() : "";
  }
}

class SessionsPage {
  constructor({ model, el: place, signal, host }) {
    Object.assign(this, { signal, host });
    this.views = new Map();
    this.shown = [];
    this.active = null;
    this.editor = null;
    this.limit = MORE_ROWS;
    this.order = "used";
    this.isDown = false;
    this.opened = null;
    this.announce = announcer();
    this.notice = noticeLine();
    this.trouble = noticeLine();
    this.problem = noticeLine();
    this.build();
    place.append(this.root);
    const ages = setInterval(() => this.views.forEach((view) => view.age()), AGES_MS);
    signal.addEventListener("abort", () => { clearInterval(ages); this.leave(); });
    this.link = new Link(model, signal, {
      root: this.root,
      whole: (message) => this.whole(message),
      news: (items) => this.news(items),
      trouble: (text) => (text ? this.trouble.show(text) : this.trouble.clear()),
    });
  }

  build() {
    const id = newId("filter");
    this.filter = el("input", { id, type: "search", class: "cnb-input", placeholder: "Find by name, model, notebook, state" });
    this.filter.addEventListener("input", () => { this.limit = MORE_ROWS; this.layout(); });
    this.filter.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" || !this.shown.length) return;
      event.preventDefault();
      this.focus(this.shown[0]);
    });
    this.count = el("span", { class: "cnb-count", role: "status", "aria-live": "polite" });
    this.newButton = button("New session", () => this.create(), { class: "cnb-button cnb-primary" });
    this.form = el("div", { class: "cnb-create" });
    this.heads = HEADS.map(([key, label]) => el("th", { role: "columnheader", scope: "col", class: `cnb-cell-${key}` },
      button(label, () => this.sort(key), { class: "cnb-sort" })));
    this.body = el("tbody", { role: "rowgroup" });
    const heads = el("tr", { role: "row" }, ...this.heads, el("th", { role: "columnheader", class: "cnb-cell-menu" }, el("span", { class: "cnb-sr" }, "Actions")));
    this.grid = el("table", { class: "cnb-table cnb-grid", role: "grid", "aria-label": "Sessions" },
      el("thead", { role: "rowgroup" }, heads), this.body);
    this.empty = el("div", { class: "cnb-empty" });
    this.more = button("Show more", () => { this.limit += MORE_ROWS; this.layout(); }, { hidden: true });
    this.conversation = el("div", { class: "cnb-conversation" });
    this.root = panelRoot("cnb-sessions", "Sessions",
      el("div", { class: "cnb-sessions-bar" }, el("label", { for: id, class: "cnb-sr" }, "Find sessions"), this.filter, this.count,
        button("Refresh", () => this.ask("refresh"), { class: "cnb-button cnb-quiet" }), this.newButton),
      this.trouble.node, this.problem.node, this.notice.node, this.form,
      el("div", { class: "cnb-list" }, this.grid, this.empty, this.more), this.conversation, this.announce.node);
  }

  whole(message) {
    Object.assign(this, { providers: message.providers, models: message.models });
    const known = new Set(message.rows.map((row) => row.id));
    for (const id of [...this.views.keys()].filter((each) => !known.has(each))) this.views.delete(id);
    for (const row of message.rows) this.put(row);
    this.showProblem(message.problem);
    this.show(message.open);
    this.layout();
  }

  news(items) {
    for (const item of items) {
      if (item.kind === "row") this.put(item.row);
      else if (item.kind === "gone") this.views.delete(item.id);
      else if (item.kind === "open") this.show(item.open);
      else if (item.kind === "problem") this.showProblem(item.problem);
    }
    this.layout();
  }

  showProblem(text) {
    if (text) this.problem.show(text);
    else this.problem.clear();
  }

  put(row) {
    if (!this.views.has(row.id)) this.views.set(row.id, new RowView(this));
    this.views.get(row.id).apply(row);
  }

  /** Bring the rows that are to be seen into their order, and move none that stands right: it may have the focus. */
  layout() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = [...this.views.values()].filter((view) => words.every((word) => view.text.includes(word)));
    this.sorted(fitting);
    this.shown = fitting.slice(0, this.limit);
    if (this.editor && !this.views.has(this.editor.view.row.id)) this.closeEditor();
    const nodes = this.shown.flatMap((view) => (this.editor?.view === view ? [view.node, this.editor.node] : [view.node]));
    const hadFocus = this.active && this.active.node === document.activeElement ? this.active : null;
    const lost = hadFocus && !nodes.includes(hadFocus.node) ? [...this.body.children].indexOf(hadFocus.node) : -1;
    const wanted = new Set(nodes);
    for (const node of [...this.body.children]) if (!wanted.has(node)) node.remove();
    nodes.forEach((node, at) => { if (this.body.children[at] !== node) this.body.insertBefore(node, this.body.children[at] ?? null); });
    if (hadFocus && document.activeElement !== hadFocus.node) {
      (lost < 0 ? hadFocus.node : this.shown[Math.min(lost, this.shown.length - 1)]?.node ?? this.newButton).focus();
    }
    this.rove();
    this.tell(fitting.length, words.length > 0);
  }

  sorted(views) {
    const [, , key] = HEADS.find(([name]) => name === this.order);
    const keyed = new Map(views.map((view) => [view, key(view.row)]));
    const compare = (a, b) => (keyed.get(a) < keyed.get(b) ? -1 : keyed.get(a) > keyed.get(b) ? 1 : 0);
    views.sort((a, b) => (this.isDown ? compare(b, a) : compare(a, b)) || (a.row.name < b.row.name ? -1 : 1));
  }

  tell(number, isFiltered) {
    const all = this.views.size;
    const said = isFiltered ? `${number.toLocaleString()} of ${counted(all, "session")}` : counted(all, "session");
    if (this.count.textContent !== said) this.count.textContent = said;
    this.empty.textContent = all ? "None of the sessions fits." : "No sessions yet.";
    this.empty.hidden = number > 0;
    this.more.hidden = number <= this.limit;
    this.more.textContent = `Show more (${(number - this.limit).toLocaleString()})`;
    HEADS.forEach(([key], i) => this.heads[i].setAttribute("aria-sort", key !== this.order ? "none" : this.isDown ? "descending" : "ascending"));
  }

  /** Order by a column; the same one again: the other way. */
  sort(key) {
    this.isDown = this.order === key && !this.isDown;
    this.order = key;
    this.layout();
  }

  /** One row is a stop of the Tab key, with what is in it. */
  rove() {
    if (!this.shown.includes(this.active)) this.active = this.shown[0] ?? null;
    for (const view of this.shown) {
      const stop = view === this.active ? 0 : -1;
      if (view.node.tabIndex === stop) continue;
      for (const node of [view.node, view.name, view.menu]) node.tabIndex = stop;
    }
  }

  activate(view) {
    this.active = view;
    this.rove();
  }

  focus(view) {
    view?.node.focus();
  }

  key(event, view) {
    if (event.target !== view.node && !["ArrowUp", "ArrowDown", "F2", "Delete"].includes(event.key)) return;
    const at = this.shown.indexOf(view);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: this.shown.length - 1, PageUp: at - 10, PageDown: at + 10 }[event.key];
    const act = { Enter: () => this.open(view.row), F2: () => this.rename(view), Delete: () => this.remove(view) }[event.key];
    if (to === undefined && !act) return;
    event.preventDefault();
    if (act) act();
    else if (to < 0 && event.key === "ArrowUp") this.filter.focus();
    else this.focus(this.shown[Math.max(0, Math.min(to, this.shown.length - 1))]);
  }

  showMenu(view) {
    this.activate(view);
    menu(view.menu, [
      { label: "Open (Enter)", run: () => this.open(view.row) },
      { label: "Rename… (F2)", run: () => this.rename(view) },
      { label: "Duplicate…", run: () => this.duplicate(view) },
      { label: "Delete… (Delete)", run: () => this.remove(view), danger: true },
    ], this.signal);
  }

  // what is asked below a row

  rename(view) {
    this.askName(view, `New name of ${view.row.name}`, view.row.name, "Rename", async (to) => {
      if (to !== view.row.name) await this.link.ask("rename", { name: view.row.name, to });
      return `Renamed to ${to}.`;
    });
  }

  duplicate(view) {
    const names = new Set([...this.views.values()].map((each) => each.row.name));
    let number = 2;
    while (names.has(`${view.row.name}-${number}`)) number += 1;
    this.askName(view, `Name of the copy of ${view.row.name}`, `${view.row.name}-${number}`, "Duplicate", async (to) => {
      await this.link.ask("duplicate", { name: view.row.name, to });
      return `${to} begins with the history of ${view.row.name}.`;
    });
  }

  remove(view) {
    const { row } = view;
    const keep = button("Keep", () => this.closeEditor(true));
    const about = ` (id ${row.id}, ${counted(row.turns, "turn")}) and its history? This cannot be undone.`;
    const question = el("span", {}, "Delete ", el("strong", {}, row.name), about);
    const content = el("div", { class: "cnb-edit", role: "alertdialog", "aria-label": question.textContent }, question,
      button("Delete", () => this.finish(async () => {
        await this.link.ask("delete", { name: row.name, session: row.id });
        return `Deleted ${row.name}.`;
      }), { class: "cnb-button cnb-danger" }), keep);
    this.edit(view, content, keep);
  }

  askName(view, label, value, verb, done) {
    const id = newId("name");
    const input = el("input", { id, class: "cnb-input", value, autocomplete: "off", spellcheck: "false" });
    const content = sentByEnter(el("form", { class: "cnb-edit" }, el("label", { for: id }, label), input,
      el("button", { class: "cnb-button cnb-primary" }, verb), button("Cancel", () => this.closeEditor(true))));
    content.addEventListener("submit", (event) => {
      event.preventDefault();
      this.finish(() => done(input.value.trim()));
    });
    this.edit(view, content, input);
    input.select();
  }

  edit(view, content, first) {
    this.closeEditor();
    const node = el("tr", { role: "row", class: "cnb-editor" }, el("td", { role: "gridcell", colspan: HEADS.length + 1 }, content));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.preventDefault(); this.closeEditor(true); }
    });
    this.editor = { view, node };
    this.activate(view);
    this.layout();
    first.focus();
  }

  closeEditor(refocus = false) {
    const was = this.editor;
    this.editor = null;
    was?.node.remove();
    if (was && refocus) this.focus(was.view);
  }

  /** Do what an editor is for, and close it; what went wrong is shown, and the editor stays. */
  async finish(work) {
    const { editor } = this;
    const said = await this.told(work);
    if (said === null || this.editor !== editor) return;
    this.closeEditor(true);
    this.layout();
  }

  create() {
    if (this.form.childElementCount) { this.form.querySelector("input").focus(); return; }
    const [name, model, provider, list] = ["name", "model", "provider", "models"].map(newId);
    const nameInput = el("input", { id: name, class: "cnb-input", autocomplete: "off", spellcheck: "false", required: true });
    const modelInput = el("input", { id: model, class: "cnb-input", list, placeholder: "the default", autocomplete: "off", spellcheck: "false" });
    const providerInput = el("select", { id: provider, class: "cnb-input" }, el("option", { value: "" }, "the default"),
      ...this.providers.map((each) => el("option", { value: each }, each)));
    const close = () => { this.form.replaceChildren(); this.newButton.focus(); };
    const form = sentByEnter(el("form", { class: "cnb-edit", "aria-label": "New session" },
      el("label", { for: name }, "Name"), nameInput, el("label", { for: model }, "Model"), modelInput,
      el("datalist", { id: list }, ...this.models.map((each) => el("option", { value: each }))),
      el("label", { for: provider }, "Provider"), providerInput,
      el("button", { class: "cnb-button cnb-primary" }, "Create"), button("Cancel", close)));
    form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const wanted = { name: nameInput.value.trim(), model: modelInput.value.trim(), provider: providerInput.value };
      const said = await this.told(async () => { await this.link.ask("create", wanted); return `Created ${wanted.name}.`; });
      if (said !== null) close();
    });
    this.form.replaceChildren(form);
    nameInput.focus();
  }

  /** Do some work and tell what came of it; `null` where it failed. */
  async told(work) {
    try {
      const said = await work();
      this.notice.clear();
      this.announce.say(said);
      return said;
    } catch (error) {
      this.notice.show(error.message);
      return null;
    }
  }

  ask(what, more) {
    return this.told(async () => { await this.link.ask(what, more); return ""; });
  }

  open(row) {
    if (this.opened?.id === row.id) this.conversation.scrollIntoView({ block: "nearest" });
    else this.ask("open", { name: row.name });
  }

  // the conversation that is open

  show(open) {
    if (open?.chat !== this.opened?.chat) {
      this.leave();
      if (open) this.enter(open);
    } else if (open) {
      this.conversation.setAttribute("aria-label", `Conversation: ${open.name}`);
    }
    this.opened = open;
    for (const view of this.views.values()) view.node.setAttribute("aria-selected", String(view.row.id === open?.id));
  }

  leave() {
    this.viewing?.abort();
    this.conversation.replaceChildren();
  }

  async enter(open) {
    const viewing = new AbortController();
    this.viewing = viewing;
    const place = el("div");
    const back = () => { this.ask("close"); this.focus(this.active); };
    this.conversation.append(el("div", { class: "cnb-conversation-bar" }, button("Close the conversation", back, { class: "cnb-button cnb-quiet" })), place);
    try {
      const widget = await this.widget(open.chat, viewing.signal);
      await widget.render({ el: place, signal: AbortSignal.any([viewing.signal, this.signal]) });
      if (!viewing.signal.aborted) this.conversation.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!viewing.signal.aborted) place.textContent = `It cannot be shown here (${error.message}); in a cell: cp.ChatPanel("${open.name}")`;
    }
  }

  /** The widget of a conversation; the kernel's word of it may come before the widget does. */
  async widget(reference, signal) {
    for (let left = 50; ; left -= 1) {
      try {
        return await this.host.getWidget(reference);
      } catch (error) {
        if (!left || signal.aborted || !this.host) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 100); });
      }
    }
  }
}

export default {
  render(view) {
    new SessionsPage(view);
  },
};
