/** What is shown instead of a board. */

import type { JSX } from "preact";

import { Action } from "./parts.tsx";
import { useFocus, useScene } from "./use.ts";
import type { Gate } from "../state.ts";
import type { Word } from "../words.ts";

const TITLES: Readonly<Record<Exclude<Gate, "all">, Word>> = {
  "signed-out": "signedOutTitle", "no-kitchen": "noKitchenTitle", refused: "refusedTitle", unreachable: "unreachableTitle",
};

const TEXTS: Readonly<Record<Exclude<Gate, "all">, Word | undefined>> = {
  "signed-out": "signedOutText", "no-kitchen": "noKitchenText", refused: undefined, unreachable: "unreachableText",
};

export function GateView({ gate }: { readonly gate: Exclude<Gate, "all"> }): JSX.Element {
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
      <Action icon="turn" word={say("tryAgain")} kind="primary" onTap={() => void board.start()} />
      <p><a href="/live">{say("live")}</a></p>
    </main>
  );
}
