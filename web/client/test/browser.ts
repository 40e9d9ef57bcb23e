/** What tabs of one browser share, in this process: Web Locks and BroadcastChannel. */

import { setMaxListeners } from "node:events";

import { LATENCY_MS } from "./server.ts";

interface Request {
  readonly name: string;
  readonly run: () => unknown;
  readonly fail: (e: unknown) => void;
  readonly done: (v: unknown) => void;
  over: boolean;
}

/** LockManager as far as it is used: exclusive locks with a queue, signal and steal. */
export class FakeLocks {
  private readonly queues = new Map<string, Request[]>(); // the first holds the lock

  readonly request = (name: string, options: { signal?: AbortSignal; steal?: boolean }, run: () => unknown): Promise<unknown> =>
    new Promise((done, fail) => {
      const r: Request = { name, run, fail, done, over: false };
      const queue = this.queues.get(name) ?? [];
      this.queues.set(name, queue);
      if (options.signal?.aborted) {
        fail(new Error("AbortError"));
        return;
      }
      if (options.steal) {
        const robbed = queue.shift();
        if (robbed) {
          robbed.over = true;
          robbed.fail(new Error("AbortError"));
        }
        queue.unshift(r);
      } else queue.push(r);
      const abort = () => {
        const at = queue.indexOf(r);
        if (at <= 0) return; // it is held: the signal counts no more
        queue.splice(at, 1);
        fail(new Error("AbortError"));
      };
      if (options.signal) setMaxListeners(100, options.signal);
      options.signal?.addEventListener("abort", abort);
      if (queue[0] === r) this.grant(r);
    });

  private grant(r: Request): void {
    setTimeout(async () => {
      if (r.over) return;
      try {
        r.done(await r.run());
      } catch (e) {
        r.fail(e);
      }
      const queue = this.queues.get(r.name) ?? [];
      if (queue[0] !== r) return;
      queue.shift();
      if (queue[0]) this.grant(queue[0]);
    }, 0);
  }
}

/** BroadcastChannel, which tells others of the same name a copy. A frozen one neither tells nor hears. */
export class FakeBroadcast {
  static all: FakeBroadcast[] = [];
  onmessage: ((m: { data: unknown }) => void) | null = null;
  frozen = false;
  constructor(readonly name: string) {
    FakeBroadcast.all.push(this);
  }
  postMessage(word: unknown): void {
    if (this.frozen) return;
    const copy = structuredClone(word);
    for (const other of FakeBroadcast.all) {
      if (other === this || other.name !== this.name) continue;
      setTimeout(() => {
        if (FakeBroadcast.all.includes(other) && !other.frozen) other.onmessage?.({ data: copy });
      }, LATENCY_MS / 10);
    }
  }
  close(): void {
    FakeBroadcast.all = FakeBroadcast.all.filter((b) => b !== this);
  }
}
