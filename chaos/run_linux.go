package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/chaos/check"
)

// row is what a scene has proven.
type row struct {
	scene    scene
	verdict  check.Verdict
	silences []time.Duration
	took     time.Duration
	why      string // the run proves nothing
	steps    []step // of the night
	kitchen  string // what the kitchen of the night has done
}

// ok reports whether everything is as it has to be.
func (r *row) ok() bool { return r.verdict.Flawless() && r.why == "" }

// How long a run waits.
const (
	warmUp     = time.Second
	settleMost = 25 * time.Second
	// takeOver is after how long a node takes over what another one had of the stream.
	takeOver = 30 * time.Second
)

// play runs a scene with the server at binary. What it has written down is kept in keep, unless that is empty, if something
// is wrong.
func play(ctx context.Context, sc scene, binary, keep string, progress io.Writer) (r row, err error) {
	r.scene = sc
	dir, err := os.MkdirTemp("", "kentongan-chaos-")
	if err != nil {
		return r, fmt.Errorf("make folder for this run: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := build(ctx, sc, binary, dir)
	defer s.close()
	if err != nil {
		s.logTail(progress)
		return r, errors.Join(err, s.keep(keep, s.record()))
	}
	var final record
	var unread error
	trouble := s.act(ctx, progress, func() { // while all clients are still connected
		if sc.engine == cluster {
			unread = s.excuseLinks()
		}
		final = s.record()
		r.verdict = final.judge()
		r.silences = check.Silences(s.spans, final.Subscribers)
		if s.kitchen != nil {
			s.kitchen.judge(&r.verdict)
			r.steps, r.kitchen = s.steps(&final), s.kitchen.String()
		}
	})
	trouble = errors.Join(trouble, unread)
	r.took, r.why = s.clock(), r.verdict.Empty()
	if trouble != nil || !r.ok() {
		s.logTail(progress)
		trouble = errors.Join(trouble, s.keep(keep, final))
	}
	return r, trouble
}

// act starts the load, injects the faults, waits until everything is quiet, and then calls quiet.
func (s *stage) act(ctx context.Context, progress io.Writer, quiet func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var readers, writers, report sync.WaitGroup
	defer report.Wait()
	defer readers.Wait()
	defer cancel(nil)
	stop := make(chan struct{})
	for i, c := range s.clients {
		readers.Go(func() {
			err := c.Run(ctx)
			switch {
			case err != nil && s.isGuest(i):
				s.gone.Add(1)
			case err != nil:
				_, _ = fmt.Fprintf(progress, "  %v\n", err) // the verdict has it as stuck
			}
		})
	}
	report.Go(func() { s.report(ctx, progress) })
	if s.kitchen != nil {
		for _, w := range s.kitchen.watchers {
			readers.Go(func() {
				if err := w.Run(ctx); err != nil {
					_, _ = fmt.Fprintf(progress, "  %v\n", err) // as above
				}
			})
		}
	}
	if err := s.connected(ctx); err != nil {
		return err
	}
	for _, p := range s.publishers {
		writers.Go(func() { p.Run(ctx, stop) })
	}
	err := s.cook(ctx, stop, &writers)
	if err == nil {
		err = sleep(ctx, warmUp)
	}
	if err == nil {
		s.stir()
		if err = s.revoke(ctx); err == nil {
			err = s.hurtAll(ctx)
		}
	}
	if err == nil {
		err = sleep(ctx, warmUp)
	}
	close(stop)
	writers.Wait()
	if err == nil {
		err = s.settle(ctx)
	}
	quiet()
	return err
}

// cook starts the work of the kitchen, if there is one.
func (s *stage) cook(ctx context.Context, stop <-chan struct{}, writers *sync.WaitGroup) error {
	if s.kitchen == nil {
		return nil
	}
	paths, err := s.kitchen.open(ctx)
	if err != nil {
		return fmt.Errorf("open kitchen: %w", err)
	}
	for _, path := range paths {
		writers.Go(func() { s.kitchen.cook(ctx, stop, path) })
	}
	return nil
}

// stir cuts the lines of a few clients, so that every run has some that resume whatever its faults are.
func (s *stage) stir() {
	if len(s.clients) == 0 {
		return
	}
	random := rand.New(rand.NewPCG(s.seed, 3)) //nolint:gosec // repeatable on purpose
	const part = 9
	for _, c := range s.some(random, part) {
		c.Line().Cut()
	}
}

// connected waits until all clients are.
func (s *stage) connected(ctx context.Context) error {
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); ; {
		away := s.away()
		if len(away) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d clients do not connect: %s", len(away), away[0])
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// hurtAll injects the faults, at most overlap at once.
func (s *stage) hurtAll(ctx context.Context) error {
	var next atomic.Int64
	errs := make(chan error, s.overlap)
	for lane := range s.overlap {
		random := rand.New(rand.NewPCG(s.seed, uint64(100+lane))) //nolint:gosec // repeatable on purpose
		go func() { errs <- s.lane(ctx, random, &next) }()
	}
	var all error
	for range s.overlap {
		all = errors.Join(all, <-errs)
	}
	return all
}

// lane injects one fault after the other, until all lanes together have done their number. In a mixture each kind has its
// turn before any comes a second time.
func (s *stage) lane(ctx context.Context, random *rand.Rand, next *atomic.Int64) error {
	for {
		n := int(next.Add(1)) - 1
		if n >= s.count {
			return nil
		}
		at := n % len(s.faults)
		if !s.inOrder {
			at = rand.New(rand.NewPCG(s.seed, uint64(1000+n/len(s.faults)))).Perm(len(s.faults))[at] //nolint:gosec // as above
		}
		f := &s.faults[at]
		span := check.Span{From: s.clock()}
		s.injected.Add(1)
		if err := f.hurt(ctx, s, random); err != nil {
			return fmt.Errorf("%s (%s): %w", f.name, f.does, err)
		}
		span.Until = s.clock()
		s.note(f, span)
		if err := sleep(ctx, s.pause/2+upTo(random, s.pause)); err != nil {
			return err
		}
	}
}

// settle waits until nothing is missing any more, or has been for too long.
func (s *stage) settle(ctx context.Context) error {
	most := settleMost
	if s.engine == redis || s.engine == night { // with the durable stream
		most += takeOver
	}
	for deadline := time.Now().Add(most); ; {
		if s.kitchen != nil {
			if err := s.kitchen.look(ctx); err != nil {
				return err
			}
		}
		now := s.record()
		if v := now.judge(); v.Counts[check.Lost] == 0 && v.Counts[check.Stuck] == 0 || time.Now().After(deadline) {
			return nil
		}
		if err := sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// report writes a line from time to time.
func (s *stage) report(ctx context.Context, progress io.Writer) {
	for sleep(ctx, 5*time.Second) == nil {
		now := s.record()
		published, delivered := 0, 0
		for i := range now.Publishers {
			published += len(now.Publishers[i].Publications)
		}
		for i := range now.Subscribers {
			delivered += len(now.Subscribers[i].Events)
		}
		_, _ = fmt.Fprintf(progress, "  %s: %d of %d faults, %d published, %d delivered, %d of %d clients away, %v\n", s.name,
			s.injected.Load(), s.count, published, delivered, len(s.away()), s.scene.clients, s.clock().Round(time.Second))
	}
}
