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
		if err := p.client.Do(b.Context(), p.client.B().ScriptLoad().Script(publishSource).Build()).Error(); err != nil {
			b.Fatal(err)
		}
		measure(b, func(n int) {
			for i := 0; i < n; {
				var batch []rueidis.Completed
				for ; i < n && len(batch) < maxBatch; i++ {
					batch = append(batch, p.command(&outgoing{ch: channels[i%2000], data: benchData}))
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
