package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/latency"
	"kentongan/bench/mark"
	"kentongan/bench/publish"
)

// back cuts the lines of very many clients at once, as when a provider's network comes back, and lets all of them resume at once.
type back struct {
	kitchens, each int
	most           int // clients in one driver
	missed         int // messages of each kitchen meanwhile
	rate           int // at which those are published
	beside         beside
}

var (
	// As many as 20,000 descriptors of the server allow beside the neighbours, in two drivers.
	fullBack = back{kitchens: 3000, each: 5, most: 7500, missed: 10, rate: 10_000,
		beside: beside{kitchens: 200, each: 5, rate: 200, window: 5 * time.Second}}
	quickBack = back{kitchens: 400, each: 5, most: 1000, missed: 10, rate: 10_000,
		beside: beside{kitchens: 100, each: 5, rate: 200, window: 2 * time.Second}}
)

func (b back) run(ctx context.Context, st *stage) (err error) {
	clients := b.kitchens * b.each
	st.loads("%d clients of kentongan.v1 cut at once and back at once, each resumes %d messages; %d neighbours, %d messages/s",
		clients, b.missed, b.beside.kitchens*b.beside.each, b.beside.rate)
	r, err := st.start(ctx)
	if err != nil {
		return err
	}
	p, err := plan(drive.V1, 0, b.kitchens, b.each, r)
	if err != nil {
		return err
	}
	const atOnce = 1024 // connects under way in one driver: what a listener's queue holds, not what is kind to the server
	p.Most, p.Window = b.most, atOnce
	fleet, err := st.open(p)
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, b.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	if err := fleet.Cut(); err != nil {
		return err
	}
	if err := st.store(ctx, r, publish.Load{Tenants: b.kitchens, Rate: b.rate, Bytes: messageBytes}, b.missed*b.kitchens); err != nil {
		return err
	}
	quiet, err := near.quietly(ctx, b.beside.window)
	if err != nil {
		return err
	}
	return b.measure(ctx, st, fleet, near, quiet)
}

// measure lets all come back. Quiet is how the neighbours were served before.
func (b back) measure(ctx context.Context, st *stage, fleet *drive.Fleet, near *neighbours, quiet *latency.Histogram) error {
	expected := b.missed * b.kitchens * b.each
	var counts drive.Counts
	var begun int64
	loud, err := near.during(ctx, func(ctx context.Context) error {
		if err := fleet.Reset(); err != nil {
			return err
		}
		begun = mark.Now()
		err := fleet.Back()
		if err == nil {
			counts, err = st.await(ctx, fleet, expected)
		}
		return err
	})
	if err != nil {
		return err
	}
	returns, err := fleet.Returns()
	if err != nil {
		return err
	}
	st.delivered(counts, expected)
	const (
		soon = 8   // s
		live = 100 // ms
	)
	st.report.add("all caught up after", time.Duration(counts.LastNs-begun).Seconds(), "s", atMost(soon))
	highest, _ := busiest(returns.Slots)
	st.report.add("connects in the fullest second", float64(highest), "")
	st.report.add("connects refused", float64(counts.Failures), "", atMost(0))
	st.compare(quiet, loud, atMost(live), limit{})
	return nil
}

// store publishes a number of messages and waits until the server has stored them.
func (st *stage) store(ctx context.Context, r *running, load publish.Load, messages int) error {
	before, err := metric(ctx, r.admin, published)
	if err != nil {
		return err
	}
	door, err := r.door()
	if err != nil {
		return err
	}
	publisher, err := publish.New(door, load, now)
	if err == nil {
		_, err = publisher.Run(ctx, time.Duration(messages)*time.Second/time.Duration(load.Rate))
	}
	if err := errors.Join(err, door.Close()); err != nil {
		return err
	}
	return st.stamped(ctx, r, before+float64(messages))
}

// published is the server's count of what it has stamped.
const published = "kentongan_engine_published_total"

// stamped waits until the server has stamped as many publications since its start.
func (st *stage) stamped(ctx context.Context, r *running, wanted float64) error {
	const (
		often    = 25 * time.Millisecond // a look costs the server a millisecond or two
		patience = 30 * time.Second
	)
	for started := time.Now(); ; {
		got, err := metric(ctx, r.admin, published)
		if err != nil || got >= wanted {
			return err
		}
		if time.Since(started) > patience {
			return fmt.Errorf("%.0f of %.0f publications are stamped after %v", got, wanted, patience)
		}
		if err := sleep(ctx, often); err != nil {
			return err
		}
	}
}
