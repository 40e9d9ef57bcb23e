/** The head of the page: whose kitchen, the lamp, the last message, the banner of a broken line. */

import { byId, setIcon, setOneOf, setText } from "../dom.ts";
import { age, clock, zoneAt } from "../format.ts";
import { fresh, lamp, type Lamp } from "../connection.ts";
import { say } from "../words.ts";
import { serverNow, type Part, type View } from "./view.ts";

const ICONS: Readonly<Record<Lamp, string>> = { connected: "i-link", connecting: "i-turn", disconnected: "i-broken" };

/** Returns the part that shows the head. */
export function header(): Part {
  const kitchen = byId("kitchen", HTMLElement);
  const kitchenOver = byId("kitchen-over", HTMLElement);
  const kitchenId = byId("kitchen-id", HTMLElement);
  const lampBox = byId("lamp", HTMLElement);
  const lampWord = byId("lamp-word", HTMLElement);
  const last = byId("last", HTMLElement);
  const time = byId("clock", HTMLElement);
  const signOut = byId("sign-out", HTMLButtonElement);
  const lampIcon = lampBox.querySelector("svg");
  const banner = bannerPart();

  return (view) => {
    const { state, now } = view;
    const l = state.language;
    const shows = lamp(state.connection, now);
    const tenant = state.kitchen?.tenant;
    setText(kitchen, state.kitchen?.name ?? tenant ?? "Kentongan");
    kitchenOver.hidden = tenant === undefined;
    setText(kitchenId, state.kitchen?.name === undefined ? "" : (tenant ?? ""));
    // Before anybody has signed in there is no line to speak of.
    lampBox.hidden = last.hidden = state.connection.phase === "denied";
    signOut.hidden = state.kitchen === undefined && state.connection.denial === "signed-out";
    setOneOf(lampBox, "is-", shows);
    setText(lampWord, say(l, shows));
    if (lampIcon !== null) setIcon(lampIcon, ICONS[shows]);
    setText(last, state.newestAt === undefined ? say(l, "noMessage") : say(l, "lastMessage", { age: age(l, serverNow(view) - state.newestAt) }));
    setText(time, `${clock(l, serverNow(view))} ${zoneAt(now)}`.trim());
    document.body.classList.toggle("stale", !fresh(state.connection, now) || state.staleSince !== undefined);
    banner(view);
  };
}

function bannerPart(): Part {
  const banner = byId("banner", HTMLElement);
  const what = byId("banner-what", HTMLElement);
  const next = byId("banner-next", HTMLElement);
  const reload = byId("banner-reload", HTMLButtonElement);

  return (view) => {
    const text = bannerText(view);
    banner.hidden = text === undefined;
    if (text === undefined) return;
    setText(what, text);
    setText(next, nextText(view));
    reload.hidden = view.state.connection.phase !== "ended";
  };
}

/** Returns what the banner says, or undefined while all is well. A short break that the first retry mends is no news. */
function bannerText({ state, now }: View): string | undefined {
  const { language: l, connection: c } = state;
  if (c.phase === "denied") return undefined;
  if (c.end !== undefined) return say(l, "endedBanner", { reason: c.end.reason || say(l, "noReason"), code: c.end.code });
  if (state.staleSince !== undefined) return say(l, "serverStale", { time: clock(l, state.staleSince) });
  if (lamp(c, now) !== "disconnected" && (fresh(c, now) || c.freshAt === undefined)) return undefined;
  return c.freshAt === undefined ? say(l, "neverFresh") : say(l, "staleBanner", { time: clock(l, c.freshAt + state.skewMs) });
}

function nextText({ state, now }: View): string {
  const { language: l, connection: c } = state;
  if (c.phase === "ended") return "";
  const n = Math.ceil(((c.retryAt ?? now) - now) / 1000);
  return c.phase === "waiting" && n > 0 ? say(l, "retryIn", { n }) : say(l, "retrying");
}
