/** The HTTP routes that the client uses. docs/protocol.md owns them. */

import { field, fields, instant, list, parse, text, whole } from "./json.ts";
import { readPage, type Page, type Position } from "./frame.ts";

/** An answer of the server that is no success, or no answer at all (status 0). */
export class KentonganError extends Error {
  override readonly name = "KentonganError";
  constructor(
    readonly status: number,
    /** The server's code, such as NO_SUCH_CHANNEL. */
    readonly code: string,
    message: string,
    /** The same request may succeed later. */
    readonly temporary: boolean,
    readonly retryAfterMs = 0,
  ) {
    super(message);
  }
}

/** Who we are to the server. */
export interface Info {
  /** The kitchen; undefined for platform roles, who name one. */
  readonly sppgId: string | undefined;
  readonly userId: string | undefined;
  readonly role: string | undefined;
  readonly channels: readonly string[];
}

/** Somebody who is on a channel now. */
export interface Member {
  readonly user: string;
  readonly sessions: number;
  readonly since: number;
}

export interface ApiOptions {
  /** Where the server is, "https://host/base"; without it the page's own origin. */
  readonly url?: string | undefined;
  /** Returns the bearer token for the next request. Without it the session cookie is the credential. */
  readonly token?: (() => string | Promise<string>) | undefined;
  readonly fetch?: typeof fetch | undefined;
}

/** An HTTP request that takes longer than this will not be answered. */
export const HTTP_WAIT_MS = 10_000;

export class Api {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Returns the address of a route. */
  url(path: string): URL {
    const base = this.#options.url ?? globalThis.location?.href;
    if (base === undefined) throw new TypeError("kentongan: there is no page here, so createClient needs a url");
    const url = new URL(this.#options.url === undefined ? "/" : base, base);
    url.pathname = url.pathname.replace(/\/$/, "") + path;
    return url;
  }

  /** Returns the header that carries the token; none if the cookie is the credential. */
  async credential(): Promise<Record<string, string>> {
    const token = await this.#options.token?.();
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Sends a request and returns the response if it is a success. It throws a KentonganError otherwise. */
  async send(method: string, url: URL, accept: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept, ...(await this.credential()) };
    const credentials = this.#options.token ? "omit" : "include";
    let response: Response;
    try {
      const send = this.#options.fetch ?? globalThis.fetch;
      response = await send(url.href, { method, headers, cache: "no-store", credentials, signal });
    } catch {
      throw new KentonganError(0, "UNREACHABLE", "the server cannot be reached", true);
    }
    if (response.ok) return response;
    const error = field(parse(await response.text().catch(() => "")), "error");
    const { status } = response;
    const code = text(error, "code") ?? `HTTP_${status}`;
    const seconds = Number(response.headers.get("retry-after"));
    throw new KentonganError(status, code, text(error, "message") ?? `status ${status}`, status >= 500 || status === 429, seconds > 0 ? seconds * 1000 : 0);
  }

  async #ask(method: string, path: string, query: Record<string, string> = {}): Promise<unknown> {
    const url = this.url(path);
    for (const name in query) url.searchParams.set(name, query[name] ?? "");
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), HTTP_WAIT_MS);
    try {
      const response = await this.send(method, url, "application/json", patience.signal);
      const answer = fields(parse(await response.text()));
      if (answer === undefined) throw odd(path);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  async info(): Promise<Info> {
    const data = field(await this.#ask("GET", "/api/ws"), "data");
    const channels = list(data, "channels").filter((c): c is string => typeof c === "string");
    return { sppgId: text(data, "sppgId"), userId: text(data, "userId"), role: text(data, "userRole"), channels };
  }

  /** Buys a ticket, which stands for the token in the address of one connection. */
  async ticket(): Promise<string> {
    const ticket = text(field(await this.#ask("POST", "/api/ticket"), "data"), "ticket");
    if (ticket === undefined) throw odd("/api/ticket");
    return ticket;
  }

  /** Makes the live connections live as long as the session does now, and returns its end by the server's clock. */
  async extend(): Promise<number | undefined> {
    return instant(field(await this.#ask("POST", "/api/ws/extend"), "data"), "expires");
  }

  async history(channel: string, since?: Position, limit = 500): Promise<Page> {
    return this.#page({ channel, limit: String(limit), ...(since && { epoch: since.epoch, offset: String(since.offset) }) });
  }

  /** Returns the newest of each key. It throws with status 400 if the channel keeps no snapshot. */
  async snapshot(channel: string): Promise<Page> {
    return this.#page({ channel, snapshot: "1" });
  }

  async #page(query: Record<string, string>): Promise<Page> {
    const page = readPage(await this.#ask("GET", "/api/history", query));
    if (page === undefined) throw odd("/api/history");
    return page;
  }

  async presence(channel: string): Promise<readonly Member[]> {
    const members: Member[] = [];
    for (const m of list(await this.#ask("GET", "/api/presence", { channel }), "members")) {
      const user = text(m, "user");
      if (user !== undefined) members.push({ user, sessions: whole(m, "sessions") ?? 1, since: instant(m, "since") ?? 0 });
    }
    return members;
  }
}

function odd(path: string): KentonganError {
  return new KentonganError(0, "UNEXPECTED", `${path}: not the answer that it should be`, true);
}
