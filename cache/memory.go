package cache

import (
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// item is an entry in memory. Its value is decoded, shared by all who get it, and never changed.
type item struct {
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
type memory struct {
	cache *otter.Cache[name, *item]
	share int64 // bytes of one tenant
}

func newMemory(maxBytes int64, share float64) (*memory, error) {
	m := &memory{share: max(1, int64(float64(maxBytes)*share))}
	var err error
	m.cache, err = otter.New(&otter.Options[name, *item]{
		MaximumWeight: uint64(maxBytes), //nolint:gosec // it is positive
		Weigher:       func(_ name, it *item) uint32 { return it.weight },
		OnAtomicDeletion: func(e otter.DeletionEvent[name, *item]) {
			e.Value.home.bytes.Add(-int64(e.Value.weight))
		},
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *memory) get(n name) (*item, bool) { return m.cache.GetIfPresent(n) }

// peek looks without counting as a use.
func (m *memory) peek(n name) *item {
	e, ok := m.cache.GetEntryQuietly(n)
	if !ok {
		return nil
	}
	return e.Value
}

// put keeps an item if may still says so when nobody else can change the entry.
func (m *memory) put(n name, it *item, may func(old *item) bool) bool {
	kept := false
	m.cache.Compute(n, func(old *item, _ bool) (*item, otter.ComputeOp) {
		if !may(old) {
			return old, otter.CancelOp
		}
		kept = true
		it.home.bytes.Add(int64(it.weight))
		return it, otter.WriteOp
	})
	if kept {
		m.makeRoom(n, it)
	}
	return kept
}

// makeRoom lets the oldest entries of a tenant go while it takes more than its share. A queue is enough: what is asked for often
// comes back soon, and which entries stay of all is otter's to decide.
func (m *memory) makeRoom(n name, it *item) {
	k := it.home
	k.mu.Lock()
	if k.gone.Load() {
		k.mu.Unlock()
		m.removeIf(n, it)
		return
	}
	k.order = append(k.order, held{n, it})
	if len(k.order) > 2*k.live+64 { // most of it may be gone
		kept := k.order[:0]
		for _, h := range k.order {
			if m.peek(h.name) == h.item {
				kept = append(kept, h)
			}
		}
		clear(k.order[len(kept):])
		k.order, k.live = kept, len(kept)
	}
	var out []held
	for over := k.bytes.Load() - m.share; over > 0 && len(k.order) > 1; {
		h := k.order[0]
		k.order[0] = held{}
		k.order = k.order[1:]
		if m.peek(h.name) == h.item {
			over -= int64(h.item.weight)
			out = append(out, h)
		}
	}
	k.mu.Unlock()
	for _, h := range out {
		m.removeIf(h.name, h.item)
	}
}

func (m *memory) remove(n name) { m.cache.Invalidate(n) }

// removeIf removes exactly this item.
func (m *memory) removeIf(n name, it *item) {
	m.cache.ComputeIfPresent(n, func(old *item) (*item, otter.ComputeOp) {
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
