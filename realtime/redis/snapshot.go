package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"kentongan/realtime"
)

// Snapshot implements realtime.Snapshotter.
func (b *Broker) Snapshot(ctx context.Context, ch realtime.Channel) (realtime.Snapshot, error) {
	doing := "snapshot"
	if err := b.check(ctx, doing); err != nil {
		return realtime.Snapshot{}, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	keys := []string{b.keys.head(ch.Tenant), b.keys.newest(ch)}
	age := b.opts.Names.Retention(ch).Age.Milliseconds()
	answer, err := snapshotScript.Exec(ctx, b.ask, keys, []string{ch.Name, strconv.FormatInt(age, 10), b.newEpoch()}).ToArray()
	if err == nil && len(answer) != 3 {
		err = errors.New("the snapshot script answers something else")
	}
	if err != nil {
		return realtime.Snapshot{}, unavailable(doing, err)
	}
	epoch, err1 := answer[0].ToString()
	head, err2 := answer[1].AsUint64()
	entries, err3 := answer[2].AsBytes()
	if err := errors.Join(err1, err2, err3); err != nil {
		return realtime.Snapshot{}, unavailable(doing, err)
	}
	s := realtime.Snapshot{Head: realtime.Position{Epoch: epoch, Offset: head}}
	if !b.opts.Names.KeepsSnapshot(ch) {
		return s, nil // the pattern asked for it once, and does no more
	}
	s.Publications = make([]realtime.Publication, 0, countEntries(entries))
	for len(entries) > 0 {
		p, rest, err := cutEntry(entries)
		if err != nil {
			return realtime.Snapshot{}, unavailable(doing, err)
		}
		p.Channel, p.Position.Epoch = ch, epoch
		s.Publications = append(s.Publications, p)
		entries = rest
	}
	slices.SortFunc(s.Publications, func(a, b realtime.Publication) int { return cmp.Compare(a.Position.Offset, b.Position.Offset) })
	return s, nil
}
