/** The live view: one state, the line that changes it, and the parts that show it. */

import { alerts } from "./view/alerts.ts";
import { apply, empty, type Event } from "./state.ts";
import { byId, setText } from "./dom.ts";
import { channels } from "./view/channels.ts";
import { gate } from "./view/gate.ts";
import { header } from "./view/header.ts";
import { isTenant } from "./channel.ts";
import { Line } from "./line.ts";
import { log } from "./view/log.ts";
import { productions } from "./view/productions.ts";
import { remembered, remember } from "./language.ts";
import { say, type Language, type Word } from "./words.ts";
import { signOut } from "./api.ts";
import type { Part } from "./view/view.ts";

/** Four paintings a second are more than a reader takes in, and leave a cheap tablet its breath when much comes at once. */
const PAINT_EVERY_MS = 250;

let state = empty(remembered());
let painting: number | undefined;

const tenant = new URLSearchParams(window.location.search).get("tenant") ?? undefined;
const line = new Line({ chosen: tenant !== undefined && isTenant(tenant) ? tenant : undefined, state: () => state, dispatch });
const parts: readonly Part[] = [header(), gate(() => line.retry()), productions(), alerts(), channels(dispatch), log(dispatch)];

function dispatch(event: Event): void {
  const before = state;
  state = apply(state, event);
  if (state.language !== before.language) applyLanguage(state.language);
  // What somebody did is answered at once; what comes by the line is gathered.
  const own = event.kind === "pause" || event.kind === "filter" || event.kind === "language";
  if (own) paint();
  else painting ??= window.setTimeout(paint, PAINT_EVERY_MS);
}

function paint(): void {
  window.clearTimeout(painting);
  painting = undefined;
  const view = { state, now: Date.now() };
  for (const part of parts) part(view);
}

/** Puts the words of a language in all places of index.html that name one. */
function applyLanguage(language: Language): void {
  document.documentElement.lang = language;
  document.title = say(language, "title");
  for (const e of document.querySelectorAll<HTMLElement>("[data-word]")) setText(e, say(language, e.dataset["word"] as Word));
  for (const e of document.querySelectorAll<HTMLElement>("[data-label]")) e.setAttribute("aria-label", say(language, e.dataset["label"] as Word));
  for (const b of document.querySelectorAll<HTMLElement>("button[data-language]")) {
    b.setAttribute("aria-pressed", String(b.dataset["language"] === language));
  }
}

function listen(): void {
  for (const b of document.querySelectorAll<HTMLElement>("button[data-language]")) {
    b.addEventListener("click", () => {
      const language = b.dataset["language"] === "en" ? "en" : "id";
      remember(language);
      dispatch({ kind: "language", language });
    });
  }
  byId("sign-out", HTMLButtonElement).addEventListener("click", () => {
    void signOut().then((done) => {
      if (done) window.location.assign(window.location.pathname);
      else byId("sign-out-failed", HTMLElement).hidden = false;
    });
  });
  byId("banner-reload", HTMLButtonElement).addEventListener("click", () => window.location.reload());
}

applyLanguage(state.language);
listen();
paint();
window.setInterval(paint, 1000);
line.start();
