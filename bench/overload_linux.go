package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kentongan/bench/drive"
)

// overload fills the server up to its limit of connections; then as many clients more want in, all at once, and come back as they are
// told to.
type overload struct {
	beside beside // the connections that are held; they are all that the server may hold
	turns  int
	window time.Duration
}

var (
	fullOverload = overload{turns: 3, window: 10 * time.Second,
		beside: beside{kitchens: 1000, each: 5, rate: 1000, window: 6 * time.Second}}

	quickOverload = overload{turns: 2, window: 6 * time.Second,
		beside: beside{kitchens: 200, each: 5, rate: 200, window: 2 * time.Second}}
)

func (o overload) run(ctx context.Context, st *stage) (err error) {
	limitOf := o.beside.kitchens * o.beside.each
	st.loads("%d connections, which is the limit, %d messages/s; as many clients more ask at once, and again after Retry-After", limitOf,
		o.beside.rate)
	r, err := st.start(ctx, "KENTONGAN_MAX_CONNECTIONS="+strconv.Itoa(limitOf))
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, o.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	p, err := plan(drive.Knock, 0, 1, limitOf, r)
	if err != nil {
		return err
	}
	p.Window = limitOf
	crowd, err := st.open(p)
	if err != nil {
		return err
	}
	seen, err := near.turns(ctx, o.turns, o.beside.window, knocking(crowd, o.window))
	if err != nil {
		return err
	}
	counts, err := crowd.Counts()
	if err != nil {
		return err
	}
	refusal, err := crowd.Latency()
	if err != nil {
		return err
	}
	const (
		soon   = 1000 // ms
		little = 1.2
	)
	st.report.add("refused with 503 and Retry-After", float64(counts.Full), "", atLeast(float64(limitOf*o.turns)))
	st.report.spans("refusal,", refusal, atMost(soon))
	st.report.add("let in", float64(counts.Entered), "", atMost(0))
	st.report.add("answered otherwise", float64(counts.Failures), "", atMost(0))
	st.compared("", seen, limit{}, atMost(little))
	if counts.Entered+counts.Failures > 0 || counts.Full < limitOf*o.turns {
		st.fails(fmt.Sprintf("of those beyond the limit %d were refused as they should be, %d let in, %d answered otherwise: %s",
			counts.Full, counts.Entered, counts.Failures, counts.Why))
	}
	return nil
}
