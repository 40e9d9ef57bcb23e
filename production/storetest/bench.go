package storetest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kentongan/internal/process"
	"kentongan/production"
	"kentongan/tenant"
)

// BenchmarkChanges measures changes with all that belongs to them: Service loads a batch that is cooked, the rules decide, the store
// commits, and relay, which is to run meanwhile, brings the event out. A turn ends when nothing waits in the outbox any more. In turns
// with it, in the same run and by as many clients, bare does the least that anybody could do with the same driver and durability: a
// transaction that inserts a row and an outbox row. The figure to look at is "×bare"; "×bare-cpu" is the same by the processor time of one,
// which says more where other programs wait for the same processors. server returns the processor time of the database, if it is a process
// of its own; nil: it is none.
func BenchmarkChanges(b *testing.B, store production.Store, clients int, server func() time.Duration, bare func(client int) error) {
	change := changes(b, store, clients)
	var ratios, bares, rates, used, bareUsed, usedRatios []float64
	var took []time.Duration
	for turn := range turns {
		x := perSecond(b, clients, server, bare, func() {})
		y := perSecond(b, clients, server, change, func() { drainedBench(b, store) })
		if turn > 0 { // in the first one statements are prepared
			bares, rates, ratios, took = append(bares, x.rate), append(rates, y.rate), append(ratios, y.rate/x.rate), append(took, y.took...)
			used, bareUsed, usedRatios = append(used, y.used), append(bareUsed, x.used), append(usedRatios, x.used/y.used)
		}
	}
	median := func(list []float64) float64 {
		slices.Sort(list)
		return list[len(list)/2]
	}
	slices.Sort(took)
	b.ReportMetric(median(bares), "bare/s")
	b.ReportMetric(median(rates), "changes/s")
	b.ReportMetric(median(ratios), "×bare")
	b.ReportMetric(median(bareUsed), "bare-cpu-µs")
	b.ReportMetric(median(used), "cpu-µs")
	b.ReportMetric(median(usedRatios), "×bare-cpu")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op") // it would be of both
}

// changes has a batch for each client in preparation, each in a kitchen of its own, and returns what changes it.
func changes(b *testing.B, store production.Store, clients int) func(client int) error {
	as, batches := Prepared(b, store, clients)
	s, began := production.New(store, production.Options{}), time.Now()
	counts := make([]int, clients)
	return func(i int) error {
		counts[i]++
		r := as[i]
		r.Key = fmt.Sprintf("%d-%d-%d", began.UnixNano(), i, counts[i])
		done, err := s.Work(b.Context(), r, batches[i], production.Work{WasteAmount: new(production.Kilograms(counts[i] % 50))})
		as[i].Version = done.Production.Version
		return err
	}
}

// Prepared plans n batches, each in a kitchen of its own, and has them prepared. It returns their ids, and who may change each: the head of its
// kitchen, who has seen its newest version.
func Prepared(t testing.TB, store production.Store, n int) (as []production.Request, batches []string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, now := t.Context(), time.Now()
	s := production.New(store, production.Options{})
	for i := range n {
		r := production.Request{
			Tenant: tenant.ID(fmt.Sprint("bench", i)), Actor: production.Actor{User: "kepala", Role: production.Head},
		}
		must(s.Put(ctx, r, production.References{People: []production.Person{{ID: "koki", Name: "Sari", Role: production.KitchenStaff, Active: true}}}))
		must(s.Put(ctx, r, production.References{
			Menus:      []production.Menu{{ID: "menu", Name: "Nasi ayam", Active: true, Dishes: []production.Dish{{Name: "Nasi"}, {Name: "Ayam"}}}},
			Programmes: []production.Programme{{ID: "programme", Name: "MBG", Active: true}},
		}))
		made, err := s.Create(ctx, r, production.Create{
			ProgrammeID: "programme", MenuID: "menu", Day: production.DayOf(production.At(now), production.WIB), PlannedPortions: 1000,
			PlannedStart: production.At(now), PlannedEnd: production.At(now.Add(8 * time.Hour)), HeadCook: "koki",
		})
		must(err)
		id := made.Production.ID
		r.Version = made.Production.Version
		made, err = s.Transition(ctx, r, id, production.Transition{To: production.Preparing})
		must(err)
		r.Version = made.Production.Version
		as, batches = append(as, r), append(batches, id)
	}
	return as, batches
}

// drainedBench waits until nothing waits to be published.
func drainedBench(b *testing.B, store production.Outbox) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if n, _, err := store.Backlog(context.Background()); err == nil && n == 0 {
			return
		} else if time.Now().After(end) {
			b.Fatalf("%d events still wait (%v)", n, err)
		}
	}
}

// turns is how often each of the two is measured, and one for the preparations.
const turns = 8

// speed is how something went.
type speed struct {
	rate float64         // a second, with the wait for what was left to be done
	used float64         // processor time of each, in µs, of this process and the database
	took []time.Duration // each
}

// perSecond has clients do f for about a second, and then waits for what that leaves to be done.
func perSecond(b *testing.B, clients int, server func() time.Duration, f func(client int) error, after func()) speed {
	if server == nil {
		server = func() time.Duration { return 0 }
	}
	own := func() time.Duration {
		used, err := process.CPU(os.Getpid())
		if err != nil {
			b.Fatal(err)
		}
		return used
	}
	used := -server()
	used -= own() // behind it, and before it at the end: to look is work, too
	times := make([][]time.Duration, clients)
	begin := time.Now()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for time.Since(begin) < time.Second {
				start := time.Now()
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
				times[i] = append(times[i], time.Since(start))
			}
		})
	}
	running.Wait()
	after()
	all := time.Since(begin)
	used += own()
	used += server()
	took := slices.Concat(times...)
	if len(took) == 0 {
		b.Fatal("nothing was done")
	}
	n := float64(len(took))
	return speed{n / all.Seconds(), float64(used.Microseconds()) / n, took}
}
