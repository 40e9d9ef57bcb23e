/** The board of a kitchen: one state, and the view of it that the address names. */

import { render } from "preact";
import { useEffect } from "preact/hooks";

import { Alarm, Banner, DemoSwitch, Top, Undo } from "./view/top.tsx";
import { Board, type View } from "./state.ts";
import { Day } from "./view/day.tsx";
import { GateView } from "./view/gate.tsx";
import { OperatorView } from "./view/operator.tsx";
import { SceneContext, useStage, WordsContext } from "./view/use.ts";
import { Tablet } from "./view/tablet.tsx";
import { Wall } from "./view/wall.tsx";

/** Reads "#tablet/b/p1". A screen on which nobody could tap is a wall. */
function route(): { readonly view: View; readonly place: string } {
  const [name = "", ...rest] = window.location.hash.replace(/^#/, "").split("/");
  const view = name === "tablet" || name === "day" || name === "wall" ? name : window.matchMedia("(pointer: coarse)").matches ? "tablet" : "wall";
  return { view, place: rest.join("/") };
}

const VIEWS = { wall: Wall, tablet: Tablet, day: Day } as const;

function Page({ board }: { readonly board: Board }) {
  const scene = useStage(board);
  const { state, say } = scene;
  const ViewOf = VIEWS[state.view];
  useEffect(() => {
    document.documentElement.lang = state.language;
    document.title = say("title");
  }, [state.language, say]);
  return (
    <WordsContext.Provider value={scene.words}>
      <SceneContext.Provider value={scene}>
        <a class="skip" href={window.location.hash} onClick={(e) => {
          e.preventDefault();
          document.getElementById("main")?.focus();
        }}>{say("skip")}</a>
        <div class={`page page-${state.gate === "all" ? "operator" : state.view}`}>
          <Top />
          {(state.gate === undefined || state.gate === "all") && <DemoSwitch />}
          {(state.gate === undefined || state.gate === "all") && <Banner />}
          {state.gate === undefined && <Alarm />}
          {state.gate === undefined ? <ViewOf /> : state.gate === "all" ? <OperatorView /> : <GateView gate={state.gate} />}
        </div>
        <Undo />
      </SceneContext.Provider>
    </WordsContext.Provider>
  );
}

/** Keeps the screen of a wall lit, where the browser can; it lets go by itself when the page is hidden. */
function stayLit(board: Board): void {
  const wake = (navigator as { readonly wakeLock?: { request(type: "screen"): Promise<unknown> } }).wakeLock;
  const light = () => {
    if (document.visibilityState === "visible" && board.state().view === "wall") void wake?.request("screen").catch(() => undefined);
  };
  document.addEventListener("visibilitychange", light);
  window.addEventListener("hashchange", light);
  light();
}

/** Lets the worker keep the files of the board. A new build takes over when nobody is in the middle of something. */
function keepFiles(): void {
  const workers = (navigator as { readonly serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (workers === undefined) return; // no https
  const types = (window as { readonly trustedTypes?: { createPolicy(name: string, rules: object): { createScriptURL(url: string): unknown } } }).trustedTypes;
  const policy = types?.createPolicy("kentongan", { createScriptURL: (url: string) => (url === "/board-worker.js" ? url : "about:blank") });
  const first = workers.controller === null;
  void workers.register((policy?.createScriptURL("/board-worker.js") ?? "/board-worker.js") as string).catch(() => undefined); // it works without, too
  let waiting = false;
  workers.addEventListener("controllerchange", () => {
    if (first || waiting) return;
    waiting = true;
    const reload = () => (document.querySelector(".sheet, #undo") === null ? window.location.reload() : setTimeout(reload, 1000));
    reload();
  });
}

/** Browsers of before 2022, and pages without https, make no ids by themselves; entries need them. */
function makeIds(): void {
  const c = crypto as { randomUUID?: () => string };
  c.randomUUID ??= () => {
    const b = crypto.getRandomValues(new Uint8Array(16));
    b[6] = ((b[6] ?? 0) & 0x0f) | 0x40;
    b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
    const hex = [...b].map((n) => n.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
}

makeIds();
const tenant = new URLSearchParams(window.location.search).get("tenant") ?? undefined;
const board = new Board(route(), tenant !== undefined && /^[A-Za-z0-9_-]{1,64}$/.test(tenant) ? tenant : undefined);
window.addEventListener("hashchange", () => {
  board.show(route());
  window.scrollTo(0, 0);
});
const place = document.getElementById("board");
if (place === null) throw new Error("board: board.html has no place for it");
render(<Page board={board} />, place);
stayLit(board);
// The worker loads all files once more: not while a slow line brings what people wait for.
const off = board.onState(() => {
  if (board.state().fresh.old) return;
  off();
  keepFiles();
});
void board.start();
