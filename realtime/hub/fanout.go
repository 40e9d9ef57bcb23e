package hub

import (
	"time"

	"kentongan/realtime/protocol"
)

// FanOut is how one publication went to the sessions of one shard.
type FanOut struct {
	Sessions int
	Dialects []string  // it was encoded for
	First    time.Time // when the first session was about to be written to; zero: none was
	Last     time.Time // when the last one had been: the kernel has it, or the session's queue
}

// encoded notes that a session is about to get m in a dialect for which it was just encoded.
func (m *Message) encoded(d protocol.Dialect) {
	if m.fan == nil {
		return
	}
	if m.fan.First.IsZero() {
		m.fan.First = time.Now()
	}
	m.fan.Dialects = append(m.fan.Dialects, d.String())
}

// fannedOut tells of m, if it is traced, when it was written to all. The lock is held.
func (s *shard) fannedOut(m *Message, sessions int) {
	if m.fan != nil {
		m.fan.Sessions, m.fan.Last = sessions, time.Now()
		s.hub.opts.FannedOut(m.Publication, m.fan)
	}
}
