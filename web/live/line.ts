/** The line to the server: does what the state machine of connection.ts says, with a real WebSocket and real time. */

import { admission } from "./api.ts";
import { deadline, START, step, type Act, type Connection, type LineEvent } from "./connection.ts";
import { Follow } from "./follow.ts";
import { readFrame } from "./frame.ts";
import type { Event, State } from "./state.ts";

const SUBPROTOCOL = "kentongan.v1";

export interface LineOptions {
  /** The kitchen to look into, for platform roles. */
  readonly chosen: string | undefined;
  readonly state: () => State;
  readonly dispatch: (event: Event) => void;
}

/** Line holds one connection at most. */
export class Line {
  private connection: Connection = START;
  private socket: WebSocket | undefined;
  private request: AbortController | undefined;
  private follow: Follow | undefined;
  private timer: number | undefined;

  constructor(private readonly options: LineOptions) {}

  /** Starts to connect, and listens to what the device tells of its line. */
  start(): void {
    const wake = () => {
      if (document.visibilityState === "visible") this.on({ kind: "wake" });
    };
    document.addEventListener("visibilitychange", wake);
    window.addEventListener("pageshow", wake); // out of the back-forward cache, where iOS kills sockets without a word
    window.addEventListener("online", wake);
    this.on({ kind: "start" });
  }

  /** Tries again at once, however long we were to wait. */
  retry(): void {
    this.on({ kind: "start" });
  }

  private on(event: LineEvent): void {
    const [next, acts] = step(this.connection, event, Date.now(), Math.random());
    this.connection = next;
    this.options.dispatch({ kind: "connection", connection: next });
    for (const act of acts) this.perform(act);
    this.arm();
  }

  /** Sets the timer to when the machine next wants to be asked. */
  private arm(): void {
    window.clearTimeout(this.timer);
    const due = deadline(this.connection);
    if (due !== undefined) this.timer = window.setTimeout(() => this.on({ kind: "tick" }), Math.max(0, due - Date.now()));
  }

  private perform(act: Act): void {
    switch (act) {
      case "ask":
        void this.ask();
        return;
      case "open":
        this.open();
        return;
      case "drop":
        this.drop();
        return;
      case "probe":
        this.follow?.probe();
        return;
    }
  }

  private async ask(): Promise<void> {
    const request = new AbortController();
    this.request = request;
    try {
      const answer = await admission(this.options.chosen, request.signal);
      if (this.request !== request) return;
      if ("denial" in answer) {
        this.options.dispatch({ kind: "kitchen", kitchen: undefined });
        this.on({ kind: "denied", denial: answer.denial });
        return;
      }
      this.options.dispatch({ kind: "kitchen", kitchen: answer.kitchen });
      this.on({ kind: "admitted" });
    } catch {
      if (this.request === request) this.on({ kind: "unreachable" });
    }
  }

  private open(): void {
    const url = new URL("/api/ws", window.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url.href, SUBPROTOCOL);
    this.socket = socket;
    const current = (f: () => void) => () => {
      if (this.socket === socket) f();
    };
    socket.onopen = current(() => {
      this.on({ kind: "opened" });
      this.follow = this.following(socket);
      this.follow.start();
    });
    socket.onmessage = (m: MessageEvent<unknown>) => {
      if (this.socket === socket && typeof m.data === "string") this.receive(m.data);
    };
    socket.onclose = (e) => {
      if (this.socket !== socket) return;
      this.forget();
      this.on({ kind: "closed", code: e.code, reason: e.reason });
    };
  }

  private receive(data: string): void {
    const frame = readFrame(data);
    if (frame.kind === "goaway") this.on({ kind: "goaway", reconnectInMs: frame.reconnectInMs });
    this.follow?.take(frame);
    this.on({ kind: "heard" });
  }

  private following(socket: WebSocket): Follow {
    const { state, dispatch } = this.options;
    return new Follow({
      send: (frame) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(frame);
      },
      channels: () => state().channels,
      take: (frame) => dispatch({ kind: "frame", frame, now: Date.now() }),
      refused: (channel, problem) => dispatch({ kind: "refused", channel, problem }),
      caughtUp: (channel) => dispatch({ kind: "caught-up", channel }),
      synced: (on) => {
        if (this.connection.synced !== on) this.on({ kind: "synced", on });
      },
      lost: () => this.on({ kind: "lost" }),
      later: (ms, f) => {
        window.setTimeout(() => {
          if (this.socket === socket) f();
        }, ms);
      },
    });
  }

  private drop(): void {
    this.request?.abort();
    this.request = undefined;
    const socket = this.socket;
    this.forget();
    socket?.close(1000);
  }

  /** What a socket says after this is no longer heard. */
  private forget(): void {
    this.socket = undefined;
    this.follow = undefined;
  }
}
