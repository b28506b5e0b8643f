// The page of an AskPanel (asker.py): what the turns of a cell in the background ask.

import { Approvals } from "./approvals.js";
import { announcer, Notice, panelRoot } from "./dom.js";
import { Link } from "./link.js";

export default {
  /** @param {import("./link.js").View} view */
  render({ model, el: place, signal }) {
    const live = announcer();
    const notice = new Notice();
    const approvals = new Approvals(async (request, outcome, reason) => {
      const answer = await notice.attempt(() => link.ask("decide", { request, outcome, reason }));
      if (answer?.said) notice.show(answer.said, "said");
    }, live.say);
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
