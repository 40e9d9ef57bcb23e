//go:build unix

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/cache"
	"kentongan/cache/shared/sharedtest"
	"kentongan/internal/testenv"
)

// remember gets an entry until memory has it.
func remember(t *testing.T, c *cache.Cache, key string) {
	t.Helper()
	eventually(t, "memory has "+key, func() bool {
		before := c.Stats().Hits
		_, err := cache.Get[menu](t.Context(), c, kitchen, key, nil)
		do(t, err)
		return c.Stats().Hits > before
	})
}

// TestMemoryAnswersForItsBound: once Redis is gone memory goes on with what was true at the last fence, for the bound from when that was
// asked for, and not for a moment longer.
func TestMemoryAnswersForItsBound(t *testing.T) {
	const bound = 2 * time.Second
	simulated(t, cache.Options{Bound: bound}, func(t *testing.T, c *cache.Cache, s *sharedtest.Server) {
		set(t, c, "k", "soto", hour)
		time.Sleep(time.Second)
		remember(t, c, "k")
		time.Sleep(time.Minute) // read long ago
		before := c.Stats()
		s.SetDown(true)
		went := time.Now()
		for time.Since(went) < 2*bound {
			_, err := cache.Get[menu](t.Context(), c, kitchen, "k", nil)
			switch since := time.Since(went); {
			case since < bound*3/4 && err != nil: // the last fence is at most a quarter of the bound ago
				t.Fatalf("%s after Redis went: %v", since, err)
			case since >= bound && !errors.Is(err, cache.ErrUnavailable):
				t.Fatalf("%s after Redis went: %v; want ErrUnavailable", since, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		st := c.Stats()
		if !st.BreakerOpen || st.BreakerOpened != before.BreakerOpened+1 || st.Staleness >= 0 || st.Stale != 0 || st.Hits-before.Hits < 150 {
			t.Errorf("%+v", st)
		}
		s.SetDown(false)
		time.Sleep(bound)
		if st := c.Stats(); st.BreakerOpen || st.Staleness < 0 {
			t.Errorf("Redis is back: %+v", st)
		}
		wantMenu(t, c, "k", "soto")
	})
}

// TestNewsIsHeededWithoutRedis has another node invalidate just before Redis goes: who has heard of it does not answer from memory, though
// it cannot ask what exactly has changed.
func TestNewsIsHeededWithoutRedis(t *testing.T) {
	for what, invalidate := range map[string]func(c *cache.Cache) error{
		"tag":    func(c *cache.Cache) error { return c.InvalidateTag(t.Context(), kitchen, "menus") },
		"tenant": func(c *cache.Cache) error { return c.InvalidateTenant(t.Context(), kitchen) },
		"key":    func(c *cache.Cache) error { return c.Invalidate(t.Context(), kitchen, "k", nil) },
	} {
		t.Run(what, func(t *testing.T) {
			simulated(t, cache.Options{}, func(t *testing.T, a *cache.Cache, s *sharedtest.Server) {
				b, err := cache.New(cache.Options{Shared: sharedtest.NewNode(s, nil)})
				do(t, err)
				defer func() { do(t, b.Close()) }()
				set(t, b, "k", "soto", hour)
				time.Sleep(time.Second)
				remember(t, a, "k")
				time.Sleep(time.Minute) // that it was read says nothing any more
				wantMenu(t, a, "k", "soto")
				do(t, invalidate(b))
				synctest.Wait() // it has been told
				s.SetDown(true)
				if got, err := cache.Get[menu](t.Context(), a, kitchen, "k", nil); !errors.Is(err, cache.ErrUnavailable) {
					t.Errorf("got %q, %v; want ErrUnavailable", got.Name, err)
				}
			})
		})
	}
}

// TestKilledRedis does it with a real one, which is killed and started again.
func TestKilledRedis(t *testing.T) {
	t.Parallel() // it mostly waits
	t.Run("MemoryAnswers", func(t *testing.T) {
		server := testenv.StartRedis(t)
		c := run(t, cache.Options{Shared: tierAt(t, server.Addr), Bound: 10 * time.Second})
		awaitFence(t, c)
		set(t, c, "k", "soto", hour)
		remember(t, c, "k")
		server.Kill()
		eventually(t, "it is noticed", func() bool {
			wantMenu(t, c, "k", "soto")
			if err := c.Invalidate(t.Context(), kitchen, "other", nil); !errors.Is(err, cache.ErrUnavailable) {
				t.Errorf("without Redis an invalidation returns %v", err)
			}
			return c.Stats().BreakerOpen
		})
		wantMenu(t, c, "k", "soto")
		server.Restart()
		eventually(t, "it is used again", func() bool { return !c.Stats().BreakerOpen })
		wantNone(t, c, "k") // this one is empty
	})
	t.Run("NotLonger", func(t *testing.T) {
		const bound = 300 * time.Millisecond
		server := testenv.StartRedis(t)
		c := run(t, cache.Options{Shared: tierAt(t, server.Addr), Bound: bound})
		awaitFence(t, c)
		set(t, c, "k", "soto", hour)
		remember(t, c, "k")
		killing := time.Now()
		server.Kill()
		killed := time.Now()
		late := 0
		for late < 50 {
			asked := time.Now()
			_, err := cache.Get[menu](t.Context(), c, kitchen, "k", nil)
			if asked.Sub(killed) >= bound {
				late++
				if err == nil {
					t.Fatalf("memory answers %s after Redis was killed", asked.Sub(killing))
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// TestNothingIsLeftOfAnOutage kills Redis under load some times. In between as many goroutines run as before, and after the end none.
func TestNothingIsLeftOfAnOutage(t *testing.T) {
	already := goleak.IgnoreCurrent()
	server := testenv.StartRedis(t)
	c, err := cache.New(cache.Options{Shared: tierAt(t, server.Addr), Bound: 100 * time.Millisecond})
	do(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	load := func(context.Context) (menu, error) { return menu{Name: "soto"}, nil }
	rush := func() {
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				for j := range 20 {
					_, _ = cache.GetOrLoad(t.Context(), c, kitchen, fmt.Sprint("k", (i+j)%30), hour, load)
				}
			})
		}
		callers.Wait()
	}
	healthy := func() bool { st := c.Stats(); return !st.BreakerOpen && st.Staleness >= 0 }
	eventually(t, "it works", healthy)
	rush()
	before := runtime.NumGoroutine()
	for range 3 {
		server.Kill()
		rush()
		eventually(t, "the breaker opens", func() bool { rush(); return c.Stats().BreakerOpen })
		server.Restart()
		eventually(t, "it works again", healthy)
		rush()
		eventually(t, "goroutines of the outage end", func() bool { return runtime.NumGoroutine() <= before })
	}
	if n := c.Stats().BreakerOpened; n != 3 {
		t.Errorf("the breaker opened %d times in 3 outages", n)
	}
	stop()
	do(t, <-ended)
	server.Kill()
	if err := goleak.Find(already); err != nil {
		t.Error(err)
	}
}
