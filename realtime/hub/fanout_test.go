package hub_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// fans keeps what a hub tells of publications that are traced.
type fans struct {
	mu   sync.Mutex
	told []string
	late []time.Duration // from the first write to the last
}

func (f *fans) tell(p *realtime.Publication, how *hub.FanOut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%s/%d %d %v", p.Channel.Tenant, p.Position.Offset, how.Sessions, how.Dialects))
	f.late = append(f.late, how.Last.Sub(how.First))
}

// slowly takes a second for each message, when it is written.
type slowly struct{ reader }

func (s *slowly) Offer(m *hub.Message) {
	m.SSE()
	time.Sleep(time.Second)
}

func (*slowly) OfferBatch(b *hub.Batch) {
	b.Frames(protocol.SSE, false, false)
	time.Sleep(time.Second)
}

// TestFannedOut has traced publications told of once for each, whether they are delivered at once, by the shard, or in a group, and when
// the last session was written to; of others nothing is told.
func TestFannedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fans
		h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}},
			hub.Options{Names: names(t), Shards: 1, FannedOut: f.tell})
		defer stop()
		gate := make(chan struct{})
		var mu sync.Mutex
		var list []string
		for _, id := range []tenant.ID{"small", "large", "empty"} {
			h.GoLive(subscribe(t, h, &reader{}, realtime.Channel{Tenant: id, Name: "updates"}), func(hub.Heads) bool { return id != "empty" })
		}
		for range 40 {
			h.GoLive(subscribe(t, h, &reader{}, realtime.Channel{Tenant: "large"}), always)
		}
		h.GoLive(subscribe(t, h, &watched{name: "gate", gate: gate, mu: &mu, list: &list}, realtime.Channel{Tenant: "large"}), always)
		h.GoLive(subscribe(t, h, &slowly{}, realtime.Channel{Tenant: "large", Name: "updates"}), always)
		publish := func(id tenant.ID, offset uint64, traced bool) {
			p := publication(realtime.Channel{Tenant: id, Name: "updates"}, "e", offset)
			if traced {
				p.Trace = &tracing.Context{Trace: [16]byte{1}, Span: [8]byte{1}}
			}
			h.Deliver(p)
		}
		publish("small", 1, false)
		publish("small", 2, true)
		publish("nobody", 1, true)
		publish("empty", 1, true)
		publish("large", 1, true) // waits at the gate, and the others behind it are a group
		synctest.Wait()
		publish("large", 2, true)
		publish("large", 3, false)
		publish("large", 4, true)
		close(gate)
		time.Sleep(time.Minute)
		f.mu.Lock()
		defer f.mu.Unlock()
		want := []string{
			"small/2 1 [bare v1]", "empty/1 0 []", "large/1 43 [bare v1 sse]", "large/2 43 [bare v1 sse]",
			"large/4 43 [bare v1 sse]",
		}
		if !slices.Equal(f.told, want) {
			t.Errorf("told %q, want %q", f.told, want)
		}
		for i, least := range []time.Duration{0, 0, time.Second, time.Second, time.Second} {
			if i != 1 && (f.late[i] < least || f.late[i] > time.Minute) {
				t.Errorf("%s: the last write is %v behind the first, want at least %v", f.told[i], f.late[i], least)
			}
		}
	})
}

// TestFannedOutCostsNothing: where nothing is traced, that somebody would like to know it allocates nothing.
func TestFannedOutCostsNothing(t *testing.T) {
	allocs := func(opts hub.Options) float64 {
		opts.Names, opts.Shards = names(t), 1
		h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, opts)
		defer stop()
		h.GoLive(subscribe(t, h, counted{}, realtime.Channel{Tenant: "small"}), always)
		p := publication(realtime.Channel{Tenant: "small", Name: "updates"}, "e", 0)
		return testing.AllocsPerRun(500, func() {
			p.Position.Offset++
			h.Deliver(p)
		})
	}
	off := allocs(hub.Options{})
	on := allocs(hub.Options{FannedOut: func(*realtime.Publication, *hub.FanOut) { t.Error("told of what is not traced") }})
	if on != off {
		t.Errorf("%v allocations for each publication, without it %v", on, off)
	}
}

// counted is a session that encodes nothing.
type counted struct{}

func (counted) Offer(*hub.Message)            {}
func (counted) OfferBatch(*hub.Batch)         {}
func (counted) Near() uint64                  { return 0 }
func (counted) OfferGap(string, realtime.Gap) {}

func BenchmarkDeliver(b *testing.B) {
	h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(b), Shards: 1})
	defer stop()
	for range 5 {
		h.GoLive(subscribe(b, h, counted{}, realtime.Channel{Tenant: "small"}), always)
	}
	p := publication(realtime.Channel{Tenant: "small", Name: "updates"}, "e", 0)
	b.ReportAllocs()
	for b.Loop() {
		p.Position.Offset++
		h.Deliver(p)
	}
}
