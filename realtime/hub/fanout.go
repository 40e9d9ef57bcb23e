package hub

import (
	"time"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

// FanOut is how one publication went to the sessions of one shard.
type FanOut struct {
	Sessions int
	Dialects []string  // it was encoded for
	First    time.Time // when the first session was about to be written to; zero: none was
	Last     time.Time // when the last one had been: the kernel has it, or the session's queue
}

// fanned is a publication that is traced, and was written for all but the last step.
type fanned struct {
	publication *realtime.Publication
	fan         *FanOut
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

// finish tells of a publication that was offered to all. With more, it is written when the group is flushed. The lock is held.
func (s *shard) finish(p *realtime.Publication, fan *FanOut, more bool) {
	s.fanned = append(s.fanned, fanned{p, fan})
	if !more {
		s.tellFanned()
	}
}

// tellFanned tells of what is written now. The lock is held.
func (s *shard) tellFanned() {
	if len(s.fanned) == 0 {
		return
	}
	now := time.Now()
	for _, f := range s.fanned {
		f.fan.Last = now
		s.hub.opts.FannedOut(f.publication, f.fan)
	}
	clear(s.fanned)
	s.fanned = s.fanned[:0]
}
