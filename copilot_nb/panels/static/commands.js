// The slash commands.

/** @type {[word: string, takes: string, help: string][]} */
export const COMMANDS = [
  ["/model", "MODEL [PROVIDER]", "use another model from the next prompt on"],
  ["/rename", "NAME", "rename the session"],
  ["/fork", "[NAME]", "copy this session, with its history, to a new one"],
  ["/rewind", "[N]", "remove the last turn, or the last N turns"],
  ["/undo", "", "restore the removed turns"],
  ["/retry", "", "send the last prompt again and replace its answer"],
  ["/stop", "", "stop the running answer and keep its text so far"],
  ["/clear", "", "remove all turns (/undo restores them)"],
  ["/usage", "", "show the session's tokens, time and cost"],
  ["/help", "", "list these commands and the keys"],
];

export const KEYS =
  "Enter sends · Shift+Enter begins a new line · ↑ recalls earlier prompts · {{ expression }} is replaced by its " +
  "value in the kernel · type a space before a prompt that begins with /";

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
export function matchingCommands(typed) {
  return /^\/[a-z]*$/.test(typed) ? COMMANDS.filter(([word]) => word.startsWith(typed)) : [];
}

/**
 * Return the text to type so that a prompt is sent literally.
 * @param {string} prompt
 */
export function escapeExpressions(prompt) {
  return prompt.replaceAll("{{", "\\{{");
}
