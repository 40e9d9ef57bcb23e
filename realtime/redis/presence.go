package redis

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/few"
	"kentongan/internal/nap"
	"kentongan/realtime"
	"kentongan/tenant"
)

// Presence is the realtime.Presence over Redis. What this node's sessions do is known at once here, and written within
// a second for the other nodes, many tenants in one batch. A node that vanishes is forgotten with its keys.
type Presence struct {
	broker *Broker
	node   string

	mu      sync.Mutex
	tenants map[tenant.ID]*attendance
	dirty   map[tenant.ID]struct{} // have changes that are not written
}

// attendance is who is at this node for one tenant.
type attendance struct {
	seats   few.Map[seat, present]
	changed few.Map[seat, struct{}] // since the last write
	whole   bool                    // write all of it: Redis may have forgotten it
	fresh   time.Time               // when it was refreshed
}

// present is what is known of a seat here: half of a realtime.Member, since there is one for each connection or so.
type present struct {
	sessions int
	since    int64 // in ms since 1970
}

func (p present) member(user string) realtime.Member {
	return realtime.Member{User: user, Sessions: p.sessions, Since: time.UnixMilli(p.since)}
}

// seat is a user on a channel; without a channel's name: on all of the tenant.
type seat struct{ channel, user string }

const (
	presenceWriteEvery   = 500 * time.Millisecond
	presenceRefreshEvery = realtime.PresenceExpiry / 3
	presenceBatch        = 128
)

func newPresence(b *Broker) *Presence {
	return &Presence{broker: b, node: hex.EncodeToString(b.node[:]), tenants: map[tenant.ID]*attendance{}, dirty: map[tenant.ID]struct{}{}}
}

// Join implements realtime.Presence.
func (p *Presence) Join(ch realtime.Channel, user string) { p.count(ch, user, 1) }

// Leave implements realtime.Presence. One Leave too many is ignored.
func (p *Presence) Leave(ch realtime.Channel, user string) { p.count(ch, user, -1) }

func (p *Presence) count(ch realtime.Channel, user string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.tenants[ch.Tenant]
	if a == nil {
		if n < 0 {
			return
		}
		a = &attendance{fresh: time.Now(), whole: true}
		p.tenants[ch.Tenant] = a
	}
	s := seat{ch.Name, user}
	at := a.seats.At(s)
	switch {
	case at == nil && n < 0:
		return
	case at == nil:
		a.seats.Put(s, present{sessions: n, since: time.Now().UnixMilli()})
	default:
		if at.sessions += n; at.sessions == 0 {
			a.seats.Remove(s)
		}
	}
	a.changed.Put(s, struct{}{})
	p.dirty[ch.Tenant] = struct{}{}
}

// Members implements realtime.Presence.
func (p *Presence) Members(ctx context.Context, ch realtime.Channel) ([]realtime.Member, error) {
	b := p.broker
	if err := b.check(ctx, "members"); err != nil {
		return nil, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	keys, args := []string{b.keys.nodes(ch.Tenant)}, []string{b.keys.present(ch.Tenant, ""), p.node}
	nodes, err := membersScript.Exec(ctx, b.ask, keys, args).ToArray()
	if err != nil {
		return nil, unavailable("members", err)
	}
	found := map[string]realtime.Member{}
	p.mu.Lock()
	if a := p.tenants[ch.Tenant]; a != nil {
		for s, here := range a.seats.All() {
			addMember(found, ch, s, here.member(s.user))
		}
	}
	p.mu.Unlock()
	for i := range nodes {
		fields, err := nodes[i].AsStrMap()
		if err != nil {
			return nil, unavailable("members", err)
		}
		for field, value := range fields {
			s, m, err := parseSeat(field, value)
			if err != nil {
				return nil, unavailable("members", err)
			}
			addMember(found, ch, s, m)
		}
	}
	members := make([]realtime.Member, 0, len(found))
	for _, m := range found {
		members = append(members, m)
	}
	slices.SortFunc(members, func(x, y realtime.Member) int { return cmp.Compare(x.User, y.User) })
	return members, nil
}

func addMember(found map[string]realtime.Member, ch realtime.Channel, s seat, m realtime.Member) {
	if s.channel != ch.Name && s.channel != "" {
		return
	}
	if known, ok := found[m.User]; ok {
		m.Sessions += known.Sessions
		if known.Since.Before(m.Since) {
			m.Since = known.Since
		}
	}
	found[m.User] = m
}

// A field of presence is "LEN:CHANNEL:USER" and its value "SESSIONS:SINCE", the time in ms. The length keeps apart what
// may hold any byte.
func (s seat) append(b []byte) []byte {
	b = append(strconv.AppendInt(b, int64(len(s.channel)), 10), ':')
	return append(append(append(b, s.channel...), ':'), s.user...)
}

func (p present) append(b []byte) []byte {
	return strconv.AppendInt(append(strconv.AppendInt(b, int64(p.sessions), 10), ':'), p.since, 10)
}

var errSeat = errors.New("presence in another format")

func parseSeat(field, value string) (seat, realtime.Member, error) {
	digits, rest, ok := strings.Cut(field, ":")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || len(rest) <= n || rest[n] != ':' {
		return seat{}, realtime.Member{}, errSeat
	}
	s := seat{rest[:n], rest[n+1:]}
	sessions, since, _ := strings.Cut(value, ":")
	count, err1 := strconv.Atoi(sessions)
	ms, err2 := strconv.ParseInt(since, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return seat{}, realtime.Member{}, fmt.Errorf("%w: %w", errSeat, err)
	}
	return s, realtime.Member{User: s.user, Sessions: count, Since: time.UnixMilli(ms)}, nil
}

// run writes changes and keeps this node's keys alive until ctx ends; then it takes them away.
func (p *Presence) run(ctx context.Context) {
	for nap.For(ctx, presenceWriteEvery) {
		p.refresh(time.Now())
		p.write(ctx)
	}
	p.mu.Lock()
	for t, a := range p.tenants {
		a.seats, a.whole = few.Map[seat, present]{}, true
		p.dirty[t] = struct{}{}
	}
	p.mu.Unlock()
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	p.write(leaving)
}

// refresh has what was not written whole for a while written anew. That keeps it alive, and puts back what Redis may have lost. It takes
// some at a time: those of two thousand kitchens are ten thousand commands, and Redis does nothing else meanwhile. Who came together
// after a restart is kept apart by that from then on.
func (p *Presence) refresh(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	some := 1 + 2*len(p.tenants)/int(presenceRefreshEvery/presenceWriteEvery) // all of them in half of the time
	for t, a := range p.tenants {
		if now.Sub(a.fresh) < presenceRefreshEvery {
			continue
		}
		a.whole, a.fresh = true, now
		p.dirty[t] = struct{}{}
		some--
		if some == 0 {
			return
		}
	}
}

// write writes what has changed. What could not be written is written whole with the next round.
func (p *Presence) write(ctx context.Context) {
	for {
		tenants, commands := p.changes()
		if len(tenants) == 0 {
			return
		}
		callCtx, cancel := p.broker.within(ctx)
		results := p.broker.ask.DoMulti(callCtx, commands...)
		cancel()
		for _, r := range results {
			if r.Error() == nil {
				continue
			}
			p.mu.Lock()
			for _, t := range tenants {
				if a := p.tenants[t]; a != nil {
					a.whole = true
					p.dirty[t] = struct{}{}
				}
			}
			p.mu.Unlock()
			return
		}
	}
}

// changes takes the changes of up to presenceBatch tenants as commands.
func (p *Presence) changes() (tenants []tenant.ID, commands []rueidis.Completed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spell := &spelling{}
	for t := range p.dirty {
		if len(tenants) == presenceBatch {
			break
		}
		delete(p.dirty, t)
		tenants = append(tenants, t)
		commands = p.commands(commands, spell, t)
		if p.tenants[t].seats.Len() == 0 {
			delete(p.tenants, t)
		}
	}
	return tenants, commands
}

// commands appends what writes the changes of t.
func (p *Presence) commands(commands []rueidis.Completed, spell *spelling, t tenant.ID) []rueidis.Completed {
	a, c, k := p.tenants[t], p.broker.ask.B(), p.broker.keys
	key, nodes := spell.word(k.appendPresent(spell.b, t, p.node)), spell.word(k.appendNodes(spell.b, t))
	if a.seats.Len() == 0 {
		return append(commands, c.Del().Key(key).Build(), c.Srem().Key(nodes).Member(p.node).Build())
	}
	seconds := int64(realtime.PresenceExpiry / time.Second)
	if a.whole {
		put := c.Hset().Key(key).FieldValue()
		for s, here := range a.seats.All() {
			put = put.FieldValue(spell.word(s.append(spell.b)), spell.word(here.append(spell.b)))
		}
		commands = append(commands, c.Del().Key(key).Build(), put.Build(),
			c.Sadd().Key(nodes).Member(p.node).Build(), c.Expire().Key(nodes).Seconds(2*seconds).Build())
	} else {
		commands = p.changed(commands, spell, key, a)
	}
	commands = append(commands, c.Expire().Key(key).Seconds(seconds).Build()) // also of what is there anew: Redis may have lost it
	a.changed, a.whole = few.Map[seat, struct{}]{}, false
	return commands
}

// changed appends what writes the seats that have changed.
func (p *Presence) changed(commands []rueidis.Completed, spell *spelling, key string, a *attendance) []rueidis.Completed {
	put, gone := p.broker.ask.B().Hset().Key(key).FieldValue(), p.broker.ask.B().Hdel().Key(key).Field()
	somePut, someGone := false, false
	for s := range a.changed.All() {
		field := spell.word(s.append(spell.b))
		if here := a.seats.At(s); here != nil {
			put, somePut = put.FieldValue(field, spell.word(here.append(spell.b))), true
		} else {
			gone, someGone = gone.Field(field), true
		}
	}
	if somePut {
		commands = append(commands, put.Build())
	}
	if someGone {
		commands = append(commands, gone.Build())
	}
	return commands
}
