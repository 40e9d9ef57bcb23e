/** One quality check: a number or a verdict, and what was done about it if it failed. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Action, Sheet } from "./parts.tsx";
import { check, type Draft } from "../entries.ts";
import { useScene } from "./use.ts";
import type { Batch, CheckType } from "../batch.ts";
import type { Limits } from "../api.ts";
import type { Word } from "../words.ts";

const PARAMETERS: Readonly<Record<CheckType, Word>> = {
  HYGIENE: "cleanliness", TEMPERATURE: "coreTemperature", TASTE: "organoleptic", APPEARANCE: "organoleptic", SAFETY: "safetyTests",
};

/** Scores of hygiene that have a button; they lie around the limit of 80. */
const SCORES = [60, 70, 80, 85, 90, 95, 100];

interface Props {
  readonly batch: Batch;
  readonly type: CheckType;
  readonly limits: Limits;
  readonly onClose: () => void;
  readonly onEnter: (d: Draft) => void;
}

export function CheckSheet({ batch: b, type, limits, onClose, onEnter }: Props): JSX.Element {
  const { format, say } = useScene();
  const [number, setNumber] = useState<number>();
  const [passed, setPassed] = useState<boolean>();
  const [action, setAction] = useState("");
  const [problem, setProblem] = useState("");
  const rated = type === "TASTE" || type === "APPEARANCE";
  const scored = type === "HYGIENE";
  // A number decides by itself; without one a person does.
  const verdict = number === undefined ? passed : scored ? number >= limits.hygieneMinScore : number >= limits.sensoryMinRating;
  const save = () => {
    if (verdict === undefined) return;
    const actionTaken = action.trim();
    if (!verdict && actionTaken.length < 5) {
      setProblem(say("tooShort", { n: 5 }));
      return;
    }
    const celsius = type === "TEMPERATURE" && b.celsius !== undefined && verdict === holds(b, limits) ? b.celsius : undefined;
    const actualValue = number !== undefined ? String(number) : celsius !== undefined ? `${celsius} °C` : say(verdict ? "passed" : "failed");
    onEnter(check(b, {
      type, parameter: say(PARAMETERS[type]).slice(0, 100), passed: verdict, actualValue,
      score: scored ? number : undefined, rating: rated ? number : undefined, celsius, actionTaken: actionTaken === "" ? undefined : actionTaken,
    }));
  };
  return (
    <Sheet title={say("check", { type: say(type) })} onClose={onClose}>
      <p>{say(PARAMETERS[type])}{type === "TEMPERATURE" && `: ${format.degrees(b.celsius)} (${say("target", { n: format.amount(limits.coreMinC) })})`}</p>
      {(rated || scored) ? (
        <div class="choices" role="group" aria-label={say(rated ? "rating" : "score")}>
          <p class="choices-name">{say(rated ? "rating" : "score")}</p>
          {(rated ? [1, 2, 3, 4, 5] : SCORES).map((n) => (
            <button key={n} type="button" class="key" aria-pressed={number === n} onClick={() => setNumber(n)}>{n}</button>
          ))}
        </div>
      ) : (
        <div class="choices two" role="group" aria-label={say("result")}>
          <Action icon="check" word={say("passed")} pressed={passed === true} onTap={() => setPassed(true)} />
          <Action icon="cross" word={say("failed")} pressed={passed === false} onTap={() => setPassed(false)} />
        </div>
      )}
      {verdict !== undefined && <p class={`verdict verdict-${verdict ? "passed" : "failed"}`} role="status">{say("result")}: {say(verdict ? "passed" : "failed")}</p>}
      {verdict === false && (
        <>
          <label class="field">
            <span>{say("action")}</span>
            <textarea id="action" rows={3} maxLength={1000} value={action} aria-describedby="action-hint" onInput={(e) => setAction(e.currentTarget.value)} />
          </label>
          <p id="action-hint" class="hint">{say("actionHint")}</p>
        </>
      )}
      <p class="pad-note" role="alert">{problem}</p>
      <button type="button" id="save" class="action primary" disabled={verdict === undefined} onClick={save}>{say("save")}</button>
    </Sheet>
  );
}

/** Reports whether the last core temperature alone would pass. */
function holds(b: Batch, limits: Limits): boolean {
  return b.celsius !== undefined && (b.mode === "COLD" ? b.celsius < limits.coldHoldMaxC : b.celsius >= limits.coreMinC);
}
