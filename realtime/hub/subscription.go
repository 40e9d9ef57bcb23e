package hub

import (
	"context"
	"fmt"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// followTimeout bounds how long somebody who connects waits for the engine. It is the connect timeout of the
// contract with the existing app.
const followTimeout = 10 * time.Second

// Subscription is one session following one channel, or all channels of one tenant together with the global ones.
type Subscription struct {
	session Subscriber
	shard   *shard
	room    *room
	name    string // "": all channels
	place   int    // in its members
	live    bool   // stands at the head: publications are offered as they come
	ended   bool   // unsubscribed; may not become live again
}

// Subscribe enters s for ch; a ch without a name means all channels of its tenant and the global ones. Nothing is
// offered before [Hub.GoLive]. home is the tenant of the session: global channels are delivered by its shard. It returns the
// broker's error if the tenant cannot be followed now. Every Subscription must be ended by Unsubscribe.
func (h *Hub) Subscribe(ctx context.Context, s Subscriber, ch realtime.Channel, home tenant.ID) (*Subscription, error) {
	shard := h.shardOf(ch.Tenant)
	if ch.Tenant == tenant.Global {
		shard = h.shardOf(home)
	}
	r, err := shard.enter(ctx, ch.Tenant)
	if err != nil {
		return nil, fmt.Errorf("follow tenant %q: %w", ch.Tenant, err)
	}
	if ch.Name == "" && ch.Tenant != tenant.Global {
		// Whoever follows a whole tenant hears the global channels as well. That room stays for ever, so the
		// subscription need not stay counted in it.
		global, err := shard.enter(ctx, tenant.Global)
		if err != nil {
			shard.exit(r)
			return nil, fmt.Errorf("follow global channels: %w", err)
		}
		shard.exit(global)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.add(s, r, ch.Name), nil
}

// SubscribeNow is Subscribe for those who cannot wait: it returns nil if it would have to, because nobody here follows the tenant
// yet, or no global channels are followed.
func (h *Hub) SubscribeNow(s Subscriber, ch realtime.Channel, home tenant.ID) *Subscription {
	shard := h.shardOf(ch.Tenant)
	if ch.Tenant == tenant.Global {
		shard = h.shardOf(home)
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	r := shard.rooms[ch.Tenant]
	if !r.isOpen() || ch.Name == "" && !shard.rooms[tenant.Global].isOpen() {
		return nil
	}
	r.size++
	shard.subscriptions++
	return shard.add(s, r, ch.Name)
}

// add makes a subscription in r, where it is counted already. The lock is held.
func (s *shard) add(to Subscriber, r *room, name string) *Subscription {
	sub := &Subscription{session: to, shard: s, room: r, name: name}
	if name == "" {
		r.all.add(sub)
		return sub
	}
	named := r.named[name]
	if named == nil {
		named = &members{}
		r.named[name] = named
	}
	named.add(sub)
	return sub
}

// Unsubscribe ends sub. When it returns, nothing is offered any more. A second call does nothing.
func (h *Hub) Unsubscribe(sub *Subscription) {
	s, r := sub.shard, sub.room
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.ended {
		return
	}
	sub.live, sub.ended = false, true
	if sub.name == "" {
		r.all.remove(sub)
	} else {
		named := r.named[sub.name]
		named.remove(sub)
		if len(*named) == 0 {
			delete(r.named, sub.name)
		}
	}
	s.leave(r)
}

// Heads are the newest positions of the channels of one subscription, at one moment.
type Heads struct {
	sub *Subscription
}

// At returns the newest position of ch: that of the next publication offered is the one after it.
func (v Heads) At(ch realtime.Channel) realtime.Position {
	if r := v.sub.shard.rooms[ch.Tenant]; r != nil {
		return r.at(ch.Name)
	}
	return realtime.Position{}
}

// Cursor returns the newest positions of all channels of the subscription's tenant, and the global ones, as one word.
func (v Heads) Cursor() string { return v.sub.shard.cursor(v.sub.room) }

// Positions returns what Cursor holds.
func (v Heads) Positions() map[realtime.Channel]realtime.Position {
	return v.sub.shard.positions(v.sub.room)
}

// GoLive makes sub live, unless caughtUp, called first and under the shard's lock, says that the session is still
// behind. From then on every publication after the heads that caughtUp saw is offered, and none before: what the session
// writes in caughtUp is sent ahead of them. The Heads are valid during the call only, which must not block. It returns
// whether there is nothing more to catch up with: true as well if sub was unsubscribed meanwhile.
//
// With more subscriptions of the same session, all become live at the same moment; they must have been made with the same home,
// and be of its channels or global.
func (h *Hub) GoLive(sub *Subscription, caughtUp func(Heads) bool, more ...*Subscription) bool {
	s := sub.shard
	for _, m := range more {
		if m.shard != s {
			panic("hub: GoLive with subscriptions of several shards")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.ended || !caughtUp(Heads{sub}) {
		return sub.ended
	}
	sub.live = true
	for _, m := range more {
		m.live = !m.ended
	}
	return true
}

// View calls look with the heads, under the shard's lock, and changes nothing.
func (h *Hub) View(sub *Subscription, look func(Heads)) {
	s := sub.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	look(Heads{sub})
}
