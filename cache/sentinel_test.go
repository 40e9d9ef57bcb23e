//go:build unix

package cache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
)

// numbered is the policy of a number that only rises at its source.
var numbered = &cache.Policy{TTL: time.Hour, Tags: []string{"menus"}}

// TestFailover has two nodes read and invalidate while Sentinel replaces the primary: killed, and hanging until it comes back as a
// primary that nobody has told yet. What was invalidated with success is not read any more, on the own node at once, on the
// other once the bound has passed; and both go on by themselves.
func TestFailover(t *testing.T) {
	t.Parallel() // it mostly waits
	const bound = 500 * time.Millisecond
	for name, harm := range map[string]struct{ begin, end func(*testenv.RedisServer) }{
		"Killed": {(*testenv.RedisServer).Kill, (*testenv.RedisServer).Restart},
		"Paused": {(*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testenv.StartReplicated(t, time.Second)
			open := func() *cache.Cache {
				tier, err := cache.OpenRedis(shared.Options{Sentinels: r.Sentinels, SentinelName: r.Name, CommandTimeout: time.Second})
				do(t, err)
				return run(t, cache.Options{Shared: tier, Bound: bound})
			}
			a, b := open(), open()
			awaitFence(t, a, b)

			var truth, good, invalidated atomic.Int64
			var mu sync.Mutex
			type promise struct {
				number int64
				node   *cache.Cache
				at     time.Time
			}
			var promises []promise
			least := func(c *cache.Cache) (n int64) {
				mu.Lock()
				defer mu.Unlock()
				now := time.Now()
				for _, p := range promises {
					if p.node == c || now.Sub(p.at) >= bound {
						n = max(n, p.number)
					}
				}
				return n
			}
			stop := make(chan struct{})
			var work sync.WaitGroup
			until := func(pause time.Duration, f func()) {
				work.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(pause):
							f()
						}
					}
				})
			}
			load := func(context.Context) (int64, error) { return truth.Load(), nil }
			// a invalidates in a hurry, b seldom, so that memory has something in between.
			for c, pause := range map[*cache.Cache]time.Duration{a: 5 * time.Millisecond, b: 100 * time.Millisecond} {
				for range 2 {
					until(2*time.Millisecond, func() {
						from := least(c)
						got, err := cache.GetOrLoad(t.Context(), c, kitchen, "number", numbered, load)
						if err != nil {
							return
						}
						good.Add(1)
						if got < from {
							t.Errorf("got %d; that everything below %d is gone was promised", got, from)
						}
					})
				}
				until(pause, func() {
					n := truth.Add(1)
					if c.InvalidateTag(t.Context(), kitchen, "menus") == nil {
						mu.Lock()
						promises = append(promises, promise{n, c, time.Now()})
						mu.Unlock()
						invalidated.Add(1)
					}
				})
			}
			more := func(what string, n *atomic.Int64) {
				t.Helper()
				before := n.Load()
				eventually(t, what, func() bool { return n.Load() > before+50 })
			}
			more("reads", &good)
			more("invalidations", &invalidated)
			set(t, a, "quiet", "soto", &cache.Policy{TTL: time.Hour, Tags: []string{"quiet"}})
			remember(t, b, "quiet")
			old := r.Primary(t)
			harm.begin(r.Servers[0])
			more("reads while there is no primary", &good)
			r.AwaitFailover(t, old)
			more("invalidations at the new primary", &invalidated)
			eventually(t, "the new primary invalidates", func() bool { return a.InvalidateTag(t.Context(), kitchen, "quiet") == nil })
			time.Sleep(bound)
			if got, err := cache.Get[menu](t.Context(), b, kitchen, "quiet", nil); err == nil {
				t.Errorf("the other node still reads %q", got.Name)
			}
			harm.end(r.Servers[0])
			eventually(t, "memory answers again", func() bool { return a.Stats().Staleness >= 0 && b.Stats().Staleness >= 0 })
			time.Sleep(2 * time.Second) // the old one is made a replica
			more("reads after all", &good)
			more("invalidations after all", &invalidated)
			close(stop)
			work.Wait()
			for _, c := range []*cache.Cache{a, b} {
				eventually(t, "the breaker closes", func() bool { return !c.Stats().BreakerOpen })
			}
			do(t, a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{All: true}))
			if got, err := cache.Get[int64](t.Context(), b, kitchen, "number", nil); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("after all was invalidated everywhere: %d, %v", got, err)
			}
			t.Logf("%d reads, %d invalidations", good.Load(), invalidated.Load())
		})
	}
}
