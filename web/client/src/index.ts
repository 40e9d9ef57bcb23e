/** Kentongan's client: see docs/client.md. */

export { createClient, INITIAL_STATUS, type Client, type ClientOptions, type Status, type Subscription } from "./client.ts";
export type { Denial, Health, Phase, Transport } from "./connection.ts";
export type { FollowOptions, Gap, Listener } from "./follow.ts";
export type { Message, Page, Position } from "./frame.ts";
export { KentonganError, type Info, type Member } from "./http.ts";
export type { Socket, SocketConstructor } from "./line.ts";
export type { Role, Share } from "./feed.ts";
