package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"kentongan/bench/latency"
)

// overload fills the server up to its limit of connections; then as many clients more want in, all at once, and come back as they are
// told to.
type overload struct {
	beside beside // the connections that are held; they are all that the server may hold
	window time.Duration
}

var (
	fullOverload = overload{beside: beside{kitchens: 1000, each: 5, rate: 1000, window: 10 * time.Second}, window: 20 * time.Second}

	quickOverload = overload{beside: beside{kitchens: 200, each: 5, rate: 200, window: 3 * time.Second}, window: 6 * time.Second}
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
	quiet, err := near.quietly(ctx, o.beside.window)
	if err != nil {
		return err
	}
	crowd, err := r.knock(0, limitOf, 0)
	if err != nil {
		return err
	}
	var loud *latency.Histogram
	seen, err := crowd.during(ctx, func(ctx context.Context) (err error) {
		loud, err = near.quietly(ctx, o.window)
		return err
	})
	if err != nil {
		return err
	}
	const (
		soon   = 1000 // ms
		little = 1.2
	)
	st.report.add("refused with 503 and Retry-After", float64(seen.full), "", atLeast(float64(limitOf)))
	st.report.spans("refusal,", seen.refusal, atMost(soon))
	st.report.add("let in", float64(seen.in), "", atMost(0))
	st.report.add("answered otherwise", float64(seen.other), "", atMost(0))
	st.compare(quiet, loud, limit{}, atMost(little))
	if seen.in+seen.other > 0 || seen.full < limitOf {
		st.fails(fmt.Sprintf("of those beyond the limit %d were refused as they should be, %d let in, %d answered otherwise: %s", seen.full,
			seen.in, seen.other, seen.why))
	}
	return nil
}
