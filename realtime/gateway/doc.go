// Package gateway is the way from HTTP to a session and back out to a socket.
//
// shortcut.go takes handshakes in before net/http, and connect.go turns a request into a session: who is it, what may it follow, which dialect does it speak. session.go is
// one connection: [session.send] writes without waiting, and what the socket does not take waits in a bounded queue. run.go reads,
// commands.go carries out what clients ask for, replay.go sends what a client missed, beat.go keeps the line alive and
// finds the dead ones. socket.go is the only file that knows how bytes get into and out of the kernel.
//
// Nothing is held for a session that is idle or keeps up: no buffer, no timer, one goroutine that waits in the network
// poller. Locks: the hub's shard lock comes before a session's lock, the session's lock before none; the lock of the gateway's
// list is never held together with another.
package gateway
