package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// Tickets keeps one-use tickets where every node finds them.
type Tickets struct{ broker *Broker }

// Tickets returns the tickets of this engine.
func (b *Broker) Tickets() *Tickets { return &Tickets{b} }

// ErrNoTicket says that a ticket does not exist, has expired, or was used.
var ErrNoTicket = errors.New("no such ticket")

// PutTicket keeps data under id for ttl, at least a millisecond.
func (t *Tickets) PutTicket(ctx context.Context, id string, data []byte, ttl time.Duration) error {
	b := t.broker
	if err := b.check(ctx, "put ticket"); err != nil {
		return err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	cmd := b.ask.B().Set().Key(b.keys.ticket(id)).Value(rueidis.BinaryString(data)).Px(max(ttl, time.Millisecond)).Build()
	return unavailable("put ticket", b.ask.Do(ctx, cmd).Error())
}

// TakeTicket returns the data of a ticket and destroys it in the same step, so that of two who come with it one gets
// ErrNoTicket. After ErrUnavailable it may be gone.
func (t *Tickets) TakeTicket(ctx context.Context, id string) ([]byte, error) {
	b := t.broker
	if err := b.check(ctx, "take ticket"); err != nil {
		return nil, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	data, err := b.ask.Do(ctx, b.ask.B().Getdel().Key(b.keys.ticket(id)).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return nil, ErrNoTicket
	}
	return data, unavailable("take ticket", err)
}
