package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

func eventNumbers(t *testing.T, n *node) {
	want := map[tenant.ID]int64{}
	for i := range 20 {
		k := []tenant.ID{k1, k2}[i%2]
		c := plan(k, fmt.Sprint("b", i), i+1)
		for range i % 3 {
			tell(&c)
		}
		for _, e := range n.commit(c) {
			want[k]++
			if e.Seq != want[k] || e.Tenant != k {
				t.Fatalf("event %s of %s has number %d, want %d", e.ID, k, e.Seq, want[k])
			}
		}
	}
	got := map[tenant.ID][]int64{}
	for _, e := range n.drain("relay") {
		got[e.Tenant] = append(got[e.Tenant], e.Seq)
	}
	for k, last := range want {
		same(t, "numbers of "+string(k), got[k], upTo(1, last))
	}
}

func (n *node) claim(owner string, lease time.Duration, limit int, k tenant.ID, more bool, want ...int64) {
	n.t.Helper()
	c, err := n.Claim(n.t.Context(), owner, lease, limit)
	if len(want) == 0 {
		if !errors.Is(err, production.ErrNotFound) {
			n.t.Fatalf("claim of %s: %v of %s, %v; want ErrNotFound", owner, numbersOf(c.Events), c.Tenant, err)
		}
		return
	}
	if err != nil || c.Tenant != k || c.More != more || !slices.Equal(numbersOf(c.Events), want) {
		n.t.Fatalf("claim of %s: %v of %s, more %v, %v; want %v of %s, more %v", owner, numbersOf(c.Events), c.Tenant, c.More, err, want, k, more)
	}
}

func (n *node) mark(owner string, k tenant.ID, seq int64, at ...production.Sent) {
	n.t.Helper()
	if err := n.MarkSent(n.t.Context(), owner, k, seq, at); err != nil {
		n.t.Fatalf("mark sent: %v", err)
	}
}

func (n *node) unmarked(owner string, k tenant.ID, seq int64, want error) {
	n.t.Helper()
	if err := n.MarkSent(n.t.Context(), owner, k, seq, nil); !errors.Is(err, want) {
		n.t.Fatalf("mark %d of %s: %v, want %v", seq, owner, err, want)
	}
}

// tellOf commits one event of k that happened at the given moment.
func (n *node) tellOf(k tenant.ID, at production.Instant) {
	n.t.Helper()
	n.commit(production.Commit{Tenant: k, Events: []production.Event{{Tenant: k, ID: "kitchen", Channel: production.UpdatesChannel, At: at, Payload: []byte(`{}`)}}})
}

func (n *node) backlog(count int64, oldest production.Instant) {
	n.t.Helper()
	if got, since, err := n.Backlog(n.t.Context()); err != nil || got != count || since != oldest {
		n.t.Fatalf("backlog %d since %v, %v; want %d since %v", got, since, err, count, oldest)
	}
}

func outboxOrder(_ *testing.T, n *node) {
	for i := range production.Instant(5) {
		n.tellOf(k1, noon+i)
	}
	n.backlog(5, noon)
	n.claim("relay", patience, 2, k1, true, 1, 2)
	n.claim("relay", patience, 2, k1, true, 1, 2) // what was not marked comes again
	n.mark("relay", k1, 1)
	n.backlog(4, noon+1)
	n.claim("relay", patience, 10, k1, false, 2, 3, 4, 5)
	n.tellOf(k1, noon+9)
	n.mark("relay", k1, 5)
	n.backlog(1, noon+9)
	n.claim("relay", patience, 1, k1, false, 6)
	n.unmarked("relay", k1, 7, production.ErrInvalid) // no such event: a later one would never be sent
	n.mark("relay", k1, 6)
	n.claim("relay", patience, 1, k1, false)
	n.backlog(0, 0)
}

func outboxOldestFirst(_ *testing.T, n *node) {
	n.tellOf("late", noon+5)
	n.tellOf("early", noon+1)
	n.tellOf("middle", noon+3)
	n.tellOf("early", noon+4)
	n.claim("one", patience, 1, "early", true, 1)
	n.claim("two", patience, 1, "middle", false, 1)
	n.claim("three", patience, 1, "late", false, 1)
	n.claim("four", patience, 1, "", false)
	n.mark("one", "early", 1)
	n.claim("four", patience, 1, "early", false, 2)
	n.backlog(3, noon+3)
}

func outboxLeases(t *testing.T, n *node) {
	ctx := t.Context()
	n.tellOf(k1, noon)
	n.claim("one", patience, 10, k1, false, 1)
	n.claim("two", patience, 10, k1, false)
	n.unmarked("two", k1, 1, production.ErrConflict)
	n.unmarked("nobody", k2, 1, production.ErrConflict)
	if err := n.Release(ctx, "two", k1); err != nil { // of a lease that it has not
		t.Fatal(err)
	}
	n.claim("two", patience, 10, k1, false)
	if err := n.Release(ctx, "one", k1); err != nil {
		t.Fatal(err)
	}
	n.unmarked("one", k1, 1, production.ErrConflict)
	n.claim("two", patience, 10, k1, false, 1)
	n.mark("two", k1, 1)
	n.unmarked("two", k1, 1, production.ErrConflict) // the mark ended the lease
	n.backlog(0, 0)
}

// outboxExpiry is a relay that stops between its publication and its mark.
func outboxExpiry(t *testing.T, n *node) {
	n.tellOf(k1, noon)
	n.claim("dead", time.Millisecond, 10, k1, false, 1)
	time.Sleep(20 * time.Millisecond)
	n.unmarked("dead", k1, 1, production.ErrConflict) // the lease is over, though nobody else has one
	n.claim("dead", time.Millisecond, 10, k1, false, 1)
	other := n.another()
	eventually(t, "the lease to end", func() bool {
		c, err := other.Claim(t.Context(), "alive", patience, 10)
		return err == nil && len(c.Events) == 1
	})
	n.unmarked("dead", k1, 1, production.ErrConflict)
	n.backlog(1, noon)
	other.mark("alive", k1, 1)
	n.backlog(0, 0)
}

func snapshotPositions(t *testing.T, n *node) {
	for i := range production.Instant(4) {
		n.tellOf(k1, noon+i)
	}
	n.tellOf(k2, noon+9)
	updates := production.Sent{Channel: production.UpdatesChannel, Epoch: "e1", Offset: 17}
	alerts := production.Sent{Channel: production.AlertsChannel, Epoch: "e2", Offset: 1<<64 - 1}
	n.claim("relay", patience, 2, k1, true, 1, 2)
	n.mark("relay", k1, 2, updates, alerts)
	same(t, "positions", n.snapshot(k1), production.Snapshot{Seq: 4, Positions: []production.Sent{alerts, updates}})
	updates.Epoch, updates.Offset = "e3", 1 // history was lost
	n.claim("relay", patience, 10, k1, false, 3, 4)
	n.mark("relay", k1, 4, updates)
	same(t, "positions", n.snapshot(k1), production.Snapshot{Seq: 4, Positions: []production.Sent{alerts, updates}})
	same(t, "positions of another", n.snapshot(k2), production.Snapshot{Seq: 1})
}

// snapshotOfOneMoment reads while a writer commits and a relay marks. The state says by itself which event it reflects: the batch's
// progress is the number of its newest event, and so is the offset of what was sent.
func snapshotOfOneMoment(t *testing.T, n *node) {
	const rounds = 40
	n.commit(plan(k1, "b", 1))
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // the writer
		defer close(done)
		for i := range rounds {
			b, err := n.Batch(t.Context(), k1, "b")
			if err != nil {
				t.Error(err)
				return
			}
			c := next(b, func(b *production.Batch) { b.Production.Progress = i + 2 })
			a := alarm(k1, "b", fmt.Sprint("a", i), production.EatBy)
			c.Alerts = []production.Alert{a}
			if len(b.Alerts) > 0 {
				b.Alerts[0].Status = production.AlertResolved
				c.Alerts = append(c.Alerts, b.Alerts[0])
			}
			if _, err := n.Commit(t.Context(), c); err != nil {
				t.Error(err)
				return
			}
		}
	})
	all.Go(func() { // the relay, on another node
		other := n.another()
		for more := true; more; {
			select {
			case <-done:
				more = false
			default:
			}
			c, err := other.Claim(t.Context(), "relay", patience, 3)
			if errors.Is(err, production.ErrNotFound) {
				pause()
				continue
			}
			last := c.Events[len(c.Events)-1].Seq
			if err == nil {
				err = other.MarkSent(t.Context(), "relay", k1, last, []production.Sent{{Channel: production.UpdatesChannel, Epoch: "e", Offset: uint64(last)}})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 2 {
		all.Go(func() {
			for more := true; more; pause() {
				select {
				case <-done:
					more = false
				default:
				}
				s, err := n.Snapshot(t.Context(), k1, day)
				if err != nil || len(s.Batches) != 1 {
					t.Errorf("snapshot: %d batches, %v", len(s.Batches), err)
					return
				}
				b := &s.Batches[0]
				if b.Production.Progress != int(s.Seq) && s.Seq > 1 || b.Revision != s.Seq {
					t.Errorf("progress %d, revision %d in a snapshot of event %d", b.Production.Progress, b.Revision, s.Seq)
				}
				if s.Seq > 1 && (len(s.Alerts) != 1 || len(b.Alerts) != 1 || s.Alerts[0].ID != fmt.Sprint("a", s.Seq-2)) {
					t.Errorf("alerts %v and %v in a snapshot of event %d", alertIDs(s.Alerts), alertIDs(b.Alerts), s.Seq)
				}
				if len(s.Positions) > 0 && s.Positions[0].Offset > uint64(s.Seq) {
					t.Errorf("offset %d was sent, in a snapshot of event %d", s.Positions[0].Offset, s.Seq)
				}
			}
		})
	}
	all.Wait()
}

// pause lets the others work: tests share few processors.
func pause() { time.Sleep(time.Millisecond) }

func wake(t *testing.T, n *node) {
	other := n.another()
	hear := func(who *node, what string) {
		t.Helper()
		select {
		case <-who.Wake():
		case <-time.After(patience):
			t.Fatalf("%s was not told", what)
		}
	}
	n.tellOf(k1, noon)
	hear(n, "the node of the commit")
	hear(other, "another node")
	other.commit(production.Commit{Tenant: k1, Notices: []production.Notice{{ID: "n", Tenant: k1, At: noon}}})
	hear(other, "the node of the notice")
	hear(n, "another node of the notice")
	n.tellOf(k1, noon)
	n.tellOf(k1, noon) // values merge, and nobody waits for a listener
	hear(n, "the node of two commits")
}

func forget(t *testing.T, n *node) {
	ctx := t.Context()
	for i := range production.Instant(6) {
		n.tellOf(k1, noon+i)
	}
	n.tellOf(k2, noon)
	n.claim("relay", patience, 4, k1, true, 1, 2, 3, 4)
	n.mark("relay", k1, 4)
	n.claim("relay", patience, 4, k2, false, 1)
	n.mark("relay", k2, 1)
	for i := range 3 {
		id, at := fmt.Sprint(i), noon+production.Instant(i)
		n.commit(production.Commit{
			Tenant: k1, Remember: &production.Remembered{Key: id, At: at}, Audit: []production.AuditEntry{entry(k1, "", 0)},
			Observations: []production.Observation{{ID: id, At: at}}, Notices: []production.Notice{{ID: id, Tenant: k1, At: at}},
		})
	}
	calls, err := n.ClaimNotices(ctx, "caller", noon, patience, 2)
	if err != nil || len(calls) != 2 {
		t.Fatalf("%d notices, %v", len(calls), err)
	}
	if err := n.SettleNotice(ctx, "caller", calls[0], true); err != nil {
		t.Fatal(err)
	}
	gone := func(b production.Before, limit, want int) {
		t.Helper()
		if got, err := n.Forget(ctx, b, limit); err != nil || got != want {
			t.Fatalf("forget %+v, at most %d: %d rows, %v; want %d", b, limit, got, err, want)
		}
	}
	gone(production.Before{}, 10, 0)
	gone(production.Before{Events: noon, Keys: noon, Observations: noon}, 10, 0) // not older
	gone(production.Before{Keys: noon + 2}, 1, 1)
	gone(production.Before{Keys: noon + 2}, 10, 1)
	gone(production.Before{Observations: noon + 1}, 10, 1)
	gone(production.Before{Events: noon + 100}, 3, 3+1) // three events, and the settled notice
	gone(production.Before{Events: noon + 100}, 10, 1)  // the rest was not sent, or is the newest
	gone(production.Before{Events: noon + 100}, 10, 0)
	for i, kept := range []bool{false, false, true} {
		if got := n.load(k1, production.Want{Key: fmt.Sprint(i)}).Remembered; (got != nil) != kept {
			t.Errorf("key %d: %+v, want it kept: %v", i, got, kept)
		}
		if got := n.load(k1, production.Want{Observed: fmt.Sprint(i)}).Observed; got != (i > 0) {
			t.Errorf("observation %d is there: %v", i, got)
		}
	}
	n.claim("relay", patience, 10, k1, false, 5, 6)
	n.tellOf(k2, noon+1)
	n.claim("other", patience, 10, k2, false, 2)
	if n.verified(k1) != 3 {
		t.Error("the audit trail is not whole")
	}
}

func manyClients(t *testing.T, n *node) {
	const clients, rounds = 50, 4
	other := n.another()
	n.commit(plan(k1, "b", 1))
	for range rounds {
		b := n.batch(k1, "b")
		var all sync.WaitGroup
		var mu sync.Mutex
		won, lost := 0, 0
		for i := range clients {
			all.Go(func() {
				c := next(b, func(b *production.Batch) { b.Production.Progress = i })
				_, err := []*node{n, other}[i%2].Commit(t.Context(), c)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case errors.Is(err, production.ErrConflict):
					lost++
				default:
					t.Errorf("commit: %v", err)
				}
			})
		}
		all.Wait()
		if won != 1 || lost != clients-1 {
			t.Fatalf("%d won and %d lost, want 1 and %d", won, lost, clients-1)
		}
	}
	if got := n.batch(k1, "b"); got.Revision != rounds+1 {
		t.Errorf("revision %d, want %d", got.Revision, rounds+1)
	}
	same(t, "events", numbersOf(n.drain("relay")), upTo(1, rounds+1))
	if got := n.verified(k1); got != rounds+1 {
		t.Errorf("%d audit entries, want %d", got, rounds+1)
	}
}

// manyKitchens commits to batches of several kitchens at once, through two nodes, while two relays empty the outbox.
func manyKitchens(t *testing.T, n *node) {
	const kitchens, writers, each = 4, 12, 10
	nodes := []*node{n, n.another()}
	var writing, relaying sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			k, id := tenant.ID(fmt.Sprint("kitchen", w%kitchens)), fmt.Sprint("b", w)
			c := plan(k, id, w+1)
			for range each {
				if _, err := nodes[w%2].Commit(t.Context(), c); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				c = next(*c.Batch, nil)
			}
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	got := map[tenant.ID][]int64{}
	for r := range 2 {
		relaying.Go(func() {
			owner := fmt.Sprint("relay", r)
			for {
				c, err := nodes[r].Claim(t.Context(), owner, patience, 5)
				if errors.Is(err, production.ErrNotFound) {
					if ctx.Err() != nil {
						return
					}
					pause()
					continue
				}
				if err == nil {
					mu.Lock()
					got[c.Tenant] = append(got[c.Tenant], numbersOf(c.Events)...)
					mu.Unlock()
					err = nodes[r].MarkSent(t.Context(), owner, c.Tenant, c.Events[len(c.Events)-1].Seq, nil)
				}
				if err != nil {
					t.Errorf("relay: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	stop()
	relaying.Wait()
	for _, e := range n.drain("last") { // what the other relay had when this one saw nothing
		got[e.Tenant] = append(got[e.Tenant], e.Seq)
	}
	for i := range kitchens {
		k := tenant.ID(fmt.Sprint("kitchen", i))
		same(t, "events of "+string(k), got[k], upTo(1, writers/kitchens*each))
		if got := n.verified(k); got != writers/kitchens*each {
			t.Errorf("%d audit entries of %s, want %d", got, k, writers/kitchens*each)
		}
	}
}

func endedContext(t *testing.T, n *node) {
	n.commit(plan(k1, "b", 1))
	b := n.batch(k1, "b")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, commit := n.Commit(ctx, next(b, nil))
	_, load := n.Load(ctx, k1, production.Want{})
	_, batches := n.Batches(ctx, k1, production.BatchFilter{}, nil, 10)
	_, claim := n.Claim(ctx, "relay", patience, 10)
	_, forget := n.Forget(ctx, production.Before{Events: noon}, 10)
	_, due := n.DueBatches(ctx, noon, 10)
	for what, err := range map[string]error{
		"commit": commit, "load": load, "batches": batches, "claim": claim, "forget": forget, "due": due, "mark": n.MarkSent(ctx, "relay", k1, 1, nil),
	} {
		if !errors.Is(err, production.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want ErrUnavailable and Canceled", what, err)
		}
	}
	n.commit(next(b, nil)) // nothing of it was written
}

func reopened(t *testing.T, n *node) {
	c := plan(k1, "b", 1)
	c.Alerts = []production.Alert{alarm(k1, "b", "a", production.EatBy)}
	c.Readings = []production.Reading{{ID: "r", ProductionID: "b"}}
	n.commit(c)
	n.tellOf(k1, noon+1)
	n.claim("relay", patience, 1, k1, true, 1)
	n.mark("relay", k1, 1, production.Sent{Channel: production.UpdatesChannel, Epoch: "e", Offset: 3})
	n.claim("dead", patience, 1, k1, false, 2)
	before, batch := n.snapshot(k1), n.batch(k1, "b")
	if err := n.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	n = n.another()
	same(t, "snapshot", n.snapshot(k1), before)
	same(t, "batch", n.batch(k1, "b"), batch)
	n.claim("alive", patience, 1, k1, false) // leases outlive who gave them
	n.claim("dead", patience, 1, k1, false, 2)
	n.commit(next(batch, nil))
	if got := n.snapshot(k1).Seq; got != 3 {
		t.Errorf("the newest event has number %d, want 3", got)
	}
	if got := n.verified(k1); got != 2 {
		t.Errorf("%d audit entries, want 2", got)
	}
}
