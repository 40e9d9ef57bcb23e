package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// Get returns the entry under key of the tenant, tenant.Global for what belongs to none. It returns ErrNotFound if there is
// none that may be served. A hit in memory costs no round trip and no allocation, one in Redis exactly one round trip. The value
// is shared with all who get it: do not change what it points to.
func Get[T any](ctx context.Context, c *Cache, t tenant.ID, key string, p *Policy) (T, error) {
	p = p.orZero()
	if it := c.fresh(name{t, key, p.Own}, p); it != nil {
		if v, ok := it.value.(T); ok {
			it.home.hits.Add(1)
			return v, nil
		}
	}
	it, err := c.get(ctx, t, key, p, decodeAs[T])
	return valueOf[T](it, err)
}

// GetMany returns those of the entries that there are. What memory does not have costs one round trip together.
func GetMany[T any](ctx context.Context, c *Cache, t tenant.ID, keys []string, p *Policy) (map[string]T, error) {
	p = p.orZero()
	found := make(map[string]T, len(keys))
	var names []name
	for _, key := range keys {
		n, err := c.check(t, key, p)
		if err != nil {
			return nil, err
		}
		if it := c.fresh(n, p); it != nil {
			if v, ok := it.value.(T); ok {
				it.home.hits.Add(1)
				found[key] = v
				continue
			}
		}
		names = append(names, n)
	}
	if len(names) == 0 || c.tier == nil {
		return found, nil
	}
	k := c.kitchen(t)
	reads, err := c.read(ctx, k, names, p, decodeAs[T])
	for i, n := range names {
		var it *item
		if err == nil {
			it = reads[i].item
		} else {
			it = c.fallback(n, p)
		}
		if v, ok := valueIn[T](it); ok {
			found[n.key] = v
		}
	}
	if err != nil && len(found) < len(keys) {
		return found, err // what memory could answer, and why that is not all
	}
	return found, nil
}

// Warm fetches entries into memory in one round trip, and returns how many there are.
func Warm[T any](ctx context.Context, c *Cache, t tenant.ID, keys []string, p *Policy) (int, error) {
	found, err := GetMany[T](ctx, c, t, keys, p)
	return len(found), err
}

// valueOf returns what an item holds.
func valueOf[T any](it *item, err error) (T, error) {
	var zero T
	if err != nil {
		return zero, err
	}
	if v, ok := valueIn[T](it); ok {
		return v, nil
	}
	if it != nil && !it.missing {
		return zero, fmt.Errorf("%w: the entry is a %T, and not a %T", ErrNotFound, it.value, zero)
	}
	return zero, ErrNotFound
}

func valueIn[T any](it *item) (T, bool) {
	if it == nil || it.missing {
		var zero T
		return zero, false
	}
	v, ok := it.value.(T)
	return v, ok
}

// decoding makes a value of the caller's type out of JSON.
type decoding func(data []byte) (any, error)

func decodeAs[T any](data []byte) (any, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// get is Get past memory.
func (c *Cache) get(ctx context.Context, t tenant.ID, key string, p *Policy, as decoding) (*item, error) {
	n, err := c.check(t, key, p)
	if err != nil {
		return nil, err
	}
	k := c.kitchen(t)
	k.used.Store(c.now())
	if it := c.fresh(n, p); it != nil && it.missing {
		k.hits.Add(1)
		return it, nil
	}
	if c.tier == nil { // what fresh did not find, or what is of another type
		k.misses.Add(1)
		return nil, ErrNotFound
	}
	reads, err := c.read(ctx, k, []name{n}, p, as)
	if err != nil {
		if it := c.fallback(n, p); it != nil && ctx.Err() == nil {
			return it, nil
		}
		return nil, err
	}
	if reads[0].item == nil {
		return nil, ErrNotFound
	}
	return reads[0].item, nil
}

// reading is what was found in Redis under one name.
type reading struct {
	item  *item  // nil: nothing that may be served
	seen  string // the text; a lease, if somebody loads
	epoch *table // by which it was judged
	gen   uint64 // of the name's stripe, before it was read
}

// read reads entries of one tenant, in one round trip, and keeps what may be served.
func (c *Cache) read(ctx context.Context, k *kitchen, names []name, p *Policy, as decoding) ([]reading, error) {
	at, era, gen, t := c.now(), c.era.Load(), k.generation(), k.table.Load()
	keys := make([]string, len(names))
	out := make([]reading, len(names))
	for i, n := range names {
		keys[i], out[i].gen = n.redis(), c.stripe(n.key).Load()
	}
	var hashes []string
	if t == nil || p.Strict || at-c.basis(t.at, t.era) >= c.bound(p) {
		hashes = []string{epochsOf(k.id)}
	}
	var values []string
	var tables []shared.Epochs
	err := c.ask(ctx, "read", func(ctx context.Context) (err error) {
		values, tables, err = c.tier.Read(ctx, keys, hashes)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(tables) > 0 {
		t = &table{tables[0], at, era}
		k.install(t, gen, &c.era)
	}
	for i, n := range names {
		out[i].seen, out[i].epoch = values[i], t
		it, err := c.judge(ctx, k, n, values[i], t, as)
		if err != nil {
			return nil, err
		}
		if it == nil {
			k.misses.Add(1)
			continue
		}
		k.sharedHits.Add(1)
		it.loaded, it.era = at, min(era, t.era)
		if p.RefreshAhead {
			it.identity = shared.Identity(values[i])
			it.weight += uint32(len(it.identity)) //nolint:gosec // at most 300
		}
		it.at = min(at, c.basis(t.at, t.era))
		out[i].item = it
		stripe := c.stripe(n.key)
		c.memory.put(it, func(*item) bool { return stripe.Load() == out[i].gen || c.broken.noStripes })
	}
	return out, nil
}

// judge makes an item of a text, if it is an entry that may be served by the epochs of t.
func (c *Cache) judge(ctx context.Context, k *kitchen, n name, text string, t *table, as decoding) (*item, error) {
	if text == "" || shared.IsMarker(text) {
		return nil, nil //nolint:nilnil // neither is an error
	}
	e, err := decode(text, n.own, &c.zip)
	if err != nil {
		c.counts.malformed.Add(1)
		return nil, nil //nolint:nilnil,nilerr // somebody else's text is a miss
	}
	it, left := c.itemOf(k, n, &e)
	if left <= 0 {
		return nil, nil //nolint:nilnil // it has ended
	}
	if !t.accepts(it, c.quarantine()) {
		c.counts.voided.Add(1)
		return nil, nil //nolint:nilnil // it was invalidated
	}
	if it.foreign {
		ok, err := c.trusted(ctx, n, it)
		if err != nil || !ok {
			return nil, err
		}
	}
	if !it.missing {
		if it.value, err = as(e.data); err != nil {
			c.counts.malformed.Add(1)
			return nil, nil //nolint:nilnil,nilerr // of another shape than the caller's
		}
	}
	it.table.Store(t)
	return it, nil
}

// itemOf returns an entry as it is kept in memory, and how long it lives. The clock of who wrote it may be wrong: no entry lives
// longer here than it was to live.
func (c *Cache) itemOf(k *kitchen, n name, e *entry) (*item, time.Duration) {
	left := time.Duration(e.expires.UnixMicro()-c.redisNow()) * time.Microsecond
	left = min(left, e.expires.Sub(e.created), MaxTTL)
	return &item{
		name: n, home: k, missing: e.missing, epochs: e.epochs, foreign: e.epochs == nil, tags: e.tags, created: e.created.UnixMicro(),
		version: e.version, took: int64(e.took), expires: c.now() + int64(left), weight: weigh(n, len(e.data)),
	}, left
}

// trusted reports whether an entry of the app may be served though this cache may have removed the key since it was read: the app
// takes no lease. Young ones cost a question more.
func (c *Cache) trusted(ctx context.Context, n name, it *item) (bool, error) {
	if n.own {
		return false, nil // nobody but us writes there
	}
	if c.broken.noQuarantine {
		return true, nil
	}
	quarantine := c.quarantine()
	if c.redisNow()-it.created > 2*quarantine {
		return true, nil // it would have been removed again
	}
	var dropped int64
	err := c.ask(ctx, "read", func(ctx context.Context) (err error) {
		dropped, err = c.tier.DroppedAt(ctx, n.redis())
		return err
	})
	if err != nil {
		return false, err
	}
	if dropped > 0 && it.created < dropped+quarantine {
		c.counts.quarantined.Add(1)
		return false, nil
	}
	return true, nil
}

// fallback returns what memory may answer when Redis does not: what was known to be true within the bound, or, if the policy
// allows it, what has ended and is not known to be void.
func (c *Cache) fallback(n name, p *Policy) *item {
	it := c.memory.peek(n)
	if it == nil || it.value == nil && !it.missing || it.home.voids(it, c.quarantine()) {
		return nil
	}
	now := c.now()
	if !p.Strict && now < it.expires && now-it.home.asOf(c, it) < c.bound(p) {
		it.home.hits.Add(1)
		return it
	}
	if p.StaleOnError > 0 && now < it.expires+int64(p.StaleOnError) {
		it.home.stales.Add(1)
		return it
	}
	return nil
}

// isCaller reports whether it is the caller's own context that ended.
func isCaller(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
