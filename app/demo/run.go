package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"kentongan/realtime"
)

// Options are the knobs of Run.
type Options struct {
	Seed uint64        // of the simulation; zero: another one each time
	Tick time.Duration // between two looks at the clock; zero means 250 ms, so that a screen seems to move
}

// Run lets the kitchens work until ctx ends, and then returns nil. It returns the error of publish, unless the engine is
// only out for the moment (realtime.ErrUnavailable): then the message is lost, as it would be for the real app.
func Run(ctx context.Context, opts Options, publish func(context.Context, realtime.Channel, []byte) error) error {
	if opts.Tick <= 0 {
		opts.Tick = 250 * time.Millisecond
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64() //nolint:gosec // nothing is kept secret with it
	}
	s := New(opts.Seed, time.Now())
	ticker := time.NewTicker(opts.Tick)
	defer ticker.Stop()
	for {
		for _, m := range s.Step(time.Now()) {
			err := publish(ctx, m.Channel, m.Data)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil && !errors.Is(err, realtime.ErrUnavailable):
				return fmt.Errorf("publish to %s of %s: %w", m.Channel.Name, m.Channel.Tenant, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
