// Package redis is the engine for many nodes: a Broker, a Presence and a few shared lists in Redis 7 or Valkey.
//
// # Layout
//
// T is the tenant id and is a hash tag, so that all keys of one tenant are in one slot; tenant.Global is "*", which no
// id can spell.
//
//	kentongan:{T}:head            hash   epoch: of the tenant; o:NAME: newest offset; e:NAME: epoch of a channel that was turned;
//	                                     turned: the last debt of a break that was paid, see kentongan:intake
//	kentongan:{T}:h:NAME          stream entries OFFSET-0 with d (data), t (ms), i (who published it, see token)
//	kentongan:{T}:k:LEN:NAME:KEY  string idempotency record: digest, token, position
//	kentongan:{T}:live            Pub/Sub channel of the stamped copies, see wire.go
//	kentongan:{T}:present:NODE    hash   who is at that node; expires
//	kentongan:{T}:present         set    of nodes
//	kentongan:schema              string MAJOR.MINOR of all this, see schema.go
//	kentongan:ticket:ID           string one-use ticket
//	kentongan:intake              hash   of plain PUBLISH: who stamps (node, token, until, feeds), numbering, highest number
//	                                     stamped, and, while it is owed, the turn of all epochs
//	kentongan:intake:able         hash   nodes that could go on: numbering, lowest number, feeds
//	kentongan:intake:marks        Pub/Sub channel of marks and their numbers, see the package stamping
//	kentongan:intake:feed:WORD    Pub/Sub channel to which an open feed subscribes
//	kentongan:extend              Pub/Sub channel of extensions of sessions
//	kentongan:revoke              Pub/Sub channel of revocations, also for the app; kentongan:revoked remembers them
//
// In a Cluster "{kentongan}:" stands before each of these names, so that all is in one slot, and the Pub/Sub channels are those of the
// slot; but for kentongan:extend and kentongan:revoke, on which anybody may publish anywhere.
//
// # Connections
//
// Three, each for its job: one for questions (history, heads, presence), one that publishes, one that subscribes. The
// first two are rueidis'. The third, link, is our own: it is on the path of every message, and has to know exactly when it broke,
// what was confirmed in which order, and how much it reads before it allocates.
//
// All of them are opened by dialer, to where Primary says: a fixed address, or what a finder names: sentinels, or nodes of a Cluster. Who
// answers has to say that it is no replica. When the primary is replaced, all connections to the old one end in the same moment. A
// connection that is not answered ends too, and what it had under way is ended on the side of Redis before anything is sent again.
//
// # Why nothing is missed
//
// One script stamps, stores and announces, so the three cannot disagree. Announcements can get lost with a connection; so
// every node compares the offset of each copy with the last one of its channel, and reads from history what it did not
// get, before it delivers anything newer. After each reconnect it does the same with the heads of all tenants that it follows.
package redis
