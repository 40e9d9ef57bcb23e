package memory

import (
	"context"
	"fmt"

	"kentongan/realtime"
)

var _ realtime.Lister = (*Broker)(nil)

// Channels implements realtime.Lister.
func (b *Broker) Channels(ctx context.Context, limit int) (heads []realtime.ChannelHead, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list channels: %w: %w", realtime.ErrUnavailable, err)
	}
	b.each(func(k *kitchen) {
		for name, s := range k.streams {
			if s.head.Offset > 0 && len(heads) < limit {
				heads = append(heads, realtime.ChannelHead{Channel: realtime.Channel{Tenant: k.id, Name: name}, Head: s.head})
			}
		}
	})
	return heads, nil
}
