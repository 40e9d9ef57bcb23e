package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/production"
	"kentongan/realtime"
	"kentongan/tenant"
)

// Publisher stores data in a channel under the id of its event. Its errors say what to do: realtime.ErrNoChannel, realtime.ErrInvalid and
// realtime.ErrKeyReused are the event's fault, all others pass.
type Publisher interface {
	Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error)
}

// Broker is what the relay needs of the engine beside that.
type Broker interface {
	History(ctx context.Context, ch realtime.Channel, since realtime.Position, limit int) (realtime.Page, error)
}

// Listener is told of a production before the event of its new version goes out, so that whoever fetches it because of the event gets
// no older one.
type Listener interface {
	// Forget is told of e, which has a production and its version.
	Forget(ctx context.Context, e *production.Event) error
}

// Options are the knobs of a Relay. The zero value is safe.
type Options struct {
	// Owner names this process among all on the same database, unlike any other; empty: made at random.
	Owner string

	// Workers is how many tenants are relayed at a time; zero means 4: publishing waits for the engine, and a stop of one tenant must not
	// be one of all.
	Workers int

	// Batch is how many events are published before they are marked; zero means 64. A mark is a commit of the database; what was
	// published and is not marked is asked for again after a crash.
	Batch int

	// PollEvery is the longest wait of a committed event without a wake-up; zero means 1 s.
	PollEvery time.Duration

	// Lease is for how long a tenant is this process's own; zero means 5 s. If it dies, the tenant waits for the rest of that: as long as
	// screens may take to be right again after a cut. A lease that is too short for a slow engine costs publications that are repeated.
	Lease time.Duration

	// Listener, if set, hears of each production before its event is published.
	Listener Listener

	Keep Keep
	Now  func() time.Time // nil is time.Now
	Log  *slog.Logger     // nil discards
}

// Bounds of the wait after something did not work.
const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second // an engine that is back is used again within that
)

// leaveTime is for how long a relay that stops may go on to mark what it has published.
const leaveTime = 3 * time.Second

// strangeTime is how long an event is tried whose error says neither that it passes nor that it does not.
const strangeTime = 5 * time.Minute

// Relay publishes events. Its methods may be called concurrently.
type Relay struct {
	outbox    production.Outbox
	publisher Publisher
	broker    Broker
	opts      Options
	work      chan struct{} // says that there may be something to do

	published, duplicates, retries, unheard atomic.Uint64
	backlog, oldest                         atomic.Int64
	fault                                   atomic.Pointer[string] // why the outbox cannot be read; nil: it can
	poison                                  poisoned

	mu      sync.Mutex
	strange map[tenant.ID]strange
}

// strange is an event whose errors nobody understands.
type strange struct {
	event string
	since time.Time
}

// New returns a Relay that publishes what outbox has. The broker is the engine behind publisher.
func New(outbox production.Outbox, publisher Publisher, broker Broker, opts Options) *Relay {
	if opts.Owner == "" {
		opts.Owner = rand.Text()
	}
	if opts.Workers <= 0 {
		opts.Workers = 4
	}
	if opts.Batch <= 0 {
		opts.Batch = 64
	}
	if opts.PollEvery <= 0 {
		opts.PollEvery = time.Second
	}
	if opts.Lease <= 0 {
		opts.Lease = 5 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Keep = opts.Keep.orDefaults()
	return &Relay{
		outbox: outbox, publisher: publisher, broker: broker, opts: opts, work: make(chan struct{}, opts.Workers),
		strange: map[tenant.ID]strange{},
	}
}

// Run relays until ctx ends, and returns nil. What was published by then is marked. It is called once.
func (r *Relay) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range r.opts.Workers {
		g.Go(func() error {
			w := worker{Relay: r, owner: fmt.Sprintf("%s/%d", r.opts.Owner, i)}
			w.run(ctx)
			return nil
		})
	}
	if d, ok := r.outbox.(production.Direct); ok {
		g.Go(func() error { r.direct(ctx, d); return nil })
	}
	g.Go(func() error { r.wake(ctx); return nil })
	g.Go(func() error { r.watch(ctx); return nil })
	g.Go(func() error { r.tidy(ctx); return nil })
	return g.Wait() //nolint:wrapcheck // it is always nil
}

// wake sets a worker to work whenever something was committed, and from time to time.
func (r *Relay) wake(ctx context.Context) {
	tick := time.NewTicker(r.opts.PollEvery)
	defer tick.Stop()
	for {
		r.poke()
		select {
		case <-ctx.Done():
			return
		case <-r.outbox.Wake():
		case <-tick.C:
		}
	}
}

// poke wakes one worker; if as many wake-ups wait as there are workers, another one would be for nobody.
func (r *Relay) poke() {
	select {
	case r.work <- struct{}{}:
	default:
	}
}

// worker relays one tenant at a time. It is an owner of leases by itself.
type worker struct {
	*Relay
	owner string
	fails int // in a row
}

func (w *worker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.work:
		}
		for w.turn(ctx) {
		}
	}
}

// turn relays one claim, and reports whether there may be another one.
func (w *worker) turn(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	began := time.Now()
	claim, err := w.outbox.Claim(ctx, w.owner, w.opts.Lease, w.opts.Batch)
	switch {
	case errors.Is(err, production.ErrNotFound):
		w.fault.Store(nil)
		return false
	case err != nil:
		if ctx.Err() == nil {
			text := err.Error()
			if w.fault.Swap(&text) == nil { // the first of many
				w.opts.Log.WarnContext(ctx, "outbox cannot be read", "err", err)
			}
			w.pause(ctx)
		}
		return true
	}
	w.fault.Store(nil)
	w.poke() // there may be other tenants
	if err := w.relay(ctx, claim, began.Add(w.opts.Lease/2)); err != nil && ctx.Err() == nil {
		w.retries.Add(1)
		w.opts.Log.WarnContext(ctx, "relay stalled", "tenant", claim.Tenant, "err", err)
		w.pause(ctx)
		return true
	}
	w.fails = 0
	return true
}

// pause waits after a failure: any time up to a bound that doubles.
func (w *worker) pause(ctx context.Context) {
	bound := min(firstBackoff<<min(w.fails, 10), lastBackoff)
	w.fails++
	timer := time.NewTimer(bound/2 + mathrand.N(bound/2)) //nolint:gosec // spread, not secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// relay publishes the events of a claim, until the time of the lease grows short, and marks those that went out. The error is that of
// the event at which it stopped, or of the mark.
func (w *worker) relay(ctx context.Context, c production.Claim, until time.Time) error {
	done, sent, stopped := w.bring(ctx, &c, until)
	return errors.Join(stopped, w.leave(ctx, c.Tenant, done, sent))
}

// bring publishes the events of a claim in their order, until a moment at the latest. It returns the number of the last one that went out,
// where they stand, and the error of the event at which it stopped.
func (w *worker) bring(ctx context.Context, c *production.Claim, until time.Time) (done int64, sent []production.Sent, err error) {
	heads := map[string]production.Sent{}
	doubts := doubts{relay: w.Relay, tenant: c.Tenant}
	for i := range c.Events {
		if ctx.Err() != nil || time.Now().After(until) {
			break
		}
		e := &c.Events[i]
		at, failed := w.publish(ctx, e, &doubts)
		if failed != nil {
			err = fmt.Errorf("publish event %s: %w", e.ID, failed)
			break
		}
		done = e.Seq
		if at != (realtime.Position{}) {
			heads[e.Channel] = production.Sent{Channel: e.Channel, Epoch: at.Epoch, Offset: at.Offset}
		}
	}
	for _, h := range heads {
		sent = append(sent, h)
	}
	return done, sent, err
}

// leave marks what went out and ends the lease. It goes on for a moment after ctx has ended, so that a stop leaves nothing to be
// done again.
func (w *worker) leave(ctx context.Context, t tenant.ID, done int64, sent []production.Sent) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if done == 0 {
		if err := w.outbox.Release(ctx, w.owner, t); err != nil {
			return fmt.Errorf("release tenant %s: %w", t, err)
		}
		return nil
	}
	err := w.outbox.MarkSent(ctx, w.owner, t, done, sent)
	switch {
	case errors.Is(err, production.ErrConflict): // another one has the tenant now, publishes these again, and marks them
		w.opts.Log.InfoContext(ctx, "lease was lost before the mark", "tenant", t)
		return nil
	case err != nil:
		return fmt.Errorf("mark events of tenant %s up to %d: %w", t, done, err)
	}
	return nil
}

// publish brings one event out, and returns its position: none for one that was set aside. An error says that it is to be tried
// again.
func (w *worker) publish(ctx context.Context, e *production.Event, d *doubts) (realtime.Position, error) {
	ch := realtime.Channel{Tenant: e.Tenant, Name: e.Channel}
	if e.ID == "" {
		return realtime.Position{}, w.setAside(ctx, e, ch, errNoID)
	}
	w.tell(ctx, e)
	if at, known, err := d.find(ctx, e, ch); err != nil || known {
		if known {
			w.duplicates.Add(1)
		}
		return at, err
	}
	limited, cancel := context.WithTimeout(ctx, w.opts.Lease/3)
	defer cancel()
	p, err := w.publisher.Publish(limited, ch, e.Payload, e.ID)
	switch {
	case err == nil:
		w.count(p, e)
		return p.Position, nil
	case errors.Is(err, realtime.ErrUnavailable), limited.Err() != nil:
		return realtime.Position{}, err //nolint:wrapcheck // the caller says which event
	case errors.Is(err, realtime.ErrNoChannel), errors.Is(err, realtime.ErrInvalid), errors.Is(err, realtime.ErrKeyReused), w.tooStrange(e):
		return realtime.Position{}, w.setAside(ctx, e, ch, err)
	}
	return realtime.Position{}, err //nolint:wrapcheck // as above
}

// tell has the listener forget what is older. One that cannot does not hold up the screens: what it keeps ends by itself.
func (w *worker) tell(ctx context.Context, e *production.Event) {
	if w.opts.Listener == nil || e.ProductionID == "" || e.Version < 1 {
		return
	}
	if err := w.opts.Listener.Forget(ctx, e); err != nil {
		w.unheard.Add(1)
		w.opts.Log.WarnContext(ctx, "cached production may be older than its event", "tenant", e.Tenant,
			"production", e.ProductionID, "err", err)
	}
}

func (r *Relay) count(p realtime.Published, e *production.Event) {
	if p.Duplicate {
		r.duplicates.Add(1)
	} else {
		r.published.Add(1)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.strange, e.Tenant)
}

// tooStrange notes an error that nobody understands, and reports whether the event has had it for too long.
func (r *Relay) tooStrange(e *production.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.strange[e.Tenant]
	if s.event != e.ID {
		s = strange{e.ID, r.opts.Now()}
		r.strange[e.Tenant] = s
	}
	if r.opts.Now().Sub(s.since) < strangeTime {
		return false
	}
	delete(r.strange, e.Tenant)
	return true
}
