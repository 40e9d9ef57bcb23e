/** What is shown instead of a board. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Action } from "./parts.tsx";
import { read } from "../api.ts";
import { readKitchens, type Gate } from "../state.ts";
import { useFocus, useScene } from "./use.ts";
import type { Word } from "../words.ts";

const TITLES: Readonly<Record<Gate, Word>> = {
  "signed-out": "signedOutTitle", "no-kitchen": "noKitchenTitle", refused: "refusedTitle", unreachable: "unreachableTitle", choose: "chooseTitle",
};

const TEXTS: Readonly<Record<Gate, Word | undefined>> = {
  "signed-out": "signedOutText", "no-kitchen": "noKitchenText", refused: undefined, unreachable: "unreachableText", choose: "chooseText",
};

export function GateView({ gate }: { readonly gate: Gate }): JSX.Element {
  const { board, say } = useScene();
  const title = useFocus<HTMLHeadingElement>();
  const text = TEXTS[gate];
  return (
    <main id="gate" class="gate">
      <h2 ref={title} tabIndex={-1}>{say(TITLES[gate])}</h2>
      {text !== undefined && <p>{say(text)}</p>}
      {gate === "signed-out" && (
        <ol>
          <li>{say("signedOutApp")}</li>
          <li>{say("signedOutLink")}</li>
        </ol>
      )}
      {gate === "choose" ? <Kitchens /> : <Action icon="turn" word={say("tryAgain")} kind="primary" onTap={() => void board.start()} />}
      <p><a href="/live">{say("live")}</a></p>
    </main>
  );
}

function Kitchens(): JSX.Element {
  const { say } = useScene();
  const [found, setFound] = useState<ReturnType<typeof readKitchens>>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    read("/api/kitchens?limit=500").then((answer) => setFound(readKitchens(answer)), (e: unknown) => setProblem(String(e)));
  }, []);
  if (problem !== "") return <p role="alert">{say("loadFailed", { message: problem })}</p>;
  if (found === undefined) return <p role="status">{say("loading")}</p>;
  if (found.length === 0) return <p>{say("chooseNone")}</p>;
  return (
    <ul class="kitchens">
      {found.map((k) => <li key={k.id}><a class="action plain" href={`?tenant=${encodeURIComponent(k.id)}#wall`}>{k.name} <small>{k.id}</small></a></li>)}
    </ul>
  );
}
