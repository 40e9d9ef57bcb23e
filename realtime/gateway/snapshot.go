package gateway

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"time"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

const (
	// maxSnapshots is how many sessions are sent a snapshot at the same time. Each holds all of it meanwhile, two megabytes at most.
	maxSnapshots = 64

	// kitchenSnapshots is how many of them are of one kitchen at most: sessions that do not read keep theirs for snapshotTimeout.
	kitchenSnapshots = 32

	// snapshotTimeout is how long a reader may take for it, so that those who trickle do not keep the others waiting.
	snapshotTimeout = 30 * time.Second
)

// keeps reports whether ch has a snapshot.
func (g *Gateway) keeps(ch realtime.Channel) bool {
	_, can := g.opts.Broker.(realtime.Snapshotter)
	return can && g.opts.Names.KeepsSnapshot(ch)
}

// readSnapshotWish reads ?snapshot=1.
func readSnapshotWish(query url.Values, dialect protocol.Dialect) (bool, *protocol.CommandError) {
	bad := func(message string) (bool, *protocol.CommandError) {
		return false, &protocol.CommandError{Code: protocol.ErrBadRequest, Message: message}
	}
	switch text := query.Get("snapshot"); {
	case text == "":
		return false, nil
	case text != "1":
		return bad("snapshot must be 1, or left out")
	case dialect == protocol.Bare:
		return bad("a snapshot needs the subprotocol kentongan.v1, or SSE: a bare client could not tell it from news")
	}
	return true, nil
}

// withoutSnapshots returns where a client stands that was never here, and wants nothing of before but snapshots: at the heads, and
// nowhere in the channels that keep one.
func (g *Gateway) withoutSnapshots(subs []*hub.Subscription) protocol.Cursor {
	at := protocol.Cursor{}
	for _, sub := range subs {
		g.hub.View(sub, func(h hub.Heads) {
			maps.Copy(at, h.Positions())
		})
	}
	for ch := range at {
		if ch.Name != "" && g.keeps(ch) {
			at[ch] = realtime.Position{}
		}
	}
	return at
}

// snapshotPage is the snapshot of ch as an answer to a request for history.
func (g *Gateway) snapshotPage(ctx context.Context, by *auth.Identity, ch realtime.Channel) (realtime.Page, error) {
	if !g.keeps(ch) {
		return realtime.Page{}, &protocol.CommandError{
			Code: protocol.ErrBadRequest, Message: "this channel keeps no snapshot; its pattern has to name the key: see channels.patterns",
		}
	}
	s, err := g.readSnapshot(ctx, by, ch)
	return realtime.Page{Head: s.Head, Publications: s.Publications}, err
}

// sendSnapshot sends the newest of each key of b's channel, and goes on from where they are the newest. cause is why the client's own
// position could not be continued from; empty: it had none.
func (r *replay) sendSnapshot(ctx context.Context, b behind, cause realtime.GapCause) error {
	g := r.s.gw
	home := r.s.home()
	if !g.snapshots.take(ctx, home) {
		return errSessionEnds
	}
	defer g.snapshots.give(home)
	snapshot, err := g.readSnapshot(ctx, r.s.who.Load(), b.channel)
	if err != nil {
		return err
	}
	wire := g.opts.Names.Spell(b.channel)
	if cause != "" {
		r.gapped = true
		if r.first == nil {
			g.stats.unrecovered.Add(1)
			// Without a cursor: who loses his line before he has the snapshot has to begin anew.
			r.s.push(protocol.Gap{Channel: wire, Cause: cause, Position: snapshot.Head})
		}
	}
	limited, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	if err := r.sendParts(limited, wire, b.channel, snapshot); err != nil {
		if errors.Is(limited.Err(), context.DeadlineExceeded) {
			g.stats.slow.Add(1)
			r.s.close(protocol.CloseSlow, "")
		}
		return err
	}
	r.at[b.channel] = snapshot.Head
	if answer := r.first; answer != nil {
		r.first = nil
		if cause != "" {
			g.stats.unrecovered.Add(1)
		}
		answer(outcome{head: snapshot.Head, cause: cause, snapshot: true})
	}
	return nil
}

// sendParts sends a snapshot in parts of the size of a piece. One without publications is one part, for that is news as well.
func (r *replay) sendParts(ctx context.Context, wire string, ch realtime.Channel, s realtime.Snapshot) error {
	rest := s.Publications
	for more := true; more; {
		n, bytes := 0, 0
		for n < len(rest) && (n == 0 || bytes+len(rest[n].Data) <= replayPiece) {
			bytes += len(rest[n].Data)
			n++
		}
		more = n < len(rest)
		if err := r.s.awaitRoom(ctx, bytes); err != nil {
			return err
		}
		r.pushPart(ch, protocol.Snapshot{Channel: wire, Position: s.Head, Publications: rest[:n], More: more})
		r.s.gw.stats.replayed.Add(uint64(n))
		rest = rest[n:]
	}
	return nil
}

// pushPart sends one part. Only with the last does the client stand at the position of the snapshot.
func (r *replay) pushPart(ch realtime.Channel, part protocol.Snapshot) {
	if !part.More && r.s.dialect == protocol.SSE {
		defer r.s.inOrder()()
		part.Cursor = string(r.cursor(ch, part.Position))
	}
	r.s.push(part)
}
