package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// directStore is a store with the direct way.
type directStore interface {
	Store
	production.Direct
}

const wayKitchen = tenant.ID("clx0k1tchen0000000000001")

// told commits the n-th event of a kitchen.
func told(t *testing.T, s directStore, k tenant.ID, n int) {
	t.Helper()
	_, err := s.Commit(t.Context(), production.Commit{Tenant: k, Events: []production.Event{{
		ID: fmt.Sprint("e", n), Tenant: k, Channel: production.UpdatesChannel, At: noon + production.Instant(n), Payload: []byte(`{}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func handed(t *testing.T, w production.Way, k tenant.ID, want ...int64) production.Handed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h, err := w.Next(ctx)
	if err != nil {
		t.Fatalf("nothing is handed on: %v; want %v of %s", err, want, k)
	}
	got := numbersOf(h.Events)
	if h.Tenant != k || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("handed %v of %s, want %v of %s", got, h.Tenant, want, k)
	}
	return h
}

// claimable waits until who asks gets events of a kitchen.
func claimable(t *testing.T, s directStore, k tenant.ID, want ...int64) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := s.Claim(t.Context(), "asks", time.Minute, 10)
		switch {
		case err == nil && (c.Tenant != k || fmt.Sprint(numbersOf(c.Events)) != fmt.Sprint(want)):
			t.Fatalf("claimed %v of %s, want %v of %s", numbersOf(c.Events), c.Tenant, want, k)
		case err == nil:
			return
		case !errors.Is(err, production.ErrNotFound) || time.Now().After(end):
			t.Fatalf("claim: %v, want %v of %s", err, want, k)
		}
	}
}

func nothingClaimable(t *testing.T, s directStore) {
	t.Helper()
	if c, err := s.Claim(t.Context(), "asks", time.Minute, 10); !errors.Is(err, production.ErrNotFound) {
		t.Fatalf("claimed %v of %s, %v; want nothing: it is on its way", numbersOf(c.Events), c.Tenant, err)
	}
}

func waiting(t *testing.T, s directStore, want int64) {
	t.Helper()
	if n, _, err := s.Backlog(t.Context()); err != nil || n != want {
		t.Errorf("%d events wait, %v; want %d", n, err, want)
	}
}

func at(offset uint64) []production.Sent {
	return []production.Sent{{Channel: production.UpdatesChannel, Epoch: "e", Offset: offset}}
}

// manyTell has clients commit for one kitchen at the same time, so that commits go together, while its events are published. Each comes once,
// in its order.
func manyTell(t *testing.T, s directStore, w production.Way) {
	const clients, each = 8, 30
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := range each {
				_, err := s.Commit(ctx, production.Commit{Tenant: wayKitchen, Events: []production.Event{{
					ID: fmt.Sprint(i, ".", n), Tenant: wayKitchen, Channel: production.UpdatesChannel, At: noon, Payload: []byte(`{}`),
				}}})
				if err != nil {
					t.Errorf("client %d, commit %d: %v", i, n, err)
					return
				}
			}
		})
	}
	last := int64(0)
	publish := func(events []production.Event) {
		for i := range events {
			if events[i].Seq != last+1 {
				t.Errorf("event %d came after %d", events[i].Seq, last)
			}
			last = events[i].Seq
		}
	}
	for last < clients*each && ctx.Err() == nil {
		soon, stop := context.WithTimeout(ctx, 10*time.Millisecond)
		h, err := w.Next(soon)
		stop()
		if err == nil {
			publish(h.Events)
			h.Done(last, at(uint64(last)))
			continue
		}
		c, err := s.Claim(ctx, "asks", time.Minute, 100) // what the way does not take
		if err == nil {
			publish(c.Events)
			err = s.MarkSent(ctx, "asks", wayKitchen, last, at(uint64(last)))
		}
		if err != nil && !errors.Is(err, production.ErrNotFound) {
			t.Errorf("after event %d: %v", last, err)
		}
	}
	if last != clients*each {
		t.Errorf("%d events came, want %d", last, clients*each)
	}
	all.Wait()
	eventually(t, "the marks", func() bool {
		n, _, err := s.Backlog(ctx)
		return err == nil && n == 0
	})
	snap, err := s.Snapshot(ctx, wayKitchen, "")
	if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != clients*each {
		t.Errorf("positions %+v, %v; want that of event %d", snap.Positions, err, clients*each)
	}
}

// RunWay tests the direct way of events of Stores that have one, with two nodes on one database. newDatabase is as in Run. behind is how many
// events of a kitchen may be without their marks though they were published, while it goes on.
func RunWay(t *testing.T, newDatabase func(t testing.TB) Database, behind int64) {
	aWay := func(t *testing.T, lease time.Duration) (s, other directStore, w production.Way) {
		t.Helper()
		d := newDatabase(t)
		var both [2]directStore
		for i := range both {
			one, ok := d.Open(t).(directStore)
			if !ok {
				t.Fatal("the store has no direct way")
			}
			t.Cleanup(func() { _ = one.Close() })
			both[i] = one
		}
		return both[0], both[1], both[0].Direct("direct", lease)
	}
	for name, f := range map[string]func(t *testing.T, s, other directStore, w production.Way){
		"TheNextCommitMarks": func(t *testing.T, s, _ directStore, w production.Way) {
			last := 5 + 2*int(behind)
			for n := 1; n <= last; n++ {
				told(t, s, wayKitchen, n)
				unmarked, _, err := s.Backlog(t.Context()) // the newest, and those before it that may be without their marks
				if err != nil || unmarked < 1 || unmarked > 1+behind {
					t.Fatalf("after event %d: %d wait, %v; want at least 1, and at most %d", n, unmarked, err, 1+behind)
				}
				nothingClaimable(t, s)
				handed(t, w, wayKitchen, int64(n)).Done(int64(n), at(uint64(n)))
			}
			told(t, s, wayKitchen, last+1)
			snap, err := s.Snapshot(t.Context(), wayKitchen, "")
			if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset > uint64(last) || int64(snap.Positions[0].Offset) < int64(last)-behind {
				t.Errorf("positions %+v, %v; want that of event %d, or of at most %d before it", snap.Positions, err, last, behind)
			}
		},
		"TheEndMarksWhatIsLeft": func(t *testing.T, s, _ directStore, w production.Way) {
			for n := 1; n <= 3; n++ {
				told(t, s, wayKitchen, n)
				handed(t, w, wayKitchen, int64(n)).Done(int64(n), at(uint64(n)))
			}
			told(t, s, wayKitchen, 4)
			handed(t, w, wayKitchen, 4) // and nobody knows whether it was published
			if err := w.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			snap, err := s.Snapshot(t.Context(), wayKitchen, "")
			if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != 3 {
				t.Errorf("positions %+v, %v; want that of event 3", snap.Positions, err)
			}
			claimable(t, s, wayKitchen, 4)
		},
		"OneKitchenOfManyClients": func(t *testing.T, s, _ directStore, w production.Way) { manyTell(t, s, w) },
		"AMarkDoesNotWaitForACommit": func(t *testing.T, s, _ directStore, w production.Way) {
			told(t, s, wayKitchen, 1)
			handed(t, w, wayKitchen, 1).Done(1, at(1))
			eventually(t, "the mark", func() bool {
				n, _, err := s.Backlog(t.Context())
				return err == nil && n == 0
			})
		},
		"WhatComesMeanwhileFollows": func(t *testing.T, s, _ directStore, w production.Way) {
			told(t, s, wayKitchen, 1)
			first := handed(t, w, wayKitchen, 1)
			told(t, s, wayKitchen, 2)
			told(t, s, wayKitchen, 3)
			nothingClaimable(t, s)
			first.Done(1, at(1))
			handed(t, w, wayKitchen, 2, 3).Done(3, at(3))
		},
		"TheRestIsGivenBack": func(t *testing.T, s, _ directStore, w production.Way) {
			told(t, s, wayKitchen, 1)
			h := handed(t, w, wayKitchen, 1)
			told(t, s, wayKitchen, 2)
			told(t, s, wayKitchen, 3)
			h.Done(1, at(1))
			handed(t, w, wayKitchen, 2, 3).Done(2, at(2))
			claimable(t, s, wayKitchen, 3)
			waiting(t, s, 1)
		},
		"NothingWasPublished": func(t *testing.T, s, other directStore, w production.Way) {
			told(t, s, wayKitchen, 1)
			handed(t, w, wayKitchen, 1).Done(0, nil)
			claimable(t, other, wayKitchen, 1)
		},
		"AnotherNodeCommitsBehindIt": func(t *testing.T, s, other directStore, w production.Way) {
			told(t, s, wayKitchen, 1)
			h := handed(t, w, wayKitchen, 1)
			told(t, other, wayKitchen, 2)
			nothingClaimable(t, other)
			told(t, s, wayKitchen, 3) // there is a hole before it
			h.Done(1, at(1))
			claimable(t, other, wayKitchen, 2, 3)
		},
		"AnotherNodeHasTheLease": func(t *testing.T, s, other directStore, w production.Way) {
			told(t, other, wayKitchen, 1)
			claimable(t, other, wayKitchen, 1)
			told(t, s, wayKitchen, 2)
			if err := other.MarkSent(t.Context(), "asks", wayKitchen, 1, at(1)); err != nil {
				t.Fatal(err)
			}
			claimable(t, other, wayKitchen, 2)
			if err := other.MarkSent(t.Context(), "asks", wayKitchen, 2, at(2)); err != nil {
				t.Fatal(err)
			}
			told(t, s, wayKitchen, 3)
			handed(t, w, wayKitchen, 3)
		},
		"Close": func(t *testing.T, s, other directStore, w production.Way) {
			told(t, s, "published", 1)
			handed(t, w, "published", 1).Done(1, at(1))
			told(t, s, "not", 1)
			if err := w.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			waiting(t, s, 1)
			claimable(t, other, "not", 1)
			told(t, s, "after", 1)
			claimable(t, other, "after", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, other, w := aWay(t, time.Minute)
			f(t, s, other, w)
		})
	}
	t.Run("ThatLostItsLease", func(t *testing.T) {
		t.Parallel()
		s, other, w := aWay(t, 6*time.Second) // a quarter of it has to suffice for the first steps
		lostLease(t, s, other, w)
	})
}

// lostLease has a lease end while its events are out: another node publishes and marks them, and what the first one says then
// changes nothing.
func lostLease(t *testing.T, s, other directStore, w production.Way) {
	t.Helper()
	told(t, s, wayKitchen, 1)
	late := handed(t, w, wayKitchen, 1)
	claimable(t, other, wayKitchen, 1)
	late.Done(1, at(99))
	told(t, s, wayKitchen, 2)
	if err := other.MarkSent(t.Context(), "asks", wayKitchen, 1, at(1)); err != nil {
		t.Fatalf("the lease of the other node: %v", err)
	}
	claimable(t, other, wayKitchen, 2)
	if err := other.MarkSent(t.Context(), "asks", wayKitchen, 2, at(2)); err != nil {
		t.Fatal(err)
	}
	told(t, s, wayKitchen, 3)
	handed(t, w, wayKitchen, 3)
	snap, err := s.Snapshot(t.Context(), wayKitchen, "")
	if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != 2 {
		t.Errorf("positions %+v, %v; want that of event 2", snap.Positions, err)
	}
}
