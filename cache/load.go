package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// flight is one try to get a value, for all who want it at the same time.
type flight struct {
	done chan struct{}
	item *item
	err  error

	home            *kitchen
	gen, kitchenGen uint64 // what had happened when it began
	began           int64
	era             uint64
}

// GetOrLoad returns the entry under key, and loads it if there is none: once, however many ask for it on however many nodes. If a
// change is told while it loads, those who came before get what was loaded, and nobody else does.
//
// load gets a context that ends with Policy.HardTimeout. It returns ErrNotFound for what does not exist. A load goes on when
// its caller gives up, for others may wait for it.
func GetOrLoad[T any](
	ctx context.Context, c *Cache, t tenant.ID, key string, p *Policy, load func(context.Context) (T, error),
) (T, error) {
	p = p.orZero()
	if it := c.fresh(name{t, key, p.Own}, p); it != nil {
		if v, ok := it.value.(T); ok {
			it.home.hits.Add(1)
			if p.RefreshAhead && it.took > 0 && it.identity != "" {
				c.maybeRefresh(ctx, name{t, key, p.Own}, it, p, loadingOf(load))
			}
			return v, nil
		}
	}
	it, err := c.getOrLoad(ctx, t, key, p, loadingOf(load))
	return valueOf[T](it, err)
}

// loading is how to get a value of the caller's type: out of JSON, and from its source.
type loading struct {
	as   decoding
	load func(context.Context) (any, error)
	fits func(any) bool
	kind any // a nil pointer of the type
}

func loadingOf[T any](load func(context.Context) (T, error)) loading {
	return loading{
		as:   decodeAs[T],
		load: func(ctx context.Context) (any, error) { return load(ctx) },
		fits: func(v any) bool { _, ok := v.(T); return ok },
		kind: (*T)(nil),
	}
}

// flightKey keeps callers of different types apart, though they ask for the same name.
type flightKey struct {
	name name
	kind any
}

func (c *Cache) getOrLoad(ctx context.Context, t tenant.ID, key string, p *Policy, l loading) (*item, error) {
	n, err := c.check(t, key, p)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := c.kitchen(t)
	k.used.Store(c.now())
	if it := c.fresh(n, p); it != nil && it.missing {
		k.hits.Add(1)
		return it, nil
	}
	f, err := c.join(ctx, n, k, p, l)
	if err != nil {
		return nil, err
	}
	var soft <-chan time.Time
	if p.SoftTimeout > 0 {
		timer := time.NewTimer(p.SoftTimeout)
		defer timer.Stop()
		soft = timer.C
	}
	for {
		select {
		case <-f.done:
			if f.err != nil && !errors.Is(f.err, ErrNotFound) {
				if it := c.fallback(n, p); it != nil {
					return it, nil
				}
			}
			return f.item, f.err
		case <-soft:
			soft = nil
			if it := c.expired(n, p); it != nil {
				return it, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// expired returns what has ended and is not known to be void, for those who do not want to wait.
func (c *Cache) expired(n name, p *Policy) *item {
	it := c.memory.peek(n)
	if it == nil || it.value == nil || it.home.voids(it, c.quarantine()) {
		return nil
	}
	// As long as it would be kept for an error, and at least as long as a load may take.
	if c.now() >= it.expires+int64(max(p.StaleOnError, p.hardTimeout())) {
		return nil
	}
	it.home.stales.Add(1)
	return it
}

// join returns the flight for n, and begins one if there is none that began after all that this node knows of.
func (c *Cache) join(ctx context.Context, n name, k *kitchen, p *Policy, l loading) (*flight, error) {
	gen, kitchenGen := c.stripe(n.key).Load(), k.generation()
	c.mu.Lock()
	defer c.mu.Unlock()
	key := flightKey{n, l.kind}
	now := c.now()
	f := c.flights[key]
	if f != nil && (f.home == k && f.gen == gen && f.kitchenGen == kitchenGen && c.current(f, now, p) || c.broken.oldFlights) {
		c.counts.joined.Add(1)
		return f, nil
	}
	if c.closed.Load() {
		return nil, ErrClosed
	}
	f = &flight{done: make(chan struct{}), home: k, gen: gen, kitchenGen: kitchenGen, began: now, era: c.era.Load()}
	c.flights[key] = f
	c.working.Go(func() {
		// Who began it may give up, and it must end with the cache.
		fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.hardTimeout())
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)() //nolint:contextcheck // the cache ends on its own, not with a caller
		f.item, f.err = c.fill(fctx, n, k, p, l)
		if f.err != nil && c.closed.Load() {
			f.err = ErrClosed
		}
		c.mu.Lock()
		if c.flights[key] == f {
			delete(c.flights, key)
		}
		c.mu.Unlock()
		close(f.done)
	})
	return f, nil
}

// current reports whether all that could have happened since f began would be known here.
func (c *Cache) current(f *flight, now int64, p *Policy) bool {
	return now-c.basis(f.began, f.era) < c.bound(p) && (!p.Strict || c.tier == nil)
}

// fill finds a value, or loads it under a lease.
func (c *Cache) fill(ctx context.Context, n name, k *kitchen, p *Policy, l loading) (*item, error) {
	if c.tier == nil {
		if it := c.fresh(n, p); it != nil && (it.missing || l.fits(it.value)) {
			return it, nil // of the flight before
		}
		k.misses.Add(1)
		return c.loadHere(ctx, n, k, p, l)
	}
	var lease waitedLease
	for {
		reads, err := c.read(ctx, k, []name{n}, p, l.as)
		if err != nil {
			if isCaller(ctx, err) {
				return nil, c.timeoutOr(ctx)
			}
			return c.loadAlone(ctx, n, k, p, l)
		}
		r := reads[0]
		if r.item != nil {
			return r.item, nil
		}
		if shared.IsLease(r.seen) && !lease.dead(r.seen, c.now(), p) {
			if err := c.await(ctx, n); err != nil {
				return nil, c.timeoutOr(ctx)
			}
			continue
		}
		it, again, err := c.loadUnderLease(ctx, n, k, p, l, r)
		if !again {
			return it, err
		}
	}
}

// timeoutOr says why a flight's context ended.
func (c *Cache) timeoutOr(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrLoadTimeout
	}
	return ErrClosed
}

// waitedLease is the lease of somebody else, and since when it is waited for.
type waitedLease struct {
	text  string
	since int64
}

// leaseTime is for how long a lease is taken: as long as the load may take, and a moment to write.
func leaseTime(p *Policy) time.Duration { return p.hardTimeout() + time.Second }

// dead reports whether who holds the lease must be dead: it has been there for as long as loads take here.
func (w *waitedLease) dead(text string, now int64, p *Policy) bool {
	if w.text != text {
		w.text, w.since = text, now
	}
	return now-w.since > int64(leaseTime(p))
}

// await returns when the value may be there: on news of it, or after a moment.
func (c *Cache) await(ctx context.Context, n name) error {
	news := make(chan struct{})
	c.mu.Lock()
	c.waiting[n] = append(c.waiting[n], news)
	c.mu.Unlock()
	c.counts.leaseWaits.Add(1)
	// The change may have been told between the read and now; and a node that does not listen is told nothing.
	timer := time.NewTimer(50*time.Millisecond + rand.N(50*time.Millisecond)) //nolint:gosec // spread, not secrecy
	defer timer.Stop()
	select {
	case <-news:
		return nil
	case <-timer.C:
		c.unwait(n, news)
		return nil
	case <-ctx.Done():
		c.unwait(n, news)
		return ctx.Err()
	}
}

func (c *Cache) unwait(n name, news chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.waiting[n]
	for i, w := range list {
		if w == news {
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(c.waiting, n)
		return
	}
	c.waiting[n] = list
}

// loadUnderLease takes the lease, loads and writes. again says that somebody else was quicker.
func (c *Cache) loadUnderLease(ctx context.Context, n name, k *kitchen, p *Policy, l loading, r reading) (it *item, again bool, err error) {
	w := &write{name: n, policy: p, epochs: r.epoch.capture(p.Tags), newest: r.epoch.newest(p.Tags)}
	token := shared.NewToken()
	var taken shared.Swapped
	if !c.broken.noLease {
		err = c.ask(ctx, "lease", func(ctx context.Context) (err error) {
			taken, err = c.tier.Swap(ctx, shared.Swap{
				Key: n.redis(), Expect: shared.Identity(r.seen), Token: token, TTL: leaseTime(p),
				TagSets: w.tagSets(), TagTTL: p.ttl() + tagGrace,
			})
			return err
		})
		if err != nil {
			if isCaller(ctx, err) {
				return nil, false, c.timeoutOr(ctx)
			}
			it, err = c.loadAlone(ctx, n, k, p, l)
			return it, false, err
		}
		c.learnTime(taken.Now)
		if !taken.Done {
			return nil, true, nil
		}
		c.counts.leases.Add(1)
	}
	began := c.now()
	value, err := c.load(ctx, k, l)
	w.took = time.Duration(c.now() - began)
	if t := k.table.Load(); c.broken.lateEpochs && t != nil {
		w.epochs = t.capture(p.Tags)
	}
	switch {
	case errors.Is(err, ErrNotFound) && p.Negative > 0:
		w.missing, w.data = true, []byte("null")
	case err != nil:
		c.release(n, taken.Current) //nolint:contextcheck // also if the caller has gone
		return nil, false, err
	default:
		if err = w.encodeValue(value, c.opts.MaxValueBytes); err != nil {
			c.release(n, taken.Current) //nolint:contextcheck // also if the caller has gone
			return nil, false, err
		}
	}
	w.expect, w.any = taken.Current, c.broken.noLease
	return c.commit(ctx, k, w, value, began)
}

// commit writes what was loaded, if the lease still stands. What is refused is still an answer to those who came before whatever
// has happened since.
func (c *Cache) commit(ctx context.Context, k *kitchen, w *write, value any, began int64) (*item, bool, error) {
	it := w.item(c, k, value, began)
	it.at = math.MinInt64 / 2 // memory gets it from Redis: this one is only for those who wait
	swapped, err := c.put(ctx, w)
	switch {
	case err != nil:
		c.counts.commitsFailed.Add(1)
	case !swapped.Done:
		c.counts.commitsRefused.Add(1)
	default:
		c.counts.commits.Add(1)
	}
	if w.missing {
		return it, false, ErrNotFound
	}
	return it, false, nil
}

// release gives up a lease, so that nobody waits for it. It is tried once: it ends by itself.
func (c *Cache) release(n name, lease string) {
	if lease == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, time.Second)
	defer cancel()
	err := c.ask(ctx, "release a lease", func(ctx context.Context) error { return c.tier.Release(ctx, n.redis(), lease) })
	if err != nil {
		c.log.Debug("lease not given up", "tenant", n.tenant, "err", err)
	}
}

// loadAlone loads while Redis cannot be asked. The value is good for the bound from when its load began, whatever others do; that also
// keeps the source from being asked by everybody.
func (c *Cache) loadAlone(ctx context.Context, n name, k *kitchen, p *Policy, l loading) (*item, error) {
	if it := c.memory.peek(n); it != nil && it.alone && l.fits(it.value) && c.fresh(n, p) == it {
		return it, nil
	}
	began := c.now()
	stripe := c.stripe(n.key)
	gen := stripe.Load()
	value, err := c.load(ctx, k, l)
	if err != nil {
		return nil, err
	}
	w := &write{name: n, policy: p}
	if err := w.encodeValue(value, c.opts.MaxValueBytes); err != nil {
		return nil, err
	}
	it := w.item(c, k, value, began)
	it.alone, it.epochs = true, nil
	it.era = math.MaxUint64 // no fence covers it
	it.table.Store(&table{})
	c.memory.put(it, func(*item) bool { return stripe.Load() == gen })
	c.counts.alone.Add(1)
	return it, nil
}

// loadHere loads into a cache that has no Redis.
func (c *Cache) loadHere(ctx context.Context, n name, k *kitchen, p *Policy, l loading) (*item, error) {
	t := k.table.Load()
	stripe := c.stripe(n.key)
	gen := stripe.Load()
	began := c.now()
	value, err := c.load(ctx, k, l)
	w := &write{name: n, policy: p, took: time.Duration(c.now() - began)}
	if t != nil {
		w.epochs = t.capture(p.Tags)
	}
	switch {
	case errors.Is(err, ErrNotFound) && p.Negative > 0:
		w.missing = true
	case err != nil:
		return nil, err
	default:
		if err := w.encodeValue(value, c.opts.MaxValueBytes); err != nil {
			return nil, err
		}
	}
	it := w.item(c, k, value, began)
	it.table.Store(t)
	c.memory.put(it, func(old *item) bool {
		if c.broken.noLease {
			return true
		}
		return t != nil && stripe.Load() == gen && !older(w.version, old, c.now())
	})
	if w.missing {
		return it, ErrNotFound
	}
	return it, nil
}

// load runs a loader, at most until ctx ends. A loader that goes on after that keeps its place among the loads.
func (c *Cache) load(ctx context.Context, k *kitchen, l loading) (any, error) {
	select {
	case c.loads <- struct{}{}:
	default:
		c.counts.overloaded.Add(1)
		return nil, ErrOverloaded
	}
	k.loads.Add(1)
	type result struct {
		value any
		err   error
	}
	out := make(chan result, 1)
	c.working.Go(func() {
		defer func() { <-c.loads }()
		r := result{err: &LoaderPanicError{}} // of a loader that ends its goroutine
		defer func() {
			if v := recover(); v != nil {
				r = result{err: &LoaderPanicError{v, debug.Stack()}}
			}
			out <- r
		}()
		value, err := l.load(ctx)
		r = result{value, err}
	})
	select {
	case r := <-out:
		if r.err != nil {
			c.counts.loadErrors.Add(1)
			return nil, fmt.Errorf("load: %w", r.err)
		}
		if err := ctx.Err(); err != nil {
			return nil, c.timeoutOr(ctx) // it may be of before an invalidation that nobody waited for
		}
		return r.value, nil
	case <-ctx.Done():
		c.counts.loadErrors.Add(1)
		return nil, c.timeoutOr(ctx)
	}
}

// marshal encodes a value. What cannot be encoded is the caller's mistake.
func marshal(value any, limit int) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%w: a %T cannot be written as JSON: %w", ErrInvalid, value, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%w: %d bytes of JSON; %d are the most", ErrTooLarge, len(data), limit)
	}
	return data, nil
}
