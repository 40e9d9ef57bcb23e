/** Small parts that several views are made of. */

import { Component, type ComponentChildren, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import type { Severity, Status } from "../batch.ts";
import type { Word } from "../words.ts";
import { useWords } from "./use.ts";

/** The paths of all icons, drawn on 24 × 24. Each thing has its own shape, so that no meaning hangs on colour alone. */
const PATHS = {
  drum: "M9 3h6a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM12 8v8M3.500 9c-1 2-1 4 0 6M20.500 9c1 2 1 4 0 6",
  link: "M4 12.500l5 5L20 6.500",
  turn: "M20 12a8 8 0 1 1-2.500-5.800M20 3v4.500h-4.500",
  back: "M20 12H4M10.500 5.500L4 12l6.500 6.500",
  forward: "M4 12h16M13.500 5.500L20 12l-6.500 6.500",
  calendar: "M4 6h16v14H4zM4 11h16M8 3v5M16 3v5",
  broken: "M6 6l12 12M18 6L6 18",
  clock: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM12 7v5l3.500 2",
  knife: "M3.500 20.500L10 14M8 12L19.500 3.500c1.500 5-2 10.500-7.500 12.500z",
  flame: "M12 3c1 4 6 6 6 11a6 6 0 0 1-12 0c0-2 1-4 2.500-5 .5 2 1.500 2.500 2 2.500C10 8 11 5 12 3z",
  clipboard: "M9 4h6v3H9zM9 5.500H6V21h12V5.500h-3M9 14l2.200 2.200L15.500 12",
  check: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM8 12.500l2.800 2.800L16 9.500",
  cross: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM9 9l6 6M15 9l-6 6",
  info: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM12 11v5M12 7.800v.2",
  triangle: "M12 3.500L22 20.500H2zM12 10v5M12 17.600v.2",
  octagon: "M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8zM12 7v6M12 16.300v.2",
  question: "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.4-1 .9-1 1.700M12 16.600v.2",
  bell: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4zM10 21h4",
  thermometer: "M10 14V5a2 2 0 0 1 4 0v9a4 4 0 1 1-4 0zM12 9v8",
  tray: "M3 10h18l-1.500 8h-15zM7 10V7h10v3",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  jar: "M7 3h10v4H7zM8 7c-2 2-2 4-2 6v6a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2v-6c0-2 0-4-2-6",
  truck: "M3 6h11v10H3zM14 9h4l3 4v3h-7zM7 19a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3zM17 19a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3z",
  person: "M16 8a4 4 0 1 1-8 0 4 4 0 0 1 8 0zM4.500 20c1-4 4-6 7.500-6s6.500 2 7.500 6",
  sound: "M4 10v4h4l5 4V6L8 10zM16 9c1.500 2 1.500 4 0 6M18.500 6.500c3 4 3 7 0 11",
  mute: "M4 10v4h4l5 4V6L8 10zM17 10l4 4M21 10l-4 4",
  wall: "M3 5h18v11H3zM9 20h6M12 16v4",
  tablet: "M6 3h12v18H6zM11 18h2",
  grid: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  camera: "M3 8h4l2-3h6l2 3h4v11H3zM16 13a4 4 0 1 1-8 0 4 4 0 0 1 8 0z",
  paper: "M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export const STATUS_ICONS: Readonly<Record<Status, IconName>> = {
  PLANNED: "clock", PREPARING: "knife", COOKING: "flame", QUALITY_CHECK: "clipboard", COMPLETED: "check", CANCELLED: "cross",
};

export const SEVERITY_ICONS: Readonly<Record<Severity, IconName>> = { LOW: "info", MEDIUM: "triangle", HIGH: "triangle", CRITICAL: "octagon" };

export function StatusWord({ status }: { readonly status: Status | undefined }): JSX.Element {
  const { say } = useWords();
  return (
    <span class={`status status-${(status ?? "none").toLowerCase()}`}>
      <Icon name={status === undefined ? "question" : STATUS_ICONS[status]} />
      <span>{say(status ?? "unknownStatus")}</span>
    </span>
  );
}

export function SeverityWord({ severity }: { readonly severity: Severity | undefined }): JSX.Element {
  const { say } = useWords();
  return (
    <span class={`severity severity-${(severity ?? "none").toLowerCase()}`}>
      <Icon name={severity === undefined ? "info" : SEVERITY_ICONS[severity]} />
      <span>{say(severity ?? "noSeverity")}</span>
    </span>
  );
}

/** A button with an icon and a word. */
export function Action(props: {
  readonly icon: IconName;
  readonly word: string;
  readonly onTap: () => void;
  readonly kind?: "primary" | "danger" | "plain";
  readonly detail?: string | undefined;
  readonly disabled?: boolean;
  readonly pressed?: boolean | undefined;
}): JSX.Element {
  return (
    <button type="button" class={`action ${props.kind ?? "plain"}`} onClick={props.onTap} disabled={props.disabled === true} aria-pressed={props.pressed}>
      <Icon name={props.icon} />
      <span class="action-words">
        <span>{props.word}</span>
        {props.detail !== undefined && <small>{props.detail}</small>}
      </span>
    </button>
  );
}

/** A sheet over the page: it has the focus until it is closed, by its button or by Escape. */
export function Sheet(props: { readonly title: string; readonly onClose: () => void; readonly children: ComponentChildren }): JSX.Element {
  const { say } = useWords();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.querySelector<HTMLElement>("h2")?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape") {
      e.stopPropagation();
      props.onClose();
    }
    if (e.key !== "Tab") return;
    const stops = [...(box.current?.querySelectorAll<HTMLElement>("button:not(:disabled), input, select, textarea, a[href]") ?? [])];
    const first = stops[0];
    const last = stops[stops.length - 1];
    const at = document.activeElement;
    if (e.shiftKey && (at === first || at instanceof HTMLHeadingElement)) {
      e.preventDefault();
      last?.focus();
    } else if (!e.shiftKey && at === last) {
      e.preventDefault();
      first?.focus();
    }
  };
  return (
    <div class="sheet-ground" onKeyDown={keys}>
      <div class="sheet" role="dialog" aria-modal="true" aria-labelledby="sheet-title" ref={box}>
        <div class="sheet-head">
          <h2 id="sheet-title" tabIndex={-1}>{props.title}</h2>
          <button type="button" class="action plain" onClick={props.onClose}><Icon name="broken" />{say("close")}</button>
        </div>
        {props.children}
      </div>
    </div>
  );
}

/** One number with its name. */
export function Figure(props: { readonly word: Word; readonly value: string; readonly beside?: string; readonly tone?: string | undefined }): JSX.Element {
  const { say } = useWords();
  return (
    <div class={`figure ${props.tone ?? ""}`}>
      <dt>{say(props.word)}</dt>
      <dd>
        <span class="value">{props.value}</span>
        {props.beside !== undefined && props.beside !== "" && <span class="beside">{props.beside}</span>}
      </dd>
    </div>
  );
}

/** Draws its children anew only when one of its props has changed. */
export abstract class Still<P> extends Component<P> {
  override shouldComponentUpdate(next: Readonly<P>): boolean {
    const before = this.props as Readonly<Record<string, unknown>>;
    const after = next as Readonly<Record<string, unknown>>;
    return Object.keys(after).some((name) => before[name] !== after[name]);
  }
}
