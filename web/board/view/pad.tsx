/** Entering numbers, words and who one is, with a thumb: large keys, no keyboard of the system. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Action, Icon, Sheet } from "./parts.tsx";
import { isShared, may, type Right } from "../rights.ts";
import { useScene } from "./use.ts";

export interface PadOptions {
  readonly title: string;
  readonly unit: string;
  readonly least: number;
  readonly most: number;
  /** Digits behind the point: 0 or 1. */
  readonly decimals: 0 | 1;
  readonly start?: number | undefined;
  /** Buttons that add to what is entered. */
  readonly steps?: readonly number[];
  /** Says that a value will be a matter of concern. */
  readonly warn?: (n: number) => string | undefined;
}

/** Reads what was typed: "76,5" is 76.5; undefined: it is no number within the bounds. */
export function readTyped(typed: string, o: Pick<PadOptions, "least" | "most" | "decimals">): number | undefined {
  if (!/^-?\d{1,5}(,\d?)?$/.test(typed) || (o.decimals === 0 && typed.includes(","))) return undefined;
  const n = Number(typed.replace(",", "."));
  return n >= o.least && n <= o.most ? n : undefined;
}

/** Returns what stands on the pad after a key. */
export function press(typed: string, key: string, decimals: 0 | 1): string {
  if (key === "⌫") return typed.slice(0, -1);
  if (key === "−") return typed.startsWith("-") ? typed.slice(1) : `-${typed}`;
  if (key === ",") return decimals === 0 || typed.includes(",") ? typed : `${typed === "" || typed === "-" ? `${typed}0` : typed},`;
  if (/,\d$/.test(typed) || typed.replace(/\D/g, "").length >= 5) return typed; // one digit behind the point; five in all
  return typed === "0" ? key : typed + key;
}

export function NumberPad(props: { readonly options: PadOptions; readonly onSave: (n: number) => void; readonly onClose: () => void }): JSX.Element {
  const { format, say } = useScene();
  const o = props.options;
  const [typed, setTyped] = useState(o.start === undefined ? "" : String(o.start).replace(".", ","));
  const [problem, setProblem] = useState("");
  const n = readTyped(typed, o);
  const warning = n === undefined ? undefined : o.warn?.(n);
  const tap = (key: string) => {
    setProblem("");
    setTyped((t) => press(t, key, o.decimals));
  };
  const save = () => {
    if (n === undefined) setProblem(say("outOfRange", { least: format.amount(o.least), most: format.amount(o.most) }));
    else props.onSave(n);
  };
  const keys = (e: KeyboardEvent) => {
    if (/^\d$/.test(e.key)) tap(e.key);
    else if (e.key === "," || e.key === ".") tap(",");
    else if (e.key === "-" && o.least < 0) tap("−");
    else if (e.key === "Backspace") tap("⌫");
    else if (e.key === "Enter" && !(e.target instanceof HTMLButtonElement)) save();
  };
  return (
    <Sheet title={o.title} onClose={props.onClose}>
      <div class="pad" onKeyDown={keys}>
        <output class="pad-typed" id="typed" aria-live="polite">{typed === "" ? "–" : typed.replace("-", "−")} <small>{o.unit}</small></output>
        <p class="pad-note" role="alert">{problem || warning || ""}</p>
        {o.steps !== undefined && (
          <div class="pad-steps">
            {o.steps.map((s) => <button key={s} type="button" class="key" onClick={() => setTyped(String(Math.min(o.most, (n ?? 0) + s)))}>+{s}</button>)}
          </div>
        )}
        <div class="pad-keys">
          {["1", "2", "3", "4", "5", "6", "7", "8", "9", o.decimals === 1 ? "," : "", "0", "⌫"].map((key) =>
            key === "" ? <span key="none" /> : (
              <button key={key} type="button" class="key" aria-label={key === "⌫" ? say("deleteDigit") : key === "," ? say("comma") : undefined} onClick={() => tap(key)}>{key}</button>
            ),
          )}
        </div>
        {o.least < 0 && <button type="button" class="key key-wide" onClick={() => tap("−")} aria-label={say("minus")}>−</button>}
        <button type="button" id="save" class="action primary" onClick={save}><Icon name="check" />{say("save")}</button>
      </div>
    </Sheet>
  );
}

/** Asks for a text of some length, such as a reason. */
export function TextSheet(props: {
  readonly title: string; readonly label: string; readonly hint: string; readonly least: number; readonly most: number;
  readonly onSave: (text: string) => void; readonly onClose: () => void; readonly danger?: boolean;
}): JSX.Element {
  const { say } = useScene();
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const save = () => {
    const t = text.trim();
    if (t.length < props.least) setProblem(say("tooShort", { n: props.least }));
    else props.onSave(t);
  };
  return (
    <Sheet title={props.title} onClose={props.onClose}>
      <label class="field">
        <span>{props.label}</span>
        <textarea id="text" rows={3} maxLength={props.most} value={text} aria-describedby="text-hint" onInput={(e) => setText(e.currentTarget.value)} />
      </label>
      <p id="text-hint" class="hint">{props.hint}</p>
      <p class="pad-note" role="alert">{problem}</p>
      <Action icon="check" word={say("save")} kind={props.danger === true ? "danger" : "primary"} onTap={save} />
    </Sheet>
  );
}

/** Asks who stands at the tablet. The PIN is kept in memory alone. */
export function PinSheet(props: { readonly right: Right; readonly onDone: (id: string, pin: string) => void; readonly onClose: () => void }): JSX.Element {
  const { state, say } = useScene();
  const people = state.setting.staff.filter((m) => m.hasPin && may(m.role, props.right));
  const [who, setWho] = useState(people.length === 1 ? people[0]?.id : undefined);
  const [pin, setPin] = useState("");
  const enough = who !== undefined && pin.length >= 4;
  const keys = (e: KeyboardEvent) => {
    if (/^\d$/.test(e.key)) setPin((p) => (p + e.key).slice(0, 12));
    else if (e.key === "Backspace") setPin((p) => p.slice(0, -1));
  };
  return (
    <Sheet title={say("pinTitle")} onClose={props.onClose}>
      <p>{say(people.length === 0 ? "pinNobody" : "pinText")}</p>
      <div class="people" role="group" aria-label={say("person")}>
        {people.map((m) => <Action key={m.id} icon="person" word={m.name} pressed={who === m.id} onTap={() => setWho(m.id)} />)}
      </div>
      {people.length > 0 && (
        <div class="pad" onKeyDown={keys}>
          <output class="pad-typed" aria-label={say("pin")}>{pin === "" ? "–" : "•".repeat(pin.length)}</output>
          <div class="pad-keys">
            {["1", "2", "3", "4", "5", "6", "7", "8", "9", "", "0", "⌫"].map((key) =>
              key === "" ? <span key="none" /> : (
                <button key={key} type="button" class="key" aria-label={key === "⌫" ? say("deleteDigit") : undefined}
                  onClick={() => setPin((p) => (key === "⌫" ? p.slice(0, -1) : (p + key).slice(0, 12)))}>{key}</button>
              ),
            )}
          </div>
          <button type="button" id="pin-done" class="action primary" disabled={!enough} onClick={() => who !== undefined && props.onDone(who, pin)}>
            <Icon name="check" />{say("save")}
          </button>
        </div>
      )}
    </Sheet>
  );
}

/** Returns what runs an act after the right person was asked for, and the sheet that asks. */
export function useAsking(): { readonly ask: (right: Right, act: () => void) => void; readonly sheet: JSX.Element | null; readonly can: (right: Right) => boolean } {
  const { board, state } = useScene();
  const [asked, setAsked] = useState<{ readonly right: Right; readonly act: () => void }>();
  const role = state.session?.role;
  const holds = (right: Right) => may(role, right) || may(state.person?.role, right);
  const ask = (right: Right, act: () => void) => {
    if (holds(right)) act();
    else setAsked({ right, act });
  };
  const sheet = asked === undefined ? null : (
    <PinSheet right={asked.right} onClose={() => setAsked(undefined)} onDone={(id, pin) => {
      board.identify(id, pin);
      setAsked(undefined);
      asked.act();
    }} />
  );
  return { ask, sheet, can: (right) => state.session?.visiting !== true && (holds(right) || isShared(role)) };
}
