/** The head of every view: whose kitchen, how old the data is, what time it is there; and what must never be overlooked below it. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Action, Icon, SeverityWord, type IconName } from "./parts.tsx";
import { countdown } from "../format.ts";
import { gradeOf, messageOf, sounding } from "../alarm.ts";
import { ageOf, type Lamp } from "../freshness.ts";
import { labelText } from "../entries.ts";
import { shortNumber } from "../batch.ts";
import { text } from "../../client/src/json.ts";
import { useScene } from "./use.ts";
import type { View } from "../state.ts";

const LAMP_ICONS: Readonly<Record<Lamp, IconName>> = {
  connected: "link", connecting: "turn", quiet: "turn", disconnected: "broken", stale: "triangle", "signed-out": "person", ended: "broken",
};

const VIEW_ICONS: Readonly<Record<View, IconName>> = { wall: "wall", tablet: "tablet", day: "paper" };

export function Top(): JSX.Element {
  const { board, state, now, format, say } = useScene();
  const { fresh, session, setting } = state;
  const age = ageOf(fresh, now);
  return (
    <header class="top">
      <div class="brand">
        <Icon name="drum" />
        <h1>{setting.name ?? session?.kitchen ?? "Kentongan"}</h1>
      </div>
      {state.gate === undefined && <nav class="views" aria-label={say("views")}>
        {session?.visiting === true && <a href="/" class="view"><Icon name="grid" /><span>{say("allKitchens")}</span></a>}
        {(["wall", "tablet", "day"] as const).map((view) => (
          <a key={view} href={`#${view}`} class="view" aria-current={state.view === view ? "page" : undefined}>
            <Icon name={VIEW_ICONS[view]} />
            <span>{say(view)}</span>
          </a>
        ))}
      </nav>}
      <div class="line-state">
        <p class={`lamp lamp-${fresh.lamp}`}>
          <Icon name={LAMP_ICONS[fresh.lamp]} />
          <span id="lamp">{say(fresh.lamp)}</span>
        </p>
        <p class="data-age" id="age">{age === undefined ? "" : fresh.old ? say("age", { age: format.age(age) }) : say("current")}</p>
      </div>
      <p class="kitchen-clock" id="clock">
        {format.clock(now, true)} <small>{format.zoneName}</small>
      </p>
      <Tools />
      {state.person !== undefined && (
        <p class="person">
          <Icon name="person" /> {say("asPerson", { name: state.person.name })}
          <button type="button" class="action plain" onClick={board.leave}>{say("leavePerson", { name: state.person.name })}</button>
        </p>
      )}
    </header>
  );
}

function Tools(): JSX.Element {
  const { board, state, say } = useScene();
  const [problem, setProblem] = useState("");
  const other = state.language === "id" ? "en" : "id";
  const leave = () => {
    if (state.queue.count > 0) setProblem(say("signOutUnsent", { n: state.queue.count }));
    else void board.signOut().then((done) => setProblem(done ? "" : say("signOutFailed")));
  };
  return (
    <div class="tools">
      <button type="button" id="language" lang={other} title={other === "id" ? "Bahasa Indonesia" : "English"} onClick={() => board.speak(other)}>{other.toUpperCase()}</button>
      {(state.gate === "all" || (state.view !== "wall" && state.session !== undefined)) && <button type="button" onClick={leave}>{say("signOut")}</button>}
      {problem !== "" && <p class="note" role="alert">{problem}</p>}
    </div>
  );
}

/** Says since when the data is old, and what has not been sent. A reader of the screen hears it once for each break. */
export function Banner(): JSX.Element {
  const { board, state, format, say } = useScene();
  const { fresh, queue } = state;
  const refused = queue.unsent.filter((e) => e.refusal !== undefined).length;
  const lamp = say(fresh.lamp);
  const n = queue.count;
  // A page that is just being opened has nothing old to show yet.
  const opening = fresh.lamp === "connecting" && fresh.since === undefined && n === 0;
  const text = !fresh.old || opening ? "" : fresh.since === undefined ? say("oldBannerNever", { lamp, n }) : say("oldBanner", { lamp, time: format.clock(fresh.since), n });
  const waiting = text === "" && n > (queue.pending === undefined ? 0 : 1) ? say("unsentBanner", { n }) : "";
  return (
    <>
      <div id="banner" class="banner" hidden={text === ""}>
        <Icon name="broken" />
        <p role="alert">{text}</p>
        {(state.view !== "wall" || state.gate === "all") && <button type="button" onClick={board.retry}>{say("tryAgain")}</button>}
      </div>
      {refused > 0 && <a class="banner banner-refused" href="#tablet/unsent"><Icon name="triangle" /><span>{say("refusedBanner", { n: refused })}</span></a>}
      {waiting !== "" && refused === 0 && <a class="banner banner-waiting" href="#tablet/unsent"><Icon name="clock" /><span>{waiting}</span></a>}
      {!queue.durable && <p class="banner banner-waiting"><Icon name="triangle" />{say("notDurable")}</p>}
    </>
  );
}

/** In the demo: a switch that cuts this screen's line, for everybody who wants to see what happens then. */
export function DemoSwitch(): JSX.Element | null {
  const { board, state, say } = useScene();
  if (state.demo === undefined) return null;
  const { until } = state.demo;
  const left = until === undefined ? 0 : Math.max(0, until - Date.now());
  return (
    <aside class="demo" aria-label={say("demo")}>
      <p>{until === undefined ? say("demoWhole") : `${say("demoCut", { time: countdown(left) })} ${state.view === "wall" ? "" : say("demoEnter")}`}</p>
      <button type="button" id="cut" class={`action ${until === undefined ? "plain" : "primary"}`} onClick={() => void board.cut(until === undefined)}>
        <Icon name={until === undefined ? "broken" : "link"} />{say(until === undefined ? "cutLine" : "mendLine")}
      </button>
    </aside>
  );
}

/** HIGH and CRITICAL alerts that nobody has answered: they flash and sound until somebody taps. */
export function Alarm(): JSX.Element | null {
  const { board, state, say } = useScene();
  const loud = sounding(state.kitchen.alerts, state.silenced);
  const first = loud[0];
  if (first === undefined) return <div role="alert" class="alarm-none" />;
  return (
    <div role="alert">
      <button type="button" id="alarm" class={`alarm alarm-${gradeOf(loud)?.toLowerCase() ?? ""}`} onClick={board.silence}>
        <SeverityWord severity={first.severity} />
        <span class="alarm-what">
          {messageOf(first, state.language)}
          {" "}
          <span class="alarm-batch">{shortNumber(text(first.data, "batchNumber"))}</span>
          {loud.length > 1 && <span class="alarm-more"> {say("more", { n: loud.length - 1 })}</span>}
        </span>
        <span class="alarm-tap"><Icon name={state.sound ? "sound" : "mute"} />{say("silence")}</span>
      </button>
    </div>
  );
}

/** Browsers allow no sound before somebody has tapped once; the board asks for that tap, once. */
export function SoundAsk(): JSX.Element | null {
  const { board, state, say } = useScene();
  useEffect(() => board.enableSound(), [board]); // a kiosk needs no tap
  if (state.sound) return null;
  return <Action icon="mute" word={say("enableSound")} detail={say("soundOff")} onTap={board.enableSound} />;
}

/** The last tap, as long as it can be taken back. */
export function Undo(): JSX.Element | null {
  const { board, state, say } = useScene();
  const { pending } = state.queue;
  if (state.full) return <div role="alert" class="toast toast-full"><Icon name="octagon" />{say("tooMany")}</div>;
  const sent = state.sent !== undefined && Date.now() - state.sent.at < 4_000 ? state.sent : undefined;
  if (pending === undefined && sent === undefined) return <div role="status" class="toast-none" />;
  if (pending === undefined) {
    return <div role="status" class="toast toast-sent"><Icon name="check" />{sent !== undefined && say("saved", { what: labelText(state.language, sent.kept.note.label) })}</div>;
  }
  const what = labelText(state.language, pending.draft.label);
  const left = Math.max(0, Math.ceil((pending.until - Date.now()) / 1000));
  return (
    <div class="toast">
      <p aria-hidden="true">{say("sendingIn", { what, n: left })}</p>
      <p role="status" class="unseen">{say("sendingIn", { what, n: 10 })}</p>
      <div class="toast-acts">
        <button type="button" id="undo" class="action primary" onClick={() => board.queue?.undo()}>{say("undo")}</button>
        <button type="button" id="send-now" class="action plain" onClick={() => board.queue?.sendNow()}>{say("sendNow")}</button>
      </div>
    </div>
  );
}

/** Returns a countdown for a screen. */
export function left(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : countdown(ms);
}
