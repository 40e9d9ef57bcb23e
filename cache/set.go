package cache

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// tagGrace is how much longer than its entries the set of a tag lives, as with the app.
const tagGrace = time.Hour

// Set writes an entry, whatever was there, in one round trip. With Policy.Version it returns ErrOutdated if something newer is
// known. A load of this key that is running anywhere is not kept. The value may be shared with all who get it later: do not change what
// it points to.
func Set[T any](ctx context.Context, c *Cache, t tenant.ID, key string, value T, p *Policy) error {
	p = p.orZero()
	n, err := c.check(t, key, p)
	if err != nil {
		return err
	}
	if p.TTL == 0 {
		return invalid("TTL is 0; write how long the entry lives, for example cache.Medium")
	}
	w := &write{name: n, policy: p, any: true, version: p.Version}
	if err := w.encodeValue(value, c.opts.MaxValueBytes); err != nil {
		return err
	}
	k := c.kitchen(t)
	k.used.Store(c.now())
	if c.tier == nil {
		return c.setHere(k, w, value)
	}
	epochs, err := c.epochs(ctx, k)
	if err != nil {
		return err
	}
	w.epochs, w.newest = epochs.capture(p.Tags), epochs.newest(p.Tags)
	swapped, err := c.put(ctx, w)
	c.forgetHere(n) // also after an error: it may have been written
	switch {
	case err != nil:
		return fmt.Errorf("set: %w", err)
	case swapped.Outdated:
		return fmt.Errorf("set version %d: %w", w.version, ErrOutdated)
	}
	return nil
}

// setHere is Set without Redis.
func (c *Cache) setHere(k *kitchen, w *write, value any) error {
	t := k.table.Load()
	if t == nil {
		return nil // cleared this moment, and so would be the entry
	}
	w.epochs = t.capture(w.policy.Tags)
	it := w.item(c, k, value, c.now())
	it.table.Store(t)
	c.stripe(w.name.key).Add(1)
	kept := c.memory.put(it, func(old *item) bool { return !older(w.version, old, c.now()) })
	c.wake(w.name)
	if !kept {
		return fmt.Errorf("set version %d: %w", w.version, ErrOutdated)
	}
	return nil
}

// older reports whether a write of this version comes too late.
func older(version int64, old *item, now int64) bool {
	return version > 0 && old != nil && now < old.expires && max(old.version, old.floor) > version
}

// epochs returns epochs of a tenant that are known within the bound.
func (c *Cache) epochs(ctx context.Context, k *kitchen) (*table, error) {
	at, era, gen, t := c.now(), c.era.Load(), k.generation(), k.table.Load()
	if t != nil && at-c.basis(t.at, t.era) < int64(c.opts.Bound) {
		return t, nil
	}
	var tables []shared.Epochs
	err := c.ask(ctx, "read epochs", func(ctx context.Context) (err error) {
		_, tables, err = c.tier.Read(ctx, nil, []string{epochsOf(k.id)})
		return err
	})
	if err != nil {
		return nil, err
	}
	t = &table{tables[0], at, era}
	k.install(t, gen, &c.era)
	return t, nil
}

// write is an entry on its way.
type write struct {
	name    name
	policy  *Policy
	epochs  []epoch
	newest  int64 // of the epochs
	version int64
	missing bool
	took    time.Duration
	data    []byte

	expect string // lease
	any    bool
	swap   string // identity of what is replaced
	ttl    time.Duration
	set    bool // ttl is
}

// encodeValue makes the JSON, and learns the version.
func (w *write) encodeValue(value any, limit int) error {
	var err error
	if w.data, err = marshal(value, limit); err != nil {
		return err
	}
	if v, ok := value.(Versioned); ok && w.version == 0 {
		w.version = v.CacheVersion()
	}
	return nil
}

// lifetime returns the time to live in whole seconds, spread by the jitter.
func (w *write) lifetime(c *Cache) time.Duration {
	if w.set {
		return w.ttl
	}
	ttl := w.policy.ttl()
	if w.missing {
		ttl = w.policy.Negative
	}
	if j := w.policy.Jitter; j > 0 {
		ttl += time.Duration(float64(ttl) * j * (2*rand.Float64() - 1)) //nolint:gosec // spread, not secrecy
	}
	if h := c.opts.HoldOff; h > 0 && w.newest > 0 && c.redisNow()-w.newest < h.Microseconds() {
		ttl = min(ttl, h)
	}
	ttl = (ttl + time.Second - 1).Truncate(time.Second) // as the app does
	w.ttl, w.set = min(max(ttl, time.Second), MaxTTL), true
	return w.ttl
}

// item returns the entry as it is kept in memory.
func (w *write) item(c *Cache, k *kitchen, value any, began int64) *item {
	it := &item{
		name: w.name, value: value, missing: w.missing, home: k, epochs: w.epochs, created: c.redisNow(),
		loaded: began, at: began, era: c.era.Load(),
		expires: c.now() + int64(w.lifetime(c)), version: w.version, took: int64(w.took), weight: weigh(w.name, len(w.data)),
	}
	if w.missing {
		it.value = nil
	}
	return it
}

// tagSets returns the sets that the app invalidates by. It does not read what only Go writes.
func (w *write) tagSets() []string {
	if w.name.own {
		return nil
	}
	sets := make([]string, len(w.policy.Tags))
	for i, tag := range w.policy.Tags {
		sets[i] = tagSet(w.name.tenant, tag)
	}
	return sets
}

// put writes into Redis.
func (c *Cache) put(ctx context.Context, w *write) (shared.Swapped, error) {
	ttl := w.lifetime(c)
	created := time.UnixMicro(c.redisNow())
	e := entry{
		version: w.version, epochs: w.epochs, missing: w.missing, created: created, expires: created.Add(ttl), took: w.took,
		tenant: w.name.tenant, tags: w.policy.Tags, data: w.data,
	}
	var text []byte
	if w.name.own {
		text = e.encodeOwn(w.policy.CompressFrom, &c.zip)
	} else {
		text = e.encode()
	}
	expect := w.swap
	if w.expect != "" {
		expect = w.expect // a lease is short enough to be its own identity
	}
	var swapped shared.Swapped
	err := c.ask(ctx, "write", func(ctx context.Context) (err error) {
		swapped, err = c.tier.Swap(ctx, shared.Swap{
			Key: w.name.redis(), Expect: expect, Any: w.any, Value: string(text), TTL: ttl, Version: w.version,
			TagSets: w.tagSets(), TagTTL: ttl + tagGrace,
		})
		return err
	})
	if err == nil {
		c.learnTime(swapped.Now)
		c.counts.sampled.Add(uint64(swapped.Sampled)) //nolint:gosec // a count
		c.counts.dead.Add(uint64(swapped.Dead))       //nolint:gosec // a count
	}
	return swapped, err
}

// maybeRefresh begins a load before the entry ends, with a chance that grows towards its end (XFetch): so one of many callers does,
// some time before, and none waits. The chance is that of XFetch at one load's time later, for the load has to be over by the end:
// whoever comes in the last moment in which it can be begins it for sure.
func (c *Cache) maybeRefresh(ctx context.Context, n name, it *item, p *Policy, l loading) {
	left := it.expires - c.now()
	if float64(it.took)*(1-math.Log(1-rand.Float64())) < float64(left) { //nolint:gosec // spread, not secrecy
		return
	}
	key := flightKey{n, l.kind}
	c.mu.Lock()
	if c.flights[key] != nil || c.closed.Load() {
		c.mu.Unlock()
		return
	}
	f := &flight{done: make(chan struct{}), gen: math.MaxUint64} // nobody joins it: they have a value
	c.flights[key] = f
	c.working.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.working.Done()
		fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.hardTimeout())
		defer cancel()
		defer context.AfterFunc(c.ctx, cancel)() //nolint:contextcheck // the cache ends on its own, not with a caller
		if err := c.refresh(fctx, n, it, p, l); err != nil {
			c.log.Debug("refresh failed", "tenant", n.tenant, "err", err)
		}
		c.mu.Lock()
		if c.flights[key] == f {
			delete(c.flights, key)
		}
		c.mu.Unlock()
		close(f.done)
	}()
}

// refresh replaces an entry that can still be read: the lease on it stands beside it, and it is only replaced if it is still there.
func (c *Cache) refresh(ctx context.Context, n name, it *item, p *Policy, l loading) error {
	k := it.home
	if c.tier == nil {
		_, err := c.loadHere(ctx, n, k, p, l)
		return err
	}
	var mine bool
	err := c.ask(ctx, "claim a refresh", func(ctx context.Context) (err error) {
		mine, err = c.tier.Claim(ctx, "kentongan:cache:refresh:"+n.redis(), leaseTime(p))
		return err
	})
	if err != nil || !mine {
		return err
	}
	t, err := c.epochs(ctx, k)
	if err != nil {
		return err
	}
	w := &write{name: n, policy: p, epochs: t.capture(p.Tags), newest: t.newest(p.Tags), swap: it.identity}
	began := c.now()
	value, err := c.load(ctx, k, l)
	if err != nil {
		return err
	}
	w.took = time.Duration(c.now() - began)
	if err := w.encodeValue(value, c.opts.MaxValueBytes); err != nil {
		return err
	}
	swapped, err := c.put(ctx, w)
	if err == nil && swapped.Done {
		c.counts.refreshes.Add(1)
		c.forgetHere(n)
	}
	return err
}
