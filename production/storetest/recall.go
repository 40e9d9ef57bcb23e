package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

// recallingStore is a store that can recall.
type recallingStore interface {
	Store
	production.Recaller
}

// RunRecall tests that Stores that are Recallers keep that contract, with two nodes on each database.
func RunRecall(t *testing.T, newDatabase func(t testing.TB) Database) {
	// How many commits of a hundred are the second node's.
	for name, second := range map[string]int{"OneNode": 0, "ASecondOneNowAndThen": 5, "BothInTurns": 50} {
		t.Run(name, func(t *testing.T) { recalls(t, recallers(t, newDatabase(t)), second) })
	}
	t.Run("LookAgainIsHeardOf", func(t *testing.T) { lookedAgain(t, recallers(t, newDatabase(t))[0]) })
	t.Run("ServicesOnTwoNodes", func(t *testing.T) { twoServices(t, recallers(t, newDatabase(t))) })
}

// recallers returns two nodes on one database.
func recallers(t *testing.T, db Database) (nodes []recallingStore) {
	t.Helper()
	for range 2 {
		s, ok := db.Open(t).(recallingStore)
		if !ok {
			t.Fatal("the store recalls nothing")
		}
		t.Cleanup(func() { s.Close() })
		nodes = append(nodes, s)
	}
	return nodes
}

// recalls has two nodes change the same batches in all ways that a commit has, the second one so many times of a hundred. What a node
// remembers is what is stored, or a commit that was decided on it is refused.
func recalls(t *testing.T, nodes []recallingStore, second int) {
	const acts, kitchens, batches = 250, 2, 3
	rng := rand.New(rand.NewPCG(uint64(second), 1))
	for k := range kitchens {
		for b := range batches {
			if _, err := nodes[0].Commit(t.Context(), plan(tenant.ID(fmt.Sprint("k", k)), fmt.Sprint("b", b), b+1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	recalled, refused := 0, 0
	for n := range acts {
		s, other := nodes[0], nodes[1]
		if rng.IntN(100) < second {
			s, other = other, s
		}
		k, id := tenant.ID(fmt.Sprint("k", rng.IntN(kitchens))), fmt.Sprint("b", rng.IntN(batches))
		want := production.Want{Production: id, Key: fmt.Sprint("key", n)}
		stored, err := other.Load(t.Context(), k, want)
		if err != nil {
			t.Fatal(err)
		}
		l, ok := s.Recall(k, want)
		if !ok {
			if l, err = s.Load(t.Context(), k, want); err != nil {
				t.Fatal(err)
			}
		}
		stamp := l.Recalled
		l.Recalled = 0
		same := reflect.DeepEqual(l, stored)
		c := edited(rng, l, n)
		c.Recalled = stamp
		_, err = s.Commit(t.Context(), c)
		switch {
		case !same && !ok:
			t.Fatalf("act %d: loaded %+v, want %+v", n, l, stored)
		case !same && second == 0:
			t.Fatalf("act %d: recalled %+v, want %+v", n, l, stored)
		case !same && !errors.Is(err, production.ErrConflict):
			t.Fatalf("act %d: a commit that was decided on what is outdated: %v, want ErrConflict", n, err)
		case err != nil && (!ok || second == 0):
			t.Fatalf("act %d: %v", n, err)
		case err != nil && !errors.Is(err, production.ErrConflict):
			t.Fatalf("act %d: %v, want none or ErrConflict", n, err)
		case err != nil:
			refused++
		case ok:
			recalled++
		}
	}
	t.Logf("%d of %d commits were decided on what was recalled, and %d more were refused", recalled, acts, refused)
	if second < 10 && recalled < acts/10 || second > 0 && refused == 0 {
		t.Error("the test reaches too little")
	}
	for k := range kitchens {
		n, _, err := production.VerifyAudit(nodes[0].Audit(t.Context(), tenant.ID(fmt.Sprint("k", k)), 1))
		if err != nil || n == 0 {
			t.Errorf("%d entries are in order, %v", n, err)
		}
	}
}

// edited returns a commit on what was loaded: one of all that a batch and its kitchen can have happen to them.
func edited(rng *rand.Rand, l production.Loaded, n int) production.Commit {
	c := next(l.Batch.Clone(), nil)
	c.Remember = &production.Remembered{Key: fmt.Sprint("key", n), At: noon}
	p := &c.Batch.Production
	switch rng.IntN(9) {
	case 0:
		p.PlannedPortions += rng.IntN(100)
	case 1:
		p.Status = []production.Status{production.Planned, production.Cooking, production.Completed, production.Cancelled}[rng.IntN(4)]
	case 2: // time alone: neither event nor audit entry
		c.Events, c.Audit, c.Remember = nil, nil, nil
		p.Version--
		c.Batch.NextLook = noon + production.Instant(n)
	case 3:
		k := l.Kitchen
		k.Revision++
		k.Kitchen.Name = fmt.Sprint("Dapur ", n)
		k.Alerts = nil
		c.Kitchen, c.KitchenBase = &k, l.Kitchen.Revision
	case 4:
		for i := range l.Batch.Alerts {
			a := l.Batch.Alerts[i]
			a.Status, a.ResolvedAt = production.AlertResolved, noon
			c.Alerts = append(c.Alerts, a)
		}
	case 5:
		c.Alerts = []production.Alert{{
			ID: fmt.Sprint("a", n), Tenant: p.Tenant, Code: production.LateCodes[n%len(production.LateCodes)], Severity: production.High,
			Status: production.AlertOpen, ProductionID: p.ID, RaisedAt: noon - production.Instant(n%7),
		}}
		for i := range l.Batch.Alerts {
			if l.Batch.Alerts[i].Code == c.Alerts[0].Code {
				c.Alerts[0].ID, c.Alerts[0].RaisedAt = l.Batch.Alerts[i].ID, l.Batch.Alerts[i].RaisedAt
			}
		}
	case 6:
		p.WasteAmount, p.Dishes = new(production.Kilograms(n)), append(p.Dishes, production.Dish{Name: fmt.Sprint("Sup ", n)})
		c.Batch.Facts.Tracks = append(c.Batch.Facts.Tracks, production.Track{Dish: fmt.Sprint("Sup ", n)})
	default:
		p.Progress = n % 100
	}
	return c
}

// lookedAgain has the limits of a kitchen change, which moves the looks at its batches and not their revisions: what was recalled before is
// outdated.
func lookedAgain(t *testing.T, s recallingStore) {
	must := func(c production.Commit) {
		t.Helper()
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := production.Want{Production: "b"}
	load := func() production.Loaded {
		t.Helper()
		l, err := s.Load(t.Context(), k1, want)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	must(plan(k1, "b", 1))
	load()
	before, ok := s.Recall(k1, want)
	if !ok {
		t.Fatal("nothing is recalled of what was loaded")
	}
	must(production.Commit{
		Tenant: k1, Kitchen: &production.KitchenState{Revision: 1, Kitchen: production.Kitchen{ID: k1, Name: "Dapur"}}, LookAgain: noon + 7,
	})
	stale := next(before.Batch.Clone(), nil)
	stale.Recalled = before.Recalled
	if _, err := s.Commit(t.Context(), stale); !errors.Is(err, production.ErrConflict) {
		t.Errorf("a commit that was decided before: %v, want ErrConflict", err)
	}
	if l := load(); l.Batch.NextLook != noon+7 || l.Batch.Revision != 1 {
		t.Errorf("the look is at %v, at revision %d; want %v and 1", l.Batch.NextLook, l.Batch.Revision, noon+7)
	}
}

// twoServices has clients change two batches through two nodes: no change is lost, none is made twice, and whoever repeats a key is
// answered with the first result.
func twoServices(t *testing.T, stores []recallingStore) {
	var services []*production.Service
	for _, s := range stores {
		services = append(services, production.New(s, production.Options{}))
	}
	const clients, changes = 6, 25
	as, batches := Prepared(t, stores[0], 2)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(client), 2))
			for n := range changes {
				i := client % 2
				r := as[i]
				r.Version, r.Key = 0, fmt.Sprint(client, "-", n)
				act := production.AddReading{Kind: production.Ambient, Celsius: production.Celsius(n)}
				first, err := services[rng.IntN(10)/8].Reading(t.Context(), r, batches[i], act)
				if err != nil {
					t.Errorf("client %d, change %d: %v", client, n, err)
					return
				}
				again, err := services[rng.IntN(2)].Reading(t.Context(), r, batches[i], act)
				if err != nil || !again.Repeated || again.RowID != first.RowID {
					t.Errorf("client %d, change %d, again: %+v, %v; want the first result", client, n, again, err)
					return
				}
			}
		})
	}
	all.Wait()
	for i, id := range batches {
		readings := 0
		for after := ""; ; {
			rows, err := stores[1].Rows(context.Background(), as[i].Tenant, id, after, 100)
			if err != nil {
				t.Fatal(err)
			}
			readings += len(rows.Readings)
			if len(rows.Readings) < 100 {
				break
			}
			after = rows.Readings[99].ID
		}
		if readings != clients/2*changes {
			t.Errorf("batch %d has %d readings, want %d", i, readings, clients/2*changes)
		}
		if _, _, err := production.VerifyAudit(stores[1].Audit(t.Context(), as[i].Tenant, 1)); err != nil {
			t.Error(err)
		}
	}
}
