package redis

import (
	"context"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

var _ realtime.Lister = (*Broker)(nil)

// Channels implements realtime.Lister. It goes through the tenants with SCAN.
func (b *Broker) Channels(ctx context.Context, limit int) (heads []realtime.ChannelHead, err error) {
	const doing = "list channels"
	seen := map[realtime.Channel]bool{} // SCAN may show a key twice
	for cursor := uint64(0); len(heads) < limit; {
		if err := b.check(ctx, doing); err != nil {
			return nil, err
		}
		tenants, next, err := b.scanHeads(ctx, cursor)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		commands := make(rueidis.Commands, len(tenants))
		for i, t := range tenants {
			commands[i] = b.ask.B().Hgetall().Key(b.keys.head(t)).Build()
		}
		for i, answer := range b.ask.DoMulti(ctx, commands...) {
			fields, err := answer.AsStrMap()
			if err != nil {
				return nil, unavailable(doing, err)
			}
			all, err := parseHeads(fields)
			if err != nil {
				continue // it expired meanwhile, or somebody else wrote there
			}
			for name, head := range all.Channels {
				ch := realtime.Channel{Tenant: tenants[i], Name: name}
				if head.Offset > 0 && !seen[ch] && len(heads) < limit {
					seen[ch] = true
					heads = append(heads, realtime.ChannelHead{Channel: ch, Head: head})
				}
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	return heads, nil
}
