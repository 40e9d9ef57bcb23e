package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"kentongan/realtime"
	"kentongan/tenant"
)

// follower is one tenant that this node follows, or has followed until just now.
//
// It is off, or waits for its heads, or delivers. While it waits, copies are held; a read of the heads that begins after a
// copy came covers it, so that it can be let go. The same holds for each channel while it is repaired.
type follower struct {
	broker *Broker
	tenant tenant.ID
	live   string

	mu      sync.Mutex
	gone    bool // no longer in subscriber.followers: look it up again
	on      bool // followed
	waiting int  // calls of Follow that wait for the heads

	// Of the connection: sent says what the last command was, unconfirmed how many SUBSCRIBEs Redis has not confirmed. Only the last
	// confirmation counts.
	sent        bool
	unconfirmed int

	generation int           // rises when it has to wait for heads anew; answers for an older one are void
	synced     bool          // it delivers
	ready      chan struct{} // closed when synced, or off; nil while synced or off
	held       holding
	cause      realtime.GapCause // of the turn that made it wait; empty: none did

	doubt    bool              // the data may be other than it was: what is known has to be compared with it
	fresh    realtime.Position // of channels that are not in channels
	turned   bool              // fresh has changed since it is followed
	channels map[string]*track // nil before the first heads
}

// track is one channel of a follower.
type track struct {
	channel   realtime.Channel
	last      realtime.Position // delivered, or told by heads or a gap
	written   written           // when last was
	forgotten bool              // the offsets of this epoch were given out twice: the repair ends it
	repairing bool
	cause     realtime.GapCause // to tell if the repair finds a new epoch; empty: that it is one
	held      holding
}

// holding keeps copies that cannot be delivered yet. Past its bound it keeps none and remembers that: another read covers
// them.
type holding struct {
	copies   []stampedCopy
	bytes    int
	overflow bool
}

// A tenant rarely has more than a hundred messages in the milliseconds that a read takes.
const (
	maxHeld      = 4096
	maxHeldBytes = 8 << 20
)

func (h *holding) add(c *stampedCopy) {
	if h.overflow || len(h.copies) >= maxHeld || h.bytes+len(c.data) > maxHeldBytes {
		*h = holding{overflow: true}
		return
	}
	h.copies = append(h.copies, *c)
	h.bytes += len(c.data)
}

// begin forgets what a read that begins now covers.
func (h *holding) begin() { *h = holding{} }

// Follow implements realtime.Broker. It waits for Run, and for Redis, up to Options.CommandTimeout.
func (b *Broker) Follow(ctx context.Context, t tenant.ID) (realtime.Heads, error) {
	doing := "follow " + string(t)
	if err := b.check(ctx, doing); err != nil {
		return realtime.Heads{}, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	select {
	case <-b.sub.started:
	case <-ctx.Done():
		return realtime.Heads{}, unavailable(doing, ctx.Err())
	}
	for {
		f := b.sub.follower(t)
		h, err := f.follow(ctx)
		if !errors.Is(err, errGone) {
			return h, unavailable(doing, err)
		}
	}
}

var (
	errGone       = errors.New("follower gone")
	errUnfollowed = errors.New("unfollowed meanwhile")
)

func (f *follower) follow(ctx context.Context) (realtime.Heads, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return realtime.Heads{}, errGone
	}
	if !f.on {
		f.on = true
		f.channels, f.turned = nil, false
		f.unsync()
		if f.sent && f.unconfirmed == 0 {
			f.broker.sub.syncer.heads(f) // the subscription has not ended yet
		}
	}
	f.waiting++
	defer func() { f.waiting-- }()
	for !f.synced {
		ready := f.ready
		f.mu.Unlock()
		f.broker.sub.touch(f)
		var err error
		select {
		case <-ready:
		case <-ctx.Done():
			err = ctx.Err()
		}
		f.mu.Lock()
		switch {
		case !f.on:
			return realtime.Heads{}, errUnfollowed
		case err != nil && !f.synced:
			if f.waiting == 1 && f.channels == nil { // it never had heads, and nobody else waits for them
				f.off()
			}
			return realtime.Heads{}, err
		}
	}
	h := realtime.Heads{Channels: make(map[string]realtime.Position, len(f.channels)), Fresh: f.fresh}
	for name, tr := range f.channels {
		h.Channels[name] = tr.last
	}
	return h, nil
}

// Unfollow implements realtime.Broker. Nothing comes after it.
func (b *Broker) Unfollow(t tenant.ID) {
	b.sub.mu.RLock()
	f := b.sub.followers[b.keys.live(t)]
	b.sub.mu.RUnlock()
	if f == nil {
		return
	}
	f.mu.Lock()
	f.off()
	f.mu.Unlock()
}

// off ends the delivery. The lock is held.
func (f *follower) off() {
	f.on, f.synced, f.channels = false, false, nil
	f.generation++
	f.held.begin()
	if f.ready != nil {
		close(f.ready)
		f.ready = nil
	}
	f.broker.sub.touch(f)
}

// unsync makes the follower wait for its heads. The lock is held.
func (f *follower) unsync() {
	f.synced = false
	f.generation++
	f.held.begin()
	if f.ready == nil {
		f.ready = make(chan struct{})
	}
	for _, tr := range f.channels {
		tr.repairing = false
		tr.held.begin()
	}
}

// disconnected begins anew after a reconnect, to other data if doubt is set; false if nobody follows it.
func (f *follower) disconnected(doubt bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent, f.unconfirmed = false, 0
	if !f.on {
		f.gone = true
		return false
	}
	f.doubt = f.doubt || doubt
	f.unsync()
	return true
}

type want int

const (
	wantNothing want = iota
	wantOn
	wantOff
)

// wants says what the writer has to write, and takes it for written.
func (f *follower) wants() want {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.on && !f.sent:
		f.sent = true
		f.unconfirmed++
		return wantOn
	case !f.on && f.sent:
		f.sent = false
		return wantOff
	}
	return wantNothing
}

// confirmed is called for each confirmation of a SUBSCRIBE.
func (f *follower) confirmed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unconfirmed--
	if f.unconfirmed == 0 && f.on && f.sent && !f.synced {
		f.broker.sub.syncer.heads(f)
	}
}

// retire reports whether it can be forgotten, and is then gone.
func (f *follower) retire() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = !f.on && !f.sent && f.unconfirmed == 0
	return f.gone
}

// take takes a copy in, in the order in which Redis sent it.
func (f *follower) take(c *stampedCopy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.on:
	case !f.synced:
		f.held.add(c)
	default:
		f.handle(c)
	}
}

// handle delivers a copy, drops it, or has the channel repaired. The lock is held and the follower synced.
func (f *follower) handle(c *stampedCopy) {
	if c.kind == copyTenantTurned {
		f.tenantTurned(c)
		return
	}
	tr, known := f.channels[string(c.name)], true // which does not make a string of it
	if tr == nil {
		tr, known = f.track(string(c.name))
	}
	if !known && f.turned { // followers know another fresh epoch
		f.gap(tr, realtime.GapEpoch, f.fresh, 0)
	}
	same := c.position.Epoch == tr.last.Epoch
	switch {
	case tr.repairing:
		tr.held.add(c)
	case same && c.position.Offset <= tr.last.Offset:
		f.broker.counts.dropped.Add(1)
	case same && c.kind == copyPublication && c.position.Offset == tr.last.Offset+1:
		p := c.blank
		if p == nil {
			p = new(realtime.Publication)
		}
		*p = realtime.Publication{
			Channel: tr.channel, Position: c.position, Time: c.time(), Data: c.data, Arrived: f.broker.pub.arrivedAt(&c.token),
			Trace: c.trace,
		}
		f.deliver(tr, p)
	case c.kind == copyTurned:
		cause, before := c.turn()
		if before == tr.last.Epoch {
			f.gap(tr, cause, realtime.Position{Epoch: c.position.Epoch}, c.ms)
			return
		}
		tr.cause = cause
		f.repair(tr)
	default:
		// A hole, or another epoch; whether an older or a newer one, only Redis can tell.
		f.repair(tr)
	}
}

// track returns the track of the channel called name, a new one at fresh if there was none.
func (f *follower) track(name string) (tr *track, known bool) {
	tr = f.channels[name]
	if tr != nil {
		return tr, true
	}
	tr = &track{channel: realtime.Channel{Tenant: f.tenant, Name: name}, last: f.fresh}
	f.channels[name] = tr
	return tr, false
}

// tenantTurned begins the new epoch of all channels. Everything of the old one came before, and what comes next is of the new
// one: so nothing needs to be read, and nothing that is published meanwhile is missed, unless some turn was not heard.
func (f *follower) tenantTurned(c *stampedCopy) {
	if c.position.Epoch == f.fresh.Epoch {
		return // the heads knew
	}
	cause, before := c.turn()
	if before != f.fresh.Epoch {
		f.cause = cause
		f.unsync()
		f.broker.sub.syncer.heads(f)
		return
	}
	f.generation++ // repairs of the old epoch are void
	fresh := realtime.Position{Epoch: c.position.Epoch}
	for _, name := range f.names(nil, true) {
		tr, _ := f.track(name)
		if tr.last.Epoch != fresh.Epoch {
			tr.repairing, tr.cause = false, ""
			tr.held.begin()
			f.gap(tr, cause, fresh, c.ms)
		} else if tr.repairing { // a repair met the new epoch before this did
			f.repair(tr)
		}
	}
	f.fresh, f.turned = fresh, true
}

// names returns the names of all channels that have a track or one of heads, sorted; with known also those that the patterns
// spell out, which somebody may hold a position of though they never had a publication.
func (f *follower) names(heads map[string]realtime.Position, known bool) []string {
	names := map[string]bool{}
	if known {
		for _, wire := range f.broker.opts.Names.Of(f.tenant) {
			if ch, _, err := f.broker.opts.Names.Parse(wire); err == nil {
				names[ch.Name] = true
			}
		}
	}
	for name := range heads {
		names[name] = true
	}
	for name := range f.channels {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (f *follower) repair(tr *track) {
	tr.repairing = true
	tr.held.begin()
	f.broker.sub.syncer.repair(f, tr)
}

func (f *follower) deliver(tr *track, p *realtime.Publication) {
	tr.last, tr.written = p.Position, written{ms: p.Time.UnixMilli()}
	f.broker.counts.delivered.Add(1)
	f.broker.sub.deliver(p)
}

// gap tells that something may be missing before head, which was read at ms.
func (f *follower) gap(tr *track, cause realtime.GapCause, head realtime.Position, ms int64) {
	tr.last, tr.written, tr.forgotten = head, written{ms, true}, false
	f.broker.counts.gaps.Add(1)
	f.broker.sub.sink.Gap(realtime.Gap{Channel: tr.channel, Cause: cause, Position: head})
}

// setHeads takes heads that were read after everything that was not held came.
func (f *follower) setHeads(h *headsAnswer) {
	if f.channels == nil { // the first heads: nobody has seen anything before
		f.channels = make(map[string]*track, len(h.Channels))
		for name, head := range h.Channels {
			f.channels[name] = &track{channel: realtime.Channel{Tenant: f.tenant, Name: name}, last: head, written: written{h.ms, true}}
		}
	} else {
		f.compare(h)
	}
	f.fresh, f.cause, f.doubt = h.Fresh, "", false
	f.synced = true
	close(f.ready)
	f.ready = nil
	held := f.held
	f.held.begin()
	for i := range held.copies {
		if !f.synced { // one of them turned the tenant: the new read covers the rest
			return
		}
		f.handle(&held.copies[i])
	}
}

// compare finds out what was missed since the last heads, or may have been.
func (f *follower) compare(h *headsAnswer) {
	cause := f.cause
	if cause == "" {
		cause = realtime.GapEpoch
	}
	turned := f.fresh != h.Fresh
	f.turned = f.turned || turned
	for _, name := range f.names(h.Channels, turned) {
		tr, _ := f.track(name)
		head := h.At(name)
		switch {
		case tr.last.Epoch == head.Epoch && (tr.forgotten || tr.belied(h.entries[name])):
			f.forgotten(tr)
		case tr.last == head:
		case tr.last.Epoch != head.Epoch && f.broker.bygone(tr.last.Epoch, head.Epoch):
			f.gap(tr, cause, head, h.ms)
		case tr.last.Epoch != head.Epoch:
			f.gap(tr, cause, realtime.Position{Epoch: head.Epoch}, h.ms)
			if head.Offset > 0 {
				f.repair(tr) // what the new epoch has is news too
			}
		default: // behind: read what was missed. Ahead: Redis forgot; the repair finds that out too
			f.repair(tr)
		}
	}
}

// setPage takes what was read at ms for a channel under repair.
func (f *follower) setPage(tr *track, page *realtime.Page, ms int64) {
	if page.Gap != "" {
		cause := page.Gap
		if cause == realtime.GapEpoch && tr.cause != "" {
			cause = tr.cause
		}
		tr.cause = ""
		if page.Head.Epoch != tr.last.Epoch && page.Head.Offset > 0 && !f.broker.bygone(tr.last.Epoch, page.Head.Epoch) {
			// What the new epoch has so far is news to those who follow.
			f.gap(tr, cause, realtime.Position{Epoch: page.Head.Epoch}, ms)
			f.repair(tr)
			return
		}
		f.gap(tr, cause, page.Head, ms)
	}
	for i := range page.Publications {
		f.broker.counts.repaired.Add(1)
		f.deliver(tr, &page.Publications[i])
	}
	if page.More && page.Gap == "" || tr.held.overflow {
		f.repair(tr)
		return
	}
	tr.repairing, tr.cause = false, ""
	held := tr.held
	tr.held.begin()
	for i := range held.copies {
		f.handle(&held.copies[i]) // a hole among them starts the next repair, which holds the rest
	}
}
