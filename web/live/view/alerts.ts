/** The alerts that are not resolved, the gravest first. */

import { byId, el, icon, List, setIcon, setOneOf, setText, type Row } from "../dom.ts";
import { age, amount } from "../format.ts";
import { ALERT_LIFE_MS, byGravity, type Alert, type Severity } from "../alert.ts";
import { say, type Language } from "../words.ts";
import { serverNow, type Part, type View } from "./view.ts";

const ICONS: Readonly<Record<Severity, string>> = { LOW: "i-info", MEDIUM: "i-triangle", HIGH: "i-triangle", CRITICAL: "i-octagon" };

/** Returns the symbol of a severity. */
export function severityIcon(s: Severity | undefined): string {
  return s === undefined ? "i-question" : ICONS[s];
}

/** Returns the word of a severity. */
export function severityWord(l: Language, s: Severity | undefined): string {
  return say(l, s ?? "unknownSeverity");
}

interface Item {
  readonly view: View;
  readonly alert: Alert;
}

/** Returns the part that shows the alerts. */
export function alerts(): Part {
  const items = new List<Item>(byId("alerts", HTMLElement), (i) => i.alert.key, item);
  const count = byId("alerts-count", HTMLElement);
  const none = byId("alerts-none", HTMLElement);
  return (view) => {
    const open = byGravity(view.state.alerts).filter((a) => a.raisedAt > serverNow(view) - ALERT_LIFE_MS);
    items.show(open.map((alert) => ({ view, alert })));
    setText(count, String(open.length));
    none.hidden = open.length > 0;
  };
}

function item(): Row<Item> {
  const symbol = icon("i-question");
  const word = el("span", "");
  const message = el("p", "alert-text");
  message.dir = "auto";
  const about = el("p", "foot");
  const element = el("li", "alert", el("p", "badge", symbol, word), el("div", "", message, about));

  const update = ({ view, alert: a }: Item): void => {
    const l = view.state.language;
    setOneOf(element, "alert-", a.severity?.toLowerCase() ?? "unknown");
    element.classList.toggle("acknowledged", a.acknowledged);
    setIcon(symbol, severityIcon(a.severity));
    setText(word, severityWord(l, a.severity));
    setText(message, a.message[l] ?? a.code ?? severityWord(l, a.severity));
    const parts = [
      a.batch ?? (a.productionId === undefined ? undefined : view.state.productions.get(a.productionId)?.batch),
      measured(l, a),
      age(l, serverNow(view) - a.raisedAt),
      a.acknowledged ? say(l, "acknowledged") : undefined,
    ];
    setText(about, parts.filter((p) => p !== undefined).join(" · "));
  };
  return { element, update };
}

/** Returns "72,4 °C (batas 75 °C)", or undefined if nothing was measured. A number without a unit says nothing. */
function measured(l: Language, a: Alert): string | undefined {
  if (a.value === undefined || a.unit === undefined) return undefined;
  const unit = ` ${a.unit === "C" ? "°C" : a.unit}`;
  const limit = a.limit === undefined ? "" : ` (${say(l, "limit", { n: amount(l, a.limit) + unit })})`;
  return amount(l, a.value) + unit + limit;
}
