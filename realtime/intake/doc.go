// Package intake holds the doors through which publications come in.
//
//   - [PubSub] hears what the app publishes to its Redis with plain PUBLISH. Nothing is acknowledged on that way, so what
//     may be missing after a break is told to every reader as a gap.
//   - [HTTP] is POST /api/publish, which answers with the position.
//   - [RESP] speaks the Redis protocol: the app's own client publishes there, and is answered once it is stored.
//   - [Stream] reads what the app appends to a durable stream, and acknowledges it once it is stored.
//   - [Relay] is a function: for what runs in this process and publishes the committed events of an outbox.
//
// Each door turns the name that it was given into a channel of one tenant, checks that the data is JSON and not too large, and hands both
// on to be stamped. Names that no pattern matches are counted and listed by [Unmatched]. [Publishing] bounds how fast an
// API key publishes, and how fast a kitchen is published to.
package intake
