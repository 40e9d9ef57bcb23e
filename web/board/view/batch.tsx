/** One batch on the tablet: where it stands, the next step with what is still missing, and everything that can be recorded. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Action, Figure, Icon, Sheet, StatusWord, type IconName } from "./parts.tsx";
import { Alerts } from "./alerts.tsx";
import { Bar } from "./wall.tsx";
import { CheckSheet } from "./check.tsx";
import { NumberPad, TextSheet, useAsking, type PadOptions } from "./pad.tsx";
import { PhotoSheet, Photos } from "./photos.tsx";
import { UNKNOWN, countdown } from "../format.ts";
import { alertsOf, unsentOf } from "../state.ts";
import { batchOf, useScene } from "./use.ts";
import { cancel, dispatch, portions, reading, rework, sample, step, unmetOf, waste, type Draft } from "../entries.ts";
import { CHECKS, isFinal, latestChecks, nextStatus, shortNumber, timeLeft, type Batch, type CheckType, type Status } from "../batch.ts";
import { missing } from "../hints.ts";
import { say as sayIn, sayCode, sayGuard, type Word } from "../words.ts";
import { text } from "../../client/src/json.ts";
import type { Production } from "../kitchen.ts";

type Open = "photo" | "temperature" | "portions" | "waste" | "dispatch" | "rework" | "cancel" | CheckType;

export function BatchView({ id }: { readonly id: string }): JSX.Element {
  const { board, state, say } = useScene();
  const row = state.kitchen.productions.get(id);
  useEffect(() => void board.readRecords(id), [board, id, state.kitchen.ready]);
  return (
    <main id="main" class={`one ${state.fresh.old ? "old" : ""}`} tabIndex={-1}>
      <a class="action plain" href="#tablet"><Icon name="back" />{say("back")}</a>
      {row === undefined ? <p class="none">{sayCode(state.language, "NOT_FOUND")}</p> : <One row={row} />}
    </main>
  );
}

const NEXT_ICONS: Partial<Record<Status, IconName>> = { PREPARING: "knife", COOKING: "flame", QUALITY_CHECK: "clipboard", COMPLETED: "check" };

function One({ row }: { readonly row: Production }): JSX.Element {
  const { board, state, now, words, format, say } = useScene();
  const { ask, sheet, can } = useAsking();
  const [open, setOpen] = useState<Open>();
  const b = batchOf(row);
  const alerts = alertsOf(state.kitchen.alerts, b.id);
  const remaining = timeLeft(b, now);
  const enter = (d: Draft, undo?: boolean) => {
    setOpen(undefined);
    void board.enter(d, undo);
  };
  const unsent = unsentOf(state.queue, b.id);
  const checks = latestChecks(row);
  const over = isFinal(b.status);
  const cooked = b.status === "COOKING" || b.status === "QUALITY_CHECK"; // before, there is nothing to count
  const working = b.status === "PREPARING" || b.status === "COOKING" || b.status === "QUALITY_CHECK";
  return (
    <>
      <header class="one-head">
        <p class="row-head">
          <StatusWord status={b.status} />
          {unsent > 0 && <a class="badge" href="#tablet/unsent"><Icon name="clock" />{say("pending")}: {unsent}</a>}
        </p>
        <h2><b>{shortNumber(b.number) || b.id}</b> {b.menu ?? ""}</h2>
        <p class="one-more">{b.wave !== undefined && say("wave", { n: b.wave })} {b.group ?? ""} {say("plannedFor", { times: format.span(b.plannedStart, b.plannedEnd) })}</p>
        <Bar percent={b.progress} words={words} />
        <dl class="figures figures-many">
          <Figure word="timeLeft" value={remaining === undefined ? UNKNOWN : countdown(remaining)} beside={b.consumeBy === undefined ? "" : `${say("eatBy")} ${format.clock(b.consumeBy)}`} tone={remaining !== undefined && remaining <= 0 ? "tone-bad" : undefined} />
          <Figure word="portions" value={format.amount(b.portions)} beside={`/ ${format.amount(b.plannedPortions)}`} />
          <Figure word="coreTemperature" value={format.degrees(b.celsius)} beside={say("target", { n: format.amount(b.targetCelsius ?? state.setting.limits.coreMinC) })} />
          <Figure word="waste" value={b.wasteKg === undefined ? UNKNOWN : `${format.amount(b.wasteKg)} kg`} />
          <Figure word="sample" value={b.sampleTaken === undefined ? UNKNOWN : format.clock(b.sampleTaken)} />
        </dl>
      </header>

      {!over && <Next row={row} batch={b} onStep={(d, undo) => ask(d.right, () => enter(d, undo))} can={can(b.status === "QUALITY_CHECK" ? "release" : "work")} />}

      <section aria-labelledby="h-record">
        <h3 id="h-record">{say("records")}</h3>
        <div class="acts">
          {!over && b.status !== "PLANNED" && can("measure") && <Action icon="thermometer" word={say("recordTemperature")} detail={format.degrees(b.celsius)} onTap={() => ask("measure", () => setOpen("temperature"))} />}
          {cooked && can("work") && <Action icon="tray" word={say("recordPortions")} detail={format.amount(b.portions)} onTap={() => ask("work", () => setOpen("portions"))} />}
          {working && can("work") && <Action icon="trash" word={say("recordWaste")} detail={b.wasteKg === undefined ? UNKNOWN : `${format.amount(b.wasteKg)} kg`} onTap={() => ask("work", () => setOpen("waste"))} />}
          {cooked && can("check") && (
            <Action icon="jar" word={say("recordSample")} detail={b.sampleTaken === undefined ? UNKNOWN : say("sampleKept", { time: format.clock(b.sampleTaken) })} onTap={() => ask("check", () => enter(sample(b)))} />
          )}
          {b.status === "COMPLETED" && can("dispatch") && <Action icon="truck" word={say("recordDispatch")} detail={b.dispatched === undefined ? UNKNOWN : say("dispatched", { time: format.clock(b.dispatched) })} onTap={() => ask("dispatch", () => setOpen("dispatch"))} />}
        </div>
      </section>

      {b.status !== "PLANNED" && (
        <section aria-labelledby="h-checks">
          <h3 id="h-checks">{say("checks")}</h3>
          <div class="acts">
            {CHECKS.map((type) => {
              const passed = checks.get(type);
              const word = passed === undefined ? (state.complete.has(b.id) ? say("notChecked") : UNKNOWN) : say(passed ? "passed" : "failed");
              return (
                <Action key={type} icon={passed === undefined ? "question" : passed ? "check" : "cross"} word={say(type)} detail={word}
                  disabled={over || !can("check") || !checkable(b, type)} onTap={() => ask("check", () => setOpen(type))} />
              );
            })}
          </div>
        </section>
      )}

      <Photos row={row} onAdd={b.status !== "PLANNED" && can("measure") ? () => ask("measure", () => setOpen("photo")) : undefined} />

      <section aria-labelledby="h-batch-alerts">
        <h3 id="h-batch-alerts">{say("alerts")} <span class="count">{alerts.length}</span></h3>
        <Alerts alerts={alerts} />
      </section>

      {!over && (
        <div class="acts acts-last">
          {b.status === "QUALITY_CHECK" && can("rework") && <Action icon="flame" word={say("rework")} onTap={() => ask("rework", () => setOpen("rework"))} />}
          {can(b.status === "PLANNED" ? "cancel-planned" : "cancel-later") && <Action icon="cross" word={say("cancelBatch")} kind="danger" onTap={() => ask(b.status === "PLANNED" ? "cancel-planned" : "cancel-later", () => setOpen("cancel"))} />}
        </div>
      )}
      {sheet}
      {open !== undefined && <OpenSheet open={open} batch={b} onClose={() => setOpen(undefined)} onEnter={enter} />}
    </>
  );
}

/** Taste is not checked of food that is not there yet. */
function checkable(b: Batch, type: CheckType): boolean {
  const early = type === "HYGIENE" || type === "SAFETY";
  return b.status === "COOKING" || b.status === "QUALITY_CHECK" || (early && b.status === "PREPARING");
}

/** The next step: one tap, and below it what is known to be missing, or what the server has answered. */
function Next(props: { readonly row: Production; readonly batch: Batch; readonly can: boolean; readonly onStep: (d: Draft, undo: boolean) => void }): JSX.Element | null {
  const { board, state, now, say } = useScene();
  const { batch: b } = props;
  const to = nextStatus(b.status);
  if (to === undefined) return null;
  const { limits } = state.setting;
  const unmet = missing({ batch: b, row: props.row, alerts: alertsOf(state.kitchen.alerts, b.id), complete: state.complete.has(b.id), limits, now });
  const refused = state.refused?.batchId === b.id ? state.refused : undefined;
  const told = refused === undefined ? [] : unmetOf(refused.answer);
  const list = refused === undefined ? unmet : told;
  return (
    <section class="next" aria-labelledby="h-next">
      <h3 id="h-next">{say("nextStep")}</h3>
      <button type="button" id="next" class={`action primary next-button ${unmet.length > 0 ? "not-yet" : ""}`} disabled={!props.can} aria-describedby="unmet"
        onClick={() => props.onStep(step(b, to), unmet.length === 0)}>
        <Icon name={NEXT_ICONS[to] ?? "check"} />
        <span>{say(`to_${to}` as Word)}</span>
      </button>
      <div id="unmet" class="unmet-box" role="status">
        {list.length > 0 && (
          <>
            <p>{say("unmet")}</p>
            <ul class="unmet">{list.map((g) => <li key={g}><Icon name="cross" />{sayGuard(state.language, g)}</li>)}</ul>
          </>
        )}
        {refused !== undefined && told.length === 0 && <p>{say("unmetNone", { message: sayCode(state.language, text(refused.answer, "code") ?? "") })}</p>}
        {refused !== undefined && <button type="button" class="action plain" onClick={board.dismiss}>{say("close")}</button>}
      </div>
    </section>
  );
}

function OpenSheet(props: { readonly open: Open; readonly batch: Batch; readonly onClose: () => void; readonly onEnter: (d: Draft) => void }): JSX.Element {
  const { state, say } = useScene();
  const { batch: b, onClose, onEnter } = props;
  const { limits } = state.setting;
  const pad = (options: PadOptions, make: (n: number) => Draft) => <NumberPad options={options} onClose={onClose} onSave={(n) => onEnter(make(n))} />;
  switch (props.open) {
    case "photo":
      return <PhotoSheet batch={b} onClose={onClose} onEnter={onEnter} />;
    case "temperature":
      return <Temperature batch={b} onClose={onClose} onEnter={onEnter} />;
    case "portions":
      return pad({ title: say("recordPortions"), unit: "", least: 0, most: 10_000, decimals: 0, start: b.portions, steps: [10, 50, 100] }, (n) => portions(b, n));
    case "waste":
      return pad({ title: say("recordWaste"), unit: "kg", least: 0, most: 5_000, decimals: 1, start: b.wasteKg }, (n) => waste(b, n));
    case "dispatch":
      return pad({ title: say("recordDispatch"), unit: "", least: 1, most: 10_000, decimals: 0, start: b.portions }, (n) => dispatch(b, n));
    case "rework":
      return <TextSheet title={say("rework")} label={say("reason")} hint={say("reasonHint")} least={10} most={500} onClose={onClose} onSave={(reason) => onEnter(rework(b, reason))} />;
    case "cancel":
      return <TextSheet title={`${say("cancelBatch")} – ${say("confirmCancel")}`} label={say("reason")} hint={say("reasonHint")} least={10} most={500} danger onClose={onClose} onSave={(reason) => onEnter(cancel(b, reason))} />;
    default:
      return <CheckSheet batch={b} type={props.open} limits={limits} onClose={onClose} onEnter={onEnter} />;
  }
}

/** First what is measured, if there is a choice, then how warm it is. */
function Temperature({ batch: b, onClose, onEnter }: { readonly batch: Batch; readonly onClose: () => void; readonly onEnter: (d: Draft) => void }): JSX.Element {
  const { state, format, say } = useScene();
  const cold = b.mode === "COLD";
  const [dish, setDish] = useState<string | undefined>(b.dishes.length === 0 ? "" : undefined);
  if (dish === undefined) {
    return <SheetOfDishes batch={b} onClose={onClose} onPick={setDish} />;
  }
  const isCold = cold || b.dishes.find((d) => d.name === dish)?.cold === true;
  const { coreMinC, coldHoldMaxC } = state.setting.limits;
  const warn = (n: number) => {
    if (isCold) return n >= coldHoldMaxC ? sayIn(state.language, "aboveLimit", { n: format.amount(coldHoldMaxC) }) : undefined;
    return n < coreMinC ? sayIn(state.language, "belowLimit", { n: format.amount(coreMinC) }) : undefined;
  };
  const options: PadOptions = {
    title: `${say(isCold ? "reading_COLD_HOLD" : "reading_CORE")}${dish === "" ? "" : ` – ${dish}`}`, unit: "°C", least: -30, most: 130, decimals: 1, warn,
  };
  return <NumberPad options={options} onClose={onClose} onSave={(n) => onEnter(reading(b, isCold ? "COLD_HOLD" : "CORE", n, dish === "" ? undefined : dish))} />;
}

function SheetOfDishes({ batch: b, onClose, onPick }: { readonly batch: Batch; readonly onClose: () => void; readonly onPick: (dish: string) => void }): JSX.Element {
  const { format, say } = useScene();
  return (
    <Sheet title={say("dish")} onClose={onClose}>
      <div class="acts">
        {b.dishes.map((d) => <Action key={d.name} icon="thermometer" word={d.name} detail={format.degrees(d.celsius)} onTap={() => onPick(d.name)} />)}
      </div>
    </Sheet>
  );
}
