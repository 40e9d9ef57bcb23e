package intake

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kentongan/internal/nap"
	"kentongan/internal/seldom"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
	"kentongan/tenant"
)

// turns has the epochs of channels turned in which something may be missing. It tries until it succeeds: a reader that is
// not told shows old data as fresh.
type turns struct {
	turner realtime.EpochTurner // nil: nobody is told
	ledger stamping.Ledger
	log    *slog.Logger
	wake   chan struct{}

	mu       sync.Mutex
	everyone bool
	owed     string            // what to pay when everyone is told
	pay      func(owed string) // says that it is done; empty: it was not owed
	channels map[realtime.Channel]realtime.GapCause
}

// maxTurns bounds what waits; past it, all are turned.
const maxTurns = 10_000

func (t *turns) init(turner realtime.EpochTurner, ledger stamping.Ledger, log *slog.Logger, pay func(owed string)) {
	t.turner, t.ledger, t.pay = turner, ledger, pay
	t.log, t.wake, t.channels = log, make(chan struct{}, 1), map[realtime.Channel]realtime.GapCause{}
}

// all has every channel turned, and then says that what was owed is paid.
func (t *turns) all(owed string) {
	t.mu.Lock()
	t.everyone = true
	if owed != "" {
		t.owed = owed
	}
	clear(t.channels)
	t.mu.Unlock()
	t.start()
}

// one has ch turned.
func (t *turns) one(ch realtime.Channel, cause realtime.GapCause) {
	t.mu.Lock()
	if !t.everyone {
		if t.channels[ch] = cause; len(t.channels) > maxTurns {
			t.everyone = true
			clear(t.channels)
		}
	}
	t.mu.Unlock()
	t.start()
}

func (t *turns) start() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

func (t *turns) run(ctx context.Context) {
	for fails := 0; ; {
		t.mu.Lock()
		everyone, owed, channels := t.everyone, t.owed, t.channels
		t.everyone, t.owed, t.channels = false, "", map[realtime.Channel]realtime.GapCause{}
		t.mu.Unlock()
		if !everyone && len(channels) == 0 {
			select {
			case <-t.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if t.turn(ctx, everyone, owed, channels) {
			fails = 0
			continue
		}
		if !nap.For(ctx, backoff(fails)) {
			return
		}
		fails++
	}
}

// turn reports whether all was done; what was not is put back.
func (t *turns) turn(ctx context.Context, everyone bool, owed string, channels map[realtime.Channel]realtime.GapCause) bool {
	if everyone {
		began := time.Now()
		if err := t.turnAll(ctx, owed); err != nil {
			t.log.Warn("turn all epochs", "err", err) // it is repeated
			t.all(owed)
			return false
		}
		t.log.Info("all epochs turned", "took_ms", time.Since(began).Milliseconds())
		if owed != "" {
			t.pay(owed)
		}
		return true
	}
	ok := true
	for ch, cause := range channels {
		if err := t.turnOne(ctx, ch, cause); err != nil {
			t.log.Warn("turn epoch", "tenant", ch.Tenant, "channel", ch.Name, "err", err) // it is repeated
			t.one(ch, cause)
			ok = false
		}
	}
	return ok
}

// turnAll turns all, or those that were not turned yet for what is owed.
func (t *turns) turnAll(ctx context.Context, owed string) error {
	switch {
	case owed != "":
		return t.ledger.Turn(ctx, owed) //nolint:wrapcheck // it says what it was doing
	case t.turner == nil:
		return nil
	}
	return t.turner.TurnAll(ctx, realtime.GapIntake) //nolint:wrapcheck // it says what it was doing
}

func (t *turns) turnOne(ctx context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	if t.turner == nil {
		return nil
	}
	return t.turner.TurnEpoch(ctx, ch, cause) //nolint:wrapcheck // as above
}

// fill turns the channels of a hole, before anything goes on behind it. It reports false if ctx ended first.
func (t *turns) fill(ctx context.Context, hole *stamping.Hole) bool {
	for fails := 0; ; fails++ {
		err := t.tryFill(ctx, hole)
		if err == nil {
			return true
		}
		t.log.Warn("turn epochs of what came too fast", "channels", len(hole.Channels), "all", hole.All, "err", err) // it is repeated
		if !nap.For(ctx, backoff(fails)) {
			return false
		}
	}
}

func (t *turns) tryFill(ctx context.Context, hole *stamping.Hole) error {
	if hole.All {
		return t.turnAll(ctx, "")
	}
	for ch := range hole.Channels {
		if err := t.turnOne(ctx, ch, realtime.GapOverloaded); err != nil {
			return err
		}
		delete(hole.Channels, ch)
	}
	return nil
}

// complaints logs what is wrong with messages, once for each channel and minute: an app that is wrong is wrong all the
// time.
type complaints struct {
	log  *slog.Logger
	said seldom.Once[realtime.Channel]
}

func (c *complaints) about(ch realtime.Channel, what string, size int, now time.Time) {
	if c.first(ch, now) {
		c.log.Warn("message not sent", "tenant", ch.Tenant, "channel", ch.Name, "why", what, "bytes", size)
	}
}

// first reports whether ch was not complained about in this minute.
func (c *complaints) first(ch realtime.Channel, now time.Time) bool { return c.said.First(ch, now) }

// clip keeps a hostile name short in logs.
func clip(name []byte) string {
	if len(name) > tenant.MaxBytes {
		return string(name[:tenant.MaxBytes]) + "…"
	}
	return string(name)
}
