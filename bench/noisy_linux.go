package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kentongan/bench/drive"
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
	turns   int
	window  time.Duration
	beside  beside
}

var (
	fullNoisy = noisy{screens: 50, flood: 200, deaf: 200, bytes: 30_000, rate: 4, storm: 100, replays: 500, history: 10_000,
		turns: 3, window: 8 * time.Second, beside: beside{kitchens: 40, each: 5, rate: 100, window: 8 * time.Second}}

	quickNoisy = noisy{screens: 50, flood: 200, deaf: 100, bytes: 30_000, rate: 16, storm: 50, replays: 400, history: 8000,
		turns: 3, window: 4 * time.Second, beside: beside{kitchens: 40, each: 5, rate: 100, window: 4 * time.Second}}
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
	near, err := st.split(ctx, r, n.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		make func(ctx context.Context, st *stage, r *running) (noise, func() error, error)
	}{{"flood", n.flooded}, {"readers that do not read", n.unread}, {"connect storm", n.stormed}, {"replays", n.replayed}} {
		beside, after, err := kind.make(ctx, st, r)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		seen, err := turns(ctx, near.all(), n.turns, n.beside.window, beside)
		if err == nil {
			err = after()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		const little = 1.2
		st.apart(kind.name+": ", seen, atMost(little))
	}
	return nil
}

// published is a noise of what is published to a kitchen whose screens are there all the while.
func (n noisy) published(st *stage, r *running, p drive.Plan, load publish.Load) (noise, func() error, error) {
	fleet, err := st.open(p)
	if err != nil {
		return noise{}, nil, err
	}
	run := func(ctx context.Context, measure measuring) (err error) {
		door, err := r.door()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, door.Close()) }()
		publisher, err := publish.New(door, load, now)
		if err != nil {
			return err
		}
		_, err = publishing(ctx, publisher, func(ctx context.Context) error {
			if err := sleep(ctx, n.window/4); err != nil { // until it is as it stays
				return err
			}
			return measure(ctx, lasting(n.window))
		})
		return err
	}
	return noise{run: run}, func() error { fleet.Close(); return nil }, nil
}

func (n noisy) flooded(_ context.Context, st *stage, r *running) (noise, func() error, error) {
	p, err := plan(drive.Bare, 0, 1, n.screens, r)
	if err != nil {
		return noise{}, nil, err
	}
	p.Behind = true
	return n.published(st, r, p, publish.Load{Tenants: 1, Rate: n.flood, Bytes: messageBytes})
}

func (n noisy) unread(_ context.Context, st *stage, r *running) (noise, func() error, error) {
	const kitchen = 1
	p, err := plan(drive.Deaf, kitchen, 1, n.deaf, r)
	if err != nil {
		return noise{}, nil, err
	}
	return n.published(st, r, p, publish.Load{First: kitchen, Tenants: 1, Rate: n.rate, Bytes: n.bytes})
}

func (n noisy) stormed(_ context.Context, st *stage, r *running) (noise, func() error, error) {
	const kitchen = 2
	p, err := plan(drive.Knock, kitchen, 1, n.storm, r)
	if err != nil {
		return noise{}, nil, err
	}
	p.Window, p.Pause = n.storm, stormPause
	fleet, err := st.open(p)
	if err != nil {
		return noise{}, nil, err
	}
	return knocking(fleet, n.window), func() error {
		defer fleet.Close()
		seen, err := fleet.Counts()
		if err != nil {
			return err
		}
		st.report.add("connect storm: connects", over(float64(seen.Entered), float64(n.turns)*n.window.Seconds()), "/s")
		if seen.Full+seen.Failures > 0 || seen.Entered == 0 {
			st.fails(fmt.Sprintf("no storm: %d let in, %d refused: %s", seen.Entered, seen.Full+seen.Failures, seen.Why))
		}
		return nil
	}, nil
}

// replayed has clients ask for all there is, once a turn. The window is as long as that takes.
func (n noisy) replayed(ctx context.Context, st *stage, r *running) (noise, func() error, error) {
	const kitchen = 3
	if err := st.store(ctx, r, publish.Load{First: kitchen, Tenants: 1, Rate: n.history, Bytes: messageBytes}, n.history); err != nil {
		return noise{}, nil, err
	}
	epoch, err := r.epoch(ctx, publish.Channel(kitchen))
	if err != nil {
		return noise{}, nil, err
	}
	clients, err := plan(drive.V1, kitchen, 1, n.replays, r)
	if err != nil {
		return noise{}, nil, err
	}
	clients.Window, clients.Behind = n.replays, true
	for i := range clients.Screens {
		clients.Screens[i].Epoch = epoch
	}
	expected := n.history * n.replays
	var fleet *drive.Fleet
	ready := func() error {
		fleet = st.fleet()
		return fleet.Launch(clients)
	}
	run := func(ctx context.Context, measure measuring) error {
		defer func() { fleet.Close() }()
		return measure(ctx, func(ctx context.Context) error {
			if _, err := fleet.Open(clients); err != nil {
				return fmt.Errorf("open: %w", err)
			}
			counts, err := st.await(ctx, fleet, expected)
			if why := losses(counts, expected); err == nil && why != "" {
				st.fails(why)
			}
			return err
		})
	}
	return noise{ready: ready, run: run}, func() error { return nil }, nil
}
