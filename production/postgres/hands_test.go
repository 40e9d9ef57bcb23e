package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/tenant"
)

// tell commits the n-th event of a kitchen.
func tell(t *testing.T, s *postgres.Store, k tenant.ID, n int) {
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

func numbersOf(events []production.Event) (list []int64) {
	for i := range events {
		list = append(list, events[i].Seq)
	}
	return list
}

// claimable waits until who asks gets events of a kitchen.
func claimable(t *testing.T, s *postgres.Store, k tenant.ID, want ...int64) {
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

func nothingClaimable(t *testing.T, s *postgres.Store) {
	t.Helper()
	if c, err := s.Claim(t.Context(), "asks", time.Minute, 10); !errors.Is(err, production.ErrNotFound) {
		t.Fatalf("claimed %v of %s, %v; want nothing: it is on its way", numbersOf(c.Events), c.Tenant, err)
	}
}

func waiting(t *testing.T, s *postgres.Store, want int64) {
	t.Helper()
	if n, _, err := s.Backlog(t.Context()); err != nil || n != want {
		t.Errorf("%d events wait, %v; want %d", n, err, want)
	}
}

func at(offset uint64) []production.Sent {
	return []production.Sent{{Channel: production.UpdatesChannel, Epoch: "e", Offset: offset}}
}

// aWay opens two nodes on one database, the first with the direct way.
func aWay(t *testing.T, db string, lease time.Duration) (s, other *postgres.Store, w production.Way) {
	t.Helper()
	s, other = open(t, db), open(t, db)
	t.Cleanup(func() { _ = s.Close(); _ = other.Close() })
	return s, other, s.Direct("direct", lease)
}

func TestWay(t *testing.T) {
	server := testenv.StartPostgres(t)
	for name, f := range map[string]func(t *testing.T, s, other *postgres.Store, w production.Way){
		"TheNextCommitMarks": func(t *testing.T, s, _ *postgres.Store, w production.Way) {
			for n := range 5 {
				tell(t, s, kitchen, n+1)
				waiting(t, s, 1) // for its mark; the one before it has that
				nothingClaimable(t, s)
				handed(t, w, kitchen, int64(n+1)).Done(int64(n+1), at(uint64(n+1)))
			}
			tell(t, s, kitchen, 6)
			snap, err := s.Snapshot(t.Context(), kitchen, "")
			if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != 5 {
				t.Errorf("positions %+v, %v; want that of event 5", snap.Positions, err)
			}
		},
		"AMarkDoesNotWaitForACommit": func(t *testing.T, s, _ *postgres.Store, w production.Way) {
			tell(t, s, kitchen, 1)
			handed(t, w, kitchen, 1).Done(1, at(1))
			eventually(t, "mark", func() error {
				if n, _, err := s.Backlog(t.Context()); err != nil || n != 0 {
					return fmt.Errorf("%d events wait: %w", n, errors.Join(err, production.ErrUnavailable))
				}
				return nil
			})
		},
		"WhatComesMeanwhileFollows": func(t *testing.T, s, _ *postgres.Store, w production.Way) {
			tell(t, s, kitchen, 1)
			first := handed(t, w, kitchen, 1)
			tell(t, s, kitchen, 2)
			tell(t, s, kitchen, 3)
			nothingClaimable(t, s)
			first.Done(1, at(1))
			handed(t, w, kitchen, 2, 3).Done(3, at(3))
		},
		"TheRestIsGivenBack": func(t *testing.T, s, _ *postgres.Store, w production.Way) {
			tell(t, s, kitchen, 1)
			h := handed(t, w, kitchen, 1)
			tell(t, s, kitchen, 2)
			tell(t, s, kitchen, 3)
			h.Done(1, at(1))
			handed(t, w, kitchen, 2, 3).Done(2, at(2))
			claimable(t, s, kitchen, 3)
			waiting(t, s, 1)
		},
		"NothingWasPublished": func(t *testing.T, s, other *postgres.Store, w production.Way) {
			tell(t, s, kitchen, 1)
			handed(t, w, kitchen, 1).Done(0, nil)
			claimable(t, other, kitchen, 1)
		},
		"AnotherNodeCommitsBehindIt": func(t *testing.T, s, other *postgres.Store, w production.Way) {
			tell(t, s, kitchen, 1)
			h := handed(t, w, kitchen, 1)
			tell(t, other, kitchen, 2)
			nothingClaimable(t, other)
			tell(t, s, kitchen, 3) // there is a hole before it
			h.Done(1, at(1))
			claimable(t, other, kitchen, 2, 3)
		},
		"AnotherNodeHasTheLease": func(t *testing.T, s, other *postgres.Store, w production.Way) {
			tell(t, other, kitchen, 1)
			claimable(t, other, kitchen, 1)
			tell(t, s, kitchen, 2)
			if err := other.MarkSent(t.Context(), "asks", kitchen, 1, at(1)); err != nil {
				t.Fatal(err)
			}
			claimable(t, other, kitchen, 2)
			if err := other.MarkSent(t.Context(), "asks", kitchen, 2, at(2)); err != nil {
				t.Fatal(err)
			}
			tell(t, s, kitchen, 3)
			handed(t, w, kitchen, 3)
		},
		"Close": func(t *testing.T, s, other *postgres.Store, w production.Way) {
			tell(t, s, "published", 1)
			handed(t, w, "published", 1).Done(1, at(1))
			tell(t, s, "not", 1)
			if err := w.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			waiting(t, s, 1)
			claimable(t, other, "not", 1)
			tell(t, s, "after", 1)
			claimable(t, other, "after", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, other, w := aWay(t, server.Database(t), time.Minute)
			f(t, s, other, w)
		})
	}
}

// TestWayThatLostItsLease has a lease end while its events are out: another node publishes and marks them, and what the first one says then
// changes nothing.
func TestWayThatLostItsLease(t *testing.T) {
	t.Parallel()
	s, other, w := aWay(t, testenv.Postgres(t), 6*time.Second) // a quarter of it has to suffice for the first steps
	tell(t, s, kitchen, 1)
	late := handed(t, w, kitchen, 1)
	claimable(t, other, kitchen, 1)
	late.Done(1, at(99))
	tell(t, s, kitchen, 2)
	if err := other.MarkSent(t.Context(), "asks", kitchen, 1, at(1)); err != nil {
		t.Fatalf("the lease of the other node: %v", err)
	}
	claimable(t, other, kitchen, 2)
	if err := other.MarkSent(t.Context(), "asks", kitchen, 2, at(2)); err != nil {
		t.Fatal(err)
	}
	tell(t, s, kitchen, 3)
	handed(t, w, kitchen, 3)
	snap, err := s.Snapshot(t.Context(), kitchen, "")
	if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != 2 {
		t.Errorf("positions %+v, %v; want that of event 2", snap.Positions, err)
	}
}
