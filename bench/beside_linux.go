package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/latency"
	"kentongan/bench/publish"
)

// neighbours are screens of kitchens that have nothing to do with what happens in a trial. They get messages all the while, to see whether
// they are served as before.
type neighbours struct {
	st        *stage
	fleet     *drive.Fleet
	each      int
	door      publish.Door
	publisher *publish.Publisher
}

// firstNeighbour is the number of the first kitchen of neighbours: beyond those of every trial.
const firstNeighbour = 500_000

// beside is how many neighbours a trial has.
type beside struct {
	kitchens, each int
	rate           int           // messages a second, to all kitchens together
	window         time.Duration // for which they are measured alone
}

// neighbours connects screens of the existing app and warms them up. They must be closed also with an error.
func (st *stage) neighbours(ctx context.Context, r *running, b beside) (*neighbours, error) {
	n := &neighbours{st: st, fleet: st.fleet(), each: b.each}
	p, err := plan(drive.Bare, firstNeighbour, b.kitchens, b.each, r)
	if err != nil {
		return n, err
	}
	if _, err := n.fleet.Open(p); err != nil {
		return n, fmt.Errorf("open neighbours: %w", err)
	}
	if n.door, err = r.door(); err != nil {
		return n, err
	}
	load := publish.Load{First: firstNeighbour, Tenants: b.kitchens, Rate: b.rate, Bytes: messageBytes}
	if n.publisher, err = publish.New(n.door, load, now); err != nil {
		return n, err
	}
	_, err = n.quietly(ctx, st.pace.warm)
	return n, err
}

// close ends what is published to them, and returns an error if something of it was not acknowledged.
func (n *neighbours) close() error {
	if n.door == nil {
		return nil
	}
	return n.door.Close()
}

// during publishes to all of some neighbours until act is over, and returns their latencies, in the same order. What they miss, or get
// twice, fails the trial.
func during(ctx context.Context, all []*neighbours, act func(context.Context) error) ([]*latency.Histogram, error) {
	sent := make([]publish.Sent, len(all))
	for i, n := range all {
		if err := n.fleet.Reset(); err != nil {
			return nil, err
		}
		inner := act
		act = func(ctx context.Context) (err error) {
			sent[i], err = publishing(ctx, n.publisher, inner)
			return err
		}
	}
	if err := act(ctx); err != nil {
		return nil, err
	}
	seen := make([]*latency.Histogram, len(all))
	for i, n := range all {
		expected := sent[i].Messages * n.each
		counts, err := n.st.await(ctx, n.fleet, expected)
		if err != nil {
			return nil, err
		}
		if why := fault(counts, expected); why != "" {
			n.st.fails("neighbours: " + why)
		}
		if seen[i], err = n.fleet.Latency(); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// during is that of these neighbours alone.
func (n *neighbours) during(ctx context.Context, act func(context.Context) error) (*latency.Histogram, error) {
	seen, err := during(ctx, []*neighbours{n}, act)
	if err != nil {
		return nil, err
	}
	return seen[0], nil
}

// quietly measures the neighbours while nothing else happens.
func (n *neighbours) quietly(ctx context.Context, window time.Duration) (*latency.Histogram, error) {
	return n.during(ctx, func(ctx context.Context) error { return sleep(ctx, window) })
}

var errOver = errors.New("what messages were sent during is over")

// publishing publishes until act is over.
func publishing(ctx context.Context, publisher *publish.Publisher, act func(context.Context) error) (publish.Sent, error) {
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var sent publish.Sent
	done := make(chan error, 1)
	go func() {
		var err error
		const endless = 24 * time.Hour
		sent, err = publisher.Run(sending, endless)
		done <- err
	}()
	err := act(ctx)
	stop(errOver)
	if failed := <-done; !errors.Is(context.Cause(sending), errOver) || !errors.Is(failed, context.Canceled) {
		err = errors.Join(err, failed)
	}
	return sent, err
}
