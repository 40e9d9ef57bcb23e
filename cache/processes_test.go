//go:build unix

package cache_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
)

// TestOneLoadOverFourProcesses runs this test binary four times, each with 2,500 callers of the same key.
func TestOneLoadOverFourProcesses(t *testing.T) {
	if addr := os.Getenv("CACHE_TEST_RUSH"); addr != "" {
		rush(t, addr)
		return
	}
	addr := testenv.Redis(t)
	const processes = 4
	outs := make([]string, processes)
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestOneLoadOverFourProcesses$", "-test.v")
			cmd.Env = append(os.Environ(), "CACHE_TEST_RUSH="+addr)
			out, err := cmd.CombinedOutput()
			outs[i] = string(out)
			if err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	all.Wait()
	if n := strings.Count(strings.Join(outs, ""), "loads: 1\n"); n != 1 {
		t.Errorf("%d of %d processes have loaded:\n%s", n, processes, strings.Join(outs, "\n"))
	}
	if n := strings.Count(strings.Join(outs, ""), "loads: 0\n"); n != processes-1 {
		t.Errorf("%d processes did not load", n)
	}
}

// rush is one of the processes.
func rush(t *testing.T, addr string) {
	c := run(t, cache.Options{Shared: tierAt(t, addr)})
	awaitFence(t, c)
	var loads, wrong atomic.Int64
	var callers sync.WaitGroup
	for range 2500 {
		callers.Go(func() {
			got, err := cache.GetOrLoad(t.Context(), c, kitchen, "menus:rush", hour, func(context.Context) (menu, error) {
				loads.Add(1)
				time.Sleep(500 * time.Millisecond) // the others come meanwhile
				return menu{Name: "soto"}, nil
			})
			if err != nil || got.Name != "soto" {
				wrong.Add(1)
			}
		})
	}
	callers.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d wrong answers", wrong.Load())
	}
	fmt.Printf("loads: %d\n", loads.Load())
}

// counted counts the acts on Redis, each of which is one round trip.
type counted struct {
	shared.Tier
	acts atomic.Int64
}

func (c *counted) Read(ctx context.Context, keys, hashes []string) ([]string, []shared.Epochs, error) {
	c.acts.Add(1)
	return c.Tier.Read(ctx, keys, hashes)
}

func (c *counted) Swap(ctx context.Context, s shared.Swap) (shared.Swapped, error) {
	c.acts.Add(1)
	return c.Tier.Swap(ctx, s)
}

func (c *counted) Drop(ctx context.Context, d shared.Drop) error {
	c.acts.Add(1)
	return c.Tier.Drop(ctx, d)
}

func (c *counted) Bump(ctx context.Context, b shared.Bump) (shared.Bumped, error) {
	c.acts.Add(1)
	return c.Tier.Bump(ctx, b)
}

func TestRoundTrips(t *testing.T) {
	tier := &counted{Tier: tierAt(t, testenv.Redis(t))}
	c := run(t, cache.Options{Shared: tier, Bound: time.Minute}) // memory answers though a fence is late, as on a busy machine
	awaitFence(t, c)
	three := &cache.Policy{TTL: time.Hour, Tags: []string{"a", "b", "c"}}
	set(t, c, "k0", "soto", three) // it learns the epochs
	eventually(t, "memory has it", func() bool {
		before := c.Stats().Hits
		_ = gone(c, "k0")()
		return c.Stats().Hits > before
	})
	acts := func(what string, want int64, f func()) {
		t.Helper()
		before := tier.acts.Load()
		f()
		if got := tier.acts.Load() - before; got != want {
			t.Errorf("%s: %d round trips, want %d", what, got, want)
		}
	}
	acts("a hit in memory", 0, func() { wantMenu(t, c, "k0", "soto") })
	acts("a set with three tags", 1, func() { set(t, c, "k1", "soto", three) })
	acts("a hit in Redis", 1, func() { wantMenu(t, c, "k1", "soto") })
	acts("a strict read", 1, func() {
		_, err := cache.Get[menu](t.Context(), c, kitchen, "k0", &cache.Policy{Strict: true})
		do(t, err)
	})
	acts("many", 1, func() {
		c.ForgetHere(kitchen, "k0")
		found, err := cache.GetMany[menu](t.Context(), c, kitchen, []string{"k0", "k1", "k2", "k3"}, nil)
		if err != nil || len(found) != 2 {
			t.Errorf("found %v, %v", found, err)
		}
	})
	acts("a load", 3, func() {
		_, err := cache.GetOrLoad(t.Context(), c, kitchen, "k4", three, func(context.Context) (menu, error) { return menu{}, nil })
		do(t, err)
	})
	acts("an invalidation", 1, func() { do(t, c.Invalidate(t.Context(), kitchen, "k1", nil)) })
	acts("of a tag", 1, func() { do(t, c.InvalidateTag(t.Context(), kitchen, "a")) })
	acts("of a tenant", 1, func() { do(t, c.InvalidateTenant(t.Context(), kitchen)) })
}

func TestHitsAllocateNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, a, _ *cache.Cache) {
		p := &cache.Policy{TTL: time.Hour, Tags: []string{"menus"}}
		set(t, a, "hot", "soto", p)
		ctx := t.Context()
		load := func(context.Context) (menu, error) { return menu{}, nil }
		eventually(t, "memory has it", func() bool {
			before := a.Stats().Hits
			wantMenu(t, a, "hot", "soto")
			return a.Stats().Hits > before
		})
		// The least of some runs: what else the process does in the background is counted, too.
		least := 100.0
		for range 20 {
			least = min(least, testing.AllocsPerRun(100, func() {
				_, _ = cache.Get[menu](ctx, a, kitchen, "hot", p)
				_, _ = cache.GetOrLoad(ctx, a, kitchen, "hot", p, load)
			}))
		}
		if least > 0 {
			t.Errorf("two hits allocate %v times", least)
		}
	})
}
