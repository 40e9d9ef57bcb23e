// Package gateway is the way from HTTP to a session.
//
// shortcut.go takes handshakes in before net/http, and connect.go turns a request into a session: who is it, what may it follow,
// which dialect does it speak. session.go is one connection: [session.send] gives frames to its socket, and closes it when too much is
// queued there. hear.go takes what clients send, commands.go carries out what they ask for, replay.go sends what a client missed,
// beat.go keeps the line alive and finds the dead ones. device.go knows a browser again that cannot say where it was, and proof.go what
// it has. How bytes get into and out of the kernel is package socket's business.
//
// Nothing is held for a session that is idle or keeps up: no buffer, no timer, no goroutine. What a socket calls (OnBytes, OnRoom,
// OnEnd) must not wait, for all connections of its loop would; what has to wait for an engine is done by goroutines that end with
// it. Locks: the hub's shard lock comes before a session's lock, the session's lock before its connection's; the lock of the gateway's
// list is never held together with another.
package gateway
