import assert from "node:assert/strict";
import test from "node:test";

import { apply, empty, type State } from "./state.ts";
import { Follow, HISTORY, MAX_HELD } from "./follow.ts";
import { lines } from "./log.ts";
import { readFrame } from "./frame.ts";

/** A page on one connection to a server of which the test plays the part. */
class Page {
  state: State;
  sent: Record<string, unknown>[] = [];
  synced: boolean[] = [];
  lost = 0;
  due: (() => void)[] = [];
  follow!: Follow;

  constructor(...channels: string[]) {
    this.state = apply(empty("id"), { kind: "kitchen", kitchen: { tenant: "S", name: undefined, channels } });
    this.connect();
  }

  connect(): void {
    this.sent = [];
    this.follow = new Follow({
      send: (f) => this.sent.push(JSON.parse(f) as Record<string, unknown>),
      channels: () => this.state.channels,
      take: (frame) => (this.state = apply(this.state, { kind: "frame", frame, now: 1 })),
      refused: (channel, problem) => (this.state = apply(this.state, { kind: "refused", channel, problem })),
      caughtUp: (channel) => (this.state = apply(this.state, { kind: "caught-up", channel })),
      synced: (on) => this.synced.push(on),
      lost: () => this.lost++,
      later: (_ms, f) => this.due.push(f),
    });
    this.follow.start();
  }

  hear(frame: object): void {
    this.follow.take(readFrame(JSON.stringify(frame)));
  }

  message(offset: number, epoch = "e"): void {
    this.hear({ message: { channel: "a", epoch, offset, time: offset, data: {} } });
  }

  get offsets(): (number | undefined)[] {
    return lines(this.state.log).map((e) => e.offset);
  }

  get isSynced(): boolean | undefined {
    return this.synced[this.synced.length - 1];
  }
}

const subscribed = (offset: number, gap?: string, epoch = "e") => ({ subscribed: { channel: "a", epoch, offset, recovered: false, ...(gap === undefined ? {} : { gap }) } });
const history = (offsets: number[], gap?: string) => ({
  history: { channel: "a", epoch: "e", offset: 99, messages: offsets.map((offset) => ({ offset, time: offset, data: {} })), ...(gap === undefined ? {} : { gap }) },
});

test("subscribes to all, and reads the newest part of the history", () => {
  const page = new Page("a", "b");
  assert.deepEqual(page.sent, [{ id: 1, subscribe: { channel: "a" } }, { id: 2, subscribe: { channel: "b" } }]);
  page.hear(subscribed(HISTORY + 90));
  assert.deepEqual(page.sent[2], { id: 3, history: { channel: "a", limit: HISTORY, since: { epoch: "e", offset: 90 } } });
  page.hear({ subscribed: { channel: "b", epoch: "e", offset: 0, recovered: false } });
  assert.equal(page.isSynced, false);
  page.message(HISTORY + 91); // held until the history is there
  assert.deepEqual(page.offsets, []);
  page.hear(history([HISTORY + 89, HISTORY + 90]));
  assert.deepEqual(page.offsets, [HISTORY + 91, HISTORY + 90, HISTORY + 89]);
  assert.equal(page.isSynced, true);
});

test("an empty channel needs no history", () => {
  const page = new Page("a");
  page.hear(subscribed(0));
  assert.equal(page.sent.length, 1);
  assert.equal(page.isSynced, true);
  page.message(1);
  assert.deepEqual(page.offsets, [1]);
});

test("resumes from what was seen", () => {
  const page = new Page("a");
  page.hear(subscribed(0));
  page.message(1);
  page.connect();
  assert.deepEqual(page.sent, [{ id: 1, subscribe: { channel: "a", since: { epoch: "e", offset: 1 } } }]);
  page.hear({ subscribed: { channel: "a", epoch: "e", offset: 3, recovered: true } });
  assert.equal(page.sent.length, 1);
  for (const offset of [2, 3, 4]) page.message(offset);
  assert.deepEqual(page.offsets, [4, 3, 2, 1]);
});

test("where fewer are held than it asks for, it takes all that are", () => {
  const page = new Page("a");
  page.hear(subscribed(90));
  page.hear(history([], "expired"));
  assert.deepEqual(page.sent[2], { id: 3, history: { channel: "a", limit: HISTORY } });
  page.hear(history([80, 90]));
  assert.deepEqual(page.offsets, [90, 80]);
  assert.equal(page.isSynced, true);
});

test("a second gap in the answer does not make it ask for ever", () => {
  const page = new Page("a");
  page.hear(subscribed(90));
  page.hear(history([], "expired"));
  page.hear(history([], "no-history"));
  assert.equal(page.sent.length, 3);
  assert.equal(page.isSynced, true);
});

test("after a gap it reads what the history still has", () => {
  const page = new Page("a");
  page.hear(subscribed(0));
  page.message(1);
  page.hear({ gap: { channel: "a", cause: "overloaded", epoch: "e", offset: 5 } });
  assert.equal(page.isSynced, false);
  page.hear(history([1, 4, 5]));
  page.message(6);
  assert.deepEqual(page.offsets.filter((o) => o !== undefined), [6, 5, 4, 1]);
  assert.equal(page.isSynced, true);
});

test("no history to be had: goes on with what is live", () => {
  const page = new Page("a");
  page.hear(subscribed(9));
  page.message(10);
  page.hear({ id: 2, error: { code: "UNAVAILABLE", message: "", temporary: true } });
  assert.deepEqual(page.offsets, [10]);
  assert.equal(page.isSynced, true);
});

test("a channel that is refused for good does not hold up the others; one for a while is asked again", () => {
  const page = new Page("a");
  page.hear({ id: 1, error: { code: "UNAVAILABLE", message: "the engine is out", temporary: true } });
  assert.equal(page.isSynced, false);
  page.due.forEach((f) => f());
  assert.deepEqual(page.sent[1], { id: 2, subscribe: { channel: "a" } });
  page.hear({ id: 2, error: { code: "NO_SUCH_CHANNEL", message: "no such channel", temporary: false } });
  assert.equal(page.isSynced, true);
  assert.equal(page.state.channels.get("a")?.problem?.code, "NO_SUCH_CHANNEL");
});

test("what a heartbeat counts in must have come by the next one", () => {
  const beat = (offset: number) => ({ heartbeat: { time: 1, offsets: { a: offset } } });
  const page = new Page("a");
  page.hear(subscribed(0));
  page.hear(beat(2)); // may overtake a resume
  page.message(1);
  page.message(2);
  page.hear(beat(3));
  page.hear({ pong: { time: 1 } });
  assert.equal(page.lost, 0);
  page.hear(beat(3));
  assert.equal(page.lost, 1);
});

test("more than can be held: starts again", () => {
  const page = new Page("a");
  page.hear(subscribed(9));
  for (let i = 0; i <= MAX_HELD; i++) page.message(10 + i);
  assert.equal(page.lost, 1);
});

test("answers to nothing that was asked are passed over", () => {
  const page = new Page("a");
  page.hear({ id: 99, error: { code: "X", message: "", temporary: true } });
  page.hear({ error: { code: "X", message: "", temporary: true } });
  page.hear({ later: {} });
  page.follow.probe();
  assert.deepEqual(page.sent[1], { id: 2, ping: {} });
});
