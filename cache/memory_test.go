package cache

import (
	"math"
	"testing"

	"kentongan/tenant"
)

// newTestItem returns an item that is only for the memory tier.
func newTestItem(k *kitchen, key string, weight uint32) *item {
	return &item{name: name{tenant: k.id, key: key}, home: k, value: key, expires: math.MaxInt64, weight: weight}
}

func newTestMemory(t *testing.T, share float64) *memory {
	t.Helper()
	m, err := newMemory(1<<20, share)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTwoNamesWithOneNumber puts an item where another name lies: it is nobody else's answer, and does not decide whether that one is kept.
func TestTwoNamesWithOneNumber(t *testing.T) {
	m, k := newTestMemory(t, 1), &kitchen{id: "k1"}
	mine, theirs := newTestItem(k, "mine", 300), newTestItem(k, "theirs", 300)
	m.cache.Set(m.number(mine.name), theirs)
	if it := m.get(mine.name); it != nil {
		t.Errorf("got %v, which lies there under another name", it.value)
	}
	if it := m.peek(mine.name); it != nil {
		t.Errorf("peeked at %v, which lies there under another name", it.value)
	}
	kept := m.put(mine, func(old *item) bool {
		if old != nil {
			t.Errorf("%v is taken for what was there before", old.value)
		}
		return true
	})
	if it := m.get(mine.name); !kept || it != mine {
		t.Errorf("kept: %v, got %v", kept, it)
	}
}

// TestNumbersTellNamesApart: no part of a name can stand in for another.
func TestNumbersTellNamesApart(t *testing.T) {
	m := newTestMemory(t, 1)
	words := []string{"", "a", "b", "ab", "a:b", "k1"}
	numbers := map[uint64]name{}
	for _, id := range words {
		for _, key := range words {
			for _, own := range []bool{false, true} {
				n := name{tenant.ID(id), key, own}
				if other, ok := numbers[m.number(n)]; ok {
					t.Errorf("%+v and %+v have one number", n, other)
				}
				numbers[m.number(n)] = n
			}
		}
	}
}

// TestLargerThanTheShare: one entry does not take more than all entries of its tenant may, and what it replaces is gone.
func TestLargerThanTheShare(t *testing.T) {
	m, k := newTestMemory(t, 1./8), &kitchen{id: "k1"}
	small := newTestItem(k, "x", 300)
	yes := func(*item) bool { return true }
	if !m.put(small, yes) || m.get(small.name) != small {
		t.Fatal("a small one is not kept")
	}
	m.put(newTestItem(k, "x", 1<<17+1), yes)
	if it := m.get(small.name); it != nil {
		t.Errorf("%d bytes are under the name; the share is %d", it.weight, 1<<17)
	}
	if n := k.bytes.Load(); n != 0 {
		t.Errorf("the tenant is taken to have %d bytes", n)
	}
}
