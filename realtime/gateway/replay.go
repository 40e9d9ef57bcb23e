package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

const (
	// replayPage is how many publications are asked of the engine at once, at most. Those that a slow reader had no room for are asked
	// for again when it has, and not kept meanwhile.
	replayPage = 100

	// replayPiece is how much of a replay is written at once, and replaySlack what an envelope may take beside the data.
	replayPiece = 16 << 10
	replaySlack = 1 << 10

	// aheadTimeout is how long a client's position, or the engine's epoch, may be ahead of what this node has delivered: the client saw
	// more on another node, and this one lags by the way of the engine.
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
	one realtime.Channel // the channel; without a name: all in the heads
	at  protocol.Cursor  // what the client has

	// others is where other tabs of the client stand. Who cannot be given what the oldest of them misses is told a gap, and is given
	// what the next one misses: that may be he.
	others []protocol.Cursor

	// snapshot says to begin with the newest of each key where there is no position to continue from.
	snapshot bool

	// none is why the client has no position, where it has none; empty: it was never here.
	none realtime.GapCause

	// nothing says that there was nothing of the channel yet, and no epoch, when the client was let in: all that there is now is for it.
	nothing bool

	// first, if set, takes the outcome of a single channel's resume before anything else but a snapshot is sent: v1 answers
	// subscribe with it.
	first func(outcome)

	gapped bool   // a gap was told
	page   int    // how many publications to ask for next
	need   int    // bytes of the next one, if the reader had no room for it
	piece  []byte // encoded and not yet sent

	cursors *protocol.CursorEncoder // of events; nil before the first
	word    []byte                  // a cursor, to be written over
	event   []byte                  // an event, to be written over

	lag time.Duration // as gateway.clock: until when this node may lag behind the client; zero: it did not yet
}

// outcome is how the resume of one channel went.
type outcome struct {
	recovered, snapshot bool
	cause               realtime.GapCause
	head                realtime.Position
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
	r.page = replayPage
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
		unlock := r.s.inOrder()
		r.s.mark(r.one, h.At(r.one))
		unlock()
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
		r.first(outcome{recovered: recovered, cause: cause, head: head})
		r.first = nil
	}
}

// catchUp sends the publications between b.from and b.head, or a gap.
func (r *replay) catchUp(ctx context.Context, b behind) error {
	if r.nothing && b.from == (realtime.Position{}) {
		b.from.Epoch = b.head.Epoch
	}
	if (b.from == realtime.Position{}) {
		return r.gap(ctx, b, r.none) // no epoch at all is not "from the start": it may be another history's
	}
	for {
		page, err := r.read(ctx, &b)
		switch {
		case err != nil:
			return err
		case page.Gap != "" && page.Head.Epoch != b.head.Epoch:
			// The engine is in an epoch that has not come to this node. A gap up to its head would send the client back to an older
			// one, and be followed by the next gap.
			return r.pause(ctx, b, page.Gap)
		case page.Gap != "":
			return r.gap(ctx, b, page.Gap)
		case b.from.Epoch != b.head.Epoch || b.from.Offset > b.head.Offset:
			// The engine knows the position, only this node's deliveries are not there yet.
			return r.pause(ctx, b, realtime.GapAhead)
		}
		if err := r.s.awaitRoom(ctx, r.need); err != nil || b.from == b.head {
			return err
		}
		if len(page.Publications) == 0 {
			return r.gap(ctx, b, realtime.GapExpired) // trimmed between two pages
		}
	}
}

// read asks the engine for a page and sends of it what the reader has room for. Nobody waits for a reader meanwhile, so slow ones
// hold nobody up.
func (r *replay) read(ctx context.Context, b *behind) (page realtime.Page, err error) {
	ask := pageAsk{b.channel, b.from, r.page, b.from.Epoch != b.head.Epoch}
	r.s.gw.pages.read(ctx, r.s.home(), ask, func(p *sharedPage, failed error) {
		page, err = p.Page, failed
		if err == nil {
			r.take(b, p)
		}
	})
	return page, err
}

// take sends what the reader has room for, unless the page does not go on from where it stands. It may be called by who has read the page
// for others as well.
func (r *replay) take(b *behind, page *sharedPage) {
	if page.Gap != "" || b.from.Epoch != b.head.Epoch || b.from.Offset > b.head.Offset {
		return
	}
	if r.first != nil {
		r.resumed(true, "", b.head)
	}
	sent := r.sendPage(b, page.as(r.s.gw, r.s.who.Load()))
	r.page = min(replayPage, max(2*sent, 4)) // a reader that took little of a page is read for in small ones
}

// sendPage sends what is not after the head, for that comes live, and returns how many publications the reader had room for.
func (r *replay) sendPage(b *behind, publications []realtime.Publication) (sent int) {
	wire := r.s.gw.opts.Names.Spell(b.channel)
	defer r.s.inOrder()()
	defer r.putBack()
	r.need = 0
	for i := range publications {
		p := &publications[i]
		if p.Position.Offset > b.head.Offset {
			break
		}
		if len(r.piece) > 0 && len(r.piece)+len(p.Data) > replayPiece {
			r.flush()
		}
		if len(r.piece) == 0 && !r.s.hasRoom(len(p.Data)) {
			r.need = len(p.Data)
			return sent
		}
		b.from, r.at[b.channel] = p.Position, p.Position
		r.encode(wire, p)
		sent++
	}
	r.flush()
	return sent
}

func (r *replay) encode(wire string, p *realtime.Publication) {
	if r.piece == nil {
		r.piece = newPiece(len(p.Data))
	}
	switch r.s.dialect {
	case protocol.V1:
		r.piece = protocol.AppendV1(r.piece, wire, p)
	case protocol.SSE:
		r.event = protocol.AppendSSE(r.event[:0], wire, r.cursor(p.Channel, p.Position), p)
		r.piece = protocol.AppendChunk(r.piece, r.event)
	case protocol.Bare:
		r.piece = protocol.AppendBare(r.piece, p)
	}
	r.s.gw.stats.replayed.Add(1)
}

// cursor is the id of an event: where the client stands once it has it. It is called within inOrder.
func (r *replay) cursor(ch realtime.Channel, p realtime.Position) []byte {
	if own := r.s.mark(ch, p); own != "" {
		return []byte(own)
	}
	if r.cursors == nil {
		r.cursors = protocol.NewCursorEncoder(r.s.home(), r.at)
	}
	r.cursors.Set(ch, p)
	r.word = r.cursors.Append(r.word[:0])
	return r.word
}

// flush sends the piece.
func (r *replay) flush() {
	if len(r.piece) > 0 {
		if r.s.send(r.piece) {
			r.piece = nil
		} else {
			r.piece = r.piece[:0]
		}
		r.s.askOnTheWay(func() string { return protocol.EncodeCursor(r.s.home(), r.at) })
	}
}

// pieces are buffers that sockets did not keep, which is nearly all: a replay then leaves no garbage that others have to help to collect.
// Between two pages none has one, for thousands may wait.
var pieces sync.Pool

// newPiece returns an empty piece with room for so much data.
func newPiece(data int) []byte {
	if data <= replayPiece {
		if used, ok := pieces.Get().(*[]byte); ok {
			return *used
		}
	}
	return make([]byte, 0, max(replayPiece, data)+replaySlack)
}

// putBack gives up the piece. Nothing in it is for whoever has it next, who may be of another kitchen, however it came to be left there.
func (r *replay) putBack() {
	givePiece(r.piece)
	r.piece = nil
}

// givePiece gives up a piece that no socket keeps.
func givePiece(piece []byte) {
	if piece = piece[:0]; cap(piece) >= replayPiece+replaySlack && cap(piece) < 2*replayPiece {
		pieces.Put(&piece)
	}
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
func (r *replay) gap(ctx context.Context, b behind, cause realtime.GapCause) error {
	if r.snapshot && r.s.gw.keeps(b.channel) {
		return r.sendSnapshot(ctx, b, cause)
	}
	if cause == "" { // it was never here, and misses nothing
		r.at[b.channel] = b.head
		return nil
	}
	r.at[b.channel], r.gapped = r.next(b), true
	if r.first != nil {
		r.resumed(false, cause, b.head)
		return nil
	}
	r.s.gw.stats.unrecovered.Add(1)
	gap := protocol.Gap{Channel: r.s.gw.opts.Names.Spell(b.channel), Cause: cause, Position: r.at[b.channel]}
	if r.s.dialect == protocol.SSE {
		defer r.s.inOrder()()
		gap.Cursor = string(r.cursor(b.channel, b.head))
	}
	r.s.push(gap)
	return nil
}

// pause waits a moment for this node to catch up with the engine, or with what the client has seen on another node; the next round
// looks again. If it takes too long, a gap is told.
func (r *replay) pause(ctx context.Context, b behind, cause realtime.GapCause) error {
	now := r.s.gw.clock()
	if r.lag == 0 {
		r.lag = now + aheadTimeout
	}
	if now > r.lag {
		return r.gap(ctx, b, cause)
	}
	select {
	case <-time.After(5 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return errSessionEnds
	}
}

// hasRoom reports whether a piece of n bytes may be sent in a replay, so that a long one never fills the queue by itself. An empty
// queue takes any.
func (s *session) hasRoom(n int) bool {
	queued := s.conn.Queued()
	return queued == 0 || queued <= socket.LowWater && queued+max(n, replayPiece)+replaySlack <= s.gw.opts.MaxBacklogBytes
}

// awaitRoom waits until hasRoom(n).
func (s *session) awaitRoom(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		if s.state != open {
			s.mu.Unlock()
			return errSessionEnds
		}
		wait := s.wait() // before the look at the queue, so that no room is missed that comes between the two
		s.mu.Unlock()
		if s.hasRoom(n) {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return errSessionEnds
		}
	}
}
