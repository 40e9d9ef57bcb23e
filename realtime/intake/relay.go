package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/realtime"
)

// Relay is the door for what runs in this process: a relay that reads committed events out of an outbox and publishes them. It may be
// used by many at once.
type Relay struct {
	names     *realtime.Names
	publisher Publisher
	maxBytes  int
}

// NewRelay returns a Relay. Data of more than maxBytes is refused; zero means 1 MiB.
func NewRelay(names *realtime.Names, publisher Publisher, maxBytes int) *Relay {
	if maxBytes <= 0 {
		maxBytes = 1 << 20
	}
	return &Relay{names, publisher, maxBytes}
}

// ErrNoKey says that a Relay was given a publication without an idempotency key.
var ErrNoKey = errors.New("an idempotency key is needed: the event's id")

// Publish stores data, one JSON text, in ch, and returns its position. key is the id of the event, at most realtime.MaxKeyBytes long: who
// crashed before it noted that an event was published publishes it again, within realtime.IdempotencyWindow, and is answered with
// the first position and Duplicate. So events are published one after the other, the next when the one before is noted.
//
// The errors say what a relay does next. realtime.ErrUnavailable (ErrOverloaded is one): the same again later, with the same key; it may
// have been stored. realtime.ErrNoChannel, realtime.ErrInvalid, realtime.ErrKeyReused (other data came under this key), ErrNoKey: never
// again, the event is at fault. data must not be written to afterwards.
func (r *Relay) Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error) {
	known, _, err := r.names.Parse(r.names.Spell(ch)) // there and back, so that the tenant is looked at too
	switch {
	case err != nil || known != ch:
		err = fmt.Errorf("%w: no pattern has it", realtime.ErrNoChannel)
	case key == "":
		err = ErrNoKey
	case len(data) > r.maxBytes:
		err = fmt.Errorf("%w: %d bytes of data, at most %d are taken", realtime.ErrInvalid, len(data), r.maxBytes)
	case !validJSON(data):
		err = fmt.Errorf("%w: the data must be one JSON text in UTF-8", realtime.ErrInvalid)
	}
	if err != nil {
		return realtime.Published{}, fmt.Errorf("publish to %q of tenant %q: %w", ch.Name, ch.Tenant, err)
	}
	return r.publisher.Publish(ctx, ch, data, realtime.PublishOptions{Key: key, Arrived: time.Now()}) //nolint:wrapcheck // it says all
}
