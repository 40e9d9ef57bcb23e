package gateway

import (
	"context"
	"fmt"
	"slices"

	"kentongan/auth"
	"kentongan/realtime"
)

// All that a reader gets out of the engine comes through the functions of this file, so that no way forgets whose eyes it is for.
// What comes live is hidden by session.Offer.

// readHistory reads at most limit publications of ch after since, as by may see them.
func (g *Gateway) readHistory(
	ctx context.Context, by *auth.Identity, ch realtime.Channel, since realtime.Position, limit int,
) (realtime.Page, error) {
	page, err := g.opts.Broker.History(ctx, ch, since, limit)
	if err != nil {
		return realtime.Page{}, fmt.Errorf("history: %w", err)
	}
	page.Publications = g.hide(by, page.Publications)
	return page, nil
}

// readSnapshot reads the newest of each key of ch, as by may see them.
func (g *Gateway) readSnapshot(ctx context.Context, by *auth.Identity, ch realtime.Channel) (realtime.Snapshot, error) {
	keeper, can := g.opts.Broker.(realtime.Snapshotter)
	if !can {
		panic("gateway: a snapshot of an engine that keeps none")
	}
	s, err := keeper.Snapshot(ctx, ch)
	if err != nil {
		return realtime.Snapshot{}, fmt.Errorf("snapshot: %w", err)
	}
	s.Publications = g.hide(by, s.Publications)
	return s, nil
}

// as returns the publications as by may see them. What must be left out is so for all: it is looked for once.
func (p *sharedPage) as(g *Gateway, by *auth.Identity) []realtime.Publication {
	if by.MaySeeMoney() {
		return p.Publications
	}
	if p.plain == nil {
		p.plain = g.hide(by, p.Publications)
	}
	return p.plain
}

// hide returns publications without the fields that by may not see: the same slice, or a copy if there are any.
func (g *Gateway) hide(by *auth.Identity, publications []realtime.Publication) []realtime.Publication {
	if g.opts.Hidden == nil || by.MaySeeMoney() {
		return publications
	}
	copied := false
	for i := range publications {
		data := publications[i].Data
		plain := g.opts.Hidden.Without(data)
		if len(plain) == len(data) {
			continue
		}
		if !copied {
			publications, copied = slices.Clone(publications), true
		}
		publications[i].Data = plain
	}
	return publications
}
