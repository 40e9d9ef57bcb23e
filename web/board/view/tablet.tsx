/** The tablet: the day's batches, what is wrong, and what is not sent. A tap on a batch opens it. */

import { createRef, type JSX } from "preact";

import { Alerts } from "./alerts.tsx";
import { BatchView } from "./batch.tsx";
import { Icon, SeverityWord, StatusWord, Still } from "./parts.tsx";
import { Unsent } from "./unsent.tsx";
import { alertsOf, unsentOf } from "../state.ts";
import { batchOf, useScene, type Words } from "./use.ts";
import { Bar, worstOf } from "./wall.tsx";
import { byUrgency, isFinal, shortNumber, timeLeft, toneOf, type Batch, type Severity } from "../batch.ts";
import { countdown, UNKNOWN } from "../format.ts";

export function Tablet(): JSX.Element {
  const { state } = useScene();
  if (state.place === "unsent") return <Unsent />;
  const id = idOf(state.place);
  return id === "" ? <List /> : <BatchView key={id} id={id} />;
}

/** Returns the id in "b/p1", or "" if there is none. An address may have been pasted, cut short or mistyped. */
export function idOf(place: string): string {
  const id = place.startsWith("b/") ? place.slice(2) : "";
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // of no batch, which is said
  }
}

function List(): JSX.Element {
  const { state, now, say, words } = useScene();
  const { productions, alerts } = state.kitchen;
  const all = [...productions.values()].map(batchOf).sort(byUrgency);
  const open = all.filter((b) => !isFinal(b.status));
  const over = all.filter((b) => isFinal(b.status));
  const known = state.fresh.since !== undefined; // before, nothing is claimed
  const second = Math.ceil(now / 1000);
  const rows = (batches: readonly Batch[]) => (
    <ul class="rows">
      {batches.map((b) => (
        <Row key={b.id} batch={b} worst={worstOf(alertsOf(alerts, b.id).map((a) => a.severity))} second={second} words={words} unsent={unsentOf(state.queue, b.id)} />
      ))}
    </ul>
  );
  return (
    <main id="main" class={`tablet ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <section aria-labelledby="h-batches">
        <h2 id="h-batches">{say("activeBatches")} <span class="count">{known ? open.length : UNKNOWN}</span></h2>
        {open.length === 0 && <p class="none">{known ? say("noBatches") : say("loading")}</p>}
        {rows(open)}
        {over.length > 0 && <h2>{say("done")} <span class="count">{over.length}</span></h2>}
        {rows(over)}
      </section>
      <section aria-labelledby="h-alerts">
        <h2 id="h-alerts">{say("alerts")} <span class="count">{known ? alerts.length : UNKNOWN}</span></h2>
        {known && <Alerts alerts={alerts} />}
      </section>
    </main>
  );
}

interface RowProps {
  readonly batch: Batch;
  readonly worst: Severity | undefined | "none";
  readonly second: number;
  readonly words: Words;
  readonly unsent: number;
}

/** Rows that somebody may see, or will when they scroll a little: only these count the seconds. */
const inSight = new WeakMap<Element, (seen: boolean) => void>();
const watcher = typeof IntersectionObserver === "undefined" ? undefined : new IntersectionObserver(
  (changes) => changes.forEach((c) => inSight.get(c.target)?.(c.isIntersecting)),
  { rootMargin: "300px" },
);

class Row extends Still<RowProps> {
  #seen = watcher === undefined;
  readonly #ref = createRef<HTMLLIElement>();

  override shouldComponentUpdate(next: Readonly<RowProps>): boolean {
    const before = this.props as Readonly<RowProps>;
    return super.shouldComponentUpdate(this.#seen ? next : { ...next, second: before.second });
  }

  override componentDidMount(): void {
    const row = this.#ref.current;
    if (row === null) return;
    inSight.set(row, (seen) => {
      this.#seen = seen;
      if (seen) this.forceUpdate(); // with the second of now
    });
    watcher?.observe(row);
  }

  override componentWillUnmount(): void {
    if (this.#ref.current !== null) watcher?.unobserve(this.#ref.current);
  }

  override render({ batch: b, worst, second, words, unsent }: RowProps): JSX.Element {
    const { format, say } = words;
    const now = second * 1000;
    const remaining = timeLeft(b, now);
    return (
      <li ref={this.#ref} class={`row tone-${toneOf(b, worst === "none" ? [] : [worst], now)}`}>
        <a href={`#tablet/b/${encodeURIComponent(b.id)}`} class="row-link">
          <span class="row-head">
            <StatusWord status={b.status} />
            {worst !== "none" && <SeverityWord severity={worst} />}
            {unsent > 0 && <span class="badge"><Icon name="clock" />{say("pending")}: {unsent}</span>}
          </span>
          <span class="row-name"><b>{shortNumber(b.number) || b.id}</b> {b.menu ?? ""}</span>
          <span class="row-facts">
            <span><Icon name="tray" />{format.amount(b.portions)} / {format.amount(b.plannedPortions)}</span>
            <span><Icon name="thermometer" />{format.degrees(b.celsius)}</span>
            <span><Icon name="clock" />{remaining === undefined ? say("plannedFor", { times: format.span(b.plannedStart, b.plannedEnd) }) : `${say(remaining <= 0 ? "overdue" : "timeLeft")} ${countdown(remaining)}`}</span>
          </span>
        </a>
        <Bar percent={b.progress} words={words} />
      </li>
    );
  }
}
