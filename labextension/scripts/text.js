// What the texts of a notebook's cells say about copilot_nb. Nothing here knows of an editor or a page.

/** Behind it a model's code waits to be released (notebook/code.py): code, not prose. */
const HELD = "--do-not-run";
const PROMPT = new RegExp(`^\\s*%%copilot(?=\\s|$)(?!\\s+${HELD}(?:\\s|$))`);
const COMMAND = /^\s*%%?copilot\b/;
const USES = /^\s*(?:%%?copilot\b|%(?:re)?load_ext\s+copilot_nb\b|(?:import|from)\s+copilot_nb\b)/m;
/** In the place of a session's name: the prompt goes to a session for each model. */
const COMPARISON = "compare";
const WORD = /"[^"\n]*"?|'[^'\n]*'?|[^\s"']+/g;
/** What makes or ends an expression. */
const MARKING = /[{}\\]|\n\n/;
/** Options that take no value; the word behind any other one is its value, not the name of a session. */
export const SWITCHES = ["-b", "-q", "--background", "--create", "--new", "--now", "--quiet", "--take-over"];

/** So many characters at the beginning of a cell decide whether it is a prompt. */
export const HEAD_CHARS = 200;

/**
 * Whether a cell, or its beginning, is a prompt: prose below a line `%%copilot …`.
 * @param {string} text
 */
export const isPrompt = (text) => PROMPT.test(text);

/**
 * Whether a cell begins with one of our magics, so that its errors are ours.
 * @param {string} text
 */
export const isCommand = (text) => COMMAND.test(text);

/**
 * Whether a notebook with these cells uses copilot_nb.
 * @param {string[]} sources
 */
export const usesCopilot = (sources) => sources.some((source) => USES.test(source));

/** @typedef {{from: number, to: number, kind: "line" | "magic" | "option" | "word" | "expression"}} Mark */

/**
 * What to mark in a prompt, in the order of the text: its first line with its words, and its expressions.
 * @param {string} text
 * @returns {Mark[]}
 */
export function marksOf(text) {
  const start = text.length - text.trimStart().length;
  const from = text.lastIndexOf("\n", start) + 1;
  const to = endOfLine(text, start);
  const words = [...text.slice(from, to).matchAll(WORD)].map(({ 0: word, index }) => {
    const kind = word.startsWith("%%") ? "magic" : word.startsWith("-") ? "option" : "word";
    return { from: from + index, to: from + index + word.length, kind };
  });
  const expressions = expressionsOf(text, to).map((each) => ({ ...each, kind: "expression" }));
  return /** @type {Mark[]} */ ([{ from, to, kind: "line" }, ...words, ...expressions]);
}

/**
 * Whether a change below the first line only moves the marks of a prompt: no brace comes, goes or gets another
 * neighbour, and no empty line.
 * @param {string} before what was there, with the character before and the one behind it
 * @param {string} after what is there now, with the same two
 */
export const onlyMovesMarks = (before, after) => !MARKING.test(before) && !MARKING.test(after);

/**
 * Where the expressions `{{ … }}` of a prompt are, with their braces (conversation/prompt.py replaces them).
 *
 * As there, `\{{` begins none, and one ends before an empty line. There it ends at the first `}}` that makes it valid
 * Python; here at the first one behind which all braces are closed.
 * @param {string} text
 * @param {number} [start]
 */
export function expressionsOf(text, start = 0) {
  const found = [];
  const opening = /\\?\{\{/g;
  opening.lastIndex = start;
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    if (match[0].startsWith("\\")) continue;
    const end = closing(text, opening.lastIndex);
    if (end < 0) continue;
    found.push({ from: match.index, to: end });
    opening.lastIndex = end;
  }
  return found;
}

/**
 * Where the expression that begins at `start` has its end, behind its braces; -1: nowhere.
 * @param {string} text
 * @param {number} start
 */
function closing(text, start) {
  let open = 0;
  for (let at = start; at < text.length && !text.startsWith("\n\n", at); at += 1) {
    if (text[at] === "{") open += 1;
    else if (text[at] !== "}") continue;
    else if (open) open -= 1;
    else if (text[at + 1] === "}") return at + 2;
  }
  return -1;
}

/**
 * Whether the cursor is in a prompt's prose: not in its first line and in no expression, where names are completed.
 * @param {string} text
 * @param {number} cursor
 */
export function isInProse(text, cursor) {
  if (!isPrompt(text)) return false;
  const start = endOfLine(text, text.length - text.trimStart().length);
  const before = text.slice(start, cursor);
  const opening = before.lastIndexOf("{{");
  const isOpen = opening >= 0 && before[opening - 1] !== "\\" && closing(before, opening + 2) < 0;
  return cursor > start && !(isOpen && !before.includes("\n\n", opening));
}

/**
 * The session that a prompt's first line names first, as it is written there; "": none.
 * @param {string} source
 */
export function sessionOf(source) {
  if (!isPrompt(source)) return "";
  const [, ...words] = source.trimStart().split("\n", 1)[0].match(WORD) ?? [];
  for (let at = 0; at < words.length; at += 1) {
    if (!words[at].startsWith("-")) return words[at];
    if (!SWITCHES.includes(words[at]) && !words[at].includes("=")) at += 1;
  }
  return "";
}

/**
 * The line that asks for the correction of a failed cell: of the session that the prompt above it, or else below it,
 * names.
 * @param {string[]} sources the code cells above the failed one and itself, and those below it
 * @param {number} index the failed one
 * @param {string} cellId
 */
export function fixLine(sources, index, cellId) {
  const others = [...sources.slice(0, index).reverse(), ...sources.slice(index + 1)];
  const prompts = others.filter((source) => isPrompt(source) && sessionOf(source) !== COMPARISON);
  const name = prompts.length ? sessionOf(prompts[0]) : "debug";
  return `${["%copilot fix", name].filter(Boolean).join(" ")} --cell ${cellId.slice(0, 8)}`;
}

/** @typedef {{session: string, state: string}} Fact of a turn: its output's metadata, from the kernel */
/** @typedef {{output_type?: string, metadata?: any, ename?: string}} Output of a cell, as the notebook stores it */

/** The media type of an error, in the model of an output. */
export const ERROR = "application/vnd.jupyter.error";

/** The words for a turn's states that deserve a mark, the most urgent first. */
const STATES = /** @type {Record<string, string>} */ ({
  working: "answering",
  queued: "waiting",
  failed: "failed",
  interrupted: "interrupted",
  refused: "not sent",
});
/** States in which somebody works: only if this page saw them come. */
const UNDER_WAY = ["working", "queued"];
/** What errors say of a turn, if its output says nothing: it was not shown before it failed. Others refuse a prompt. */
const OF_ERRORS = new Map([
  ["KeyboardInterrupt", "interrupted"],
  ["ProviderError", "failed"],
  ["RuntimeUnavailable", "failed"],
  ["TurnFailed", "failed"],
  ["TurnInterrupted", "interrupted"],
  ["TurnTimeout", "failed"],
]);

/**
 * The state of a prompt's last run, if it deserves a mark, in words: the session or sessions in the most urgent state,
 * that state, and the state of each.
 * @param {string} source
 * @param {Output[]} outputs
 * @param {{isScheduled: boolean, isLive: boolean}} run whether the cell is to run, and whether this page saw its
 *   outputs come: only then somebody still works on what says so
 * @returns {{session: string, state: string, title: string} | null}
 */
export function stateOf(source, outputs, { isScheduled, isLive }) {
  if (!isPrompt(source)) return null;
  const facts = turnsOf(source, outputs, isScheduled);
  const marked = facts.filter(({ state }) => state in STATES && (isLive || isScheduled || !UNDER_WAY.includes(state)));
  const most = Object.keys(STATES).find((each) => marked.some(({ state }) => state === each));
  if (!most) return null;
  const names = namesOf(marked.filter(({ state }) => state === most));
  const { length } = namesOf(facts);
  const several = names.length < length ? `${names.length} of ${length} sessions` : `${length} sessions`;
  const title = marked.map(({ session, state }) => [session, STATES[state]].filter(Boolean).join(": "));
  return {
    session: names.length > 1 ? several : names[0],
    state: STATES[most],
    title: [...new Set(title)].join(", "),
  };
}

/** @param {Fact[]} facts */
const namesOf = (facts) => [...new Set(facts.map(({ session }) => session))];

/**
 * The turns of a prompt's last run, as far as its outputs say.
 * @param {string} source
 * @param {Output[]} outputs
 * @param {boolean} isScheduled
 * @returns {Fact[]}
 */
function turnsOf(source, outputs, isScheduled) {
  const facts = outputs.flatMap(({ metadata }) => factsOf(metadata));
  const error = outputs.find(({ output_type }) => output_type === "error");
  if (facts.length) {
    const isOfAnswer = error && facts.every(({ state }) => state === "done"); // it does not fit what was asked for
    return isOfAnswer ? facts.map(({ session }) => ({ session, state: "failed" })) : facts;
  }
  if (isScheduled) return [{ session: sessionOf(source), state: "queued" }];
  if (!error) return [];
  const state = OF_ERRORS.get(error.ename ?? "");
  // a line that was refused may name no session where it seems to
  return [state ? { session: sessionOf(source), state } : { session: "", state: "refused" }];
}

/**
 * @param {any} metadata
 * @returns {Fact[]}
 */
function factsOf(metadata) {
  const facts = metadata?.copilot_nb;
  return (facts?.turns ?? [facts]).filter((/** @type {any} */ fact) => fact?.state);
}

/**
 * @param {string} text
 * @param {number} from
 */
function endOfLine(text, from) {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}
