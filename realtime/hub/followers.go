package hub

import (
	"kentongan/realtime"
	"kentongan/tenant"
)

// Followers returns how many subscriptions of this node are live for ch, those to all channels of its tenant included: whom a
// publication is offered to. It takes the locks of the shards concerned, one after the other.
func (h *Hub) Followers(ch realtime.Channel) int {
	if ch.Tenant != tenant.Global {
		return h.shardOf(ch.Tenant).followers(ch)
	}
	n := 0
	for _, s := range h.shards {
		n += s.followers(ch)
	}
	return n
}

func (s *shard) followers(ch realtime.Channel) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[ch.Tenant]
	if r == nil {
		return 0
	}
	if ch.Tenant == tenant.Global {
		for _, other := range s.rooms {
			n += other.all.live()
		}
	} else {
		n = r.all.live()
	}
	if named := r.named[ch.Name]; named != nil {
		n += named.live()
	}
	return n
}

func (m *members) live() (n int) {
	for i := range *m {
		if (*m)[i].live {
			n++
		}
	}
	return n
}
