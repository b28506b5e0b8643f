// What JupyterLab loads first: a container of module federation, written by hand, so that nothing is bundled or built.
// JupyterLab calls init() with the modules that it shares (by name, then by version), and then get("./extension").
// Which of them are used is asked only then: other extensions may still register theirs.
//
// Why: docs/decisions/0049-labextension-by-hand.md.

(() => {
  const here = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  /** @type {Record<string, Record<string, {loaded?: unknown, get: () => Promise<() => any>}>>} */
  let scope = {};

  /**
   * A module that the application shares; the version in use, if there are several.
   * @param {string} name
   */
  async function use(name) {
    const versions = Object.values(scope[name] ?? {});
    const version = versions.find(({ loaded }) => loaded) ?? versions.at(-1);
    if (!version) throw new Error(`this application does not share ${name}`);
    return (await version.get())();
  }

  const page = /** @type {any} */ (window);
  page._JUPYTERLAB ??= {};
  page._JUPYTERLAB["copilot-nb"] = {
    /** @param {typeof scope} shared */
    init(shared) {
      scope = shared;
    },
    async get() {
      const { plugins } = await import(new URL("plugins.js", here).href);
      const made = await plugins(use);
      return () => ({ __esModule: true, default: made });
    },
  };
})();
