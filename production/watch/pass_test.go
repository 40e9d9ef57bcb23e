package watch_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/sqlite"
	"kentongan/production/watch"
)

// BenchmarkPass is one pass over a SQLite file with 10,000 open batches, of which as many are due as in a second of a busy morning:
// each is looked at about once a minute.
func BenchmarkPass(b *testing.B) {
	const batches = 10_000
	for _, due := range []int{0, batches / 60} {
		b.Run(fmt.Sprint(due, " due"), func(b *testing.B) {
			store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "k.db")})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = store.Close() }()
			began := time.Now()
			for n := range batches {
				batch := cooked("k1", fmt.Sprint("p", n))
				batch.NextLook = production.At(began.Add(time.Hour))
				put(b, store, batch)
			}
			now := began
			e := watch.New(store, watch.Options{Now: func() time.Time { return now }})
			b.ResetTimer()
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				for i := range due {
					batch := cooked("k1", fmt.Sprintf("due%d-%d", n, i))
					batch.NextLook = production.At(began)
					put(b, store, batch)
				}
				b.StartTimer()
				if err := e.Pass(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
