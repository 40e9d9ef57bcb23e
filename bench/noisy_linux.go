package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/latency"
	"kentongan/bench/publish"
)

// noisy has one kitchen do all that a kitchen can do to the others, within its limits, one after the other.
type noisy struct {
	screens int // of the noisy kitchen
	flood   int // messages a second to them
	deaf    int // screens of it that never read
	bytes   int // of a message to those
	rate    int // of such messages a second
	storm   int // of its people connect and leave again and again
	replays int // clients of it that ask at once for all of its history
	history int // messages
	window  time.Duration
	beside  beside
}

var (
	fullNoisy = noisy{screens: 50, flood: 200, deaf: 200, bytes: 30_000, rate: 4, storm: 100, replays: 500, history: 10_000,
		window: 10 * time.Second, beside: beside{kitchens: 40, each: 5, rate: 100, window: 10 * time.Second}}

	quickNoisy = noisy{screens: 50, flood: 200, deaf: 100, bytes: 30_000, rate: 16, storm: 50, replays: 200, history: 5000,
		window: 4 * time.Second, beside: beside{kitchens: 40, each: 5, rate: 100, window: 4 * time.Second}}
)

// stormPause is how long one of a storm waits between two connects: in a storm of a hundred that is a thousand a second.
const stormPause = 100 * time.Millisecond

func (n noisy) run(ctx context.Context, st *stage) (err error) {
	st.loads("one kitchen after another: %d messages/s to %d screens; %d screens that never read %d messages/s of %d bytes; %d people who "+
		"connect and leave, ten times a second each; %d clients that ask at once for %d messages. %d neighbours, %d messages/s",
		n.flood, n.screens, n.deaf, n.rate, n.bytes, n.storm, n.replays, n.history, n.beside.kitchens*n.beside.each, n.beside.rate)
	r, err := st.start(ctx, "KENTONGAN_HISTORY_SIZE="+strconv.Itoa(n.history))
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, n.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	noises := []struct {
		name string
		make func(ctx context.Context, st *stage, r *running, near *neighbours) (*latency.Histogram, error)
	}{{"flood", n.flooded}, {"readers that do not read", n.unread}, {"connect storm", n.stormed}, {"replays", n.replayed}}
	for _, noise := range noises {
		quiet, err := near.quietly(ctx, n.beside.window)
		if err != nil {
			return err
		}
		loud, err := noise.make(ctx, st, r, near)
		if err != nil {
			return fmt.Errorf("%s: %w", noise.name, err)
		}
		const little = 1.2
		ms := func(h *latency.Histogram) float64 { return float64(h.Quantile(0.99)) / float64(time.Millisecond) }
		st.report.add(noise.name+": neighbours' p99 alone", ms(quiet), "ms")
		st.report.add(noise.name+": meanwhile", ms(loud), "ms")
		st.report.add(noise.name+": meanwhile over alone", over(ms(loud), ms(quiet)), "×", atMost(little))
	}
	return nil
}

// noise publishes to a kitchen while the neighbours are measured.
func (n noisy) noise(ctx context.Context, r *running, near *neighbours, load publish.Load) (loud *latency.Histogram, err error) {
	door, err := r.door()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	publisher, err := publish.New(door, load, now)
	if err != nil {
		return nil, err
	}
	_, err = during(ctx, publisher, func(ctx context.Context) (err error) {
		if err = sleep(ctx, n.window/4); err == nil { // until it is as it stays
			loud, err = near.quietly(ctx, n.window)
		}
		return err
	})
	return loud, err
}

func (n noisy) flooded(ctx context.Context, st *stage, r *running, near *neighbours) (*latency.Histogram, error) {
	p, err := plan(drive.Bare, 0, 1, n.screens, r)
	if err != nil {
		return nil, err
	}
	p.Behind = true
	fleet, err := st.open(p)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	return n.noise(ctx, r, near, publish.Load{Tenants: 1, Rate: n.flood, Bytes: messageBytes})
}

func (n noisy) unread(ctx context.Context, st *stage, r *running, near *neighbours) (*latency.Histogram, error) {
	const kitchen = 1
	p, err := plan(drive.Deaf, kitchen, 1, n.deaf, r)
	if err != nil {
		return nil, err
	}
	fleet, err := st.open(p)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	return n.noise(ctx, r, near, publish.Load{First: kitchen, Tenants: 1, Rate: n.rate, Bytes: n.bytes})
}

func (n noisy) stormed(ctx context.Context, st *stage, r *running, near *neighbours) (loud *latency.Histogram, err error) {
	const kitchen = 2
	storm, err := r.knock(kitchen, n.storm, stormPause)
	if err != nil {
		return nil, err
	}
	seen, err := storm.during(ctx, func(ctx context.Context) (err error) {
		loud, err = near.quietly(ctx, n.window)
		return err
	})
	if err == nil {
		st.report.add("connect storm: connects", over(float64(seen.in), n.window.Seconds()), "/s")
		if seen.full+seen.other > 0 || seen.in == 0 {
			st.fails(fmt.Sprintf("no storm: %d let in, %d refused: %s", seen.in, seen.full+seen.other, seen.why))
		}
	}
	return loud, err
}

func (n noisy) replayed(ctx context.Context, st *stage, r *running, near *neighbours) (*latency.Histogram, error) {
	const kitchen = 3
	if err := st.store(ctx, r, publish.Load{First: kitchen, Tenants: 1, Rate: n.history, Bytes: messageBytes}, n.history); err != nil {
		return nil, err
	}
	epoch, err := r.epoch(ctx, publish.Channel(kitchen))
	if err != nil {
		return nil, err
	}
	clients, err := plan(drive.V1, kitchen, 1, n.replays, r)
	if err != nil {
		return nil, err
	}
	clients.Window, clients.Behind = n.replays, true
	for i := range clients.Screens {
		clients.Screens[i].Epoch = epoch
	}
	fleet := st.fleet()
	expected := n.history * n.replays
	return near.during(ctx, func(ctx context.Context) error {
		_, err := fleet.Open(clients)
		if err != nil {
			return err
		}
		counts, err := st.await(ctx, fleet, expected)
		if why := losses(counts, expected); err == nil && why != "" {
			st.fails(why)
		}
		return err
	})
}
