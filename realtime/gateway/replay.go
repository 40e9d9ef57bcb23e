package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

const (
	// replayPage is how many publications are asked of the engine at once.
	replayPage = 100

	// replayPiece is how much of a replay is written at once.
	replayPiece = 16 << 10

	// aheadTimeout is how long a client's position may be ahead of what this node has delivered: it saw more on another node,
	// and this one lags by the way of the engine.
	aheadTimeout = 2 * time.Second
)

var errSessionEnds = errors.New("session ends")

// replay sends a session what it missed in one subscription, and makes that live.
//
// Round after round it looks where this node's deliveries stand, reads history up to there, and tries to go live: that works
// if nothing was delivered meanwhile. Nothing has to be queued, and there is neither a hole nor a double at the seam.
type replay struct {
	s   *session
	sub *hub.Subscription
	one realtime.Channel //  the channel; without a name: all in the heads
	at  protocol.Cursor  // what the client has

	// others is where other tabs of the client stand. Who cannot be given what the oldest of them misses is told a gap, and is given
	// what the next one misses: that may be he.
	others []protocol.Cursor

	// first, if set, takes the outcome of a single channel's resume before anything else is sent: v1 answers subscribe with it.
	first func(recovered bool, cause realtime.GapCause, head realtime.Position)

	gapped bool          // a gap was told
	piece  []byte        // encoded and not yet sent
	lag    time.Duration // as gateway.clock: until when this node may lag behind the client; zero: it did not yet
}

// behind is one channel that the client does not have up to its head.
type behind struct {
	channel    realtime.Channel
	from, head realtime.Position
}

// start makes the subscription live at once if nothing was missed, and else when run has sent it.
func (r *replay) start() {
	if !r.goLive() {
		r.s.gw.goroutines.Go(func() { r.run(r.s.gw.ctx) })
	}
}

// run returns when the subscription is live or the session has ended.
func (r *replay) run(ctx context.Context) {
	select {
	case r.s.gw.replays <- struct{}{}:
		defer func() { <-r.s.gw.replays }()
	case <-ctx.Done():
		return
	}
	for {
		for _, b := range r.behind() {
			if err := r.catchUp(ctx, b); err != nil {
				r.giveUp(err)
				return
			}
		}
		if r.goLive() {
			return
		}
	}
}

// giveUp ends the session: its client comes back with the same position, and loses nothing.
func (r *replay) giveUp(err error) {
	if errors.Is(err, errSessionEnds) {
		return
	}
	r.s.gw.opts.Log.Warn("replay broken off", "session", r.s, "tenant", r.one.Tenant, "channel", r.one.Name, "err", err)
	r.s.close(protocol.CloseNotReady, "")
}

func (r *replay) behind() []behind {
	var all []behind
	r.s.gw.hub.View(r.sub, func(h hub.Heads) { all = r.compare(h) })
	return all
}

func (r *replay) compare(h hub.Heads) []behind {
	var all []behind
	if r.one.Name != "" {
		if from, head := r.position(r.one), h.At(r.one); from != head {
			all = append(all, behind{r.one, from, head})
		}
		return all
	}
	heads := protocol.Cursor(h.Positions())
	look := func(ch realtime.Channel) {
		if from, head := r.position(ch), heads.At(ch); ch.Name != "" && from != head {
			all = append(all, behind{ch, from, head})
		}
	}
	for ch := range heads {
		look(ch)
	}
	for _, ch := range r.bygone(heads) {
		look(ch)
	}
	return all
}

// bygone returns the channels of the subscription that the client may have missed something of although they have no
// publication now: the history that they had is lost.
func (r *replay) bygone(heads protocol.Cursor) (channels []realtime.Channel) {
	names := r.s.gw.opts.Names
	for _, t := range []tenant.ID{r.one.Tenant, tenant.Global} {
		if t == tenant.Global && r.one.Tenant == tenant.Global {
			continue
		}
		all := realtime.Channel{Tenant: t}
		if r.position(all) == heads[all] {
			continue
		}
		for _, wire := range names.Of(t) {
			if ch, _, err := names.Parse(wire); err == nil {
				channels = append(channels, ch)
			}
		}
	}
	for ch := range r.at {
		if ch.Name != "" && (ch.Tenant == r.one.Tenant || ch.Tenant == tenant.Global) && names.Spell(ch) != "" {
			channels = append(channels, ch)
		}
	}
	slices.SortFunc(channels, func(a, b realtime.Channel) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
	})
	channels = slices.Compact(channels)
	return slices.DeleteFunc(channels, func(ch realtime.Channel) bool { _, known := heads[ch]; return known })
}

// position is what the client has of ch: none of it, if it last came before its first publication.
func (r *replay) position(ch realtime.Channel) realtime.Position { return r.at.At(ch) }

// goLive makes the subscription live if the client has everything. What is still to be said is said under the same
// lock, ahead of the first live publication.
func (r *replay) goLive() bool {
	return r.s.gw.hub.GoLive(r.sub, func(h hub.Heads) bool {
		if len(r.compare(h)) > 0 {
			return false
		}
		if r.first != nil {
			r.resumed(true, "", h.At(r.one))
		}
		r.s.mark(r.one, h.At(r.one))
		r.s.caughtUp(r.gapped)
		return true
	})
}

// resumed tells once how the resume went.
func (r *replay) resumed(recovered bool, cause realtime.GapCause, head realtime.Position) {
	if recovered {
		r.s.gw.stats.recovered.Add(1)
	} else {
		r.s.gw.stats.unrecovered.Add(1)
	}
	if r.first != nil {
		r.first(recovered, cause, head)
		r.first = nil
	}
}

// catchUp sends the publications between b.from and b.head, or a gap.
func (r *replay) catchUp(ctx context.Context, b behind) error {
	if (b.from == realtime.Position{}) {
		return r.gap(b, realtime.GapEpoch) // no epoch at all is not "from the start": it may be another history's
	}
	for {
		page, err := r.s.gw.opts.Broker.History(ctx, b.channel, b.from, replayPage)
		if err != nil {
			return err
		}
		if page.Gap != "" {
			return r.gap(b, page.Gap)
		}
		if b.from.Epoch != b.head.Epoch || b.from.Offset > b.head.Offset {
			// The engine knows the position, only this node's deliveries are not there yet.
			return r.pause(ctx, b)
		}
		if r.first != nil {
			r.resumed(true, "", b.head)
		}
		if err := r.sendPage(ctx, &b, page.Publications); err != nil {
			return err
		}
		if b.from == b.head {
			return r.flush(ctx)
		}
		if len(page.Publications) == 0 {
			return r.gap(b, realtime.GapExpired) // trimmed between two pages
		}
	}
}

// sendPage sends what is not after the head: that comes live.
func (r *replay) sendPage(ctx context.Context, b *behind, publications []realtime.Publication) error {
	for i := range publications {
		p := &publications[i]
		if p.Position.Offset > b.head.Offset {
			break
		}
		b.from = p.Position
		r.at[b.channel] = p.Position
		r.encode(p)
		if len(r.piece) >= replayPiece {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *replay) encode(p *realtime.Publication) {
	wire := r.s.gw.opts.Names.Spell(p.Channel)
	switch r.s.dialect {
	case protocol.V1:
		r.piece = protocol.AppendV1(r.piece, wire, p)
	case protocol.SSE:
		cursor := r.cursor(p.Channel, p.Position)
		r.piece = protocol.AppendChunk(r.piece, protocol.AppendSSE(nil, wire, cursor, p))
	case protocol.Bare:
		r.piece = protocol.AppendBare(r.piece, p)
	}
	r.s.gw.stats.replayed.Add(1)
}

// cursor is the id of an event: where the client stands once it has it.
func (r *replay) cursor(ch realtime.Channel, p realtime.Position) string {
	if own := r.s.mark(ch, p); own != "" {
		return own
	}
	return protocol.EncodeCursor(r.s.home, r.at)
}

// flush sends the piece and waits until the reader has taken most of it.
func (r *replay) flush(ctx context.Context) error {
	if len(r.piece) > 0 {
		r.s.send(r.piece)
		r.piece = nil
		r.s.askOnTheWay(func() string { return protocol.EncodeCursor(r.s.home, r.at) })
	}
	return r.s.awaitRoom(ctx)
}

// next is where to go on when b cannot be continued: at the head, or at the oldest of the other tabs' positions that may be
// continued.
func (r *replay) next(b behind) realtime.Position {
	next := b.head
	for _, c := range r.others {
		p := c.At(b.channel)
		if p.Epoch == next.Epoch && p.Offset < next.Offset && (p.Epoch != b.from.Epoch || p.Offset > b.from.Offset) {
			next = p
		}
	}
	return next
}

// gap tells that b cannot be continued and goes on after it.
func (r *replay) gap(b behind, cause realtime.GapCause) error {
	r.at[b.channel], r.gapped = r.next(b), true
	if r.first != nil {
		r.resumed(false, cause, b.head)
		return nil
	}
	r.s.gw.stats.unrecovered.Add(1)
	gap := protocol.Gap{Channel: r.s.gw.opts.Names.Spell(b.channel), Cause: cause, Position: b.head}
	if r.s.dialect == protocol.SSE {
		gap.Cursor = r.cursor(b.channel, b.head)
	}
	r.s.push(gap)
	return nil
}

// pause waits a moment for this node to catch up with what the client has seen on another; the next round looks again.
func (r *replay) pause(ctx context.Context, b behind) error {
	now := r.s.gw.clock()
	if r.lag == 0 {
		r.lag = now + aheadTimeout
	}
	if now > r.lag {
		return r.gap(b, realtime.GapAhead)
	}
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return errSessionEnds
	}
}

// awaitRoom waits until the reader is near enough for more of a replay: so a long one never fills the queue by itself.
func (s *session) awaitRoom(ctx context.Context) error {
	for {
		s.mu.Lock()
		if s.state != open {
			s.mu.Unlock()
			return errSessionEnds
		}
		wait := s.wait() // before the look at the queue, so that no room is missed that comes between the two
		s.mu.Unlock()
		if s.conn.Queued() <= socket.LowWater {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return errSessionEnds
		}
	}
}
