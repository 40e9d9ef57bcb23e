package hub_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
)

// holder notes what it may hold, and when it is to write it. It blocks in the first offer.
type holder struct {
	steps   []string
	entered chan struct{}
	proceed chan struct{}
}

func (h *holder) Offer(m *hub.Message) {
	if h.entered != nil {
		close(h.entered)
		h.entered = nil
		<-h.proceed
	}
	step := fmt.Sprintf("%s/%d", m.Publication.Channel.Name, m.Publication.Position.Offset)
	if m.More {
		step += " held"
	}
	h.steps = append(h.steps, step)
}

func (h *holder) Flush() { h.steps = append(h.steps, "flush") }

func (*holder) Near() uint64 { return 0 }

func (h *holder) OfferGap(string, realtime.Gap) { h.steps = append(h.steps, "gap") }

// TestTogether lets publications of two rooms wait behind a slow one: those of one room that follow each other are offered
// together, and the flush comes behind the last of them.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}
		h, stop := run(broker, hub.Options{Names: names(t), Shards: 1})
		defer stop()
		updates, alerts := realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Channel{Tenant: "a", Name: "production:alerts"}
		other := realtime.Channel{Tenant: "b", Name: "production:updates"}
		follow := func(s hub.Subscriber, ch realtime.Channel) {
			sub, err := h.Subscribe(t.Context(), s, ch, ch.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			h.GoLive(sub, func(hub.Heads) bool { return true })
		}
		all := &holder{entered: make(chan struct{}), proceed: make(chan struct{})}
		one := &holder{}
		entered := all.entered
		follow(all, realtime.Channel{Tenant: "a"})
		follow(one, alerts)
		for range 40 { // so many are served by the shard's goroutine
			follow(&holder{}, realtime.Channel{Tenant: "a"})
		}
		neighbour := &holder{}
		follow(neighbour, other)

		h.Deliver(publication(updates, "e", 1))
		<-entered
		h.Deliver(publication(updates, "e", 2))
		h.Deliver(publication(alerts, "e", 1))
		h.Deliver(publication(updates, "e", 3))
		h.Deliver(publication(other, "e", 1))
		h.Deliver(publication(updates, "e", 4))
		h.Gap(realtime.Gap{Channel: alerts, Position: realtime.Position{Epoch: "e", Offset: 9}})
		close(all.proceed)
		synctest.Wait()

		want := []string{
			"production:updates/1", "production:updates/2 held", "production:alerts/1 held", "production:updates/3 held",
			"production:updates/4 held", "flush", "gap",
		}
		if !slices.Equal(all.steps, want) {
			t.Errorf("who follows all: got %q, want %q", all.steps, want)
		}
		if want := []string{"production:alerts/1 held", "flush", "gap"}; !slices.Equal(one.steps, want) {
			t.Errorf("who follows one channel: got %q, want %q", one.steps, want)
		}
		if want := []string{"production:updates/1"}; !slices.Equal(neighbour.steps, want) {
			t.Errorf("the neighbour: got %q, want %q", neighbour.steps, want)
		}
	})
}
