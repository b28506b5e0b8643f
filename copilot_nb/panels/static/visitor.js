// Sends this browser's secret to the kernel, and stores the secret that the kernel answers with (visitor.py).

const KEPT = "copilot_nb.visitor";
const ASK_AGAIN_MS = 1000;

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

export default {
  /** @param {{model: any}} page the widget's model, anywidget's own */
  initialize({ model }) {
    letVoilaEndTheKernel();
    const ask = () => model.send({ token: kept() });
    const asking = setInterval(ask, ASK_AGAIN_MS); // a server under load drops messages
    model.on("msg:custom", (/** @type {{token: string}} */ message) => {
      clearInterval(asking);
      keep(message.token);
    });
    ask();
    return () => clearInterval(asking);
  },
};
