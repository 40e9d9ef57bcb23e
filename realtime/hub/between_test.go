package hub_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/tenant"
)

// watched writes down in a common list what it is offered. It waits in the first offer if it has a gate.
type watched struct {
	name string
	gate chan struct{}
	mu   *sync.Mutex
	list *[]string
}

func (w *watched) Offer(m *hub.Message) {
	if gate := w.gate; gate != nil {
		w.gate = nil
		<-gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.list = append(*w.list, fmt.Sprintf("%s %s/%d", w.name, m.Publication.Channel.Name, m.Publication.Position.Offset))
}
func (w *watched) OfferBatch(b *hub.Batch)       { each(b, w.Offer) }
func (*watched) Near() uint64                    { return 0 }
func (w *watched) OfferGap(string, realtime.Gap) { *w.list = append(*w.list, w.name+" gap") }

// TestSmallRoomsDoNotWaitForALargeOne has publications of a small room come while a large one is being served: they are delivered in its
// midst, in their order, and what is behind a gap stays behind it.
func TestSmallRoomsDoNotWaitForALargeOne(t *testing.T) {
	for _, byName := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			broker := &fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}
			h, stop := run(broker, hub.Options{Names: names(t), Shards: 1})
			defer stop()
			var mu sync.Mutex
			var list []string
			gate := make(chan struct{})
			const many = 200
			for i := range many {
				w := &watched{name: fmt.Sprint("large", i), mu: &mu, list: &list}
				if i == 0 {
					w.gate = gate
				}
				ch := realtime.Channel{Tenant: "large"}
				if byName {
					ch.Name = "production:updates"
				}
				h.GoLive(subscribe(t, h, w, ch), always)
			}
			for _, id := range []tenant.ID{"small", "gapped"} {
				h.GoLive(subscribe(t, h, &watched{name: string(id), mu: &mu, list: &list}, realtime.Channel{Tenant: id}), always)
			}
			updates := func(id tenant.ID) realtime.Channel { return realtime.Channel{Tenant: id, Name: "production:updates"} }
			h.Deliver(publication(updates("large"), "e", 1))
			synctest.Wait() // it waits at the gate
			h.Deliver(publication(updates("small"), "e", 1))
			h.Deliver(publication(updates("large"), "e", 2))
			h.Deliver(publication(updates("small"), "e", 2))
			h.Gap(realtime.Gap{Channel: updates("gapped"), Position: realtime.Position{Epoch: "e", Offset: 5}})
			h.Deliver(publication(updates("gapped"), "e", 6))
			close(gate)
			synctest.Wait()

			at := func(line string) int { return slices.Index(list, line) }
			last := at(fmt.Sprintf("large%d production:updates/1", many-1))
			first, second := at("small production:updates/1"), at("small production:updates/2")
			if first < 0 || second < first || second > last {
				t.Errorf("by name %v: the small room has its publications at %d and %d, and the large one ended at %d", byName, first, second, last)
			}
			if gap, behind := at("gapped gap"), at("gapped production:updates/6"); gap < 0 || behind < gap {
				t.Errorf("by name %v: the gap comes at %d, what is behind it at %d", byName, gap, behind)
			}
			if next := at("large0 production:updates/2"); next < last || len(list) != 2*many+4 {
				t.Errorf("by name %v: the large room's next begins at %d, its last ended at %d; %d in all", byName, next, last, len(list))
			}
		})
	}
}
