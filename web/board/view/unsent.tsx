/** What is not on the server yet, in the order of entry, and what the server has refused, with both values where two people wrote. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Action, Icon } from "./parts.tsx";
import { PinSheet } from "./pad.tsx";
import { UNKNOWN } from "../format.ts";
import { batchOf, useScene } from "./use.ts";
import { labelText, readKept, unmetOf, type Kept } from "../entries.ts";
import { sayCode, sayGuard, type Word } from "../words.ts";
import { shortNumber } from "../batch.ts";
import type { Entry } from "../../client/src/outbox.ts";
import type { Production } from "../kitchen.ts";

export function Unsent(): JSX.Element {
  const { state, say } = useScene();
  const { unsent } = state.queue;
  const stopped = new Set<string>();
  return (
    <main id="main" class="unsent" tabIndex={-1}>
      <a class="action plain" href="#tablet"><Icon name="back" />{say("back")}</a>
      <h2>{say("unsent")} <span class="count">{unsent.length}</span></h2>
      {unsent.length === 0 && <p class="none">{say("unsentNone")}</p>}
      <ol class="unsent-list">
        {unsent.map((e) => {
          const behind = stopped.has(e.group);
          if (e.refusal !== undefined) stopped.add(e.group);
          return <Line key={e.seq} entry={e} behind={behind} />;
        })}
      </ol>
    </main>
  );
}

function Line({ entry: e, behind }: { readonly entry: Entry; readonly behind: boolean }): JSX.Element {
  const { board, state, format, say } = useScene();
  const kept = readKept(e.body);
  const row = kept?.note.batchId === undefined ? undefined : state.kitchen.productions.get(kept.note.batchId);
  return (
    <li class={`unsent-line ${e.refusal === undefined ? "" : "refused"}`}>
      <p class="unsent-what">
        <b>{kept === undefined ? e.path : labelText(state.language, kept.note.label)}</b>
        {row !== undefined && <span> {shortNumber(batchOf(row).number)} {batchOf(row).menu ?? ""}</span>}
      </p>
      <p class="unsent-when">
        {say("enteredAt", { time: format.clock(board.told(e.enteredAt)) })}{e.refusal === undefined && ` – ${say(behind ? "behind" : e.bulky === true ? "beside" : state.queue.sending === "sending" ? "sending" : "waiting")}`}
      </p>
      {e.refusal !== undefined && <Decision entry={e} kept={kept} row={row} />}
    </li>
  );
}

/** What a person decides about an entry that the server has refused. */
function Decision({ entry: e, kept, row }: { readonly entry: Entry; readonly kept: Kept | undefined; readonly row: Production | undefined }): JSX.Element {
  const { board, state, format, say } = useScene();
  const [asking, setAsking] = useState(false);
  const { queue } = board;
  const code = e.refusal?.code ?? "";
  const remove = () => void queue?.remove(e);
  if (code === "VERSION_CONFLICT") {
    const values = both(kept, row, (n) => format.amount(n));
    const show = (v: string) => (v.startsWith("@") ? say(v.slice(1) as Word) : v);
    return (
      <div role="alert" class="decision">
        <p><Icon name="triangle" />{say("conflict")}. {values !== undefined && say("conflictValues", { theirs: show(values.theirs), ours: show(values.ours) })}</p>
        <div class="decision-acts">
          <Action icon="check" word={say("keepTheirs")} onTap={remove} />
          <Action icon="turn" word={say("sendMine")} onTap={() => void queue?.again(e)} />
        </div>
      </div>
    );
  }
  const needsPerson = e.refusal?.status === 403 && kept !== undefined;
  const unmet = unmetOf(e.refusal?.answer);
  return (
    <div role="alert" class="decision">
      <p><Icon name="triangle" />{say("refusedEntry", { message: sayCode(state.language, code) })}</p>
      {unmet.length > 0 && <ul class="unmet">{unmet.map((g) => <li key={g}>{sayGuard(state.language, g)}</li>)}</ul>}
      <div class="decision-acts">
        <Action icon="turn" word={say("retry")} onTap={() => (needsPerson ? setAsking(true) : void queue?.again(e))} />
        <Action icon="trash" word={say("discard")} kind="danger" onTap={remove} />
      </div>
      {asking && kept !== undefined && (
        <PinSheet right={kept.note.right} onClose={() => setAsking(false)} onDone={(id, pin) => {
          setAsking(false);
          void queue?.again(e, { id, pin });
        }} />
      )}
    </div>
  );
}

/** Returns what is on the server and what was entered, of the field that both have written; words begin with "@", numbers are as amount writes them. */
export function both(kept: Kept | undefined, row: Production | undefined, amount: (n: number) => string): { readonly theirs: string; readonly ours: string } | undefined {
  const name = Object.keys(kept?.note.basis ?? {})[0];
  if (kept === undefined || row === undefined || name === undefined) return undefined;
  const text = (v: unknown) => (v === undefined || v === null ? UNKNOWN : name === "status" ? `@${String(v)}` : typeof v === "number" ? amount(v) : String(v));
  const ours = name === "status" ? (kept.send["to"] ?? "CANCELLED") : kept.send[name];
  return { theirs: text(row[name]), ours: text(ours) };
}
