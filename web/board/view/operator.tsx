/** All kitchens, for somebody of the platform: what alarms, what is behind, who is connected. A tap opens the kitchen itself. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Icon, SEVERITY_ICONS, Still, type IconName } from "./parts.tsx";
import { Format, UNKNOWN } from "../format.ts";
import { MOST_TROUBLED, SHOWS, toneOfStanding, unseen, type Standing } from "../operator.ts";
import { useFocus, useScene, type Words } from "./use.ts";
import type { Severity } from "../batch.ts";

export function OperatorView(): JSX.Element {
  const { board, state, now, say, format, words } = useScene();
  const title = useFocus<HTMLHeadingElement>();
  const { overview, show } = state.all;
  const [most, setMost] = useState(false);
  useEffect(() => setMost(false), [show]);
  const shown = overview?.kitchens ?? [];
  const count = (n: number | undefined) => format.amount(n);
  return (
    <main id="main" class={`operator ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <div class="operator-head">
        <h2 ref={title} tabIndex={-1}>{say("allKitchens")} <span class="count">{count(overview?.counts.all)}</span></h2>
        <p class="hint">{say("chooseText")}</p>
      </div>
      <label class="field operator-search">
        <span>{say("searchKitchens")}</span>
        <input id="search" type="search" value={state.all.text} maxLength={100} autocomplete="off" onInput={(e) => board.operator?.search(e.currentTarget.value.trim())} />
      </label>
      <div class="shows" role="group" aria-label={say("showOnly")}>
        {SHOWS.map((s) => (
          <button key={s} type="button" class="action plain" aria-pressed={s === show} onClick={() => board.operator?.show(s)}>
            {say(`show_${s}`)}
            {s !== "unwatched" && <span class="count">{count(overview?.counts[s])}</span>}
          </button>
        ))}
      </div>
      {overview === undefined && <p class="none">{say("loading")}</p>}
      {overview !== undefined && shown.length === 0 && <p class="none">{say(show === "all" && state.all.text === "" ? "chooseNone" : "noneLike")}</p>}
      {overview?.capped === true && <p class="note">{say("notSorted", { n: count(MOST_TROUBLED) })}</p>}
      <ul class="standings" id="standings">
        {shown.map((k) => <Row key={k.id} standing={k} minute={Math.floor(now / 60_000)} words={words} />)}
      </ul>
      {overview?.more === true && (
        <p class="operator-more">
          <span>{say("notAll", { n: count(shown.length) })}</span>
          {most ? <span>{say("mostShown")}</span> : (
            <button type="button" class="action plain" onClick={() => setMost(board.operator?.more() !== true)}>{say("showMore")}</button>
          )}
        </p>
      )}
      <Open />
    </main>
  );
}

/** Opens a kitchen by its id: there may be more of them than any list shows. */
function Open(): JSX.Element {
  const { say } = useScene();
  const [id, setId] = useState("");
  const [problem, setProblem] = useState("");
  const open = (e: Event) => {
    e.preventDefault();
    if (/^[A-Za-z0-9_-]{1,64}$/.test(id)) window.location.assign(addressOf(id));
    else setProblem(say("noSuchCode"));
  };
  return (
    <form class="operator-open" onSubmit={open} noValidate>
      <label class="field"><span>{say("kitchenCode")}</span>
        <input id="code" value={id} maxLength={64} autocomplete="off" aria-describedby="code-problem" onInput={(e) => setId(e.currentTarget.value.trim())} />
      </label>
      <button type="submit" class="action primary">{say("openKitchen")}</button>
      <p id="code-problem" class="pad-note" role="alert">{problem}</p>
    </form>
  );
}

function addressOf(id: string): string {
  return `/?tenant=${encodeURIComponent(id)}#wall`;
}

interface RowProps {
  readonly standing: Standing;
  /** Ages are told in minutes, so a row is painted anew once a minute, or when it changes. */
  readonly minute: number;
  readonly words: Words;
}

const SEVERITIES: readonly (readonly [keyof Standing, Severity])[] = [["critical", "CRITICAL"], ["high", "HIGH"], ["medium", "MEDIUM"], ["low", "LOW"]];

class Row extends Still<RowProps> {
  override render({ standing: k, minute, words: { format, say } }: RowProps): JSX.Element {
    const local = new Format(format.language, k.zone);
    const fact = (icon: IconName, text: string, tone = "") => <span class={`fact ${tone}`}><Icon name={icon} />{text}</span>;
    const alerts = SEVERITIES.flatMap(([name, severity]) => {
      const n = k[name];
      return n === undefined || n === 0 ? [] : [
        <span key={severity} class={`fact severity severity-${severity.toLowerCase()}`}><Icon name={SEVERITY_ICONS[severity]} />{`${format.amount(Number(n))} ${say(severity)}`}</span>,
      ];
    });
    const clear = k.critical === undefined ? UNKNOWN : say("noAlerts");
    return (
      <li class={`standing tone-${toneOfStanding(k)}`}>
        <a class="standing-link" href={addressOf(k.id)}>
          <span class="standing-name"><b>{k.name}</b> <small>{k.name === k.id ? "" : k.id} {local.zoneName}</small></span>
          <span class="standing-facts">
            {alerts.length > 0 ? alerts : fact("check", clear)}
            {(k.unanswered ?? 0) > 0 && fact("bell", say("unansweredSince", { n: format.amount(k.unanswered), time: `${local.clock(k.unansweredSince)} ${local.zoneName}` }), "strong")}
          </span>
          <span class="standing-facts">
            {fact("flame", say("openBatches", { n: format.amount(k.open) }))}
            {k.behind !== undefined && k.behind > 0 && fact("clock", say("lateBatches", { n: format.amount(k.behind) }), "strong")}
            {fact(k.sessions === 0 ? "broken" : "wall", screens(k, say, format), unseen(k) ? "strong" : "")}
            {fact("paper", k.lastChange === undefined ? say("neverChanged") : say("changed", { age: age(format, k.lastChange, minute) }))}
          </span>
        </a>
      </li>
    );
  }
}

function screens(k: Standing, say: Words["say"], format: Format): string {
  if (k.sessions === 0) return say("noScreens");
  return say("screensOf", { n: format.amount(k.sessions), people: format.amount(k.people) });
}

/** Returns how long ago t was, in whole minutes: seconds would be a lie by the next painting. */
function age(format: Format, t: number, minute: number): string {
  return format.age(Math.max(0, minute - Math.floor(t / 60_000)) * 60_000);
}
