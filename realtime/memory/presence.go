package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kentongan/internal/few"
	"kentongan/realtime"
)

// Presence is the realtime.Presence of one process. Its zero value is ready; what it holds is bounded by the sessions
// that there are.
type Presence struct {
	mu    sync.Mutex
	users map[realtime.Channel]*few.Map[string, present] // a Channel without a name: all channels of the tenant
}

// present is what is known of one user on a channel: half of a realtime.Member, since there is one for each connection or so.
type present struct {
	sessions int
	since    int64 // in ms since 1970
}

var _ realtime.Presence = (*Presence)(nil)

// Join implements realtime.Presence.
func (p *Presence) Join(ch realtime.Channel, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == nil {
		p.users = map[realtime.Channel]*few.Map[string, present]{}
	}
	here := p.users[ch]
	if here == nil {
		here = &few.Map[string, present]{}
		p.users[ch] = here
	}
	if m := here.At(user); m != nil {
		m.sessions++
	} else {
		here.Put(user, present{sessions: 1, since: time.Now().UnixMilli()})
	}
}

// Leave implements realtime.Presence. One Leave too many is ignored.
func (p *Presence) Leave(ch realtime.Channel, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.users[ch]
	if here == nil {
		return
	}
	m := here.At(user)
	if m == nil {
		return
	}
	m.sessions--
	if m.sessions == 0 {
		here.Remove(user)
	}
	if here.Len() == 0 {
		delete(p.users, ch)
	}
}

// Members implements realtime.Presence.
func (p *Presence) Members(ctx context.Context, ch realtime.Channel) ([]realtime.Member, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", realtime.ErrUnavailable, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	merged := map[string]present{}
	scopes := []realtime.Channel{ch}
	if ch.Name != "" {
		scopes = append(scopes, realtime.Channel{Tenant: ch.Tenant})
	}
	for _, scope := range scopes {
		here := p.users[scope]
		if here == nil {
			continue
		}
		for user, m := range here.All() {
			if known, ok := merged[user]; ok {
				m.sessions += known.sessions
				m.since = min(m.since, known.since)
			}
			merged[user] = m
		}
	}
	members := make([]realtime.Member, 0, len(merged))
	for user, m := range merged {
		members = append(members, realtime.Member{User: user, Sessions: m.sessions, Since: time.UnixMilli(m.since)})
	}
	slices.SortFunc(members, func(x, y realtime.Member) int { return cmp.Compare(x.User, y.User) })
	return members, nil
}
