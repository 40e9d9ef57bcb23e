//go:build unix

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared/sharedtest"
	"kentongan/internal/testenv"
	"kentongan/tenant"
)

// oldEpochs makes the epochs of the tenant a day old, as they mostly are.
func (a app) oldEpochs() {
	a.t.Helper()
	a.raw("HSET", "bergizi:epoch:k1", "*", fmt.Sprint(time.Now().Add(-24*time.Hour).UnixMicro()))
}

// TestClocksOfTheApp has machines of the app write whose clocks are wrong.
func TestClocksOfTheApp(t *testing.T) {
	t.Parallel() // it mostly waits
	a, c := withApp(t, short)
	settle(t, c, kitchen)
	a.oldEpochs()
	write := func(key string, ahead time.Duration) {
		a.call("set", key, menu{Name: "soto"}, map[string]any{"ttl": 300, "tags": []string{"menus"}, "sppgId": kitchen, "skew": ahead.Milliseconds()})
	}
	endsIn := func(key string) time.Duration {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			wantMenu(t, c, key, "soto")
			e, err := c.Explain(t.Context(), kitchen, key, nil)
			switch {
			case err == nil && e.Memory != nil:
				return e.Memory.EndsIn
			case err != nil || time.Now().After(end): // while the fence is late, as on a busy machine, nothing is kept in memory
				t.Fatalf("%s is not in memory: %+v, %v", key, e, err)
			}
		}
	}
	// In memory nothing lives longer than it was to live, nor longer than in Redis by the writer's own word. Of that word a little is lost on
	// the way: the app's process reads another clock than ours, in whole milliseconds (seen: 1.6 ms).
	const clocks = 10 * time.Millisecond
	write("ahead", time.Hour)
	if left := endsIn("ahead"); left > 300*time.Second || left < 200*time.Second {
		t.Errorf("an entry of 300 s, by a clock that is an hour ahead, lives %s", left)
	}
	write("behind", -time.Minute)
	if left := endsIn("behind"); left > 240*time.Second+clocks || left < 100*time.Second {
		t.Errorf("an entry of 300 s, by a clock that is a minute behind, lives %s", left)
	}
	malformed := c.Stats().Malformed
	write("over", -time.Hour)
	wantNone(t, c, "over")
	if n := c.Stats().Malformed; n != malformed {
		t.Error("what has ended is counted as no entry")
	}
	// A late write is seen through also if its clock is somewhat ahead; and one behind is never taken for younger than it is.
	for _, ahead := range []time.Duration{time.Second, 0, -time.Second, -time.Minute} {
		within(t, short-2*time.Second, func() { // the second that it is ahead counts, too
			do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
			write("late", ahead)
		})
		wantNone(t, c, "late")
	}
}

// TestLargeValuesOfTheApp: what is too large for us to write is read, and not kept in memory, where it would be all that the tenant may have.
func TestLargeValuesOfTheApp(t *testing.T) {
	const size = 1 << 20 // in JSON; in memory twice that, and four times the share
	addr := testenv.Redis(t)
	a := startApp(t, addr)
	c := run(t, cache.Options{Shared: tierAt(t, addr), MaxBytes: 4 << 20, MaxValueBytes: 1 << 16, Quarantine: time.Millisecond})
	awaitFence(t, c)
	wantNone(t, c, "large") // from here on there are epochs
	a.oldEpochs()
	a.set("large", menu{Name: strings.Repeat("x", size)}, kitchen, "menus")
	for range 2 {
		before := c.Stats()
		m, err := cache.Get[menu](t.Context(), c, kitchen, "large", nil)
		after := c.Stats()
		if err != nil || len(m.Name) != size {
			t.Fatalf("got %d bytes, %v", len(m.Name), err)
		}
		if after.SharedHits != before.SharedHits+1 || after.Bytes > 1<<19 {
			t.Errorf("memory has %d bytes, and answered %d times", after.Bytes, after.Hits-before.Hits)
		}
	}
}

// noLoad is a loader that nobody may call.
func noLoad(t *testing.T) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		t.Error("a load though the call cannot be right")
		return 0, nil
	}
}

// TestBadNames gives what is no name to everything that takes one.
func TestBadNames(t *testing.T) {
	everywhere(t, func(t *testing.T, c, _ *cache.Cache) {
		ctx := t.Context()
		for what, call := range map[string]func(id tenant.ID, key string) error{
			"Get": func(id tenant.ID, key string) error { return getError(c, id, key, nil) },
			"GetOrLoad": func(id tenant.ID, key string) error {
				_, err := cache.GetOrLoad(ctx, c, id, key, nil, noLoad(t))
				return err
			},
			"GetMany": func(id tenant.ID, key string) error {
				_, err := cache.GetMany[int](ctx, c, id, []string{"good", key}, nil)
				return err
			},
			"Warm": func(id tenant.ID, key string) error {
				_, err := cache.Warm[int](ctx, c, id, []string{key}, nil)
				return err
			},
			"Set":               func(id tenant.ID, key string) error { return cache.Set(ctx, c, id, key, 1, hour) },
			"Invalidate":        func(id tenant.ID, key string) error { return c.Invalidate(ctx, id, key, nil) },
			"Forget":            func(id tenant.ID, key string) error { return c.Forget(ctx, id, key, 1, nil) },
			"InvalidateAndWait": func(id tenant.ID, key string) error { return c.InvalidateAndWait(ctx, id, cache.Scope{Key: key}) },
			"Explain":           func(id tenant.ID, key string) error { _, err := c.Explain(ctx, id, key, nil); return err },
			"HashOf":            func(id tenant.ID, key string) error { _, err := cache.HashOf[int](c, id, key, time.Hour); return err },
			"ListOf": func(id tenant.ID, key string) error {
				_, err := cache.ListOf[int](c, id, key, 1, time.Hour)
				return err
			},
			"SetOf": func(id tenant.ID, key string) error { _, err := cache.SetOf[int](c, id, key, time.Hour); return err },
		} {
			for _, id := range []tenant.ID{"a:b", ":", "*", "a*", "a?", "[a]", "a b", "k1\n", "{k1}", tenant.ID(strings.Repeat("a", 1000))} {
				if err := call(id, "key"); !errors.Is(err, cache.ErrInvalid) || len(err.Error()) > 300 {
					t.Errorf("%s for tenant %.20q: %v; want ErrInvalid", what, id, err)
				}
			}
			for _, key := range []string{"", ":", "a:", ":a", "a::b", strings.Repeat("k", cache.MaxKeyBytes+1), "\xff"} {
				if err := call(kitchen, key); !errors.Is(err, cache.ErrInvalid) || len(err.Error()) > 300 {
					t.Errorf("%s for key %.20q: %v; want ErrInvalid", what, key, err)
				}
			}
		}
		for _, id := range []tenant.ID{"a:b", "*", "a?", "[a]"} {
			if err := c.InvalidateTag(ctx, id, "menus"); !errors.Is(err, cache.ErrInvalid) {
				t.Errorf("InvalidateTag for tenant %q: %v", id, err)
			}
			if err := c.InvalidateTenant(ctx, id); !errors.Is(err, cache.ErrInvalid) {
				t.Errorf("InvalidateTenant for tenant %q: %v", id, err)
			}
		}
	})
}

// TestBadTimesToLive gives them to everything that takes one.
func TestBadTimesToLive(t *testing.T) {
	everywhere(t, func(t *testing.T, c, _ *cache.Cache) {
		for _, ttl := range []time.Duration{-time.Second, -1, cache.MaxTTL + time.Second} {
			p := &cache.Policy{TTL: ttl}
			_, loaded := cache.GetOrLoad(t.Context(), c, kitchen, "k", p, noLoad(t))
			_, hash := cache.HashOf[int](c, kitchen, "k", ttl)
			for what, err := range map[string]error{
				"Get": getError(c, kitchen, "k", p), "GetOrLoad": loaded, "HashOf": hash, "Set": cache.Set(t.Context(), c, kitchen, "k", 1, p),
				"remembering nothing": getError(c, kitchen, "k", &cache.Policy{Negative: ttl}),
			} {
				if !errors.Is(err, cache.ErrInvalid) || !strings.Contains(err.Error(), ttl.String()) {
					t.Errorf("%s with a TTL of %s: %v; want ErrInvalid", what, ttl, err)
				}
			}
		}
		// 0 in a write is a mistake; in a load it is the usual one.
		if err := cache.Set(t.Context(), c, kitchen, "k", 1, nil); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("Set with a TTL of 0: %v; want ErrInvalid", err)
		}
		do(t, cache.Set(t.Context(), c, kitchen, "k", 1, &cache.Policy{TTL: cache.MaxTTL}))
	})
}

// TestLoadersThatBlockForEver hold their places and nothing else: callers get their error in time, other loads go on as long as there
// are places, and the end of the cache does not wait for ever.
func TestLoadersThatBlockForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sharedtest.NewServer()
		c, err := cache.New(cache.Options{Shared: sharedtest.NewNode(s, nil), MaxLoads: 3})
		do(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Run(ctx) }()
		time.Sleep(time.Second)
		forEver := make(chan struct{})
		p := &cache.Policy{TTL: time.Hour, HardTimeout: 2 * time.Second}
		get := func(key string, block bool) error {
			_, err := cache.GetOrLoad(t.Context(), c, kitchen, key, p, func(context.Context) (int, error) {
				if block {
					<-forEver
				}
				return 1, nil
			})
			return err
		}
		for i := range 2 {
			began := time.Now()
			if err := get(fmt.Sprint("blocks", i), true); !errors.Is(err, cache.ErrLoadTimeout) || time.Since(began) != p.HardTimeout {
				t.Errorf("after %s: %v; want ErrLoadTimeout after %s", time.Since(began), err, p.HardTimeout)
			}
		}
		do(t, get("good", false)) // the third place
		if err := get("blocks2", true); !errors.Is(err, cache.ErrLoadTimeout) {
			t.Errorf("the third: %v", err)
		}
		if err := get("one too many", false); !errors.Is(err, cache.ErrOverloaded) {
			t.Errorf("the fourth: %v; want ErrOverloaded", err)
		}
		do(t, get("good", false)) // it needs no load
		if st := c.Stats(); st.Loading != 3 || st.Overloaded != 1 {
			t.Errorf("%+v", st)
		}
		stop()
		began := time.Now()
		<-ended
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Run ended %s after it was to", took)
		}
		close(forEver)
		synctest.Wait()
		if n := c.Stats().Loading; n != 0 {
			t.Errorf("%d loads are left", n)
		}
	})
}
