package cache

import (
	"maps"
	"sync"
	"sync/atomic"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

const star = '*'

// kitchen is what this node knows of one tenant.
type kitchen struct {
	id tenant.ID

	// table is what the epochs are; nil: not known. It is of the current era, or about to be dropped.
	table atomic.Pointer[table]

	// gone says that this object has been replaced, so that all items that point to it are void.
	gone atomic.Bool

	tenantCounts
	bytes atomic.Int64
	used  atomic.Int64 // when it was last looked up past the memory tier

	mu     sync.Mutex
	gen    uint64  // changes with everything that may have changed the epochs
	last   *table  // the last table, also if it is not current any more
	news   bool    // it is known that the epochs are others than those
	bumped int64   // when this node last invalidated something here, by Cache.now
	order  []*item // entries in memory, oldest first; some are gone
	live   int
}

// table is the epochs of a tenant as they were once. It is never changed: items point to the one by which they were checked.
type table struct {
	fields shared.Epochs
	at     int64  // when it was asked for, by Cache.now
	era    uint64 // in which
}

// newest returns the largest of the numbers that concern an entry with these tags.
func (t *table) newest(tags []string) int64 {
	n := t.fields[shared.Star]
	for _, tag := range tags {
		n = max(n, t.fields[tag])
	}
	return n
}

// capture returns the numbers that concern an entry with these tags.
func (t *table) capture(tags []string) []epoch {
	e := make([]epoch, 0, len(tags)+1)
	e = append(e, epoch{shared.Star, t.fields[shared.Star]})
	for _, tag := range tags {
		e = append(e, epoch{tag, t.fields[tag]})
	}
	return e
}

// epoch is one number that was current before an entry was loaded.
type epoch struct {
	field  string
	number int64
}

// accepts reports whether nothing that concerns the entry was invalidated since before it was loaded. An entry of the app has no
// epochs: it may have been read before it was written, so it must have been written a while after the newest of them.
func (t *table) accepts(it *item, quarantine int64) bool {
	if it.foreign {
		return it.created >= t.newest(it.tags)+quarantine
	}
	for _, e := range it.epochs {
		if t.fields[e.field] != e.number {
			return false
		}
	}
	return true
}

// generation returns what install wants to know of the time before the epochs were asked for.
func (k *kitchen) generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gen
}

// install makes t current, if nothing happened since it was asked for.
func (k *kitchen) install(t *table, gen uint64, era *atomic.Uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gen != gen || era.Load() != t.era || k.gone.Load() {
		return
	}
	k.table.Store(t)
	k.last, k.news = t, false
}

// lose forgets the epochs: another node may have changed them.
func (k *kitchen) lose() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gen++
	k.table.Store(nil)
}

// hear forgets the epochs: another node has changed them.
func (k *kitchen) hear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gen++
	k.table.Store(nil)
	k.news = true
}

// asOf returns when it was last known that nothing that concerns the item was invalidated.
func (k *kitchen) asOf(c *Cache, it *item) int64 {
	if it.alone {
		return it.at // loaded without Redis: good for the bound from then on, whatever epochs there are
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil || k.news {
		return it.at // there is news of the epochs that could not be read
	}
	return min(c.pastBasis(it.at, it.era), c.pastBasis(k.last.at, k.last.era))
}

// apply takes over a number that this node has made. A table that is on its way may not know it, and is not installed.
func (k *kitchen) apply(field string, number int64, now int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gen++
	k.bumped = now
	if k.last == nil {
		k.table.Store(nil)
		return
	}
	fields := make(shared.Epochs, len(k.last.fields)+1)
	maps.Copy(fields, k.last.fields)
	fields[field] = max(number, fields[field])
	t := &table{fields, k.last.at, k.last.era}
	k.last = t
	if k.table.Load() != nil {
		k.table.Store(t)
	}
}

// voids reports whether this node knows that the item was invalidated, also when the epochs are not known now.
func (k *kitchen) voids(it *item, quarantine int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone.Load() {
		return true
	}
	if it.alone || k.last == nil { // loaded without Redis, so it has no epochs; or there is nothing to compare them with
		return it.loaded <= k.bumped
	}
	return !k.last.accepts(it, quarantine)
}

// kitchen returns what is known of a tenant.
func (c *Cache) kitchen(t tenant.ID) *kitchen {
	if k, ok := c.kitchens.Load(t); ok {
		return k.(*kitchen) //nolint:forcetypeassert,errcheck // nothing else is in it
	}
	k := &kitchen{id: t}
	if c.tier == nil {
		// Without Redis the numbers are made here. Those of a new kitchen are newer than those of one that was forgotten.
		k.last = &table{fields: shared.Epochs{shared.Star: c.number()}}
		k.table.Store(k.last)
	}
	k.used.Store(c.now())
	got, _ := c.kitchens.LoadOrStore(t, k)
	return got.(*kitchen) //nolint:forcetypeassert,errcheck // as above
}

// retire makes all that is in memory of a tenant void.
func (c *Cache) retire(k *kitchen) {
	if c.kitchens.CompareAndDelete(k.id, k) {
		c.counts.past.add(&k.tenantCounts)
	}
	k.mu.Lock()
	k.gone.Store(true)
	k.gen++
	k.table.Store(nil)
	order := k.order
	k.order, k.live = nil, 0
	k.mu.Unlock()
	for _, it := range order {
		c.memory.removeIf(it)
	}
}

// eachKitchen calls f for all tenants that this node knows.
func (c *Cache) eachKitchen(f func(*kitchen)) {
	c.kitchens.Range(func(_, v any) bool {
		f(v.(*kitchen)) //nolint:forcetypeassert,errcheck // nothing else is in it
		return true
	})
}

// A kitchen that was not used for so long is forgotten, when there are more than so many: with 300 bytes each 64 Ki of them are 20 MB.
const (
	maxKitchens  = 64 << 10
	idleKitchens = int64(3600 * 1e9)
)

// sweepKitchens forgets tenants that nobody asks for.
func (c *Cache) sweepKitchens() {
	var n int
	c.eachKitchen(func(*kitchen) { n++ })
	if n <= maxKitchens {
		return
	}
	before := c.now() - idleKitchens
	c.eachKitchen(func(k *kitchen) {
		if k.used.Load() < before {
			c.retire(k)
		}
	})
}
