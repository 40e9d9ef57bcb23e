package gateway

import (
	"sync"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

// marks is how far each channel was sent to one event stream that follows some by name: its channels catch up beside one another, and
// each event's id tells of all of them. Whoever sends such a stream something with an id holds the lock from before the id is made until
// the event is in the queue. An event that overtook another one whose position is in its id would tell the client that it has both; if
// the line then breaks, or the queue is thrown away, the client comes back with that id, and never gets the other.
type marks struct {
	mu        sync.Mutex // taken after a shard's, and before the session's
	positions *protocol.CursorEncoder
}

// inOrder keeps others from sending events with ids until unlock is called.
func (s *session) inOrder() (unlock func()) {
	if s.marks == nil {
		return func() {}
	}
	s.marks.mu.Lock()
	return s.marks.mu.Unlock
}

// mark notes how far a channel was sent, for the event streams that need a cursor of their own, and returns it; empty for all others.
// Those call it within inOrder.
func (s *session) mark(ch realtime.Channel, p realtime.Position) (cursor string) {
	if s.marks == nil {
		return ""
	}
	s.marks.positions.Set(ch, p)
	return string(s.marks.positions.Append(nil))
}
