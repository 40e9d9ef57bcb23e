package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/tenant"
)

// crowded runs a hub in which each kitchen has so many screens, lets publish bring publications while the first kitchen's first one is on its
// way, and returns in which order the first screens of the kitchens have had theirs.
func crowded(t *testing.T, weight func(tenant.ID) int, screens map[tenant.ID]int, first tenant.ID, publish func(to func(tenant.ID, int))) (list []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := &fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}
		h, stop := run(broker, hub.Options{Names: names(t), Shards: 1, Weight: weight})
		defer stop()
		var mu sync.Mutex
		var others []string
		gate := make(chan struct{})
		for id, n := range screens {
			for i := range n {
				w := &watched{name: string(id), mu: &mu, list: &list}
				if i > 0 {
					w.list = &others
				} else if id == first {
					w.gate = gate
				}
				h.GoLive(subscribe(t, h, w, realtime.Channel{Tenant: id}), always)
			}
		}
		at := map[tenant.ID]uint64{}
		deliver := func(id tenant.ID, n int) {
			for range n {
				at[id]++
				h.Deliver(publication(realtime.Channel{Tenant: id, Name: "production:updates"}, "e", at[id]))
			}
		}
		deliver(first, 1)
		synctest.Wait() // it waits at the gate
		publish(deliver)
		close(gate)
		synctest.Wait()
		if n := h.Stats().Queued; n != 0 {
			t.Errorf("%d publications wait when all were delivered", n)
		}
	})
	return list
}

// ahead returns how many publications of a kitchen came before the one at a place of another one.
func ahead(list []string, of, before tenant.ID, offset int) int {
	end := slices.Index(list, fmt.Sprintf("%s production:updates/%d", before, offset))
	n := 0
	for _, line := range list[:max(end, 0)] {
		if strings.HasPrefix(line, string(of)+" ") {
			n++
		}
	}
	return n
}

// TestABurstOfOneKitchen: whoever publishes after a kitchen that has sent very much waits for little of it, whether his room is small or as
// large as the other one.
func TestABurstOfOneKitchen(t *testing.T) {
	const burst = 300
	list := crowded(t, nil, map[tenant.ID]int{"noisy": 60, "small": 5, "large": 60}, "noisy", func(to func(tenant.ID, int)) {
		to("noisy", burst)
		to("small", 2)
		to("large", 2)
	})
	if len(list) != burst+1+2+2 {
		t.Fatalf("%d publications came, want %d", len(list), burst+1+2+2)
	}
	// A thousand deliveries are a turn: 17 publications to 60 screens, and the one that was on its way.
	const turn = 1024/60 + 1
	for _, id := range []tenant.ID{"small", "large"} {
		if n := ahead(list, "noisy", id, 2); n > 2*turn {
			t.Errorf("%d publications of the burst came before those of %q, want %d at most", n, id, 2*turn)
		}
	}
	for i, n := range []int{1, 2, burst + 1} {
		if slices.Index(list, fmt.Sprintf("noisy production:updates/%d", n)) < i {
			t.Errorf("publication %d of the burst is out of its place", n)
		}
	}
}

// TestWeights: of two kitchens with five hundred publications each, the one that counts for four has had about four hundred when the other
// one has had a hundred.
func TestWeights(t *testing.T) {
	const each = 500
	weight := func(id tenant.ID) int {
		if id == "heavy" {
			return 4
		}
		return 1
	}
	list := crowded(t, weight, map[tenant.ID]int{"light": 40, "heavy": 40}, "light", func(to func(tenant.ID, int)) {
		to("light", each)
		to("heavy", each)
	})
	if len(list) != 2*each+1 {
		t.Fatalf("%d publications came, want %d", len(list), 2*each+1)
	}
	const turn = 1024 / 40 // publications
	if n := ahead(list, "heavy", "light", 100); n < 400-4*turn-turn || n > 400+4*turn+turn {
		t.Errorf("the kitchen with weight 4 has had %d publications when the other one had 100, want 400 to within a turn of each", n)
	}
}
