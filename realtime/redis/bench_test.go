package redis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/tenant"
)

type countSink struct{ n atomic.Int64 }

func (s *countSink) Deliver(*realtime.Publication) { s.n.Add(1) }
func (s *countSink) Gap(realtime.Gap)              {}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var benchData = []byte(`{"type":"production_update","productionId":"p","data":{"x":"` + strings.Repeat("y", 220) + `"}}`)

// BenchmarkPublish compares stamped publications a second, and this process's CPU for each, with a bare client that sends
// the same script in the same batches and does nothing else.
func BenchmarkPublish(b *testing.B) {
	addr := testenv.Redis(b)
	channel := func(i int) realtime.Channel {
		return realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i%2000)), Name: "production:updates"}
	}
	channels := make([]realtime.Channel, 2000)
	for i := range channels {
		channels[i] = channel(i)
	}
	measure := func(b *testing.B, f func(n int)) {
		b.ResetTimer()
		before := cpu()
		f(b.N)
		b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-µs/op")
	}
	b.Run("bare", func(b *testing.B) {
		broker, err := New(Options{Address: addr, Prefix: "bare:"})
		if err != nil {
			b.Fatal(err)
		}
		defer broker.Close()
		p := broker.pub
		if err := p.connect(); err != nil { // which loads the script
			b.Fatal(err)
		}
		sha := p.client.dialer.scripts().publish
		measure(b, func(n int) {
			for i := 0; i < n; {
				var batch []rueidis.Completed
				for ; i < n && len(batch) < maxBatch; i++ {
					batch = append(batch, p.command(&outgoing{ch: channels[i%2000], data: benchData}, sha))
				}
				for _, r := range p.client.DoMulti(b.Context(), batch...) {
					if err := r.Error(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	})
	for _, followed := range []bool{false, true} {
		b.Run(fmt.Sprintf("engine/followed=%v", followed), func(b *testing.B) {
			broker, err := New(Options{Address: addr, Prefix: fmt.Sprintf("engine-%v:", followed)})
			if err != nil {
				b.Fatal(err)
			}
			sink := &countSink{}
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = broker.Run(ctx, sink) })
			defer wg.Wait()
			defer cancel()
			if followed {
				for i := range channels {
					if _, err := broker.Follow(ctx, channels[i].Tenant); err != nil {
						b.Fatal(err)
					}
				}
			}
			slots := make(chan struct{}, 4*maxBatch)
			measure(b, func(n int) {
				var done sync.WaitGroup
				done.Add(n)
				for i := range n {
					slots <- struct{}{}
					broker.PublishAsync(channels[i%2000], benchData, realtime.PublishOptions{}, func(_ realtime.Published, err error) {
						if err != nil {
							b.Error(err)
						}
						<-slots
						done.Done()
					})
				}
				done.Wait()
				for followed && sink.n.Load() < int64(n) {
					time.Sleep(time.Millisecond)
				}
			})
		})
	}
}

// thousand returns a broker whose channel holds 1,000 publications, and the position before them.
func thousand(t testing.TB) (*Broker, realtime.Channel, realtime.Position) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "a:{tenant}", Retention: realtime.Retention{Size: 10_000, Age: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Address: testenv.Redis(t), Names: names})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ch := realtime.Channel{Tenant: "k1", Name: "a"}
	var stored sync.WaitGroup
	for range 1000 {
		stored.Add(1)
		b.PublishAsync(ch, benchData, realtime.PublishOptions{}, func(_ realtime.Published, err error) {
			if err != nil {
				t.Error(err)
			}
			stored.Done()
		})
	}
	stored.Wait()
	page, err := b.History(t.Context(), ch, realtime.Position{}, 0)
	if err != nil || page.Head.Offset != 1000 {
		t.Fatalf("head %v, %v", page.Head, err)
	}
	return b, ch, realtime.Position{Epoch: page.Head.Epoch}
}

func readThousand(t testing.TB, b *Broker, ch realtime.Channel, from realtime.Position, limit int) {
	n := 0
	for more := true; more; {
		page, err := b.History(t.Context(), ch, from, limit)
		if err != nil || page.Gap != "" {
			t.Fatalf("gap %q, %v", page.Gap, err)
		}
		n += len(page.Publications)
		from, more = page.Publications[len(page.Publications)-1].Position, page.More
	}
	if n != 1000 {
		t.Fatalf("%d publications, want 1,000", n)
	}
}

// TestHistoryIsNoGarbage reads history with less than one allocation for each publication.
func TestHistoryIsNoGarbage(t *testing.T) {
	b, ch, from := thousand(t)
	for _, limit := range []int{100, 1000} {
		if n := testing.AllocsPerRun(10, func() { readThousand(t, b, ch, from, limit) }); n > 1000 {
			t.Errorf("1,000 publications in pages of %d take %.0f allocations, want one for each at most", limit, n)
		}
	}
}

// BenchmarkHistory reads 1,000 publications, in the pages of a replay and in the largest.
func BenchmarkHistory(b *testing.B) {
	broker, ch, from := thousand(b)
	for _, limit := range []int{100, 1000} {
		b.Run(fmt.Sprintf("pages=%d", limit), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				readThousand(b, broker, ch, from, limit)
			}
		})
	}
}
