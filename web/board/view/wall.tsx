/** The wall: what a kitchen reads from three to five metres. It scrolls nowhere; what does not fit is counted. */

import type { JSX } from "preact";

import { Figure, Icon, SeverityWord, StatusWord, Still } from "./parts.tsx";
import { SoundAsk, left } from "./top.tsx";
import { UNKNOWN } from "../format.ts";
import { alertsOf } from "../state.ts";
import { batchOf, useScene, type Words } from "./use.ts";
import { byUrgency, isFinal, timeLeft, toneOf, type Batch, type Severity } from "../batch.ts";
import { messageOf } from "../alarm.ts";

/** So many batches are readable from five metres on 1080 lines. */
const MOST_BATCHES = 8;
const MOST_ALERTS = 5;

export function Wall(): JSX.Element {
  const { state, now, say, words } = useScene();
  const { productions, alerts } = state.kitchen;
  const all = [...productions.values()].map(batchOf);
  // Before anything is known, nothing is claimed: not even that all is well.
  const known = state.fresh.since !== undefined;
  const active = all.filter((b) => !isFinal(b.status)).sort(byUrgency);
  // What is done and has not left the kitchen yet still has its clock.
  const waiting = all.filter((b) => b.status === "COMPLETED" && b.dispatched === undefined && b.consumeBy !== undefined).sort(byUrgency);
  const relevant = [...active, ...waiting];
  const shown = relevant.slice(0, MOST_BATCHES);
  const columns = shown.length <= 2 ? Math.max(1, shown.length) : shown.length <= 4 ? 2 : shown.length <= 6 ? 3 : 4;
  return (
    <main id="main" class={`wall ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <section class="wall-batches" aria-label={say("activeBatches")}>
        {shown.length === 0 && <p class="none">{known ? say("noBatches") : say("loading")}</p>}
        <ul class={`tiles columns-${columns}`}>
          {shown.map((b) => (
            <Tile key={b.id} batch={b} worst={worstOf(alertsOf(alerts, b.id).map((a) => a.severity))} second={Math.ceil(now / 1000)} words={words} />
          ))}
        </ul>
        {relevant.length > shown.length && <p class="wall-more">{say("more", { n: relevant.length - shown.length })}</p>}
      </section>
      <section class="wall-alerts" aria-labelledby="wall-alerts">
        <h2 id="wall-alerts">{say("alerts")} <span class="count">{known ? alerts.length : UNKNOWN}</span></h2>
        {known && alerts.length === 0 && <NoAlerts />}
        <ul class="wall-alert-list">
          {alerts.slice(0, MOST_ALERTS).map((a) => (
            <li key={a.id} class={`wall-alert severity-${(a.severity ?? "none").toLowerCase()}`}>
              <SeverityWord severity={a.severity} />
              <p class="wall-alert-what">{messageOf(a, state.language)}</p>
              <p class="wall-alert-where">
                {shortNumber(String(a.data["batchNumber"] ?? ""))} {a.status === "ACKNOWLEDGED" && <span class="seen"><Icon name="link" />{say("acknowledged")}</span>}
              </p>
            </li>
          ))}
        </ul>
        {alerts.length > MOST_ALERTS && <p class="wall-more">{say("more", { n: alerts.length - MOST_ALERTS })}</p>}
        <SoundAsk />
      </section>
    </main>
  );
}

const SEVERITIES: readonly (Severity | undefined)[] = ["LOW", undefined, "MEDIUM", "HIGH", "CRITICAL"];

/** Says that there are no alerts: of the present only if this is the present. */
export function NoAlerts(): JSX.Element {
  const { state, format, say } = useScene();
  if (state.fresh.old) return <p class="none"><Icon name="question" /> {say("noAlertsThen", { time: format.clock(state.fresh.since) })}</p>;
  return <p class="none"><Icon name="check" /> {say("noAlerts")}</p>;
}

/** Returns the gravest; "none" if there is none. */
export function worstOf(severities: readonly (Severity | undefined)[]): Severity | undefined | "none" {
  let worst = -1;
  for (const s of severities) worst = Math.max(worst, SEVERITIES.indexOf(s));
  return worst < 0 ? "none" : SEVERITIES[worst];
}

/** Returns "0003" of "BATCH-20261126-0003": the day is the same for all on the wall. */
export function shortNumber(number: string | undefined): string {
  return /^BATCH-\d{8}-(\d{4,})$/.exec(number ?? "")?.[1] ?? number ?? "";
}

interface TileProps {
  readonly batch: Batch;
  readonly worst: Severity | undefined | "none";
  readonly second: number;
  readonly words: Words;
}

class Tile extends Still<TileProps> {
  override render({ batch: b, worst, second, words: { format, say } }: TileProps): JSX.Element {
    const now = second * 1000;
    const tone = toneOf(b, worst === "none" ? [] : [worst], now);
    const remaining = timeLeft(b, now);
    return (
      <li class={`tile tone-${tone}`}>
        <div class="tile-head">
          <StatusWord status={b.status} />
          {worst !== "none" && <SeverityWord severity={worst} />}
        </div>
        <h3 class="tile-name">
          <span class="tile-number">{shortNumber(b.number) || b.id}</span> {b.menu ?? ""}
        </h3>
        <div class="tile-middle">
          <div class="tile-clock">
            <span class="tile-clock-word">{say(remaining !== undefined && remaining <= 0 ? "overdue" : "timeLeft")}</span>
            <span class="tile-countdown">{left(remaining) ?? UNKNOWN}</span>
            <span class="tile-by">
              {remaining === undefined ? say("plannedFor", { times: format.span(b.plannedStart, b.plannedEnd) }) : `${say("eatBy")} ${format.clock(b.consumeBy)}`}
            </span>
          </div>
          <dl class="figures">
            <Figure word="portions" value={format.amount(b.portions)} beside={`/ ${format.amount(b.plannedPortions)}`} />
            <Figure word="coreTemperature" value={format.degrees(b.celsius)} />
          </dl>
        </div>
        <Bar percent={b.progress} words={{ format, say }} />
      </li>
    );
  }
}

/** How far a batch is. */
export function Bar({ percent, words: { format, say } }: { readonly percent: number | undefined; readonly words: Words }): JSX.Element {
  return (
    <div class="bar-line">
      <progress class="bar" max={100} value={percent ?? 0} aria-label={say("progress")} aria-valuetext={format.percent(percent)} />
      <span class="bar-percent">{format.percent(percent)}</span>
    </div>
  );
}
