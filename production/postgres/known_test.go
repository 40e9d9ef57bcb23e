package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/tenant"
)

// TestTwoNodesOneKitchen has two nodes commit in turns for one kitchen: what a node knows of it is wrong each time, and numbers, chain and
// revisions are right all the same.
func TestTwoNodesOneKitchen(t *testing.T) {
	db := testenv.Postgres(t)
	a, b := open(t, db), open(t, db)
	defer a.Close()
	defer b.Close()
	c := plan(kitchen, "b", 1)
	const commits = 20
	for n := range commits {
		s, other := a, b
		if n%2 == 1 {
			s, other = b, a
		}
		events, err := s.Commit(t.Context(), c)
		if err != nil || len(events) != 1 || events[0].Seq != int64(n+1) {
			t.Fatalf("commit %d: %v, %v", n+1, events, err)
		}
		if _, err := other.Commit(t.Context(), c); !errors.Is(err, production.ErrConflict) {
			t.Fatalf("the same at the other node: %v, want ErrConflict", err)
		}
		c = next(*c.Batch)
	}
	wholeTrail(t, a, kitchen, commits)
	wholeOutbox(t, b, map[tenant.ID]int64{kitchen: commits})
}

// TestAStaleCommitInAGroup has one of many commits that go together be based on what is not there any more: it alone is refused.
func TestAStaleCommitInAGroup(t *testing.T) {
	db := testenv.Postgres(t)
	s, other := open(t, db), open(t, db)
	defer s.Close()
	defer other.Close()
	const batches, rounds = 16, 5
	now := make([]production.Batch, batches)
	for i := range now {
		c := plan(tenant.ID(fmt.Sprint("k", i%4)), fmt.Sprint("b", i), i+1)
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		now[i] = *c.Batch
	}
	for range rounds {
		stale := next(now[0])
		if _, err := other.Commit(t.Context(), stale); err != nil { // s does not know of it
			t.Fatal(err)
		}
		errs := make([]error, batches)
		var all sync.WaitGroup
		for i := range now {
			all.Go(func() { _, errs[i] = s.Commit(t.Context(), next(now[i])) })
		}
		all.Wait()
		for i, err := range errs {
			switch {
			case i == 0 && !errors.Is(err, production.ErrConflict):
				t.Fatalf("what is based on an old revision: %v, want ErrConflict", err)
			case i > 0 && err != nil:
				t.Fatalf("batch %d, of which nobody else knows: %v", i, err)
			}
			now[i] = *next(now[i]).Batch
		}
	}
	want := map[tenant.ID]int64{}
	for i := range now {
		want[tenant.ID(fmt.Sprint("k", i%4))] += rounds + 1
	}
	for k, n := range want {
		wholeTrail(t, s, k, n)
	}
	wholeOutbox(t, other, want)
}
