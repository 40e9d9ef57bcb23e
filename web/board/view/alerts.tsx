/** Alerts with what can be done about them. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Action, SeverityWord } from "./parts.tsx";
import { TextSheet, useAsking } from "./pad.tsx";
import { UNKNOWN } from "../format.ts";
import { acknowledge, resolve, resolveRight } from "../entries.ts";
import { field, text } from "../../client/src/json.ts";
import { messageOf } from "../alarm.ts";
import { NoAlerts } from "./wall.tsx";
import { shortNumber } from "../batch.ts";
import { useScene } from "./use.ts";
import type { Alert } from "../kitchen.ts";

export function Alerts({ alerts }: { readonly alerts: readonly Alert[] }): JSX.Element {
  const { board, state, format, say } = useScene();
  const { ask, sheet, can } = useAsking();
  const [resolving, setResolving] = useState<Alert>();
  const waiting = (a: Alert) => state.queue.unsent.some((e) => e.path.startsWith(`/api/alerts/${encodeURIComponent(a.id)}/`));
  const grave = (a: Alert) => a.severity === "HIGH" || a.severity === "CRITICAL";
  return (
    <>
      {alerts.length === 0 && <NoAlerts />}
      <ul class="alert-list">
        {alerts.map((a) => (
          <li key={a.id} class={`alert severity-${(a.severity ?? "none").toLowerCase()}`}>
            <p class="alert-head">
              <SeverityWord severity={a.severity} />
              {a.status === "ACKNOWLEDGED" && <span class="badge">{say("acknowledged")}</span>}
              {waiting(a) && <span class="badge">{say("pending")}</span>}
            </p>
            <p class="alert-what">{messageOf(a, state.language)}</p>
            <p class="alert-facts">
              {shortNumber(text(a.data, "batchNumber"))} {measured(a, format.amount.bind(format), say)} {say("raised", { time: format.clock(a.raisedAt) })}
            </p>
            <div class="alert-acts">
              {a.status !== "ACKNOWLEDGED" && can(a.code === "COST_OVER" ? "acknowledge-cost" : "acknowledge") && (
                <Action icon="bell" word={say("acknowledge")} onTap={() => {
                  const draft = acknowledge(a);
                  board.silence();
                  ask(draft.right, () => void board.enter(draft));
                }} />
              )}
              {can(resolveRight(a.severity)) && (
                <Action icon="check" word={say("resolve")} onTap={() => ask(resolveRight(a.severity), () => {
                  if (grave(a)) setResolving(a);
                  else void board.enter(resolve(a, ""));
                })} />
              )}
            </div>
          </li>
        ))}
      </ul>
      {sheet}
      {resolving !== undefined && (
        <TextSheet title={`${say("resolve")}: ${messageOf(resolving, state.language)}`} label={say("action")} hint={say("actionHint")} least={5} most={500}
          onClose={() => setResolving(undefined)}
          onSave={(action) => {
            void board.enter(resolve(resolving, action));
            setResolving(undefined);
          }} />
      )}
    </>
  );
}

/** Returns "62,3 °C (batas 75 °C)", or nothing where an alert has no number. */
function measured(a: Alert, amount: (n: number | undefined) => string, say: ReturnType<typeof useScene>["say"]): string {
  const unit = text(a.data, "unit");
  const value = field(a.data, "value");
  const limit = field(a.data, "limit");
  if (unit === undefined || typeof value !== "number") return "";
  const show = (n: unknown) => (typeof n === "number" ? `${amount(n)} ${unit}` : UNKNOWN);
  return say("value", { value: show(value), limit: show(limit) });
}
