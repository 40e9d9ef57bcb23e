/** What people enter, as requests of the REST API with the words for it. Pure: what is sent depends on nothing but what is given. */

import type { Batch, CheckType, Status } from "./batch.ts";
import type { Outgoing } from "../client/src/outbox.ts";
import type { Right } from "./rights.ts";
import { field, fields, list, text } from "../client/src/json.ts";
import { DEFAULT_ZONE, Format } from "./format.ts";
import { say, type Language, type Values, type Word } from "./words.ts";

/** What an entry is called on screens. Values that are words themselves are given as "@word". */
export interface Label {
  readonly word: Word;
  readonly values?: Values | undefined;
}

/** Something to be sent, before it is. */
export interface Draft {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Who may do this; without the right a person's PIN is asked for. */
  readonly right: Right;
  readonly label: Label;
  readonly batchId: string | undefined;
  /** Entries of one group stop behind one that is refused. */
  readonly group: string;
  /** It can be taken back for some seconds: it is one tap, and changes the batch. */
  readonly undo: boolean;
  /** What the person saw of the fields that this overwrites. Undefined: it only adds, and needs no version. */
  readonly basis: Readonly<Record<string, unknown>> | undefined;
  /** It is large, and what is entered later does not wait for it. */
  readonly bulky?: boolean;
}

/** What an outbox keeps of a draft: what is sent, and what only this page needs. */
export interface Kept {
  readonly send: Readonly<Record<string, unknown>>;
  readonly note: Note;
}

export interface Note {
  /** Stays the same when an entry is sent again with another key. */
  readonly tag: string;
  readonly label: Label;
  readonly batchId: string | undefined;
  readonly right: Right;
  readonly basis: Readonly<Record<string, unknown>> | undefined;
}

const base = (b: Batch) => `/api/productions/${encodeURIComponent(b.id)}`;

function draft(b: Batch, rest: Partial<Draft> & Pick<Draft, "path" | "body" | "right" | "label">): Draft {
  return { batchId: b.id, group: b.id, undo: false, basis: undefined, ...rest };
}

/** Takes a batch to its next status. */
export function step(b: Batch, to: Status): Draft {
  return draft(b, {
    path: `${base(b)}/transition`,
    body: { to },
    right: to === "COMPLETED" ? "release" : "work",
    label: { word: `to_${to}` as Word },
    basis: { status: b.status },
    undo: true,
  });
}

/** Takes a batch back from its quality check to cooking. */
export function rework(b: Batch, reason: string): Draft {
  return draft(b, {
    path: `${base(b)}/transition`,
    body: { to: "COOKING", reason },
    right: "rework",
    label: { word: "rework" },
    basis: { status: b.status },
  });
}

export function cancel(b: Batch, reason: string): Draft {
  const right = b.status === "PLANNED" ? "cancel-planned" : "cancel-later";
  return draft(b, { path: `${base(b)}/cancel`, body: { reason }, right, label: { word: "cancelBatch" }, basis: { status: b.status } });
}

export function portions(b: Batch, n: number): Draft {
  return draft(b, {
    path: `${base(b)}/work`,
    body: { actualPortions: n },
    right: "work",
    label: { word: "portions", values: { value: n } },
    basis: { actualPortions: b.portions ?? null },
  });
}

export function waste(b: Batch, kg: number): Draft {
  return draft(b, {
    path: `${base(b)}/work`,
    body: { wasteAmount: kg },
    right: "work",
    label: { word: "waste", values: { value: kg, unit: "kg" } },
    basis: { wasteAmount: b.wasteKg ?? null },
  });
}

export type ReadingKind = "CORE" | "HOT_HOLD" | "COLD_HOLD" | "AMBIENT";

export function reading(b: Batch, kind: ReadingKind, celsius: number, dish?: string): Draft {
  return draft(b, {
    path: `${base(b)}/readings`,
    body: { kind, celsius, ...(dish !== undefined && { dish }) },
    right: "measure",
    label: { word: `reading_${kind}`, values: { value: celsius, unit: "°C" } },
  });
}

export function sample(b: Batch): Draft {
  return draft(b, { path: `${base(b)}/samples`, body: {}, right: "check", label: { word: "recordSample" }, group: `${b.id} beside`, undo: true });
}

export function dispatch(b: Batch, n: number): Draft {
  return draft(b, { path: `${base(b)}/dispatches`, body: { portions: n }, right: "dispatch", label: { word: "recordDispatch", values: { value: n } } });
}

/** Adds a photo, a JPEG in base64. It waits for nothing but other photos, and nothing waits for it. */
export function photo(b: Batch, data: string, note: string): Draft {
  return draft(b, {
    path: `${base(b)}/photos`,
    body: { photo: data, ...(note !== "" && { note }) },
    right: "measure",
    label: { word: "photo", ...(note !== "" && { values: { value: note } }) },
    group: `${b.id} photos`,
    bulky: true,
  });
}

export interface CheckEntry {
  readonly type: CheckType;
  readonly parameter: string;
  readonly passed: boolean;
  readonly actualValue: string;
  readonly score?: number | undefined;
  readonly rating?: number | undefined;
  readonly celsius?: number | undefined;
  readonly actionTaken?: string | undefined;
}

export function check(b: Batch, c: CheckEntry): Draft {
  return draft(b, {
    path: `${base(b)}/checks`,
    body: {
      checkType: c.type,
      parameter: c.parameter,
      actualValue: c.actualValue,
      passed: c.passed,
      ...(c.score !== undefined && { score: c.score }),
      ...(c.rating !== undefined && { rating: c.rating }),
      ...(c.celsius !== undefined && { celsius: c.celsius }),
      ...(c.actionTaken !== undefined && { actionTaken: c.actionTaken }),
    },
    right: "check",
    label: { word: "check", values: { type: `@${c.type}`, value: `@${c.passed ? "passed" : "failed"}` } },
    // What mends a step that was refused must not wait behind it.
    group: `${b.id} beside`,
  });
}

/** Returns the right that resolving an alert takes. */
export function resolveRight(severity: string | undefined): Right {
  return severity === "CRITICAL" ? "resolve-critical" : severity === "HIGH" ? "resolve-high" : "acknowledge";
}

interface AlertName {
  readonly id: string;
  readonly code: string | undefined;
  readonly productionId: string | undefined;
  readonly severity: string | undefined;
}

export function acknowledge(a: AlertName): Draft {
  return alertDraft(a, "acknowledge", {}, a.code === "COST_OVER" ? "acknowledge-cost" : "acknowledge", "acknowledge");
}

export function resolve(a: AlertName, correctiveAction: string): Draft {
  return alertDraft(a, "resolve", correctiveAction === "" ? {} : { correctiveAction }, resolveRight(a.severity), "resolve");
}

function alertDraft(a: AlertName, verb: string, body: Draft["body"], right: Right, word: Word): Draft {
  return {
    path: `/api/alerts/${encodeURIComponent(a.id)}/${verb}`,
    body,
    right,
    label: { word },
    batchId: a.productionId,
    group: `alert ${a.id}`,
    undo: false,
    basis: undefined,
  };
}

/**
 * Returns the request of a draft. version is the one that the batch will have when it is this entry's turn; a draft that overwrites
 * nothing needs none. takenAt is now by the clock of the device.
 */
export function outgoing(d: Draft, key: string, version: number | undefined, takenAt: number): Outgoing {
  const send = { ...d.body, ...(d.basis !== undefined && version !== undefined && { version }), takenAt: new Date(takenAt).toISOString() };
  const note: Note = { tag: key, label: d.label, batchId: d.batchId, right: d.right, basis: d.basis };
  return { method: "POST", path: d.path, key, group: d.group, body: { send, note } satisfies Kept, ...(d.bulky === true && { bulky: true }) };
}

/** Reads what an outbox has kept; undefined: it is none of ours. */
export function readKept(body: unknown): Kept | undefined {
  const send = fields(field(body, "send"));
  const note = fields(field(body, "note"));
  const word = text(field(note, "label"), "word");
  if (send === undefined || note === undefined || word === undefined) return undefined;
  return { send, note: note as unknown as Note };
}

/** Returns what an entry is called, with its value: "Porsi: 1.200", "Suhu inti: 60,5 °C". */
export function labelText(l: Language, label: Label): string {
  const format = new Format(l, DEFAULT_ZONE);
  const values: Record<string, string> = {};
  for (const [name, v] of Object.entries(label.values ?? {})) {
    values[name] = typeof v === "number" ? format.amount(v) : String(v).startsWith("@") ? say(l, v.slice(1) as Word) : String(v);
  }
  const name = say(l, label.word, values);
  const value = [values["value"], values["unit"]].filter((v) => v !== undefined).join(" ");
  return value === "" ? name : `${name}: ${value}`;
}

/** Reports whether nothing that an entry overwrites has changed since the person saw it: then another version is no conflict. */
export function basisHolds(basis: Note["basis"], row: unknown): boolean {
  return basis !== undefined && Object.keys(basis).every((name) => (field(row, name) ?? null) === (basis[name] ?? null));
}

/** Reports whether a batch is already as an entry wants it: then there is nothing left to do, and nothing to decide. */
export function alreadySo(kept: Kept, row: unknown): boolean {
  const names = Object.keys(kept.note.basis ?? {});
  return names.length > 0 && names.every((name) => {
    const wanted = name === "status" ? kept.send["to"] : kept.send[name];
    return wanted !== undefined && wanted === field(row, name);
  });
}

/** Returns what a refusal lists as unmet. */
export function unmetOf(answer: unknown): string[] {
  return list(answer, "unmet").filter((g): g is string => typeof g === "string");
}
