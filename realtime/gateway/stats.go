package gateway

import (
	"maps"
	"sync"
	"sync/atomic"

	"kentongan/realtime/protocol"
)

const dialects = 3

// stats are the counters of a gateway; each may be counted by any goroutine.
type stats struct {
	open        [dialects]atomic.Int64
	opened      [dialects]atomic.Uint64
	messagesOut [dialects]atomic.Uint64
	bytesOut    atomic.Uint64
	messagesIn  atomic.Uint64
	bytesIn     atomic.Uint64
	slow        atomic.Uint64
	halfOpen    atomic.Uint64
	violations  atomic.Uint64
	gaps        atomic.Uint64
	replayed    atomic.Uint64
	recovered   atomic.Uint64
	unrecovered atomic.Uint64

	bareRecovered  atomic.Uint64
	bareGaps       atomic.Uint64
	devicesUnknown atomic.Uint64

	mu     sync.Mutex
	closes map[string]uint64 // by name of the code
	denied map[string]uint64 // refused requests by reason
}

func (st *stats) closed(d protocol.Dialect, code protocol.Code) {
	st.open[d].Add(-1)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closes == nil {
		st.closes = map[string]uint64{}
	}
	name := code.String()
	if _, known := st.closes[name]; !known && len(st.closes) >= 40 {
		name = "other" // peers choose codes too; they must not make labels without end
	}
	st.closes[name]++
}

// deny counts a request that was refused. Reasons are a fixed set of words.
func (st *stats) deny(reason string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.denied == nil {
		st.denied = map[string]uint64{}
	}
	st.denied[reason]++
}

// Stats is a snapshot for metrics. Maps by dialect have the labels of protocol.Dialect.
type Stats struct {
	Open, Opened, MessagesOut     map[string]uint64 // by dialect
	Closed                        map[string]uint64 // by name of the close code
	Denied                        map[string]uint64 // refused upgrades and requests, by reason
	BytesOut, BytesIn, MessagesIn uint64
	Slow                          uint64 // readers that were closed because they did not keep up
	HalfOpen                      uint64 // peers that were closed because they gave no sign of life
	Violations                    uint64 // connections that broke the protocol or a limit
	Gaps                          uint64 // gaps told to live sessions
	Replayed                      uint64 // publications sent out of history
	Recovered, Unrecovered        uint64 // resumes that could, and that could not, be continued without a gap
	BareRecovered, BareGaps       uint64 // of bare clients that were known again
	DevicesUnknown                uint64 // bare clients with a cookie of a device that is not remembered: told a gap
	Stale                         bool   // clients are told now that what they see may be old
	StaleTold                     uint64 // told to clients: that it may be old, and that it is fresh again
	QueuedBytes                   uint64 // waiting for readers, over all sessions
}

// Opened returns how many connections have been opened since the start.
func (g *Gateway) Opened() uint64 {
	var n uint64
	for d := range g.stats.opened {
		n += g.stats.opened[d].Load()
	}
	return n
}

// Stats counts the queued bytes under the locks of the connections, one after the other.
func (g *Gateway) Stats() Stats {
	st := &g.stats
	out := Stats{
		Open: map[string]uint64{}, Opened: map[string]uint64{}, MessagesOut: map[string]uint64{},
		BytesOut: st.bytesOut.Load(), BytesIn: st.bytesIn.Load(), MessagesIn: st.messagesIn.Load(),
		Slow: st.slow.Load(), HalfOpen: st.halfOpen.Load(), Violations: st.violations.Load(), Gaps: st.gaps.Load(),
		BareRecovered: st.bareRecovered.Load(), BareGaps: st.bareGaps.Load(), DevicesUnknown: st.devicesUnknown.Load(),
		Stale: g.fresh.now.Load() != nil, StaleTold: g.fresh.told.Load(),
		Replayed: st.replayed.Load(), Recovered: st.recovered.Load(), Unrecovered: st.unrecovered.Load(),
	}
	for d := range protocol.Dialect(dialects) {
		out.Open[d.String()] = uint64(max(0, st.open[d].Load()))
		out.Opened[d.String()] = st.opened[d].Load()
		out.MessagesOut[d.String()] = st.messagesOut[d].Load()
	}
	st.mu.Lock()
	out.Closed, out.Denied = maps.Clone(st.closes), maps.Clone(st.denied)
	st.mu.Unlock()
	for _, s := range g.list() {
		out.QueuedBytes += uint64(s.conn.Queued()) //nolint:gosec // never negative
	}
	return out
}
