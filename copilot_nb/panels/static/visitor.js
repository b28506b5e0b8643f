// Sends this browser's secret to the kernel, and stores the secret that the kernel answers with (visitor.py).

import { takeMessages } from "./messages.js";

const KEPT = "copilot_nb.visitor";
export const ASK_AGAIN_MS = 1000;
export const LONGEST_RESTORE_MS = 60_000;

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return ""; // the browser stores nothing
  }
}

/** @param {string} token */
function keep(token) {
  try {
    localStorage.setItem(KEPT, token);
  } catch {
    // the visitor is a new one at the next load
  }
}

/**
 * Voilà ends a page's kernel when the page is closed or reloaded, but its server refuses that request without a cookie
 * that the server never sets (voila 0.5.13): the request must repeat the cookie's value, which may be anything.
 */
function letVoilaEndTheKernel() {
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}");
  if (!config.kernelId || /(^|; )_xsrf=/.test(document.cookie)) return;
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  const digits = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  // biome-ignore lint/suspicious/noDocumentCookie: pages that are not served by HTTPS have no Cookie Store API
  document.cookie = `_xsrf=${digits}; path=${config.baseUrl}; SameSite=Strict`;
}

/**
 * Begin when the page has made all its widgets, which takes seconds if the server is busy. The page drops the updates
 * of a widget that it has not made yet, and a notebook answers a visitor by updating widgets.
 * @param {any} manager of the page's widgets
 * @param {() => void} begin
 */
function whenRestored(manager, begin) {
  if (manager?.restoredStatus !== false) {
    begin(); // a new cell's widget, or a front end that does not tell
    return;
  }
  const restored = () => {
    clearTimeout(longest);
    manager.restored.disconnect(restored);
    begin();
  };
  const longest = setTimeout(restored, LONGEST_RESTORE_MS); // another widget of the page cannot be loaded
  manager.restored.connect(restored);
}

export default {
  /** @param {{model: any}} page the widget's model, anywidget's own */
  initialize({ model }) {
    letVoilaEndTheKernel();
    takeMessages(model, model.get("widget_id"));
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let asking;
    model.on("msg:custom", (/** @type {{token: string}} */ message) => {
      clearInterval(asking);
      keep(message.token);
    });
    const ask = () => model.send({ token: kept() });
    whenRestored(model.widget_manager, () => {
      asking = setInterval(ask, ASK_AGAIN_MS); // a server under load drops messages
      ask();
    });
    return () => clearInterval(asking);
  },
};
