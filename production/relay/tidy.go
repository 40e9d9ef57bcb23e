package relay

import (
	"context"
	"errors"
	"time"

	"kentongan/production"
)

// Keep says how long the database holds what is needed for a while only. Zero fields mean the defaults.
type Keep struct {
	Events       time.Duration // events that were sent, and notices that are settled; zero means 72 h
	Keys         time.Duration // idempotency keys; zero means 168 h: a tablet may be offline for days before it repeats
	Observations time.Duration // what an app published by itself; zero means 2,160 h, 90 days
}

func (k Keep) orDefaults() Keep {
	if k.Events <= 0 {
		k.Events = 72 * time.Hour
	}
	if k.Keys <= 0 {
		k.Keys = 7 * 24 * time.Hour
	}
	if k.Observations <= 0 {
		k.Observations = 90 * 24 * time.Hour
	}
	return k
}

const (
	tidyEvery  = 10 * time.Minute
	tidyRows   = 500 // a commit deletes, so that no writer waits long for it
	tidyRounds = 200 // commits in a row, at most
	watchEvery = 5 * time.Second
)

// tidy deletes what has become too old. Several processes may do so at the same time.
func (r *Relay) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := r.opts.Now()
		before := production.Before{
			Events: production.At(now.Add(-r.opts.Keep.Events)), Keys: production.At(now.Add(-r.opts.Keep.Keys)),
			Observations: production.At(now.Add(-r.opts.Keep.Observations)),
		}
		for range tidyRounds {
			n, err := r.outbox.Forget(ctx, before, tidyRows)
			if err != nil && ctx.Err() == nil {
				r.opts.Log.WarnContext(ctx, "old rows were not deleted", "err", err)
			}
			if err != nil || n < tidyRows {
				break
			}
		}
	}
}

// watch looks at how much waits.
func (r *Relay) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if n, oldest, err := r.outbox.Backlog(ctx); err == nil {
			r.backlog.Store(n)
			r.oldest.Store(int64(oldest))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Stats are the figures of a Relay. Counters are of this process, Backlog and Oldest of the whole database.
type Stats struct {
	Published  uint64
	Duplicates uint64 // had been published before
	Retries    uint64 // batches that stopped and were tried again
	Poisoned   uint64 // events that were set aside
	Unheard    uint64 // times that the listener could not be told
	Backlog    int64  // events that wait; a few seconds old
	Oldest     time.Duration
}

// Stats returns the figures.
func (r *Relay) Stats() Stats {
	_, poisoned := r.Poisoned()
	s := Stats{
		Published: r.published.Load(), Duplicates: r.duplicates.Load(), Retries: r.retries.Load(), Poisoned: poisoned,
		Unheard: r.unheard.Load(), Backlog: r.backlog.Load(),
	}
	if oldest := production.Instant(r.oldest.Load()); oldest.Known() {
		s.Oldest = max(0, r.opts.Now().Sub(oldest.Time()))
	}
	return s
}

// Ready returns nil, or that the outbox could not be read when it was tried last.
func (r *Relay) Ready() error {
	if text := r.fault.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}
