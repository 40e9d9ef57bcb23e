// Package check judges what publishers and subscribers have written down: was anything lost, delivered twice, out of order
// or to the wrong tenant, and was every gap declared? It does no I/O and reads no clock, so that the same histories always
// give the same verdict, and so that it can be tested with histories that are wrong on purpose.
//
// Publishers and subscribers share one monotonic clock: all times are since the start of the run.
//
// A publication is named by its publisher and its sequence number, which count from 1 in each publisher; a publisher
// speaks in one channel only. All rules are linear in the number of events: a bitmap for each subscriber and publisher, the
// last position of each subscriber and channel, and one table of positions for each channel and epoch.
//
// # What has to arrive
//
// A publication has to arrive at a subscriber of its channel if a door acknowledged it, or, where a door acknowledges
// nothing, if Redis answered; and if it was begun after the subscriber was first told that it follows the channel. What
// did not arrive is excused by a gap alone, and only by one that was told where it is missing: after the last publication of
// the same publisher that came, before the next one, not before it was begun, and with a position that is not before its own. For
// plain PUBLISH it is enough that a gap was told soon after: once nobody has heard a message, nobody knows where it is missing.
//
// # What may come twice
//
// Nothing within one connection. A bare client has no position that it could resume from; the server sends it at least what it
// has not proven, so that after a reconnect it may see again what earlier connections brought, ahead of what is new. And where
// a history was lost, the idempotency keys were lost with it: what a publisher had to repeat may then come again in the
// new epoch, behind a gap. Replication by Redis is asynchronous: a failover may forget what was acknowledged, and give
// its position to another publication, behind a gap.
package check
