package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
)

// crowd attacks the server beside its well-behaved clients: some never finish the head of their request and send a byte a second, the
// others are signed in, are sent a lot, and never read. All of them come back as soon as they are thrown out.
type crowd struct {
	settings []string // of the server
	lorises  int
	deaf     int // all of one kitchen
	bytes    int // of a message to the deaf
	rate     int // of such messages a second
	settle   time.Duration
	turns    int
	window   time.Duration
	beside   beside
}

// A backlog of the default size, 1 MiB, is full after about 40 messages of 30 KB, and the close frame has 5 s to get through: at 4 a second
// the deaf are thrown out every 15 s.
var (
	fullCrowd = crowd{lorises: 2500, deaf: 2500, bytes: 30_000, rate: 4, settle: 3 * time.Second, turns: 3, window: 16 * time.Second,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 8 * time.Second}}
	quickCrowd = crowd{lorises: 500, deaf: 500, bytes: 30_000, rate: 16, settle: time.Second, turns: 2, window: 8 * time.Second,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 4 * time.Second}}
)

func (c crowd) run(ctx context.Context, st *stage) (err error) {
	st.loads("%d clients that never end their request, %d that never read %d messages/s of %d bytes; %d neighbours, %d messages/s",
		c.lorises, c.deaf, c.rate, c.bytes, c.beside.kitchens*c.beside.each, c.beside.rate)
	r, err := st.start(ctx, c.settings...)
	if err != nil {
		return err
	}
	near, err := st.split(ctx, r, c.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	a := attack{crowd: c, st: st, server: r}
	seen, err := turns(ctx, near.all(), c.turns, c.beside.window, noise{ready: a.ready, run: a.run})
	if err != nil {
		return err
	}
	const little = 1.2
	st.apart("", seen, atMost(little))
	st.report.add("thrown out for a head without an end", float64(a.slow.Closed), "")
	st.report.add("thrown out for not reading", float64(a.full.Closed), "")
	st.report.add("returns refused", float64(a.slow.Failures+a.full.Failures), "")
	if a.slow.Closed == 0 || a.full.Closed == 0 { // then there was no attack
		st.fails(fmt.Sprintf("no attack: %d and %d were thrown out", a.slow.Closed, a.full.Closed))
	}
	return nil
}

// attack is what attackers do in all turns.
type attack struct {
	crowd

	st            *stage
	server        *running
	lorises, deaf attackers    // of this turn
	slow, full    drive.Counts // what became of them, in all turns
}

// attackers are a fleet and what it is to do.
type attackers struct {
	fleet *drive.Fleet
	plan  drive.Plan
}

// ready starts the processes of a turn.
func (a *attack) ready() (err error) {
	if a.lorises, err = a.st.attackers(a.server, drive.Loris, a.crowd.lorises); err != nil {
		return err
	}
	a.deaf, err = a.st.attackers(a.server, drive.Deaf, a.crowd.deaf)
	return err
}

// run lets the attackers come, and counts what became of them while measure ran.
func (a *attack) run(ctx context.Context, measure measuring) (err error) {
	defer a.lorises.fleet.Close()
	defer a.deaf.fleet.Close()
	for _, one := range []attackers{a.lorises, a.deaf} {
		if _, err := one.fleet.Open(one.plan); err != nil {
			return fmt.Errorf("open attackers: %w", err)
		}
	}
	door, err := a.server.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	loud, err := publish.New(door, publish.Load{Tenants: 1, Rate: a.rate, Bytes: a.bytes}, now)
	if err != nil {
		return err
	}
	_, err = publishing(ctx, loud, func(ctx context.Context) error {
		if err := sleep(ctx, a.settle); err != nil {
			return err
		}
		return measure(ctx, lasting(a.window))
	})
	if err != nil {
		return err
	}
	return errors.Join(count(a.lorises.fleet, &a.slow), count(a.deaf.fleet, &a.full))
}

// count adds what a fleet has counted.
func count(fleet *drive.Fleet, to *drive.Counts) error {
	counts, err := fleet.Counts()
	if err == nil {
		to.Closed, to.Failures = to.Closed+counts.Closed, to.Failures+counts.Failures
	}
	return err
}

// attackers starts the processes of some, all of one kitchen.
func (st *stage) attackers(r *running, manner drive.Manner, count int) (attackers, error) {
	p, err := plan(manner, 0, 1, count, r)
	if err != nil {
		return attackers{}, err
	}
	a := attackers{fleet: st.fleet(), plan: p}
	return a, a.fleet.Launch(p)
}
