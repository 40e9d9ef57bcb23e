package watch_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/production/sqlite"
	"kentongan/production/watch"
	"kentongan/tenant"
)

// BenchmarkPass is one pass over 10,000 open batches, six in each kitchen, of which as many are due as in a second of a busy morning: each
// is looked at about once a minute. Every one that is due has something to commit. The figure to look at is "pass-ms", the median, with an
// aim of 50; "worst-ms" is the slowest.
func BenchmarkPass(b *testing.B) {
	const batches, passes = 10_000, 15
	for name, open := range map[string]func(b *testing.B) (watch.Store, io.Closer){
		"sqlite": func(b *testing.B) (watch.Store, io.Closer) {
			s, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "k.db")})
			if err != nil {
				b.Fatal(err)
			}
			return s, s
		},
		"postgres": func(b *testing.B) (watch.Store, io.Closer) {
			s, err := postgres.Open(b.Context(), postgres.Options{URL: testenv.Postgres(b)})
			if err != nil {
				b.Fatal(err)
			}
			return s, s
		},
	} {
		for _, due := range []int{0, batches / 60} {
			b.Run(fmt.Sprintf("%s/due=%d", name, due), func(b *testing.B) {
				store, closer := open(b)
				defer func() { _ = closer.Close() }()
				began := time.Now()
				putAll(b, store, batches, func(n int) *production.Batch {
					batch := cooked(tenant.ID(fmt.Sprint("k", n/6)), fmt.Sprint("p", n))
					batch.NextLook = production.At(began.Add(time.Hour))
					return batch
				})
				e := watch.New(store, watch.Options{Now: func() time.Time { return began }})
				var took []time.Duration
				for pass := range passes {
					putAll(b, store, due, func(n int) *production.Batch {
						batch := cooked(tenant.ID(fmt.Sprint("k", n*10)), fmt.Sprintf("due%d-%d", pass, n))
						batch.NextLook = production.At(began)
						return batch
					})
					start := time.Now()
					if err := e.Pass(b.Context()); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(start))
				}
				if got := e.Stats().Committed; got != uint64(due*passes) {
					b.Fatalf("%d commits in %d passes, want %d", got, passes, due*passes)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[passes/2].Microseconds())/1000, "pass-ms")
				b.ReportMetric(float64(took[passes-1].Microseconds())/1000, "worst-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// putAll stores n batches, many at a time.
func putAll(b *testing.B, store watch.Store, n int, batch func(n int) *production.Batch) {
	next := make(chan int)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range next {
				v := batch(i)
				if _, err := store.Commit(context.Background(), production.Commit{Tenant: v.Production.Tenant, Batch: v}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}
