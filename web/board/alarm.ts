/**
 * What sounds: HIGH and CRITICAL alerts that nobody has acknowledged, until somebody taps on this device. One that rises sounds again.
 * The sound is made here, so that there is no file to load when it matters; it is that of a kentongan, a drum of wood.
 */

import { field, instant } from "../client/src/json.ts";
import type { Alert } from "./kitchen.ts";

/** Returns the name of an alert at its severity: once it has risen, it is another one to the ear. */
export function soundKey(a: Alert): string {
  return `${a.id} ${a.severity ?? ""} ${instant(a.data, "risenAt") ?? a.raisedAt ?? 0}`;
}

/** Returns the alerts that sound, gravest first. */
export function sounding(alerts: readonly Alert[], silenced: ReadonlySet<string>): Alert[] {
  return alerts.filter((a) => (a.severity === "HIGH" || a.severity === "CRITICAL") && a.status !== "ACKNOWLEDGED" && !silenced.has(soundKey(a)));
}

/** Returns which of the silenced ones still matter, so that the set does not grow for ever. */
export function stillSilenced(alerts: readonly Alert[], silenced: ReadonlySet<string>): Set<string> {
  return new Set(alerts.map(soundKey).filter((k) => silenced.has(k)));
}

/** Knocks of one pattern, in seconds from its start: three and a pause for HIGH, without a pause for CRITICAL. */
const PATTERNS = { HIGH: [0, 0.22, 0.44], CRITICAL: [0, 0.18, 0.36, 0.54, 0.72, 0.9] } as const;
const EVERY_MS = { HIGH: 2_500, CRITICAL: 1_300 } as const;

/** Makes the sound. Browsers allow none before somebody has tapped once. */
export class Siren {
  #context: AudioContext | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #grade: "HIGH" | "CRITICAL" | undefined;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Reports whether a sound would be heard now. */
  get on(): boolean {
    return this.#context?.state === "running";
  }

  /** Asks the browser for sound; it allows it in the handler of a tap, and in kiosks at once. */
  enable(): void {
    try {
      this.#context ??= new AudioContext();
      this.#context.onstatechange = this.#changed;
      void this.#context.resume().then(this.#changed, () => undefined);
    } catch {
      // A device without sound: the flash remains.
    }
  }

  /** Sounds at this grade from now on; undefined: is silent. */
  sound(grade: "HIGH" | "CRITICAL" | undefined): void {
    if (grade === this.#grade) return;
    this.#grade = grade;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (grade === undefined) return;
    this.#play(grade);
    this.#timer = setInterval(() => this.#play(grade), EVERY_MS[grade]);
  }

  #play(grade: "HIGH" | "CRITICAL"): void {
    const context = this.#context;
    if (context === undefined || context.state !== "running") return;
    for (const [i, at] of PATTERNS[grade].entries()) {
      const start = context.currentTime + at;
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.type = "triangle";
      tone.frequency.setValueAtTime(i % 2 === 0 ? 880 : 660, start);
      tone.frequency.exponentialRampToValueAtTime(220, start + 0.15);
      volume.gain.setValueAtTime(0.9, start);
      volume.gain.exponentialRampToValueAtTime(0.001, start + 0.16);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + 0.17);
    }
  }
}

/** Returns how grave what sounds is. */
export function gradeOf(alerts: readonly Alert[]): "HIGH" | "CRITICAL" | undefined {
  if (alerts.some((a) => a.severity === "CRITICAL")) return "CRITICAL";
  return alerts.length > 0 ? "HIGH" : undefined;
}

/** Returns the words of an alert in a language. */
export function messageOf(a: Alert, language: "id" | "en"): string {
  const message = field(a.data, "message");
  const both = typeof message === "string" ? message : (field(message, language) ?? field(message, "id") ?? field(message, "en"));
  return typeof both === "string" ? both : (a.code ?? "");
}
