/**
 * The wall: what a kitchen reads from three to five metres. Nothing on it is cut off and it is not scrolled: cards are as large as there
 * is room for, and what is too much for one page follows on the next. On a phone it is a list.
 */

import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Figure, Icon, SeverityWord, StatusWord, Still } from "./parts.tsx";
import { SoundAsk, left } from "./top.tsx";
import { UNKNOWN } from "../format.ts";
import { alertsOf } from "../state.ts";
import { alertsThatFit, fit, pageOf } from "../fit.ts";
import { batchOf, useScene, type Words } from "./use.ts";
import { byUrgency, isFinal, shortNumber, timeLeft, toneOf, type Batch, type Severity } from "../batch.ts";
import { messageOf } from "../alarm.ts";
import { text } from "../../client/src/json.ts";

/** So many alerts are shown where the wall is a list. */
const MOST_ALERTS = 5;

/** Where the wall is a list: board.css says the same. */
const NARROW = "(max-width: 60rem)";

interface Size {
  readonly width: number;
  readonly height: number;
  readonly letter: number; // all in px
}

/** Measures a place, again with each change; undefined: it is as high as what is in it. */
function useSize() {
  const ref = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size>();
  useLayoutEffect(() => {
    const place = ref.current;
    if (place === null) return;
    const look = () => {
      if (window.matchMedia(NARROW).matches) return setSize(undefined);
      const next = { width: place.clientWidth, height: place.clientHeight, letter: parseFloat(getComputedStyle(place).fontSize) };
      setSize((was) => (was !== undefined && was.width === next.width && was.height === next.height && was.letter === next.letter ? was : next));
    };
    look();
    const watcher = new ResizeObserver(look);
    watcher.observe(place);
    return () => watcher.disconnect();
  }, []);
  return [ref, size] as const;
}

export function Wall(): JSX.Element {
  const { state, now, say } = useScene();
  const { productions, alerts } = state.kitchen;
  const all = [...productions.values()].map(batchOf);
  const active = all.filter((b) => !isFinal(b.status)).sort(byUrgency);
  // What is done and has not left the kitchen yet still has its clock.
  const waiting = all.filter((b) => b.status === "COMPLETED" && b.dispatched === undefined && b.consumeBy !== undefined).sort(byUrgency);
  const [place, size] = useSize();
  // Before anything is known, nothing is claimed: not even that all is well.
  const known = state.fresh.since !== undefined;
  return (
    <main id="main" class={`wall ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <section class="wall-batches" aria-label={say("activeBatches")}>
        {active.length + waiting.length === 0 && <p class="none">{known ? say("noBatches") : say("loading")}</p>}
        <Tiles batches={[...active, ...waiting]} second={Math.ceil(now / 1000)} size={size} place={place} />
      </section>
      <section class="wall-alerts" aria-labelledby="wall-alerts">
        <h2 id="wall-alerts">{say("alerts")} <span class="count">{known ? alerts.length : UNKNOWN}</span></h2>
        {known && alerts.length === 0 && <NoAlerts />}
        <WallAlerts />
        <SoundAsk />
      </section>
    </main>
  );
}

interface TilesProps {
  readonly batches: readonly Batch[];
  readonly second: number;
  readonly size: Size | undefined;
  readonly place: RefObject<HTMLDivElement | null>;
}

/** The cards: all of them, or one page after the other, until somebody holds one. */
function Tiles({ batches, second, size, place }: TilesProps): JSX.Element {
  const { state, say, words } = useScene();
  const [held, setHeld] = useState<number>();
  const layout = size && fit(batches.length, size.width, size.height);
  const page = layout && pageOf(batches.length, layout.cards, layout.columns, held ?? second);
  const shown = page === undefined ? batches : page.places.flatMap((i) => batches[i] ?? []);
  const style = layout && {
    fontSize: `${layout.letter}px`,
    gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))`,
    gridTemplateRows: `repeat(${layout.rows}, minmax(0, 1fr))`,
  };
  return (
    <>
      <div class="wall-place" ref={place}>
        <ul class={`tiles ${layout?.shape ?? "list"}`} style={style}>
          {shown.map((b) => (
            <Tile key={b.id} batch={b} worst={worstOf(alertsOf(state.kitchen.alerts, b.id).map((a) => a.severity))} second={second} words={words} />
          ))}
        </ul>
      </div>
      {page !== undefined && page.pages > 1 && (
        <div class="wall-pages">
          <p>{say("wallPage", { n: batches.length, page: page.page + 1, pages: page.pages })}</p>
          <button type="button" id="hold" aria-pressed={held !== undefined} onClick={() => setHeld(held === undefined ? second : undefined)}>{say("holdPage")}</button>
        </div>
      )}
    </>
  );
}

function WallAlerts(): JSX.Element {
  const { state, say } = useScene();
  const { alerts } = state.kitchen;
  const [place, size] = useSize();
  const room = (lines: number) => (size === undefined ? MOST_ALERTS : alertsThatFit(alerts.length, size.height / size.letter - lines));
  const most = room(0) >= alerts.length ? alerts.length : room(MORE_LINES);
  const shown = alerts.slice(0, most);
  return (
    <div class="wall-alert-place" ref={place}>
      <ul class="wall-alert-list">
        {shown.map((a) => (
          <li key={a.id} class={`wall-alert severity-${(a.severity ?? "none").toLowerCase()}`}>
            <SeverityWord severity={a.severity} />
            <p class="wall-alert-what">{messageOf(a, state.language)}</p>
            <p class="wall-alert-where">
              {shortNumber(text(a.data, "batchNumber"))} {a.status === "ACKNOWLEDGED" && <span class="seen"><Icon name="link" />{say("acknowledged")}</span>}
            </p>
          </li>
        ))}
      </ul>
      {alerts.length > shown.length && <p class="wall-more">{say("more", { n: alerts.length - shown.length })}</p>}
    </div>
  );
}

/** What the line below the alerts takes that says how many more there are, in letters. */
const MORE_LINES = 2.2;

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
