// The plugins of the extension. An application without a module that one of them needs has the others.

import { fixButton } from "./fix.js";
import { prompts } from "./prompts.js";
import { side } from "./side.js";
import { states } from "./states.js";

/** @typedef {(name: string) => Promise<any>} Use gives a module that the application shares */

/** @param {Use} use */
export async function plugins(use) {
  const made = await Promise.allSettled([prompts, fixButton, side, states].map((plugin) => plugin(use)));
  return made.flatMap((each) => {
    if (each.status === "fulfilled") return [each.value];
    console.debug(`copilot-nb: ${each.reason}`);
    return [];
  });
}
