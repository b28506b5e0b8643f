// The page of an AskPanel (asker.py): what the turns of a cell ask.

import { Approvals, decider } from "./approvals.js";
import { announcer, button, hide, Notice, panelRoot } from "./dom.js";
import { Link } from "./link.js";

export default {
  /** @param {import("./link.js").View} view */
  render({ model, el: place, signal }) {
    const live = announcer();
    const notice = new Notice();
    const decide = decider(notice, (fields) => link.ask("decide", fields));
    const approvals = new Approvals(decide, live.say);
    const props = { class: "cnb-button cnb-stop", title: "Stop the answer that asks", hidden: true };
    const stop = button("■ Stop", () => notice.attempt(() => link.ask("stop")), props);
    const root = panelRoot("cnb-asker", "Requests", notice.node, approvals.node, stop, live.node);
    place.append(root);
    /** @param {import("./approvals.js").Ask[]} asks */
    const show = (asks) => {
      approvals.show(asks);
      hide(stop, !asks.length);
    };
    const link = new Link(model, signal, {
      root,
      whole: (message) => show(message.asks),
      news: (item) => item.kind === "asks" && show(item.asks),
      trouble: (text) => (text ? notice.show(text, "trouble") : notice.clear()),
    });
  },
};
