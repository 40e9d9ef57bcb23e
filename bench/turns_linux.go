package main

import (
	"context"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/latency"
)

// comparison is how neighbours were served in turns: alone, then with the noise, then alone again, and so on. What else happens on the
// machine then meets both, and a single turn can be told from what is so each time. The drivers of the noise are there all the while.
type comparison struct {
	alone, meanwhile []*latency.Histogram
}

// noise is what the neighbours are measured beside.
type noise struct {
	// ready starts the processes of a turn, which are there in its quiet window as well; nil: they are there all the while.
	ready func() error

	// run makes the noise, and measures the neighbours during an act, or as long as it takes.
	run func(ctx context.Context, measure measuring) error
}

// measuring measures the neighbours during act.
type measuring func(ctx context.Context, act func(context.Context) error) error

// lasting is an act that does nothing for a while.
func lasting(window time.Duration) func(context.Context) error {
	return func(ctx context.Context) error { return sleep(ctx, window) }
}

// calm is how long a turn waits before it begins: what the last one has left to be done is not of this one.
const calm = time.Second

// turns measures the neighbours in turns, each with a quiet window and one of noise.
func (n *neighbours) turns(ctx context.Context, count int, quiet time.Duration, beside noise) (comparison, error) {
	all, err := turns(ctx, []*neighbours{n}, count, quiet, beside)
	return all[0], err
}

// turns is that of several at the same time. It returns as many comparisons in any case.
func turns(ctx context.Context, all []*neighbours, count int, quiet time.Duration, beside noise) ([]comparison, error) {
	c := make([]comparison, len(all))
	for range count {
		if beside.ready != nil {
			if err := beside.ready(); err != nil {
				return c, err
			}
		}
		if err := sleep(ctx, min(calm, all[0].st.pace.warm)); err != nil {
			return c, err
		}
		alone, err := during(ctx, all, lasting(quiet))
		if err != nil {
			return c, err
		}
		var with []*latency.Histogram
		err = beside.run(ctx, func(ctx context.Context, act func(context.Context) error) (err error) {
			with, err = during(ctx, all, act)
			return err
		})
		if err != nil {
			return c, err
		}
		for i := range all {
			c[i].alone, c[i].meanwhile = append(c[i].alone, alone[i]), append(c[i].meanwhile, with[i])
		}
	}
	return c, nil
}

// p99s returns the 99th percentile of each, in ms.
func p99s(turns []*latency.Histogram) []float64 {
	values := make([]float64, 0, len(turns))
	for _, h := range turns {
		values = append(values, float64(h.Quantile(0.99))/float64(time.Millisecond))
	}
	return values
}

// together adds the turns up.
func together(turns []*latency.Histogram) *latency.Histogram {
	sum := new(latency.Histogram)
	for _, h := range turns {
		sum.Add(h)
	}
	return sum
}

// compared adds the neighbours' latencies with and without the noise. The figures of p99 are medians of the turns, and all of them are
// told: where a turn is unlike the others it was the machine.
func (st *stage) compared(what string, c comparison, p99, ratio limit) {
	for _, part := range []struct {
		name  string
		turns []*latency.Histogram
		p99   limit
	}{{"alone", c.alone, limit{}}, {"meanwhile", c.meanwhile, p99}} {
		sum := together(part.turns)
		name := what + "neighbours " + part.name + ","
		st.report.add(name+" p50", ms(sum.Quantile(0.5)), "ms")
		st.report.add(name+" p95", ms(sum.Quantile(0.95)), "ms")
		st.report.each(name+" p99", p99s(part.turns), "ms", part.p99)
		st.report.add(name+" max", ms(sum.Max()), "ms")
	}
	st.report.add(what+"neighbours' p99, meanwhile over alone", over(middle(p99s(c.meanwhile)), middle(p99s(c.alone))), "×", ratio)
}

// ms is d in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// knocking lets a fleet of Knock knock for a window, and no longer.
func knocking(fleet *drive.Fleet, window time.Duration) noise {
	return noise{run: func(ctx context.Context, measure measuring) error {
		if err := fleet.Back(); err != nil {
			return err
		}
		if err := measure(ctx, lasting(window)); err != nil {
			return err
		}
		return fleet.Cut()
	}}
}
