/** The channels that this page follows, each a button that shows its messages alone. */

import { byId, el, icon, List, setText, type Row } from "../dom.ts";
import { age, amount } from "../format.ts";
import { label, type Channel } from "../channel.ts";
import { say } from "../words.ts";
import { serverNow, type Dispatch, type Part, type View } from "./view.ts";

interface Item {
  readonly view: View;
  readonly channel: Channel | undefined; // undefined: all of them
}

/** Returns the part that shows the channels. */
export function channels(dispatch: Dispatch): Part {
  const items = new List<Item>(byId("channels", HTMLElement), (i) => i.channel?.name ?? "", () => item(dispatch));
  const count = byId("channels-count", HTMLElement);
  return (view) => {
    const known = [...view.state.channels.values()];
    items.show([undefined, ...known].map((channel) => ({ view, channel })));
    setText(count, String(known.length));
  };
}

function item(dispatch: Dispatch): Row<Item> {
  const name = el("span", "channel-name");
  const when = el("span", "channel-when");
  const count = el("span", "channel-count");
  const problem = el("p", "problem", icon("i-cross"), el("span", ""));
  const button = el("button", "channel", name, when, count);
  button.type = "button";
  let shown: string | undefined;
  button.addEventListener("click", () => dispatch({ kind: "filter", channel: shown }));

  const update = ({ view, channel }: Item): void => {
    const { language: l, log, kitchen, channels: all } = view.state;
    shown = channel?.name;
    button.setAttribute("aria-pressed", String(log.filter === shown));
    button.title = channel?.name ?? "";
    setText(name, channel === undefined ? say(l, "allChannels") : label(channel.name, kitchen?.tenant ?? ""));
    setText(when, channel?.newestAt === undefined ? "" : age(l, serverNow(view) - channel.newestAt));
    const n = channel?.count ?? [...all.values()].reduce((sum, c) => sum + c.count, 0);
    setText(count, amount(l, n));
    count.setAttribute("aria-label", say(l, "messagesCount", { n: amount(l, n) }));
    problem.hidden = channel?.problem === undefined;
    const text = problem.querySelector("span");
    if (text !== null && channel?.problem !== undefined) {
      setText(text, say(l, "refused", { reason: channel.problem.message || channel.problem.code }));
    }
  };
  return { element: el("li", "", button, problem), update };
}
