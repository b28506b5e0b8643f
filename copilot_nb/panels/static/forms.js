// A question with fields as a form. The kernel alone checks an answer (agent/forms.py); what it does not take is said
// beside the field.

import { button, el, newId } from "./dom.js";
import { onEnter } from "./keys.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} description
 * @property {"text" | "integer" | "number" | "boolean" | "choice" | "choices"} kind
 * @property {string} format
 * @property {{value: string, title: string}[]} choices
 * @property {boolean} isFree whether it takes other answers than the choices
 * @property {boolean} isRequired
 * @property {string | number | boolean | string[] | null} default
 */

/** @typedef {(answers: Record<string, any>) => Promise<{fault?: string, field?: string} | null>} Submit */

/**
 * @typedef {object} Control
 * @property {HTMLElement} node
 * @property {HTMLInputElement | HTMLSelectElement} first what gets the focus, and describes its fault
 * @property {() => any} value
 */

/** @type {Record<string, string>} the types of input whose answers have the form that the kernel takes */
const INPUT_TYPES = { email: "email", uri: "url", date: "date" };
/** @type {Record<string, string>} */
const INPUT_MODES = { integer: "numeric", number: "decimal" };

/** The fields of a question, and the button that answers it. */
export class Form {
  /**
   * @param {Field[]} fields
   * @param {Submit} submit
   */
  constructor(fields, submit) {
    this.submit = submit;
    /** @type {Map<string, Control>} */
    this.controls = new Map();
    this.fault = el("div", { class: "cnb-fault", id: newId("fault"), role: "status" });
    this.node = el("div", { class: "cnb-form" }, ...fields.map((field) => this.add(field)), this.fault);
    this.send = button(fields.length ? "Answer" : "Done", () => this.answer(), { class: "cnb-button cnb-primary" });
  }

  /** @param {Field} field */
  add(field) {
    const control = controlOf(field);
    this.controls.set(field.name, control);
    for (const input of control.node.querySelectorAll("input")) onEnter(input, () => this.answer());
    return control.node;
  }

  async answer() {
    const sender = document.activeElement;
    this.show("", "");
    const answers = Object.fromEntries([...this.controls].map(([name, control]) => [name, control.value()]));
    const reply = await this.submit(answers);
    if (!reply?.fault) return;
    this.show(reply.fault, reply.field ?? "");
    const isUserStillThere = document.activeElement === sender;
    if (isUserStillThere) this.controls.get(reply.field ?? "")?.first.focus();
  }

  /**
   * Say what is wrong with a field.
   * @param {string} text
   * @param {string} name
   */
  show(text, name) {
    this.fault.textContent = text;
    for (const [each, { first }] of this.controls) {
      if (each !== name) first.removeAttribute("aria-invalid");
      else first.setAttribute("aria-invalid", "true");
      describe(first, this.fault.id, each === name);
    }
  }
}

/**
 * @param {Element} node
 * @param {string} id
 * @param {boolean} isOn
 */
function describe(node, id, isOn) {
  const ids = (node.getAttribute("aria-describedby") ?? "").split(" ").filter((each) => each && each !== id);
  if (isOn) ids.push(id);
  if (ids.length) node.setAttribute("aria-describedby", ids.join(" "));
  else node.removeAttribute("aria-describedby");
}

/**
 * @param {Field} field
 * @returns {Control}
 */
function controlOf(field) {
  if (field.kind === "choices") return several(field);
  const id = newId("field");
  const input = field.kind === "choice" && !field.isFree ? select(field, id) : textInput(field, id);
  const text = el("label", { for: id }, field.label, field.isRequired ? " (needed)" : "");
  const about = [...offered(field, id), ...description(field, input)];
  const isCheck = input instanceof HTMLInputElement && input.type === "checkbox";
  const node = el("div", { class: "cnb-field" }, ...(isCheck ? [input, text] : [text, input]), ...about);
  return { node, first: input, value: () => (isCheck ? input.checked : input.value) };
}

/**
 * What a field of text offers while somebody types.
 * @param {Field} field
 * @param {string} id
 */
function offered(field, id) {
  if (!field.isFree || !field.choices.length) return [];
  const options = field.choices.map(({ title }) => el("option", { value: title }));
  return [el("datalist", { id: `${id}-offered` }, ...options)];
}

/**
 * @param {Field} field
 * @param {Element} input
 */
function description(field, input) {
  if (!field.description) return [];
  const node = el("div", { class: "cnb-about", id: newId("about") }, field.description);
  describe(input, node.id, true);
  return [node];
}

/**
 * @param {Field} field
 * @param {string} id
 */
function select(field, id) {
  const { choices } = field;
  const none = el("option", { value: "" }, field.isRequired ? "Choose…" : "No answer");
  const options = choices.map(({ value, title }) => el("option", { value, selected: value === field.default }, title));
  return el("select", { id, class: "cnb-input" }, none, ...options);
}

/**
 * @param {Field} field
 * @param {string} id
 */
function textInput(field, id) {
  if (field.kind === "boolean") return el("input", { id, type: "checkbox", checked: field.default === true });
  const type = INPUT_TYPES[field.format] ?? "text";
  const shown = field.choices.find(({ value }) => value === field.default)?.title ?? field.default;
  const props = { id, type, class: "cnb-input", autocomplete: "off", inputmode: INPUT_MODES[field.kind], value: shown };
  const input = el("input", props);
  if (field.choices.length) input.setAttribute("list", `${id}-offered`);
  return input;
}

/**
 * @param {Field} field
 * @returns {Control}
 */
function several(field) {
  const chosen = Array.isArray(field.default) ? field.default : [];
  const boxes = field.choices.map(({ value }) =>
    el("input", { type: "checkbox", id: newId("field"), value, checked: chosen.includes(value) }),
  );
  const rows = boxes.map((box, i) => el("div", {}, box, el("label", { for: box.id }, field.choices[i].title)));
  const other = el("input", {
    type: "text",
    class: "cnb-input",
    "aria-label": `${field.label}: others`,
    autocomplete: "off",
  });
  const legend = el("legend", {}, field.label, field.isRequired ? " (needed)" : "");
  const node = el("fieldset", { class: "cnb-field" }, legend, ...rows, field.isFree ? other : null);
  node.append(...description(field, node));
  const value = () => [
    ...boxes.filter((box) => box.checked).map((box) => box.value),
    ...other.value.split(",").filter((each) => each.trim()),
  ];
  return { node, first: boxes[0] ?? other, value };
}
