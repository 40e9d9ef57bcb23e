// Package socket carries the bytes of very many connections, nearly all of which are idle. It knows no HTTP and no
// WebSocket.
//
// # One contract
//
// A [Conn] is one connection. Its [Handler] is told what comes in ([Handler.OnBytes]), when there is room again for a writer
// that waited ([Handler.OnRoom]), and that it is over ([Handler.OnEnd]). What goes out is given to [Conn.Send], which never waits: it
// writes with one system call, and what the kernel does not take is queued. How much may queue up is the caller's to decide, for
// Send tells how much does. A Conn ends by [Conn.Finish], in peace and after what is queued, by [Conn.Abort], at once, or when the peer
// ends it; OnEnd is called once, whichever it was.
//
// # Two engines
//
// An [Engine] takes connections in, from a listener ([Engine.Accept]) or one at a time ([Engine.Adopt]). What is plain TCP or a plain Unix
// socket on Linux is served by epoll: a few loops, each a goroutine that owns its connections. Between two events a
// connection is a file descriptor, a struct of some hundred bytes and an entry in a table; it has no goroutine, no buffer, no
// timer and no net.Conn. Everything else (TLS, the pipes of tests, other systems) is served by the portable engine: a goroutine for
// each connection reads, and one writes for as long as a queue lasts.
//
// # The loops
//
// A loop sleeps in Go's own network poller, which watches the loop's epoll descriptor as it watches any other. So an idle loop holds
// no thread, and a busy one asks the kernel for up to 256 events at a time, without telling the scheduler of system calls that cannot
// block. Events are edge-triggered. What comes in is asked for once, and room when a socket was full for the first time: from then on no
// further call is needed when it is full and empties. A loop reads into one buffer of its own and lends it to OnBytes; a connection that
// sends without a pause is put back behind the others after a few reads. What a callback gathers ([Conn.Gather]) is written together with
// that of others when the round ends. A loop that has worked for a slice of time (package giveway) lets go first whoever something has come
// for meanwhile: the doors of publications are not among its connections.
//
// # Who may do what
//
// Callbacks of one Conn never overlap, and on epoll they run on the loop: they must not block, because all connections of that loop
// would wait. A handler that has to wait calls [Conn.Pause], goes on in a goroutine, and calls [Conn.Resume] there; until then it hears
// nothing. OnRoom alone may come at any time. All methods of a Conn may be called concurrently, but Gather, which is for
// callbacks, and Pause, SetHandler and Detach, which are for them or for whoever adopted a connection and has not resumed it.
//
// Only the loop closes a descriptor: the others shut our side of the connection down, and the loop finds it at its end. Otherwise a
// descriptor's number could belong to somebody else by the time it is read or written.
//
// The lock of a Conn is the last one that anybody takes: no callback is made while it is held.
package socket
