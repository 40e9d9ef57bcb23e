// Package few has a map for what is nearly always a handful of entries, of which there are very many: Go's own has at least eight places.
package few

import "iter"

// many is from how many entries on keys are looked up and no longer walked. Sixteen short keys are compared in the time of one look-up.
const many = 16

// Map is a map in the order of insertion, except that the last entry takes the place of one that is removed. The zero value is empty
// and ready. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	entries []entry[K, V]
	index   map[K]int // where in entries; nil: they are few enough to walk
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// Len returns how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.entries) }

// At returns the value of k, nil if it has none. It may be changed there, until an entry is put in or removed.
func (m *Map[K, V]) At(k K) *V {
	if at := m.find(k); at >= 0 {
		return &m.entries[at].value
	}
	return nil
}

// find returns the place of k, -1 if it has none.
func (m *Map[K, V]) find(k K) int {
	if m.index != nil {
		if at, ok := m.index[k]; ok {
			return at
		}
		return -1
	}
	for i := range m.entries {
		if m.entries[i].key == k {
			return i
		}
	}
	return -1
}

// Put gives k the value v.
func (m *Map[K, V]) Put(k K, v V) {
	if old := m.At(k); old != nil {
		*old = v
		return
	}
	if n := len(m.entries); n == cap(m.entries) && n < many { // append would double it
		m.entries = append(make([]entry[K, V], 0, n+2), m.entries...)
	}
	m.entries = append(m.entries, entry[K, V]{k, v})
	switch {
	case m.index != nil:
		m.index[k] = len(m.entries) - 1
	case len(m.entries) > many:
		m.index = make(map[K]int, 2*many)
		for i := range m.entries {
			m.index[m.entries[i].key] = i
		}
	}
}

// Remove takes k out, if it is there.
func (m *Map[K, V]) Remove(k K) {
	at := m.find(k)
	if at < 0 {
		return
	}
	delete(m.index, k)
	last := len(m.entries) - 1
	if at < last {
		m.entries[at] = m.entries[last]
		if m.index != nil {
			m.index[m.entries[at].key] = at
		}
	}
	m.entries[last] = entry[K, V]{}
	m.entries = m.entries[:last]
	if last == 0 {
		*m = Map[K, V]{} // what was full once does not keep that memory
	}
}

// All ranges over the entries. They must not be put in or removed meanwhile.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := range m.entries {
			if e := &m.entries[i]; !yield(e.key, e.value) {
				return
			}
		}
	}
}
