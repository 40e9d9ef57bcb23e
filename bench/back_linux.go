package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/mark"
	"kentongan/bench/publish"
)

// back cuts the lines of very many clients at once, as when a provider's network comes back, and lets all of them resume at once.
type back struct {
	kitchens, each int
	most           int // clients in one driver
	missed         int // messages of each kitchen meanwhile
	rate           int // at which those are published
	turns          int
	beside         beside
}

var (
	// As many as 20,000 descriptors of the server allow beside the neighbours, in two drivers.
	fullBack = back{kitchens: 3000, each: 5, most: 7500, missed: 10, rate: 10_000, turns: 3,
		beside: beside{kitchens: 200, each: 5, rate: 200, window: 5 * time.Second}}
	quickBack = back{kitchens: 400, each: 5, most: 1000, missed: 10, rate: 10_000, turns: 2,
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
	p.Most, p.Window, p.Behind = b.most, atOnce, true
	fleet, err := st.open(p)
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, b.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	door, err := r.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	publisher, err := publish.New(door, publish.Load{Tenants: b.kitchens, Rate: b.rate, Bytes: messageBytes}, now)
	if err != nil {
		return err
	}
	crowd := returning{back: b, st: st, server: r, fleet: fleet, publisher: publisher}
	seen, err := near.turns(ctx, b.turns, b.beside.window, noise{ready: func() error { return crowd.leave(ctx) }, run: crowd.comeBack})
	if err != nil {
		return err
	}
	st.delivered(crowd.counts, b.missed*clients*b.turns)
	const (
		soon = 8   // s
		live = 100 // ms
	)
	st.report.each("all caught up after", crowd.took, "s", atMost(soon))
	st.report.each("connects in the fullest second", crowd.fullest, "", limit{})
	st.report.add("connects refused", float64(crowd.counts.Failures), "", atMost(0))
	st.compared("", seen, atMost(live), limit{})
	return nil
}

// returning is what the crowd does in all turns.
type returning struct {
	back

	st     *stage
	server *running
	fleet  *drive.Fleet

	publisher *publish.Publisher // one for all turns: messages are numbered on

	counts  drive.Counts // of all turns
	took    []float64    // s, of each
	fullest []float64    // connects in a second, of each
}

// leave cuts the lines of all, and publishes what they miss.
func (c *returning) leave(ctx context.Context) error {
	if err := c.fleet.Cut(); err != nil {
		return err
	}
	messages := c.missed * c.kitchens
	return c.st.stored(ctx, c.server, messages, func() error {
		_, err := c.publisher.Run(ctx, time.Duration(messages)*time.Second/time.Duration(c.rate))
		return err
	})
}

// comeBack lets all come back.
func (c *returning) comeBack(ctx context.Context, measure measuring) error {
	expected := c.missed * c.kitchens * c.each
	var counts drive.Counts
	var begun int64
	err := measure(ctx, func(ctx context.Context) error {
		if err := c.fleet.Reset(); err != nil {
			return err
		}
		begun = mark.Now()
		err := c.fleet.Back()
		if err == nil {
			counts, err = c.st.await(ctx, c.fleet, expected)
		}
		return err
	})
	if err != nil {
		return err
	}
	returns, err := c.fleet.Returns()
	if err != nil {
		return err
	}
	highest, _ := busiest(returns.Slots)
	c.took = append(c.took, time.Duration(counts.LastNs-begun).Seconds())
	c.fullest = append(c.fullest, float64(highest))
	c.counts.Add(counts)
	return nil
}

// store publishes a number of messages and waits until the server has stored them.
func (st *stage) store(ctx context.Context, r *running, load publish.Load, messages int) error {
	return st.stored(ctx, r, messages, func() error {
		door, err := r.door()
		if err != nil {
			return err
		}
		publisher, err := publish.New(door, load, now)
		if err == nil {
			_, err = publisher.Run(ctx, time.Duration(messages)*time.Second/time.Duration(load.Rate))
		}
		return errors.Join(err, door.Close())
	})
}

// stored lets a number of messages be published, and waits until the server has stored them.
func (st *stage) stored(ctx context.Context, r *running, messages int, publish func() error) error {
	before, err := metric(ctx, r.admin, published)
	if err != nil {
		return err
	}
	if err := publish(); err != nil {
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
