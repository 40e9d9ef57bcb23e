package cache

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// item is an entry in memory. Its value is decoded, shared by all who get it, and never changed.
type item struct {
	name     name
	value    any
	missing  bool // it is remembered that there is nothing
	floor    int64
	home     *kitchen
	table    atomic.Pointer[table] // by which it was last found valid
	epochs   []epoch
	foreign  bool // written by the app, or by another that knows no epochs
	alone    bool // loaded while Redis could not be asked
	tags     []string
	created  int64  // by Redis' clock, in microseconds; by that of the writer if it is foreign
	loaded   int64  // when its load began or it was read here, by Cache.now
	at       int64  // from when on changes may not be known, if the era is over; by Cache.now
	era      uint64 // in which it was read
	expires  int64  // by Cache.now
	version  int64
	took     int64 // ns of its load; zero: not known
	weight   uint32
	identity string // of the value in Redis, for a refresh
}

// memory is the tier of this process: otter, and beside it who takes how much. Its values are visible at once to all.
//
// An item lies under a number that is made of its name with a secret seed, and knows the name itself. Otter takes a number several
// times as fast as a struct of two texts, which was a fifth of a hit. Of two names with one number, which nobody can choose and which
// a billion of them hardly have, one is not kept.
type memory struct {
	cache *otter.Cache[uint64, *item]
	seed  maphash.Seed
	share int64 // bytes of one tenant
}

func newMemory(maxBytes int64, share float64) (*memory, error) {
	m := &memory{share: max(1, int64(float64(maxBytes)*share)), seed: maphash.MakeSeed()}
	var err error
	m.cache, err = otter.New(&otter.Options[uint64, *item]{
		MaximumWeight: uint64(maxBytes), //nolint:gosec // it is positive
		Weigher:       func(_ uint64, it *item) uint32 { return it.weight },
		OnAtomicDeletion: func(e otter.DeletionEvent[uint64, *item]) {
			e.Value.home.bytes.Add(-int64(e.Value.weight))
		},
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// number returns where an item of this name lies.
func (m *memory) number(n name) uint64 {
	h := maphash.String(m.seed, n.key) ^ bits.RotateLeft64(maphash.String(m.seed, string(n.tenant)), 31)
	if n.own {
		return ^h
	}
	return h
}

// get returns the item, or nil.
func (m *memory) get(n name) *item {
	it, ok := m.cache.GetIfPresent(m.number(n))
	if !ok || it.name != n {
		return nil
	}
	return it
}

// peek looks without counting as a use.
func (m *memory) peek(n name) *item {
	e, ok := m.cache.GetEntryQuietly(m.number(n))
	if !ok || e.Value.name != n {
		return nil
	}
	return e.Value
}

// put keeps an item if may still says so when nobody else can change the entry. What is larger than all that its tenant may have is
// not kept, and what was there before it goes.
func (m *memory) put(it *item, may func(old *item) bool) bool {
	kept := false
	m.cache.Compute(m.number(it.name), func(old *item, _ bool) (*item, otter.ComputeOp) {
		if old != nil && old.name != it.name {
			old = nil
		}
		if !may(old) {
			return old, otter.CancelOp
		}
		kept = true
		if int64(it.weight) > m.share {
			return nil, otter.InvalidateOp
		}
		it.home.bytes.Add(int64(it.weight))
		return it, otter.WriteOp
	})
	if kept && int64(it.weight) <= m.share {
		m.makeRoom(it)
	}
	return kept
}

// makeRoom lets the oldest entries of a tenant go while it takes more than its share. A queue is enough: what is asked for often
// comes back soon, and which entries stay of all is otter's to decide.
func (m *memory) makeRoom(it *item) {
	k := it.home
	k.mu.Lock()
	if k.gone.Load() {
		k.mu.Unlock()
		m.removeIf(it)
		return
	}
	k.order = append(k.order, it)
	if len(k.order) > 2*k.live+64 { // most of it may be gone
		kept := k.order[:0]
		for _, held := range k.order {
			if m.peek(held.name) == held {
				kept = append(kept, held)
			}
		}
		clear(k.order[len(kept):])
		k.order, k.live = kept, len(kept)
	}
	var out []*item
	for over := k.bytes.Load() - m.share; over > 0 && len(k.order) > 1; {
		oldest := k.order[0]
		k.order[0] = nil
		k.order = k.order[1:]
		if m.peek(oldest.name) == oldest {
			over -= int64(oldest.weight)
			out = append(out, oldest)
		}
	}
	k.mu.Unlock()
	for _, oldest := range out {
		m.removeIf(oldest)
	}
}

func (m *memory) remove(n name) { m.cache.Invalidate(m.number(n)) }

// removeIf removes exactly this item.
func (m *memory) removeIf(it *item) {
	m.cache.ComputeIfPresent(m.number(it.name), func(old *item) (*item, otter.ComputeOp) {
		if old != it {
			return old, otter.CancelOp
		}
		return nil, otter.InvalidateOp
	})
}

// overhead is what an item takes beside its value and key: itself, its place in otter, its epochs.
const overhead = 256

// weigh returns what an entry is taken to weigh. Decoded values take about twice what they were encoded.
func weigh(n name, encoded int) uint32 {
	return uint32(min(2*encoded+len(n.key)+overhead, 1<<31)) //nolint:gosec // it is bounded
}
