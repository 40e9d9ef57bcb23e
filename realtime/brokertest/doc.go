// Package brokertest is the contract of realtime.Broker and realtime.Presence as tests, clause by clause. Every engine
// passes [Run] and [RunPresence]; what an engine cannot do, it says in its [Engine].
//
// Each part of the contract is a subtest named after its rule. Nothing in here measures time: what comes later is waited for, up
// to a limit that only a hanging engine reaches.
package brokertest
