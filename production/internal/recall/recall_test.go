package recall

import (
	"fmt"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

const kitchen = tenant.ID("k")

func batch(id string, revision int64) production.Batch {
	return production.Batch{Production: production.Production{ID: id, Tenant: kitchen, Day: "2026-11-26"}, Revision: revision}
}

// wrote has m hear of a commit that takes b from the revision before.
func wrote(m *Memory, t tenant.ID, b production.Batch) {
	m.Wrote(&Written{Tenant: t, Batch: &b, Base: b.Revision - 1})
}

// learn has m hear of a Load of b.
func learn(m *Memory, t tenant.ID, b production.Batch) {
	stamp, count := m.Chain(t)
	m.Learn(t, stamp, count, &production.Loaded{Batch: b})
}

func recalled(m *Memory, t tenant.ID, id string) (revision int64, stamp uint64) {
	l, ok := m.Recall(t, production.Want{Production: id})
	if !ok {
		return 0, 0
	}
	return l.Batch.Revision, l.Recalled
}

// TestAChain: what was loaded on a chain is recalled, and followed by its commits.
func TestAChain(t *testing.T) {
	var m Memory
	learn(&m, kitchen, batch("b", 1))
	if n, _ := recalled(&m, kitchen, "b"); n != 0 {
		t.Errorf("recalled revision %d of what was loaded on no chain", n)
	}
	wrote(&m, kitchen, batch("b", 1))
	learn(&m, kitchen, batch("b", 1))
	wrote(&m, kitchen, batch("b", 2))
	n, stamp := recalled(&m, kitchen, "b")
	if n != 2 || !m.Trusts(kitchen, stamp) {
		t.Errorf("recalled revision %d, trusted: %t; want 2, which is", n, m.Trusts(kitchen, stamp))
	}
	wrote(&m, kitchen, batch("b", 4))
	if n, _ := recalled(&m, kitchen, "b"); n != 0 {
		t.Errorf("recalled revision %d, of which the successor was not heard of", n)
	}
	if m.batches != 0 {
		t.Errorf("%d batches are counted, want none", m.batches)
	}
}

// TestALateLoad began before a commit and ended after it.
func TestALateLoad(t *testing.T) {
	var m Memory
	wrote(&m, kitchen, batch("b", 1))
	learn(&m, kitchen, batch("b", 1))
	stamp, count := m.Chain(kitchen)
	m.Wrote(&Written{Tenant: kitchen, Kitchen: true})
	wrote(&m, kitchen, batch("b", 2))
	m.Learn(kitchen, stamp, count, &production.Loaded{Batch: batch("b", 1)})
	if n, _ := recalled(&m, kitchen, "b"); n != 0 {
		t.Errorf("recalled revision %d with a kitchen that is outdated", n)
	}
	learn(&m, kitchen, batch("b", 2))
	if n, _ := recalled(&m, kitchen, "b"); n != 2 {
		t.Errorf("recalled revision %d, want 2", n)
	}
}

// TestAfterABreakItWaits: twice as many commits each time, until a change was made by memory; and nothing of before is trusted.
func TestAfterABreakItWaits(t *testing.T) {
	for name, breaks := range map[string]func(*Memory){
		"OfATenant": func(m *Memory) { m.Broke(kitchen) },
		"OfAll":     (*Memory).BrokeAll,
	} {
		t.Run(name, func(t *testing.T) {
			var m Memory
			commits := func() (n int) {
				for n = 0; ; n++ {
					learn(&m, kitchen, batch("b", 1))
					if _, stamp := recalled(&m, kitchen, "b"); stamp != 0 {
						return n
					}
					if n > 2*maxWait {
						t.Fatal("nothing is recalled any more")
					}
					m.Wrote(&Written{Tenant: kitchen})
				}
			}
			for _, want := range []int{1, 2, 4, 8, 16, 32, 64, 64} {
				if got := commits(); got != want {
					t.Fatalf("recalled after %d commits, want %d", got, want)
				}
				_, stamp := recalled(&m, kitchen, "b")
				breaks(&m)
				if m.Trusts(kitchen, stamp) || m.batches != 0 {
					t.Fatalf("of before the break, %d batches are there, trusted: %t", m.batches, m.Trusts(kitchen, stamp))
				}
			}
			commits()
			_, stamp := recalled(&m, kitchen, "b")
			m.Wrote(&Written{Tenant: kitchen, Recalled: stamp})
			breaks(&m)
			if got := commits(); got != 2 {
				t.Errorf("after a change that was made by memory: recalled after %d commits, want 2", got)
			}
		})
	}
}

// TestBounds: of more than can be remembered, some is forgotten, and the newest is there.
func TestBounds(t *testing.T) {
	t.Run("Batches", func(t *testing.T) {
		var m Memory
		for i := range maxBatches + 100 {
			k := tenant.ID(fmt.Sprint("k", i/10))
			m.Wrote(&Written{Tenant: k})
			learn(&m, k, batch(fmt.Sprint(i), 1))
			if n, _ := recalled(&m, k, fmt.Sprint(i)); n != 1 {
				t.Fatalf("batch %d is not recalled", i)
			}
		}
		sum := 0
		for _, r := range m.tenants {
			sum += len(r.batches)
		}
		if m.batches > maxBatches || m.batches != sum || sum < maxBatches/2 {
			t.Errorf("%d batches are there and %d are counted, want both the same and at most %d", sum, m.batches, maxBatches)
		}
	})
	t.Run("Tenants", func(t *testing.T) {
		var m Memory
		for i := range maxTenants + 100 {
			m.Wrote(&Written{Tenant: tenant.ID(fmt.Sprint("k", i))})
		}
		if stamp, _ := m.Chain(tenant.ID(fmt.Sprint("k", maxTenants+99))); stamp == 0 || len(m.tenants) > maxTenants {
			t.Errorf("%d tenants are there, and the stamp of the newest is %d", len(m.tenants), stamp)
		}
	})
	t.Run("Keys", func(t *testing.T) {
		var m Memory
		wrote(&m, kitchen, batch("b", 1))
		learn(&m, kitchen, batch("b", 1))
		const n = maxKeys + 5
		for i := range int64(n) {
			b := batch("b", i+2)
			m.Wrote(&Written{Tenant: kitchen, Batch: &b, Base: i + 1, Key: fmt.Sprint(i)})
		}
		for i, want := range map[int]bool{n - maxKeys - 1: true, n - maxKeys: false, n - 1: false, n: true} {
			if _, ok := m.Recall(kitchen, production.Want{Production: "b", Key: fmt.Sprint(i)}); ok != want {
				t.Errorf("key %d of %d: recalled: %t, want %t", i, n, ok, want)
			}
		}
	})
}
