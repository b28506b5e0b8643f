// The widths of a comparison's columns, which the user sets by separators between them, for all rounds at once.
//
// Variables of the panel's style hold them, by the number of columns, so that later rounds have them, too. Where so
// many columns do not fit beside each other, there are no variables, and the styles put the columns in several lines.

import { el } from "./dom.js";
import { stored } from "./size.js";

const WIDTHS_KEY = "copilot_nb-widths-comparison-";
const COLUMN_EM = 17; // as in compare.css, with the gap and the padding of a round
const GAP_EM = 0.7;
const PADDING_EM = 1.6;
const LEAST_PERCENT = 20; // percent of what two neighbours have together
const STEP_PERCENT = 5;
/** What a key makes of the percentage of the left one of two neighbours. */
const PERCENT_KEYS = new Map([
  ["ArrowLeft", (/** @type {number} */ percent) => percent - STEP_PERCENT],
  ["ArrowRight", (/** @type {number} */ percent) => percent + STEP_PERCENT],
  ["Home", () => LEAST_PERCENT],
  ["End", () => 100 - LEAST_PERCENT],
  ["Enter", () => 50],
]);

/**
 * Let the children of a grid be columns with the widths that the user sets for so many.
 * @param {HTMLElement} grid
 * @param {number} count
 */
export function lineUp(grid, count) {
  for (const name of ["shares", "shown"]) grid.style.setProperty(`--cnb-${name}`, `var(--cnb-${name}-${count})`);
  grid.dataset.count = String(count);
}

/** The widths of a panel's columns. */
export class Widths {
  /** @type {Map<number, number[]>} the shares of each, by the number of columns */
  known = new Map();

  /**
   * @param {HTMLElement} root
   * @param {AbortSignal} signal
   */
  constructor(root, signal) {
    this.root = root;
    const resized = new ResizeObserver(() => this.show());
    resized.observe(root);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  /** @param {number} count */
  shares(count) {
    const shares = this.known.get(count) ?? readShares(count) ?? Array(count).fill(1);
    this.known.set(count, shares);
    return shares;
  }

  /**
   * Let a grid with separators have the widths for so many columns.
   * @param {HTMLElement} grid
   * @param {number} count
   */
  use(grid, count) {
    if (grid.dataset.count === String(count)) return;
    lineUp(grid, count);
    const isNew = !this.known.has(count);
    this.shares(count);
    if (isNew) this.show();
    else this.showValues(grid);
  }

  /** Show the widths wherever there is room for that many columns. */
  show() {
    const { fontSize } = getComputedStyle(this.root);
    const room = this.root.clientWidth / Number.parseFloat(fontSize) - PADDING_EM + GAP_EM;
    for (const [count, shares] of this.known) {
      const fits = room >= count * (COLUMN_EM + GAP_EM);
      const template = shares.map((share) => `minmax(0, ${share}fr)`).join(" ");
      this.root.style.setProperty(`--cnb-shares-${count}`, fits ? template : null);
      this.root.style.setProperty(`--cnb-shown-${count}`, fits ? "block" : null);
    }
    this.showValues(this.root);
  }

  /** @param {HTMLElement} parent */
  showValues(parent) {
    for (const node of /** @type {NodeListOf<HTMLElement>} */ (parent.querySelectorAll(".cnb-separator"))) {
      const [shares, right] = this.placeOf(node);
      const percent = (100 * shares[right - 1]) / (shares[right - 1] + shares[right]);
      node.setAttribute("aria-valuenow", String(Math.round(percent)));
    }
  }

  /**
   * The shares of the grid in which a separator is, and the number of the column at its right, from 0.
   * @param {HTMLElement} node
   * @returns {[number[], number]}
   */
  placeOf(node) {
    return [this.shares(Number(node.parentElement?.dataset.count)), Number(node.dataset.right)];
  }

  /**
   * The separator at the left of a column of a grid: it is dragged, or moved by the arrow keys; Enter makes both equal.
   * @param {number} right the column, from 0
   */
  separator(right) {
    const node = el("div", {
      class: "cnb-separator",
      role: "separator",
      tabindex: 0,
      "aria-orientation": "vertical",
      "aria-label": `Widths of columns ${right} and ${right + 1}`,
      "aria-valuemin": LEAST_PERCENT,
      "aria-valuemax": 100 - LEAST_PERCENT,
      "aria-valuenow": 50,
      "data-right": right,
      title: "Drag, or use the arrow keys; Enter or a double click: equal widths",
    });
    node.style.setProperty("--cnb-at", String(right + 1));
    node.addEventListener("keydown", (event) => {
      const percent = PERCENT_KEYS.get(event.key)?.(Number(node.getAttribute("aria-valuenow")));
      if (percent === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.set(node, percent);
    });
    node.addEventListener("dblclick", () => this.set(node, 50));
    node.addEventListener("pointerdown", (event) => {
      if (event.button === 0) node.setPointerCapture(event.pointerId);
    });
    node.addEventListener("pointermove", (event) => {
      if (node.hasPointerCapture(event.pointerId)) this.set(node, percentAt(node, event.clientX));
    });
    return node;
  }

  /**
   * Give the column at the left of a separator a part of what it and its neighbour have.
   * @param {HTMLElement} node
   * @param {number} wanted percent
   */
  set(node, wanted) {
    const [shares, right] = this.placeOf(node);
    const percent = Math.min(100 - LEAST_PERCENT, Math.max(LEAST_PERCENT, wanted));
    const both = shares[right - 1] + shares[right];
    const left = (both * percent) / 100;
    shares.splice(right - 1, 2, left, both - left);
    this.show();
    stored(() => localStorage.setItem(WIDTHS_KEY + shares.length, JSON.stringify(shares)));
  }
}

/**
 * Where a place in the page is between the outer edges of a separator's neighbours, in percent.
 * @param {HTMLElement} node
 * @param {number} x
 */
function percentAt(node, x) {
  const [left, right] = [node.previousElementSibling, node.nextElementSibling];
  if (!left || !right) return 50;
  const [from, to] = [left.getBoundingClientRect(), right.getBoundingClientRect()];
  const gap = to.left - from.right;
  return (100 * (x - gap / 2 - from.left)) / (from.width + to.width);
}

/**
 * The stored widths of so many columns.
 * @param {number} count
 * @returns {number[] | null}
 */
function readShares(count) {
  const shares = stored(() => JSON.parse(localStorage.getItem(WIDTHS_KEY + count) ?? "null"));
  const isValid = Array.isArray(shares) && shares.length === count && shares.every((share) => share > 0 && share < 1e3);
  return isValid ? shares : null;
}
