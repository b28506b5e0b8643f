// Keeps what is typed into a field: a page that is reloaded has it again, in the same tab of the browser.

import { stored } from "./size.js";

const DRAFT_KEY = "copilot_nb-draft-";

/** The text of a field, kept until it is sent. */
export class KeptDraft {
  name = "";

  /**
   * @param {HTMLTextAreaElement} field
   * @param {() => boolean} [isDraft] whether the field shows what is to be kept
   */
  constructor(field, isDraft = () => true) {
    this.field = field;
    field.addEventListener("input", () => isDraft() && this.write());
  }

  /**
   * Keep the text under this name from now on; an empty field gets what was kept.
   * @param {string} name of what the field is for
   */
  as(name) {
    if (name === this.name) return;
    this.name = name;
    const known = stored(() => sessionStorage.getItem(DRAFT_KEY + name));
    if (known && !this.field.value) this.field.value = known;
  }

  write() {
    const { name, field } = this;
    const key = DRAFT_KEY + name;
    if (name) stored(() => (field.value ? sessionStorage.setItem(key, field.value) : sessionStorage.removeItem(key)));
  }
}
