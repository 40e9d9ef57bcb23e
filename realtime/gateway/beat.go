package gateway

import (
	"math"
	"slices"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

// pingFrame is the WebSocket ping of all sessions. Browsers answer it by themselves.
var pingFrame = protocol.AppendFrame(nil, protocol.OpPing, nil)

// onTick is called by the wheel at the time at, and returns when to be called again; zero: never. Both are as gateway.clock.
func (s *session) onTick(at time.Duration) (due time.Duration) {
	s.mu.Lock()
	ends := s.state >= closing
	s.mu.Unlock()
	if ends {
		return 0
	}
	who, now := s.who.Load(), time.Now()
	if !who.Expires.IsZero() && !now.Before(who.Expires.Time()) {
		s.close(protocol.CloseSessionExpired, "")
		return 0
	}
	deadline := s.silentUntil()
	if at >= deadline {
		s.gw.stats.halfOpen.Add(1)
		s.close(protocol.CloseIdle, "")
		return 0
	}
	if s.nextBeat = max(s.nextBeat, s.lastAsked()+s.interval()); at >= s.nextBeat {
		s.beat(now)
		s.nextBeat = at + s.interval()
	}
	due = min(s.nextBeat, deadline)
	if !who.Expires.IsZero() {
		due = min(due, s.gw.clock()+who.Expires.Time().Sub(now))
	}
	return due
}

// silentUntil is how long the peer may be silent: two intervals without any whole frame, in which two pings went out. A client that
// only dribbles bytes completes none. Time in which this process stood still does not count, for what the peer said then
// is not read yet. SSE clients send nothing; there the kernel's time-out for unacknowledged data finds the dead.
func (s *session) silentUntil() time.Duration {
	if s.dialect == protocol.SSE {
		return math.MaxInt64
	}
	return time.Duration(s.lastRead.Load()+s.gw.wheel.lost.Load()) + 2*s.gw.opts.PingInterval
}

// interval is the time between two signs of life.
func (s *session) interval() time.Duration {
	if s.dialect == protocol.SSE {
		return min(s.gw.opts.PingInterval, sseInterval)
	}
	if s.proof != nil {
		return min(s.gw.opts.PingInterval, realtime.DeviceRefresh/2)
	}
	return s.gw.opts.PingInterval
}

// beat sends a sign of life, with the newest offsets where the dialect has words for it, in one write.
func (s *session) beat(now time.Time) {
	switch s.dialect {
	case protocol.V1:
		heartbeat := protocol.Heartbeat{Time: now, Offsets: s.offsets()}.Append(nil, protocol.V1)
		s.send(append(heartbeat, pingFrame...))
	case protocol.SSE:
		heartbeat := protocol.Heartbeat{Time: now, Offsets: s.offsets()} // of the channels that are followed by name
		s.send(protocol.AppendChunk(nil, heartbeat.Append(protocol.AppendSSEComment(nil, ""), protocol.SSE)))
	case protocol.Bare:
		if !s.ask() {
			s.send(pingFrame)
		}
		s.save(proofSaveEvery)
	}
}

// offsets returns how far each followed channel is.
func (s *session) offsets() []protocol.ChannelOffset {
	s.mu.Lock()
	subs := slices.Clone(s.subs)
	s.mu.Unlock()
	var offsets []protocol.ChannelOffset
	for _, sub := range subs {
		wire := sub.Wire()
		if wire == "" {
			continue
		}
		s.gw.hub.View(sub, func(h hub.Heads) {
			offsets = append(offsets, protocol.ChannelOffset{Channel: wire, Offset: h.At(sub.Channel()).Offset})
		})
	}
	return offsets
}
