/** The day: what was done, what came of it, and the way to paper. */

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Icon } from "./parts.tsx";
import { shortNumber } from "../batch.ts";
import { batchOf, useScene } from "./use.ts";
import { dayBeside, figuresOf, linesOf } from "../day.ts";
import { may } from "../rights.ts";
import { read } from "../api.ts";
import { sayCode } from "../words.ts";
import { KentonganError } from "../../client/src/http.ts";
import type { Batch } from "../batch.ts";

/** The log is read again so often while it is looked at. */
const READ_EVERY_MS = 30_000;

interface Loaded {
  readonly log: unknown;
  readonly kpis: unknown;
  readonly problem: string | undefined; // a code
}

export function Day(): JSX.Element {
  const { board, state, now, words, format, say } = useScene();
  const today = format.day(now);
  const [picked, setPicked] = useState<string>(); // undefined: today, also when it becomes another, or the kitchen's zone is told
  const day = picked ?? today;
  const [loaded, setLoaded] = useState<Loaded>();
  const exports = may(state.session?.role, "export");
  useEffect(() => {
    let gone = false;
    const load = async () => {
      try {
        const [log, kpis] = await Promise.all([
          exports ? read(board.path(`/api/daylog?date=${day}`)) : undefined,
          read(board.path(`/api/kpis?from=${day}&to=${day}`)),
        ]);
        if (!gone) setLoaded({ log, kpis, problem: undefined });
      } catch (e) {
        if (!gone) setLoaded((l) => ({ log: l?.log, kpis: l?.kpis, problem: e instanceof KentonganError ? e.code : "UNREACHABLE" }));
      }
    };
    void load();
    const timer = setInterval(() => void load(), READ_EVERY_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [board, day, exports, state.fresh.old]);
  const lines = useMemo(() => linesOf(loaded?.log, words.format, words.say), [loaded?.log, words]);
  const figures = useMemo(() => figuresOf(loaded?.kpis, words.format, words.say), [loaded?.kpis, words]);
  const names = useMemo(() => new Map(state.setting.staff.map((m) => [m.id, m.name])), [state.setting.staff]);
  const batches = [...state.kitchen.productions.values()].map(batchOf).filter((b) => b.day === day);
  return (
    <main id="main" class={`day ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <div class="day-head">
        <h2>{say("log")}</h2>
        <DayPicker day={day} today={today} onPick={(d) => setPicked(d === today ? undefined : d)} />
        {exports && (
          <>
            <a class="action primary" href={board.path(`/api/daylog?date=${day}&format=html`)} target="_blank" rel="noopener"><Icon name="paper" />{say("print")}</a>
            <a class="action plain" href={board.path(`/api/daylog?date=${day}&format=csv`)} download><Icon name="paper" />{say("csv")}</a>
            <a class="action plain" href={board.path(`/api/kpis?from=${day}&to=${day}&format=csv`)} download><Icon name="paper" />{say("kpiCsv")}</a>
          </>
        )}
      </div>
      {loaded?.problem !== undefined && <p class="note" role="alert">{say("loadFailed", { message: sayCode(state.language, loaded.problem) })} {say("needsLine")}</p>}
      <section aria-labelledby="h-figures">
        <h3 id="h-figures">{say("figures")}</h3>
        <dl class="day-figures">
          {figures.map((f) => (
            <div key={f.word} class="figure">
              <dt>{say(f.word)}</dt>
              <dd><span class="value">{f.value}</span><span class="beside">{f.count}</span></dd>
            </div>
          ))}
        </dl>
      </section>
      {batches.length > 0 && <PortionsChart batches={batches} />}
      <section aria-labelledby="h-log">
        <h3 id="h-log">{say("log")}</h3>
        {!exports && <p class="none">{say("noRight")}</p>}
        {exports && loaded?.log !== undefined && lines.length === 0 && <p class="none">{say("noEntries")}</p>}
        {loaded === undefined && <p class="none">{say("loading")}</p>}
        {lines.length > 0 && (
          <div class="table-box" tabIndex={0} role="group" aria-label={say("log")}>
            <table class="log">
              <thead><tr><th>{say("time")}</th><th>{say("batches")}</th><th>{say("what")}</th><th>{say("result")}</th><th>{say("who")}</th></tr></thead>
              <tbody>
                {lines.map((l) => (
                  <tr key={l.key} class={l.bad ? "bad" : ""}>
                    <td>{format.clock(l.at)}</td>
                    <td>{shortNumber(l.batch)}</td>
                    <td>{l.what}</td>
                    <td>
                      {l.bad && <Icon name="triangle" />}{l.value}
                      {l.photo?.path !== undefined && (
                        <a class="photo" href={board.path(l.photo.path)} target="_blank" rel="noopener">
                          <img src={board.path(l.photo.path)} width={l.photo.width} height={l.photo.height} loading="lazy" alt={`${say("photo")} ${l.value}`} />
                        </a>
                      )}
                    </td>
                    <td>{l.who === undefined ? "–" : (names.get(l.who) ?? l.who)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </main>
  );
}

/**
 * The day that is looked at, in the words of the board: a date field of the browser speaks the browser's language. Its calendar is
 * opened from here, and where it cannot be the field itself stands there.
 */
function DayPicker({ day, today, onPick }: { readonly day: string; readonly today: string; readonly onPick: (day: string) => void }): JSX.Element {
  const { format, say } = useScene();
  const field = useRef<HTMLInputElement>(null);
  const [plain, setPlain] = useState(false);
  const pick = (to: string) => to !== "" && to <= today && onPick(to);
  const open = () => {
    try {
      field.current?.showPicker(); // of 2022; what is older throws
    } catch {
      setPlain(true);
    }
  };
  return (
    <div class="day-pick" role="group" aria-label={say("date")}>
      <button type="button" id="day-before" aria-label={say("dayBefore")} onClick={() => pick(dayBeside(day, -1))}><Icon name="back" /></button>
      <div class="day-field">
        <button type="button" id="day" class="action plain" hidden={plain} onClick={open}><Icon name="calendar" /><span class="unseen">{say("pickDay")}</span>{format.longDay(Date.parse(`${day}T12:00:00+08:00`))}</button>
        <input ref={field} type="date" value={day} max={today} onInput={(e) => pick(e.currentTarget.value)} {...(plain ? { "aria-label": say("date") } : { tabIndex: -1, "aria-hidden": "true", class: "day-native" })} />
      </div>
      <button type="button" id="day-after" aria-label={say("dayAfter")} disabled={day >= today} onClick={() => pick(dayBeside(day, 1))}><Icon name="forward" /></button>
    </div>
  );
}

/** Portions done of those planned, a bar a batch. The numbers stand beside it, so that the picture is a help and no riddle. */
function PortionsChart({ batches }: { readonly batches: readonly Batch[] }): JSX.Element {
  const { format, say } = useScene();
  const most = Math.max(1, ...batches.map((b) => Math.max(b.plannedPortions ?? 0, b.portions ?? 0)));
  return (
    <section aria-labelledby="h-chart">
      <h3 id="h-chart">{say("portionsChart")}</h3>
      <ul class="chart">
        {batches.map((b) => (
          <li key={b.id}>
            <span class="chart-name">{shortNumber(b.number) || b.id} {b.menu ?? ""}</span>
            <svg class="chart-bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="planned" x="0" y="0" height="10" width={(100 * (b.plannedPortions ?? 0)) / most} />
              <rect class="done" x="0" y="2" height="6" width={(100 * (b.portions ?? 0)) / most} />
            </svg>
            <span class="chart-value">{format.amount(b.portions)} / {format.amount(b.plannedPortions)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
