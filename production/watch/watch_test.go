package watch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/production"
	"kentongan/production/storetest"
	"kentongan/production/watch"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func run(t testing.TB, e *watch.Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// cooked is a batch whose four hours begin now, and that waits for its checks.
func cooked(t tenant.ID, id string) *production.Batch {
	now := production.At(time.Now())
	portions := 1000
	return &production.Batch{
		Revision: 1, NextLook: now + 1,
		Production: production.Production{
			ID: id, Tenant: t, Source: production.OwnRecord, BatchNumber: "BATCH-20261126-0001-" + id, Day: production.DayOf(now, production.WIB),
			PlannedPortions: portions, ActualPortions: &portions, Status: production.Completed, StatusSince: now, Progress: 100, Version: 5,
			PlannedStart: now.Add(-time.Hour), PlannedEnd: now.Add(time.Hour), ActualStart: now.Add(-time.Hour), ActualEnd: now,
			CookingStarted: now.Add(-time.Hour), Cooked: now, ConsumeBy: now.Add(4 * time.Hour), SampleTaken: now,
		},
	}
}

func put(t testing.TB, store production.Changes, b *production.Batch) {
	t.Helper()
	if _, err := store.Commit(context.Background(), production.Commit{Tenant: b.Production.Tenant, Batch: b}); err != nil {
		t.Fatal(err)
	}
}

func eatBy(t testing.TB, store production.Lists, id string) production.Severity {
	t.Helper()
	b, err := store.Batch(context.Background(), "k1", id)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range b.Alerts {
		if a.Code == production.EatBy {
			return a.Severity
		}
	}
	return ""
}

// TestTheFourHoursSurviveRestarts stops the engine, and with it the process, before each limit, and starts it behind: a timer is a row.
func TestTheFourHoursSurviveRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		put(t, store, cooked("k1", "p1"))
		began := time.Now()
		stop := run(t, watch.New(store, watch.Options{}))
		for _, limit := range []struct {
			after  time.Duration
			before production.Severity
			then   production.Severity
		}{
			{2 * time.Hour, "", production.Medium}, {3 * time.Hour, production.Medium, production.High}, {4 * time.Hour, production.High, production.Critical},
		} {
			time.Sleep(time.Until(began.Add(limit.after - time.Second)))
			if got := eatBy(t, store, "p1"); got != limit.before {
				t.Errorf("a second before %s the alert is %q, want %q", limit.after, got, limit.before)
			}
			stop()
			stop = run(t, watch.New(store, watch.Options{}))
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if got := eatBy(t, store, "p1"); got != limit.then {
				t.Errorf("two seconds after %s the alert is %q, want %q", limit.after, got, limit.then)
			}
		}
		stop()
		time.Sleep(24 * time.Hour) // nobody looks, and then the calls are not made up for
		stop = run(t, watch.New(store, watch.Options{}))
		synctest.Wait()
		stop()
		notices, err := store.ClaimNotices(t.Context(), "test", production.At(time.Now()), time.Minute, 1000)
		if err != nil || len(notices) == 0 || len(notices) > 30 {
			// Two alerts, every five minutes of the last hour; the lost day had another 288 for each.
			t.Errorf("%d calls (%v), want those for the hour at HIGH and one for the day", len(notices), err)
		}
	})
}

// TestOneOfTwoNodesCommits has the same timers on two nodes.
func TestOneOfTwoNodesCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		for n := range 50 {
			put(t, store, cooked("k1", fmt.Sprint("p", n)))
		}
		engines := []*watch.Engine{watch.New(store, watch.Options{}), watch.New(&slow{store}, watch.Options{})}
		for _, e := range engines {
			defer run(t, e)()
		}
		time.Sleep(2*time.Hour + 10*time.Second)
		synctest.Wait()
		claim, err := store.Claim(t.Context(), "test", time.Hour, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range claim.Events {
			seen[e.ProductionID+" "+e.ID]++
		}
		if len(seen) != len(claim.Events) || len(seen) < 50 {
			t.Errorf("%d events of which %d differ, want each alert of 50 batches once", len(claim.Events), len(seen))
		}
		a, b := engines[0].Stats(), engines[1].Stats()
		if a.Raced+b.Raced == 0 {
			t.Error("the two never met: this test shows nothing")
		}
		for n := range 50 {
			if got := eatBy(t, store, fmt.Sprint("p", n)); got != production.Medium {
				t.Errorf("batch %d has %q", n, got)
			}
		}
	})
}

// slow commits a moment after it has read.
type slow struct{ *storetest.Model }

func (s *slow) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	time.Sleep(time.Millisecond)
	return s.Model.Commit(ctx, c) //nolint:wrapcheck // it stands for the store
}

func TestLooksOnlyAtWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		for n := range 1000 {
			b := cooked("k1", fmt.Sprint("p", n))
			b.NextLook = production.At(time.Now().Add(time.Hour))
			if n%100 == 0 {
				b.NextLook = production.At(time.Now())
			}
			put(t, store, b)
		}
		e := watch.New(store, watch.Options{Page: 3})
		if err := e.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := e.Stats(); st.Looked != 10 || st.Committed != 10 {
			t.Errorf("looked %d times and committed %d, want the 10 that were due", st.Looked, st.Committed)
		}
	})
}

func TestKitchensAreLookedAtToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		now := production.At(time.Now())
		k := &production.KitchenState{Revision: 1, NextLook: now, Kitchen: production.Kitchen{
			ID: "k1", Certificates: []production.Certificate{{Kind: "SLHS", ValidUntil: production.DayOf(now.Add(10*24*time.Hour), production.WIB)}},
		}}
		if _, err := store.Commit(t.Context(), production.Commit{Tenant: "k1", Kitchen: k}); err != nil {
			t.Fatal(err)
		}
		defer run(t, watch.New(store, watch.Options{Every: time.Minute}))()
		codes := func() (list []string) {
			alerts, err := store.Alerts(t.Context(), "k1", production.AlertFilter{Active: true}, nil, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range alerts {
				list = append(list, string(a.Code)+" "+string(a.Severity))
			}
			return list
		}
		synctest.Wait()
		if got := codes(); !slices.Equal(got, []string{"DOC_EXPIRING LOW"}) {
			t.Errorf("alerts %q with ten days left", got)
		}
		time.Sleep(12 * 24 * time.Hour)
		if got := codes(); !slices.Equal(got, []string{"DOC_EXPIRING HIGH"}) {
			t.Errorf("alerts %q after the certificate has expired", got)
		}
	})
}

// broken is a store that is out.
type broken struct {
	*storetest.Model
	out atomic.Bool
}

var errOut = errors.New("the database is out")

func (b *broken) DueBatches(ctx context.Context, now production.Instant, limit int) ([]production.Due, error) {
	if b.out.Load() {
		return nil, errOut
	}
	return b.Model.DueBatches(ctx, now, limit) //nolint:wrapcheck // it stands for the store
}

func TestADatabaseThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Model: storetest.NewModel()}
		put(t, store, cooked("k1", "p1"))
		e := watch.New(store, watch.Options{})
		defer run(t, e)()
		time.Sleep(time.Hour)
		store.out.Store(true)
		time.Sleep(90 * time.Minute)
		if err := e.Ready(); err == nil {
			t.Error("ready although nobody looks after alerts")
		}
		store.out.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := e.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if got := eatBy(t, store, "p1"); got != production.Medium {
			t.Errorf("the alert that became due meanwhile is %q", got)
		}
	})
}

// BenchmarkLook is the rules' share of a pass over 10,000 open batches, were all of them due at the same moment.
func BenchmarkLook(b *testing.B) {
	due := make([]production.Due, 10_000)
	for i := range due {
		due[i] = production.Due{Kitchen: production.KitchenState{Kitchen: production.Kitchen{ID: "k1"}}, Batch: *cooked("k1", fmt.Sprint("p", i))}
	}
	now := production.At(time.Now()).Add(3 * time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		for i := range due {
			if _, ok := production.Look(due[i], now); !ok {
				b.Fatal("nothing to commit")
			}
		}
	}
}
