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
	window   time.Duration
	beside   beside
}

// A backlog of the default size, 1 MiB, is full after about 40 messages of 30 KB, and the close frame has 5 s to get through: at 4 a second
// the deaf are thrown out every 15 s.
var (
	fullCrowd = crowd{lorises: 2500, deaf: 2500, bytes: 30_000, rate: 4, settle: 3 * time.Second, window: 20 * time.Second,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 10 * time.Second}}
	quickCrowd = crowd{lorises: 500, deaf: 500, bytes: 30_000, rate: 16, settle: time.Second, window: 10 * time.Second,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 4 * time.Second}}
)

func (c crowd) run(ctx context.Context, st *stage) (err error) {
	st.loads("%d clients that never end their request, %d that never read %d messages/s of %d bytes; %d neighbours, %d messages/s",
		c.lorises, c.deaf, c.rate, c.bytes, c.beside.kitchens*c.beside.each, c.beside.rate)
	r, err := st.start(ctx, c.settings...)
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, c.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	quiet, err := near.quietly(ctx, c.beside.window)
	if err != nil {
		return err
	}
	lorises, err := st.attackers(r, drive.Loris, c.lorises)
	if err != nil {
		return err
	}
	deaf, err := st.attackers(r, drive.Deaf, c.deaf)
	if err != nil {
		return err
	}
	door, err := r.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	noise, err := publish.New(door, publish.Load{Tenants: 1, Rate: c.rate, Bytes: c.bytes}, now)
	if err != nil {
		return err
	}
	_, err = during(ctx, noise, func(ctx context.Context) error {
		if err := sleep(ctx, c.settle); err != nil {
			return err
		}
		loud, err := near.quietly(ctx, c.window)
		if err == nil {
			const little = 1.2
			st.compare(quiet, loud, limit{}, atMost(little))
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.tell(st, lorises, deaf)
}

// attackers connects them, all of one kitchen.
func (st *stage) attackers(r *running, manner drive.Manner, count int) (*drive.Fleet, error) {
	p, err := plan(manner, 0, 1, count, r)
	if err != nil {
		return nil, err
	}
	return st.open(p)
}

// tell adds what became of the attackers. If it is nothing, there was no attack.
func (c crowd) tell(st *stage, lorises, deaf *drive.Fleet) error {
	slow, err := lorises.Counts()
	if err != nil {
		return err
	}
	full, err := deaf.Counts()
	if err != nil {
		return err
	}
	st.report.add("thrown out for a head without an end", float64(slow.Closed), "")
	st.report.add("thrown out for not reading", float64(full.Closed), "")
	st.report.add("returns refused", float64(slow.Failures+full.Failures), "")
	if slow.Closed == 0 || full.Closed == 0 {
		st.fails(fmt.Sprintf("no attack: %d and %d were thrown out", slow.Closed, full.Closed))
	}
	return nil
}
