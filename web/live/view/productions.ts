/** The batches of the kitchen as cards. */

import { byId, el, icon, List, setIcon, setOneOf, setText, type Row } from "../dom.ts";
import { age, amount, clock, UNKNOWN, zoneAt } from "../format.ts";
import { gravest, type Severity } from "../alert.ts";
import { say, type Word } from "../words.ts";
import { sorted, type Production, type Status } from "../production.ts";
import { severityIcon, severityWord } from "./alerts.ts";
import { serverNow, type Part, type View } from "./view.ts";

const ICONS: Readonly<Record<Status, string>> = {
  PLANNED: "i-clock",
  PREPARING: "i-knife",
  COOKING: "i-flame",
  QUALITY_CHECK: "i-clipboard",
  COMPLETED: "i-check",
  CANCELLED: "i-cross",
};

interface Card {
  readonly view: View;
  readonly production: Production;
  readonly severity: Severity | undefined;
}

/** Returns the part that shows the batches. */
export function productions(): Part {
  const cards = new List<Card>(byId("productions", HTMLElement), (c) => c.production.id, card);
  const count = byId("productions-count", HTMLElement);
  const none = byId("productions-none", HTMLElement);
  return (view) => {
    const batches = sorted(view.state.productions);
    cards.show(batches.map((production) => ({ view, production, severity: gravest(view.state.alerts, production.id) })));
    setText(count, String(batches.length));
    none.hidden = batches.length > 0;
  };
}

function card(): Row<Card> {
  const statusIcon = icon("i-question");
  const statusWord = el("span", "");
  const alertIcon = icon("i-triangle");
  const alertWord = el("span", "");
  const alertBox = el("p", "badge", alertIcon, alertWord);
  const batch = el("h3", "batch");
  const menu = el("p", "menu");
  const bar = el("progress", "bar");
  bar.max = 100;
  const percent = el("span", "percent");
  const temperature = figure("coreTemperature");
  const portions = figure("portions");
  const eatBy = figure("eatBy");
  const doubtful = el("span", "doubt");
  const changed = el("span", "");
  const element = el(
    "li",
    "card",
    el("div", "card-top", el("p", "status", statusIcon, statusWord), alertBox),
    batch,
    menu,
    el("div", "progress", bar, percent),
    el("dl", "figures", temperature.element, portions.element, eatBy.element),
    el("p", "foot", changed, doubtful),
  );

  const update = ({ view, production: p, severity }: Card): void => {
    const l = view.state.language;
    setOneOf(element, "status-", p.status?.toLowerCase().replace("_", "-"));
    setOneOf(element, "alert-", severity?.toLowerCase());
    element.classList.toggle("doubtful", p.doubtful);
    setIcon(statusIcon, p.status === undefined ? "i-question" : ICONS[p.status]);
    setText(statusWord, say(l, p.status ?? "unknownStatus"));
    alertBox.hidden = severity === undefined;
    setIcon(alertIcon, severityIcon(severity));
    setText(alertWord, severityWord(l, severity));
    setText(batch, p.batch ?? p.id);
    setText(menu, p.menu ?? "");
    menu.title = p.menu ?? ""; // it is cut to one line
    bar.value = p.progress ?? 0;
    bar.setAttribute("aria-label", say(l, "progress"));
    bar.setAttribute("aria-valuetext", p.progress === undefined ? UNKNOWN : `${p.progress} %`);
    setText(percent, p.progress === undefined ? UNKNOWN : `${amount(l, p.progress)} %`);
    temperature.update(view, degrees(view, p.coreTemperature), p.targetTemperature === undefined ? "" : say(l, "target", { n: amount(l, p.targetTemperature) }));
    portions.update(view, amount(l, p.actualPortions), `/ ${amount(l, p.plannedPortions)}`);
    eatBy.update(view, p.consumeBy === undefined ? UNKNOWN : clock(l, p.consumeBy), p.consumeBy === undefined ? "" : zoneAt(p.consumeBy));
    setText(changed, say(l, "changed", { age: age(l, serverNow(view) - p.changedAt) }));
    setText(doubtful, p.doubtful ? say(l, "doubtful") : "");
  };
  return { element, update };
}

function degrees({ state }: View, n: number | undefined): string {
  return n === undefined ? UNKNOWN : `${amount(state.language, n)} °C`;
}

/** One number of a card with its name, and something small behind it. */
function figure(word: Word): { element: HTMLElement; update: (view: View, value: string, beside: string) => void } {
  const name = el("dt", "");
  const value = el("span", "value");
  const beside = el("span", "beside");
  return {
    element: el("div", "figure", name, el("dd", "", value, " ", beside)),
    update: (view, v, b) => {
      setText(name, say(view.state.language, word));
      setText(value, v);
      setText(beside, b);
    },
  };
}
