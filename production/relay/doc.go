// Package relay is the seam between the kitchen and the screens: it takes committed events out of a production.Outbox and publishes
// them. Neither half knows the other one; the relay knows the words of both.
//
// An event is in its channel once and in its order, whatever breaks. A change and its events commit together. One relay at a time
// has the lease of a tenant; it publishes that tenant's events one after the other, each under its id, and marks them. Who dies before
// the mark leaves them to the next one, who publishes them again under the same ids, which the engine answers with the first position.
// An engine remembers ids for [realtime.IdempotencyWindow]; for events that are older than that the relay looks into the channel's
// history first.
//
// A store that is a [production.Direct] hands on events as they are committed, so that nobody has to ask for them. The promise is the
// same: its commit has taken the lease.
//
// An event that can never be published is set aside, and never silently: it is logged, counted and listed, and the readers of its
// channel are told a gap, so that they fetch the state anew.
package relay
