package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/production"
)

// Store is what the engine needs of a production.Store.
type Store interface {
	DueBatches(ctx context.Context, now production.Instant, limit int) ([]production.Due, error)
	DueKitchens(ctx context.Context, now production.Instant, limit int) ([]production.Due, error)
	Commit(ctx context.Context, c production.Commit) ([]production.Event, error)
}

// Options are the knobs of an Engine. The zero value is safe.
type Options struct {
	// Every is the time between two passes; zero means 1 s. The shortest rule is 60 s, and an alert is not late by more than this.
	Every time.Duration

	// Page is how many are read at a time; zero means 200.
	Page int

	// Workers is how many commits are on their way at a time; zero means 64: a store makes what comes together one transaction with one
	// flush, and a pass has as many of these as it has times 64 commits.
	Workers int

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil discards
}

// Engine looks. Its methods may be called concurrently; two passes at the same time do no harm.
type Engine struct {
	store Store
	opts  Options

	passes, looked, committed, raced atomic.Uint64
	last                             atomic.Int64 // ns: how long the last pass took
	fault                            atomic.Pointer[string]
}

// New returns an Engine over store.
func New(store Store, opts Options) *Engine {
	if opts.Every <= 0 {
		opts.Every = time.Second
	}
	if opts.Page <= 0 {
		opts.Page = 200
	}
	if opts.Workers <= 0 {
		opts.Workers = 64
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{store: store, opts: opts}
}

// Run makes a pass now and then, until ctx ends, and returns nil.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(e.opts.Every)
	defer tick.Stop()
	for {
		began := time.Now()
		err := e.Pass(ctx)
		e.last.Store(int64(time.Since(began)))
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			e.fault.Store(nil)
		default:
			text := err.Error()
			if e.fault.Swap(&text) == nil { // the first of many
				e.opts.Log.ErrorContext(ctx, "alerts are not looked after", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Pass looks once at everything that is due. It returns the first error of the store; the others were looked at, too.
func (e *Engine) Pass(ctx context.Context) error {
	e.passes.Add(1)
	now := production.At(e.opts.Now())
	return errors.Join(e.all(ctx, now, "batches", e.store.DueBatches), e.all(ctx, now, "kitchens", e.store.DueKitchens))
}

type dueFunc func(ctx context.Context, now production.Instant, limit int) ([]production.Due, error)

// all looks at page after page. What was looked at is not due any more; who lost a race is read again, with what the winner made.
func (e *Engine) all(ctx context.Context, now production.Instant, what string, read dueFunc) error {
	for ctx.Err() == nil {
		due, err := read(ctx, now, e.opts.Page)
		if err != nil {
			return fmt.Errorf("read due %s: %w", what, err)
		}
		if len(due) == 0 {
			return nil
		}
		moved, err := e.look(ctx, due, now)
		if err != nil || moved == 0 {
			return err
		}
	}
	return nil
}

// look decides and commits, and returns how many of due are another thing now.
func (e *Engine) look(ctx context.Context, due []production.Due, now production.Instant) (moved int64, err error) {
	var changed atomic.Int64
	var g errgroup.Group
	g.SetLimit(e.opts.Workers)
	for i := range due {
		e.looked.Add(1)
		commit, ok := production.Look(due[i], now)
		if !ok {
			continue
		}
		g.Go(func() error {
			_, err := e.store.Commit(ctx, commit)
			switch {
			case err == nil:
				e.committed.Add(1)
				e.report(ctx, &commit)
			case errors.Is(err, production.ErrConflict):
				e.raced.Add(1)
			default:
				return fmt.Errorf("commit what time has brought about in %s: %w", nameOf(&commit), err)
			}
			changed.Add(1)
			return nil
		})
	}
	err = g.Wait()
	return changed.Load(), err
}

func nameOf(c *production.Commit) string {
	if c.Batch != nil {
		return fmt.Sprintf("production %s of %s", c.Batch.Production.ID, c.Tenant)
	}
	return fmt.Sprintf("kitchen %s", c.Tenant)
}

// report writes what people should have acted on into the log as well: nobody may be looking at a screen.
func (e *Engine) report(ctx context.Context, c *production.Commit) {
	for i := range c.Alerts {
		if a := &c.Alerts[i]; a.Sounds() {
			e.opts.Log.InfoContext(ctx, "alert sounds", "tenant", c.Tenant, "production", a.ProductionID, "code", a.Code,
				"severity", a.Severity, "escalations", a.Escalations)
		}
	}
}

// Stats are the figures of an Engine, of this process.
type Stats struct {
	Passes    uint64
	Looked    uint64 // batches and kitchens that were due
	Committed uint64 // of these, in which something had changed
	Raced     uint64 // of these, in which somebody else was first
	LastPass  time.Duration
}

// Stats returns the figures.
func (e *Engine) Stats() Stats {
	return Stats{e.passes.Load(), e.looked.Load(), e.committed.Load(), e.raced.Load(), time.Duration(e.last.Load())}
}

// Ready returns nil, or that the last pass did not work.
func (e *Engine) Ready() error {
	if text := e.fault.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}
