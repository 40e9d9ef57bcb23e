package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// BenchmarkChanges measures changes with all that belongs to them: Service loads a batch that is cooked, the rules decide, the store
// commits, and relay, which is to run meanwhile, brings the event out. A turn ends when nothing waits in the outbox any more. In turns
// with it, in the same run and by as many clients, bare does the least that anybody could do with the same driver and durability: a
// transaction that inserts a row and an outbox row. The figure to look at is "×bare".
func BenchmarkChanges(b *testing.B, store production.Store, clients int, bare func(client int) error) {
	change := changes(b, store, clients)
	var ratios, bares, rates []float64
	var took []time.Duration
	for turn := range 6 {
		x, _ := perSecond(b, clients, bare, func() {})
		y, times := perSecond(b, clients, change, func() { drainedBench(b, store) })
		if turn > 0 { // in the first one statements are prepared
			bares, rates, ratios, took = append(bares, x), append(rates, y), append(ratios, y/x), append(took, times...)
		}
	}
	for _, list := range [][]float64{bares, rates, ratios} {
		slices.Sort(list)
	}
	slices.Sort(took)
	b.ReportMetric(bares[len(bares)/2], "bare/s")
	b.ReportMetric(rates[len(rates)/2], "changes/s")
	b.ReportMetric(ratios[len(ratios)/2], "×bare")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op") // it would be of both
}

// changes has a batch for each client cooked, each in a kitchen of its own, and returns what changes it.
func changes(b *testing.B, store production.Store, clients int) func(client int) error {
	ctx, now := b.Context(), time.Now()
	s := production.New(store, production.Options{})
	batches := make([]string, clients)
	as := make([]production.Request, clients)
	for i := range clients {
		as[i] = production.Request{
			Tenant: tenant.ID(fmt.Sprint("bench", i)), Actor: production.Actor{User: "kepala", Role: production.Head},
		}
		must := func(err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		must(s.Put(ctx, as[i], production.References{People: []production.Person{{ID: "koki", Name: "Sari", Role: production.KitchenStaff, Active: true}}}))
		must(s.Put(ctx, as[i], production.References{
			Menus:      []production.Menu{{ID: "menu", Name: "Nasi ayam", Active: true, Dishes: []production.Dish{{Name: "Nasi"}, {Name: "Ayam"}}}},
			Programmes: []production.Programme{{ID: "programme", Name: "MBG", Active: true}},
		}))
		made, err := s.Create(ctx, as[i], production.Create{
			ProgrammeID: "programme", MenuID: "menu", Day: production.DayOf(production.At(now), production.WIB), PlannedPortions: 1000,
			PlannedStart: production.At(now), PlannedEnd: production.At(now.Add(8 * time.Hour)), HeadCook: "koki",
		})
		must(err)
		batches[i] = made.Production.ID
		r := as[i]
		r.Version = made.Production.Version
		made, err = s.Transition(ctx, r, batches[i], production.Transition{To: production.Preparing})
		must(err)
		as[i].Version = made.Production.Version
	}
	counts := make([]int, clients)
	return func(i int) error {
		counts[i]++
		r := as[i]
		r.Key = fmt.Sprintf("%d-%d-%d", now.UnixNano(), i, counts[i])
		done, err := s.Work(ctx, r, batches[i], production.Work{WasteAmount: new(production.Kilograms(counts[i] % 50))})
		as[i].Version = done.Production.Version
		return err
	}
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

// perSecond has clients do f for about a second, and then waits for what that leaves to be done. It returns how often a second f was
// done, with the wait, and how long each took.
func perSecond(b *testing.B, clients int, f func(client int) error, after func()) (rate float64, took []time.Duration) {
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
	took = slices.Concat(times...)
	if len(took) == 0 {
		b.Fatal("nothing was done")
	}
	return float64(len(took)) / all.Seconds(), took
}
