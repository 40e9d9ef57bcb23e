// Package realtime has the words and the promises of the first half of the house: how a message that was published
// somewhere reaches every screen of one kitchen, in order, and again after the line was down. It does no I/O.
//
//   - A [Channel] is a named stream of one tenant, and [Names] maps the names that the app uses in Redis to channels.
//   - A [Publication] is one message in it. It has a [Position]: an epoch and an offset that counts 1, 2, 3 …
//   - A [Broker] stamps positions, keeps history and carries publications between nodes; a [Presence] knows who is there.
//   - A [Gap] is the honest "something may be missing here".
//
// The packages below realtime/ are the way of a message in the order in which it passes them: intake (the doors in),
// memory and redis (the engines), hub (who follows what on this node), protocol (frames and dialects), gateway (from
// HTTP to a session).
package realtime
