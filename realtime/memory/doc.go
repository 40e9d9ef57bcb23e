// Package memory is the engine for one machine: a Broker and a Presence that live in this process and need nothing
// else. What a process forgets when it ends is told honestly: the next one counts in a new epoch.
//
// The state of one tenant is a kitchen, behind one lock. A publication is stamped, kept and delivered to the Sink under
// that lock, so that the order of offsets, the order of deliveries and the heads that Follow returns are one and the same; other
// tenants do not notice. Everything is bounded: a channel by its Retention, all history together by
// Options.MaxHistoryBytes, the channels by Options.MaxChannels, idempotency keys by Options.MaxKeys for a tenant.
package memory
