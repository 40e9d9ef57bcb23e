// Package protocol has everything that goes over the wire to a client: WebSocket frames, the three dialects (bare,
// kentongan.v1, SSE), commands, cursors, close codes and error codes. docs/protocol.md says the same for people.
//
// It does no I/O: bytes go in, values come out, and the other way round. What goes out is appended to a slice of the
// caller, so that one encoded publication can be written to many sockets. Everything but [Reader] is free of state; a Reader
// belongs to one connection.
package protocol
