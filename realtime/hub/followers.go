package hub

import (
	"sync"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Followers returns how many subscriptions of this node are live for ch, those to all channels of its tenant included: whom a
// publication is offered to. It does not wait for what is being delivered, to however large a room.
func (h *Hub) Followers(ch realtime.Channel) int {
	if ch.Tenant != tenant.Global {
		return h.shardOf(ch.Tenant).tally.followers(ch)
	}
	n := 0
	for _, s := range h.shards {
		n += s.tally.followers(ch)
	}
	return n
}

// tally counts who is live in a shard. Its lock is held for a moment at a time, and under that of the shard: who publishes is told the
// number, and must not wait until thousands have been served whom somebody else has published to.
type tally struct {
	mu    sync.Mutex
	all   map[tenant.ID]int        // who follow all channels of a tenant
	whole int                      // the sum of all
	named map[realtime.Channel]int // who follow one channel
}

// note adds n to what sub is counted in.
func (t *tally) note(sub *Subscription, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sub.circle == nil {
		t.whole += n
		addTo(t.all, sub.room.tenant, n)
	} else {
		addTo(t.named, sub.Channel(), n)
	}
}

// addTo adds n to the count of key in m, which has no counts that are 0.
func addTo[K comparable](m map[K]int, key K, n int) {
	if m[key] += n; m[key] == 0 {
		delete(m, key)
	}
}

func newTally() tally { return tally{all: map[tenant.ID]int{}, named: map[realtime.Channel]int{}} }

func (t *tally) followers(ch realtime.Channel) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ch.Tenant == tenant.Global {
		return t.whole + t.named[ch]
	}
	return t.all[ch.Tenant] + t.named[ch]
}
