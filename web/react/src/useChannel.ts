import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import type { Client, Gap, KentonganError, Listener, Message, Position } from "kentongan";

import { useKentongan } from "./provider.tsx";

export interface UseChannelOptions<T> {
  /** Go on from here, for example from where the page was rendered on the server. It counts when the channel is first followed. */
  readonly since?: Position | undefined;
  /** Begin with the newest message of each key. It counts when the channel is first followed. */
  readonly snapshot?: boolean | undefined;
  /** How many messages are kept for `messages`: 100 unless set. */
  readonly keep?: number | undefined;
  /** Is called with each message. It may be another function at each rendering. */
  readonly onMessage?: ((message: Message<T>) => void) | undefined;
  /** Fetches the state anew; messages wait for the promise that it returns. */
  readonly onGap?: ((gap: Gap<T>) => unknown) | undefined;
}

export interface ChannelState<T> {
  /** The newest message. */
  readonly message: Message<T> | undefined;
  /** The newest messages, oldest first. */
  readonly messages: readonly Message<T>[];
  /** The last gap: what came before it may be incomplete. */
  readonly gap: Gap<T> | undefined;
  /** Why the channel cannot be followed. */
  readonly error: KentonganError | undefined;
}

const NOTHING: ChannelState<never> = { message: undefined, messages: [], gap: undefined, error: undefined };
const KEEP = 100;

/** Follows a channel while the component is shown. Without a name it follows none. */
export function useChannel<T = unknown>(channel: string | undefined, options: UseChannelOptions<T> = {}): ChannelState<T> {
  const client = useKentongan();
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const store = useMemo(() => new ChannelStore<T>(client, channel, latest), [client, channel]);
  return useSyncExternalStore(store.onState, store.state, () => NOTHING);
}

/** What came on one channel since somebody listens. */
class ChannelStore<T> {
  #current: ChannelState<T> = NOTHING;
  readonly #client: Client;
  readonly #channel: string | undefined;
  readonly #latest: { readonly current: UseChannelOptions<T> };
  #at: Position | undefined;

  constructor(client: Client, channel: string | undefined, latest: { readonly current: UseChannelOptions<T> }) {
    this.#client = client;
    this.#channel = channel;
    this.#latest = latest;
  }

  readonly state = (): ChannelState<T> => this.#current;

  readonly onState = (f: () => void): (() => void) => {
    if (this.#channel === undefined) return () => undefined;
    const set = (change: Partial<ChannelState<T>>) => {
      this.#current = { ...this.#current, ...change };
      f();
    };
    const listener: Listener<T> = {
      message: (message) => {
        const { keep = KEEP, onMessage } = this.#latest.current;
        onMessage?.(message);
        set({ message, messages: newest([...this.#current.messages, message], keep) });
      },
      gap: async (gap) => {
        await this.#latest.current.onGap?.(gap);
        const { keep = KEEP } = this.#latest.current;
        set({ gap, ...(gap.snapshot && { messages: newest(gap.snapshot, keep), message: gap.snapshot.at(-1) }) });
      },
      error: (error) => set({ error }),
    };
    const { since, snapshot } = this.#latest.current;
    // Who listens again, as in StrictMode, goes on where it was.
    const s = this.#client.subscribe<T>(this.#channel, listener, { since: this.#at ?? since, snapshot });
    return () => {
      this.#at = s.position() ?? this.#at;
      s.unsubscribe();
    };
  };
}

function newest<T>(all: readonly T[], keep: number): readonly T[] {
  return all.slice(Math.max(0, all.length - keep));
}
