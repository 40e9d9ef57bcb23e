import assert from "node:assert/strict";
import test from "node:test";

import { addGap, addMessage, EMPTY_LOG, filter, lines, MAX_ENTRIES, pause, type Log } from "./log.ts";
import { chance } from "./random.test-support.ts";

function message(channel: string, offset: number, time: number, data: unknown = { n: offset }) {
  return { channel, position: { epoch: "e", offset }, time, data };
}

const offsets = (log: Log) => lines(log).map((e) => e.offset);

test("the newest stands first, also when history of another channel comes later", () => {
  let log = addMessage(addMessage(EMPTY_LOG, message("a", 1, 100)), message("a", 2, 300));
  log = addMessage(log, message("b", 7, 200));
  assert.deepEqual(offsets(log), [2, 7, 1]);
  assert.deepEqual(offsets(addMessage(log, message("a", 3, 300))), [3, 2, 7, 1]); // of the same time: the later one first
});

test("it holds a bounded number, and the oldest go", () => {
  let log = EMPTY_LOG;
  for (let i = 1; i <= MAX_ENTRIES + 50; i++) log = addMessage(log, message("a", i, i));
  assert.equal(log.entries.length, MAX_ENTRIES);
  assert.equal(log.entries[0]?.offset, MAX_ENTRIES + 50);
  assert.equal(addMessage(log, message("a", 1, 1)), log);
});

test("a message that is there already is not added again", () => {
  const log = addMessage(EMPTY_LOG, message("a", 1, 100));
  assert.equal(addMessage(log, message("a", 1, 100)), log);
});

test("paused it stands still and counts, and goes on with everything", () => {
  const paused = pause(addMessage(EMPTY_LOG, message("a", 1, 1)), true);
  const more = addMessage(addMessage(paused, message("a", 2, 2)), message("a", 3, 3));
  assert.deepEqual(offsets(more), [1]);
  assert.equal(more.waiting, 2);
  assert.deepEqual(offsets(pause(more, false)), [3, 2, 1]);
  assert.equal(pause(more, false).waiting, 0);
});

test("the filter shows one channel", () => {
  let log = addMessage(addMessage(EMPTY_LOG, message("a", 1, 1)), message("b", 2, 2));
  log = addGap(log, "a", "intake", 3);
  assert.deepEqual(lines(filter(log, "a")).map((e) => [e.offset, e.gap]), [[undefined, true], [1, false]]);
  assert.equal(lines(filter(log, undefined)).length, 3);
});

test("in whatever order messages come, it is sorted and bounded", () => {
  const random = chance(4);
  for (let round = 0; round < 20; round++) {
    let log = EMPTY_LOG;
    for (let i = 0; i < 400; i++) log = addMessage(log, message("a", 1 + Math.floor(random() * 300), Math.floor(random() * 50)));
    assert.ok(log.entries.length <= MAX_ENTRIES);
    for (let i = 1; i < log.entries.length; i++) assert.ok((log.entries[i - 1]?.time ?? 0) >= (log.entries[i]?.time ?? 0));
    assert.equal(new Set(log.entries.map((e) => e.key)).size, log.entries.length);
  }
});
