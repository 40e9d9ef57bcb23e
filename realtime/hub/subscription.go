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
	room   *room
	circle *circle // in which it follows one channel; nil: all
	place  int32   // in its members
	ended  bool    // unsubscribed; may not become live again
}

// members returns those of which sub is one.
func (sub *Subscription) members() *members {
	if sub.circle == nil {
		return &sub.room.all
	}
	return &sub.circle.members
}

// goLive has publications offered, unless it has ended. The lock is held.
func (sub *Subscription) goLive() {
	if sub.ended {
		return
	}
	on := sub.members()
	if m := &(*on)[sub.place]; !m.live {
		m.live = true
		sub.room.shard.tour.enter(on, m)
		sub.room.shard.tally.note(sub, 1)
	}
}

// Channel returns what sub follows; without a name: all channels of the tenant and the global ones.
func (sub *Subscription) Channel() realtime.Channel {
	return realtime.Channel{Tenant: sub.room.tenant, Name: sub.name()}
}

// Wire returns what clients call the channel; "": all.
func (sub *Subscription) Wire() string {
	if sub.circle == nil {
		return ""
	}
	return sub.circle.wire
}

func (sub *Subscription) name() string {
	if sub.circle == nil {
		return ""
	}
	return sub.circle.name
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
	sub := &Subscription{room: r}
	if name == "" {
		r.all.add(to, sub)
		return sub
	}
	sub.circle = r.named[name]
	if sub.circle == nil {
		if r.named == nil {
			r.named = map[string]*circle{}
		}
		sub.circle = &circle{name: name, wire: s.hub.opts.Names.Spell(realtime.Channel{Tenant: r.tenant, Name: name})}
		r.named[name] = sub.circle
	}
	sub.circle.add(to, sub)
	return sub
}

// Unsubscribe ends sub. When it returns, nothing is offered any more. A second call does nothing.
func (h *Hub) Unsubscribe(sub *Subscription) {
	r := sub.room
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.ended {
		return
	}
	sub.ended = true
	on := sub.members()
	if m := &(*on)[sub.place]; m.live {
		s.tally.note(sub, -1)
		s.tour.leave(on, m)
	}
	on.remove(sub)
	if c := sub.circle; c != nil && len(c.members) == 0 {
		delete(r.named, c.name)
	}
	s.leave(r)
}

// Heads are the newest positions of the channels of one subscription, at one moment.
type Heads struct {
	sub *Subscription
}

// At returns the newest position of ch: that of the next publication offered is the one after it.
func (v Heads) At(ch realtime.Channel) realtime.Position {
	if r := v.sub.room.shard.rooms[ch.Tenant]; r != nil {
		return r.at(ch.Name)
	}
	return realtime.Position{}
}

// Cursor returns the newest positions of all channels of the subscription's tenant, and the global ones, as one word.
func (v Heads) Cursor() string { return v.sub.room.shard.cursor(v.sub.room) }

// Positions returns what Cursor holds.
func (v Heads) Positions() map[realtime.Channel]realtime.Position {
	r := v.sub.room
	positions := make(map[realtime.Channel]realtime.Position, len(r.heads)+1)
	r.shard.positions(r, func(ch realtime.Channel, p realtime.Position) { positions[ch] = p })
	return positions
}

// GoLive makes sub live, unless caughtUp, called first and under the shard's lock, says that the session is still
// behind. From then on every publication after the heads that caughtUp saw is offered, and none before: what the session
// writes in caughtUp is sent ahead of them. The Heads are valid during the call only, which must not block. It returns
// whether there is nothing more to catch up with: true as well if sub was unsubscribed meanwhile.
//
// With more subscriptions of the same session, all become live at the same moment; they must have been made with the same home,
// and be of its channels or global.
func (h *Hub) GoLive(sub *Subscription, caughtUp func(Heads) bool, more ...*Subscription) bool {
	s := sub.room.shard
	for _, m := range more {
		if m.room.shard != s {
			panic("hub: GoLive with subscriptions of several shards")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.ended || !caughtUp(Heads{sub}) {
		return sub.ended
	}
	sub.goLive()
	for _, m := range more {
		m.goLive()
	}
	return true
}

// View calls look with the heads, under the shard's lock. If sub is live, its session has been offered everything up to them, and nothing
// after; so it has for more of its subscriptions, which must have been made with the same home.
func (h *Hub) View(sub *Subscription, look func(Heads), more ...*Subscription) {
	s := sub.room.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(sub)
	for _, m := range more {
		s.catchUp(m)
	}
	look(Heads{sub})
}
