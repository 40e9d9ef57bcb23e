package main

import (
	"context"
	"errors"
	"os"

	"kentongan/internal/process"
)

// apart gives the programs of a scene that measures deliveries half of the processors, and driver, publisher and Redis the other half,
// until leave is called. In life clients and Redis are other machines. Where all share all processors it is chance, for a whole round,
// whether Linux has the driver on the processor of who writes, where it reads when the writing is over, or on another one, where each write
// wakes it up again: the same floor then takes 1.8 or 2.8 µs a delivery, and a ratio says which of the two met whom.
//
// Other scenes stay as they are: a storm of connects needs the driver's processors more than the server's.
func (l *lab) apart(s scene) (leave func() error, err error) {
	nothing := func() error { return nil }
	if l.shared || s.kind != fanOut {
		return nothing, nil
	}
	all, err := process.OwnCPUs()
	if err != nil {
		return nothing, err
	}
	own, load := all.Halves()
	if own.Count() == 0 {
		return nothing, nil
	}
	confine := func(to process.CPUs) error {
		err := process.Confine(os.Getpid(), to) // drivers are children
		if l.redisPID > 0 {
			err = errors.Join(err, process.Confine(l.redisPID, to))
		}
		return err
	}
	l.own = &own
	return func() error {
		l.own = nil
		return confine(all)
	}, confine(load)
}

// start starts p on its processors.
func (l *lab) start(ctx context.Context, engine string, p program) (r *running, err error) {
	if l.own == nil {
		return p.start(ctx, engine, l.redis)
	}
	moved := process.On(*l.own, func() { r, err = p.start(ctx, engine, l.redis) })
	if err == nil && moved != nil {
		r.stop()
	}
	return r, errors.Join(err, moved)
}
