/** React hooks for Kentongan: see docs/client.md. */

export { KentonganProvider, useKentongan, type KentonganProviderProps } from "./provider.tsx";
export { useChannel, type ChannelState, type UseChannelOptions } from "./useChannel.ts";
export { useOutbox } from "./useOutbox.ts";
export { usePresence, type Presence } from "./usePresence.ts";
export { useRealtimeProduction, type RealtimeProduction } from "./useRealtimeProduction.ts";
export { useStatus } from "./useStatus.ts";
