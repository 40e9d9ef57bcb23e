/** The messages as they came. */

import { byId, el, List, setText, type Row } from "../dom.ts";
import { amount, clock } from "../format.ts";
import { label } from "../channel.ts";
import { lines, type Entry } from "../log.ts";
import { say, sayCause } from "../words.ts";
import type { Dispatch, Part, View } from "./view.ts";

interface Item {
  readonly view: View;
  readonly entry: Entry;
}

/** Returns the part that shows the log. */
export function log(dispatch: Dispatch): Part {
  const items = new List<Item>(byId("log", HTMLElement), (i) => i.entry.key, item);
  const none = byId("log-none", HTMLElement);
  const filtered = byId("log-filter", HTMLElement);
  const pause = byId("pause", HTMLButtonElement);
  let paused = false;
  pause.addEventListener("click", () => dispatch({ kind: "pause", on: !paused }));

  return (view) => {
    const { language: l, log: log_, kitchen } = view.state;
    const shown = lines(log_);
    items.show(shown.map((entry) => ({ view, entry })));
    none.hidden = shown.length > 0;
    paused = log_.frozen !== undefined;
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? say(l, "resume", { n: amount(l, log_.waiting) }) : say(l, "pause"));
    setText(filtered, log_.filter === undefined ? "" : label(log_.filter, kitchen?.tenant ?? ""));
  };
}

function item(): Row<Item> {
  const time = el("time", "log-time");
  const channel = el("span", "log-channel");
  const offset = el("span", "log-offset");
  const text = el("span", "log-text");
  text.dir = "auto";
  const summary = el("summary", "", time, channel, offset, text);
  const element = el("li", "line", el("details", "", summary));

  const update = ({ view, entry: e }: Item): void => {
    const l = view.state.language;
    element.classList.toggle("gap", e.gap);
    setText(time, clock(l, e.time, true));
    setText(channel, label(e.channel, view.state.kitchen?.tenant ?? ""));
    setText(offset, e.offset === undefined ? "" : `#${e.offset}`);
    setText(text, e.gap ? say(l, "gap", { cause: sayCause(l, e.text) }) : e.text);
  };
  return { element, update };
}
