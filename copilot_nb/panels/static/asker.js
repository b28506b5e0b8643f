// The page of an AskPanel (asker.py): what the turns of a cell ask.

import { Approvals, decider } from "./approvals.js";
import { announcer, Notice, panelRoot } from "./dom.js";
import { Link } from "./link.js";

export default {
  /** @param {import("./link.js").View} view */
  render({ model, el: place, signal }) {
    const live = announcer();
    const notice = new Notice();
    const decide = decider(notice, (fields) => link.ask("decide", fields));
    const stop = (/** @type {string} */ request) => notice.attempt(() => link.ask("stop", { request }));
    const approvals = new Approvals(decide, live.say, stop);
    const root = panelRoot("cnb-asker", "Requests", notice.node, approvals.node, live.node);
    place.append(root);
    const link = new Link(model, signal, {
      root,
      whole: (message) => approvals.show(message.asks),
      news: (item) => item.kind === "asks" && approvals.show(item.asks),
      trouble: (text) => (text ? notice.show(text, "trouble") : notice.clear()),
    });
  },
};
