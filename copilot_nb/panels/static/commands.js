// The slash commands.

/** @type {[word: string, takes: string, help: string][]} */
export const COMMANDS = [
  ["/model", "MODEL [PROVIDER]", "let another model answer from the next prompt on"],
  ["/rename", "NAME", "give the session another name"],
  ["/fork", "[NAME]", "a new session with this one's history"],
  ["/rewind", "[N]", "take back the last turn, or the last N"],
  ["/undo", "", "bring back what was taken back"],
  ["/retry", "", "ask the last prompt again, in place of its answer"],
  ["/stop", "", "stop the answer under way; what has come is kept"],
  ["/clear", "", "take back all turns (/undo brings them back)"],
  ["/usage", "", "tokens, time and cost of the session"],
  ["/help", "", "these commands and the keys"],
];

export const KEYS =
  "Enter sends · Shift+Enter begins a new line · ↑ recalls earlier prompts · {{ expression }} is replaced by its " +
  "value in the kernel · a prompt that begins with / is written with a blank before it";

/**
 * Whether a text is a command, not a prompt.
 * @param {string} text
 */
export function isCommand(text) {
  return /^\/[a-z]+(-[a-z]+)*(\s|$)/.test(text);
}

/**
 * The commands that fit what has been typed so far.
 * @param {string} typed
 */
export function fitting(typed) {
  return /^\/[a-z]*$/.test(typed) ? COMMANDS.filter(([word]) => word.startsWith(typed)) : [];
}

/**
 * Return the text to type so that a prompt is sent literally.
 * @param {string} prompt
 */
export function asWritten(prompt) {
  return prompt.replaceAll("{{", "\\{{");
}
