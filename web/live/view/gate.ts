/** What is shown instead of the board to those who may not see one, or must choose one first. */

import { byId, setText } from "../dom.ts";
import { say, type Word } from "../words.ts";
import type { Denial } from "../connection.ts";
import type { Part } from "./view.ts";

const TITLES: Readonly<Record<Denial, Word>> = {
  "signed-out": "signedOutTitle",
  forbidden: "forbiddenTitle",
  refused: "refusedTitle",
  choose: "chooseTitle",
};
const TEXTS: Readonly<Record<Denial, Word>> = {
  "signed-out": "signedOutText",
  forbidden: "forbiddenText",
  refused: "refusedText",
  choose: "chooseText",
};

/** Returns the part that shows either the gate or the board. retry asks the server again who we are. */
export function gate(retry: () => void): Part {
  const box = byId("gate", HTMLElement);
  const board = byId("board", HTMLElement);
  const title = byId("gate-title", HTMLElement);
  const text = byId("gate-text", HTMLElement);
  const ways = byId("gate-ways", HTMLElement);
  const choose = byId("gate-choose", HTMLFormElement);
  const again = byId("gate-again", HTMLButtonElement);
  again.addEventListener("click", retry);

  return ({ state }) => {
    const { denial } = state.connection;
    box.hidden = denial === undefined;
    board.hidden = denial !== undefined;
    if (denial === undefined) return;
    setText(title, say(state.language, TITLES[denial]));
    setText(text, say(state.language, TEXTS[denial]));
    ways.hidden = denial !== "signed-out";
    choose.hidden = denial !== "choose";
    again.hidden = denial === "choose";
  };
}
