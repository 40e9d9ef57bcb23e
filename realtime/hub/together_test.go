package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

// grouped notes what it is offered, and what of it at once. It blocks in the first offer, if it has a gate.
type grouped struct {
	steps []string
	gate  chan struct{}
}

func (g *grouped) Offer(m *hub.Message) { g.note([]*hub.Message{m}) }

func (g *grouped) OfferBatch(b *hub.Batch) { g.note(b.Messages) }

func (g *grouped) note(messages []*hub.Message) {
	if gate := g.gate; gate != nil {
		g.gate = nil
		<-gate
	}
	var names []string
	for _, m := range messages {
		names = append(names, fmt.Sprintf("%s/%d", m.Publication.Channel.Name, m.Publication.Position.Offset))
	}
	g.steps = append(g.steps, strings.Join(names, "+"))
}

func (*grouped) Near() uint64 { return 0 }

func (g *grouped) OfferGap(string, realtime.Gap) { g.steps = append(g.steps, "gap") }

// together runs a hub with one shard, in which "n" is hidden from some.
func together(t *testing.T, do func(h *hub.Hub, follow func(s hub.Subscriber, ch realtime.Channel))) {
	t.Helper()
	hidden, err := realtime.NewHiddenFields([]string{"n"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}},
			hub.Options{Names: names(t), Shards: 1, Hidden: hidden})
		defer stop()
		do(h, func(s hub.Subscriber, ch realtime.Channel) { h.GoLive(subscribe(t, h, s, ch), always) })
	})
}

var (
	updatesOfA = realtime.Channel{Tenant: "a", Name: "production:updates"}
	alertsOfA  = realtime.Channel{Tenant: "a", Name: "production:alerts"}
)

// TestTogether lets publications of two rooms wait behind a slow one: those of one room that follow each other are offered at once, up to a
// gap.
func TestTogether(t *testing.T) {
	together(t, func(h *hub.Hub, follow func(hub.Subscriber, realtime.Channel)) {
		other := realtime.Channel{Tenant: "b", Name: "production:updates"}
		gate := make(chan struct{})
		all, one, neighbour := &grouped{gate: gate}, &grouped{}, &grouped{}
		follow(all, realtime.Channel{Tenant: "a"})
		follow(one, alertsOfA)
		for range 40 { // so many are served by the shard's goroutine
			follow(&grouped{}, realtime.Channel{Tenant: "a"})
		}
		follow(neighbour, other)

		h.Deliver(publication(updatesOfA, "e", 1))
		synctest.Wait() // it waits at the gate
		h.Deliver(publication(updatesOfA, "e", 2))
		h.Deliver(publication(alertsOfA, "e", 1))
		h.Deliver(publication(updatesOfA, "e", 3))
		h.Deliver(publication(other, "e", 1))
		h.Deliver(publication(updatesOfA, "e", 4))
		h.Gap(realtime.Gap{Channel: alertsOfA, Position: realtime.Position{Epoch: "e", Offset: 9}})
		h.Deliver(publication(alertsOfA, "e", 10))
		close(gate)
		synctest.Wait()

		want := []string{
			"production:updates/1", "production:updates/2+production:alerts/1+production:updates/3+production:updates/4", "gap",
			"production:alerts/10",
		}
		if !slices.Equal(all.steps, want) {
			t.Errorf("who follows all: got %q, want %q", all.steps, want)
		}
		if want := []string{"production:alerts/1", "gap", "production:alerts/10"}; !slices.Equal(one.steps, want) {
			t.Errorf("who follows one channel: got %q, want %q", one.steps, want)
		}
		if want := []string{"production:updates/1"}; !slices.Equal(neighbour.steps, want) {
			t.Errorf("the neighbour: got %q, want %q", neighbour.steps, want)
		}
	})
}

// largeRoom has two hundred sessions follow kitchen a behind first, and last behind them.
func largeRoom(follow func(hub.Subscriber, realtime.Channel), first hub.Subscriber, last ...hub.Subscriber) {
	kitchen := realtime.Channel{Tenant: "a"}
	follow(first, kitchen)
	for range 200 {
		follow(&grouped{}, kitchen)
	}
	for _, s := range last {
		follow(s, kitchen)
	}
}

// TestGetsOnOnTheWay has more come while a large room is being served: who is still to be visited gets all at once, and the others get
// later what came later. The publication behind a hole waits for the end of the round, for a gap is told first.
func TestGetsOnOnTheWay(t *testing.T) {
	together(t, func(h *hub.Hub, follow func(hub.Subscriber, realtime.Channel)) {
		gate := make(chan struct{})
		first, last := &grouped{gate: gate}, &grouped{}
		largeRoom(follow, first, last)
		h.Deliver(publication(updatesOfA, "e", 1))
		synctest.Wait() // it waits at the gate
		h.Deliver(publication(updatesOfA, "e", 2))
		h.Deliver(publication(alertsOfA, "e", 1))
		h.Deliver(publication(updatesOfA, "e", 4))
		h.Deliver(publication(alertsOfA, "e", 2))
		close(gate)
		synctest.Wait()
		if got, want := fmt.Sprint(first.steps), "[production:updates/1 production:updates/2+production:alerts/1 gap "+
			"production:updates/4+production:alerts/2]"; got != want {
			t.Errorf("the first of the room got %s, want %s", got, want)
		}
		if got, want := fmt.Sprint(last.steps), "[production:updates/1+production:updates/2+production:alerts/1 gap "+
			"production:updates/4+production:alerts/2]"; got != want {
			t.Errorf("the last of the room got %s, want %s", got, want)
		}
	})
}

// streamed reads the ids of the events that it is offered. Who may see all is asked for a bare frame of who may not, as well.
type streamed struct {
	grouped

	events strings.Builder
	plain  bool // it may not see all
}

func (s *streamed) Offer(m *hub.Message) {
	m.Plain().Frame(protocol.Bare, false)
	s.grouped.Offer(m)
	if s.plain {
		m = m.Plain()
	}
	s.events.Write(m.Frame(protocol.SSE, false))
}

func (s *streamed) OfferBatch(b *hub.Batch) {
	s.grouped.OfferBatch(b)
	s.events.Write(b.Frames(protocol.SSE, false, s.plain))
}

// cursors returns what the ids say, in their order.
func (s *streamed) cursors(t *testing.T) (cursors []protocol.Cursor) {
	t.Helper()
	for line := range strings.Lines(s.events.String()) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			c, err := protocol.DecodeCursor("a", strings.TrimSpace(id))
			if err != nil {
				t.Fatal(err)
			}
			cursors = append(cursors, c)
		}
	}
	return cursors
}

// TestIdsOfABatch: the id of an event tells of what came up to it, and not of what is behind it in the same batch, or what got on later: a
// stream that breaks in between would never get that.
func TestIdsOfABatch(t *testing.T) {
	together(t, func(h *hub.Hub, follow func(hub.Subscriber, realtime.Channel)) {
		gate := make(chan struct{})
		first, last, plain := &streamed{grouped: grouped{gate: gate}}, &streamed{}, &streamed{plain: true}
		largeRoom(follow, first, last, plain)
		h.Deliver(publication(updatesOfA, "e", 1))
		synctest.Wait() // it waits at the gate
		h.Deliver(publication(updatesOfA, "e", 2))
		h.Deliver(publication(alertsOfA, "e", 1))
		h.Deliver(publication(updatesOfA, "e", 3))
		close(gate)
		synctest.Wait()
		want := [][2]uint64{{1, 0}, {2, 0}, {2, 1}, {3, 1}}
		for who, s := range map[string]*streamed{"first": first, "last": last, "last who may not see all": plain} {
			cursors := s.cursors(t)
			if len(cursors) != len(want) {
				t.Fatalf("the %s has %d events, want %d", who, len(cursors), len(want))
			}
			for i, c := range cursors {
				if got := [2]uint64{c.At(updatesOfA).Offset, c.At(alertsOfA).Offset}; got != want[i] {
					t.Errorf("the id of event %d of the %s says %v, want %v", i, who, got, want[i])
				}
			}
		}
	})
}
