package main

import (
	"context"
	"errors"
)

// split are neighbours of a noise, and as many who have a server of their own on the same machine, with an engine of its own: one sees
// what it means to share a server with the noise, the other what it means to share no more than the processors with it, its clients and its
// server. The messages of both are the same in number, and are sent at the same times.
type split struct {
	near, elsewhere *neighbours
}

// split starts the second server, and connects neighbours to both. They must be closed also with an error.
func (st *stage) split(ctx context.Context, r *running, b beside) (split, error) {
	var s split
	var err error
	if s.near, err = st.neighbours(ctx, r, b); err != nil {
		return s, err
	}
	other, err := st.other(ctx)
	if err != nil {
		return s, err
	}
	s.elsewhere, err = st.neighbours(ctx, other, b)
	return s, err
}

// other starts a server that shares nothing with the first one, except for the machine.
func (st *stage) other(ctx context.Context) (*running, error) {
	address := ""
	if st.engine == redis {
		child, at, err := startRedis(ctx, st.dir)
		if err != nil {
			return nil, err
		}
		st.others = append(st.others, child)
		address = at
	}
	return st.add(st.serve().start(ctx, st.engine, address))
}

// all are both.
func (s split) all() []*neighbours { return []*neighbours{s.near, s.elsewhere} }

// close closes both.
func (s split) close() error {
	var err error
	for _, n := range s.all() {
		if n != nil {
			err = errors.Join(err, n.close())
		}
	}
	return err
}

// apart adds the latencies of both, and what it cost to be on the server of the noise: of each turn how much larger the p99 was there, in
// the same seconds. What the noise did to the machine has met both, and so have the clients' own delays.
func (st *stage) apart(what string, seen []comparison, ratio limit) {
	near, elsewhere := seen[0], seen[1]
	st.compared(what, near, limit{}, ratio)
	st.compared(what+"elsewhere: ", elsewhere, limit{}, limit{})
	for _, part := range []struct {
		name string
		near []float64
		far  []float64
		aim  limit
	}{
		{"alone", p99s(near.alone), p99s(elsewhere.alone), limit{}},
		{"meanwhile", p99s(near.meanwhile), p99s(elsewhere.meanwhile), ratio},
	} {
		each := make([]float64, len(part.near))
		for i, v := range part.near {
			each[i] = over(v, part.far[i])
		}
		st.report.each(what+"neighbours' p99, "+part.name+", here over elsewhere", each, "×", part.aim)
	}
}
