//go:build unix

package cache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/cache/shared/sharedtest"
	"kentongan/internal/testenv"
)

// TestRedisGoneAndBack kills Redis under load. Every caller gets an answer, the breaker opens, and everything comes back by itself.
func TestRedisGoneAndBack(t *testing.T) {
	server := testenv.StartRedis(t)
	c := run(t, cache.Options{Shared: tierAt(t, server.Addr)})
	awaitFence(t, c)
	p := &cache.Policy{TTL: time.Hour, StaleOnError: time.Hour, Tags: []string{"menus"}}
	var sourceAway atomic.Bool
	load := func(context.Context) (menu, error) {
		if sourceAway.Load() {
			return menu{}, errors.New("the source is away")
		}
		return menu{Name: "soto"}, nil
	}
	get := func(key string) error {
		_, err := cache.GetOrLoad(t.Context(), c, kitchen, key, p, load)
		return err
	}
	for i := range 20 {
		before := c.Stats().Hits
		eventually(t, "memory has it", func() bool { // the news of its own write may come after the first read
			do(t, get(fmt.Sprint("m:", i)))
			return c.Stats().Hits > before
		})
	}
	server.Kill()
	sourceAway.Store(true)
	var failed, asked atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
				for i := range 20 {
					asked.Add(1)
					if get(fmt.Sprint("m:", i)) != nil {
						failed.Add(1)
					}
				}
			}
		})
	}
	callers.Wait()
	st := c.Stats()
	if failed.Load() > 0 || !st.BreakerOpen || st.Stale == 0 || st.Staleness >= 0 {
		t.Errorf("%d of %d failed though there were old values; %+v", failed.Load(), asked.Load(), st)
	}
	// What is invalidated now is an error, and not served any more here.
	if err := c.Invalidate(t.Context(), kitchen, "m:1", nil); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("invalidation without Redis: %v", err)
	}
	if err := get("m:1"); err == nil {
		t.Error("what was invalidated is served")
	}
	if err := c.InvalidateTag(t.Context(), kitchen, "menus"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("invalidation of a tag without Redis: %v", err)
	}
	if err := get("m:2"); err == nil {
		t.Error("what was invalidated by its tag is served")
	}
	// With the source back, loads go on without Redis, and are shared.
	sourceAway.Store(false)
	do(t, get("m:2"))
	if n := c.Stats().Alone; n == 0 {
		t.Error("no load without Redis is counted")
	}
	server.Restart()
	eventually(t, "memory answers again", func() bool { st := c.Stats(); return !st.BreakerOpen && st.Staleness >= 0 })
	do(t, get("m:3"))
	eventually(t, "Redis has it", func() bool {
		e, err := c.Explain(t.Context(), kitchen, "m:3", nil)
		_ = get("m:3")
		return err == nil && e.Redis != nil && e.Redis.Kind == "entry"
	})
}

// TestARedisThatHangs answers nothing and keeps its connections.
func TestARedisThatHangs(t *testing.T) {
	server := testenv.StartRedis(t)
	c := run(t, cache.Options{Shared: tierAt(t, server.Addr), Bound: 200 * time.Millisecond})
	awaitFence(t, c)
	do(t, cache.Set(t.Context(), c, kitchen, "k", 1, hour))
	server.Pause()
	defer server.Resume()
	eventually(t, "the breaker opens", func() bool { return c.Stats().BreakerOpen })
	began := time.Now()
	for range 100 {
		got, err := cache.GetOrLoad(t.Context(), c, kitchen, "k", hour, func(context.Context) (int, error) { return 2, nil })
		if err != nil || got != 2 {
			t.Fatalf("got %d, %v", got, err)
		}
	}
	if took := time.Since(began); took > 30*time.Second { // each would be given up after 5 s
		t.Errorf("100 reads wait %s for a Redis that is known to hang", took)
	}
	server.Resume()
	eventually(t, "it is used again", func() bool { st := c.Stats(); return !st.BreakerOpen && st.Staleness >= 0 })
}

// TestChangesAreNotTold signs in as a user that may not listen: then memory answers for the bound after each read, and Redis is used.
func TestChangesAreNotTold(t *testing.T) {
	addr := testenv.Redis(t)
	conn, err := net.Dial("tcp", addr)
	do(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprint(conn, "ACL SETUSER limited on >secret ~* &* +@all -client|tracking\r\n")
	do(t, err)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	r, err := cache.OpenRedis(shared.Options{Address: addr, Username: "limited", Password: "secret"})
	do(t, err)
	c := run(t, cache.Options{Shared: r, Bound: 100 * time.Millisecond})
	time.Sleep(time.Second) // it has tried to listen many times
	set(t, c, "k", "soto", hour)
	wantMenu(t, c, "k", "soto")
	if st := c.Stats(); st.BreakerOpen || st.Staleness >= 0 {
		t.Errorf("%+v", st)
	}
	do(t, c.Invalidate(t.Context(), kitchen, "k", nil))
	wantNone(t, c, "k")
}

func TestNothingIsLeftOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sharedtest.NewServer()
		c, err := cache.New(cache.Options{Shared: sharedtest.NewNode(s, nil)})
		do(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Run(ctx) }()
		time.Sleep(time.Second)
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				_, _ = cache.GetOrLoad(ctx, c, kitchen, fmt.Sprint("k", i), hour, func(ctx context.Context) (int, error) {
					<-ctx.Done()
					return 0, ctx.Err()
				})
			})
		}
		time.Sleep(time.Second)
		s.SetDown(true)
		time.Sleep(3 * time.Second)
		stop()
		<-ended
		callers.Wait()
		if n := c.Stats().Loading; n != 0 {
			t.Errorf("%d loads are left", n)
		}
	}) // the bubble ends only when all goroutines have
	goleak.VerifyNone(t, goleak.IgnoreCurrent())
}

// simulated runs a cache over a simulated Redis, in time that stands still unless all sleep.
func simulated(t *testing.T, o cache.Options, test func(t *testing.T, c *cache.Cache, s *sharedtest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := sharedtest.NewServer()
		o.Shared = sharedtest.NewNode(s, nil)
		c, err := cache.New(o)
		do(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Run(ctx) }()
		time.Sleep(time.Second)
		test(t, c, s)
		stop()
		<-ended
	})
}

func TestSoftTimeout(t *testing.T) {
	simulated(t, cache.Options{}, func(t *testing.T, c *cache.Cache, _ *sharedtest.Server) {
		p := &cache.Policy{TTL: 10 * time.Second, SoftTimeout: 100 * time.Millisecond, StaleOnError: time.Hour}
		value := 1
		load := func(context.Context) (int, error) { time.Sleep(2 * time.Second); return value, nil }
		get := func() (int, time.Duration) {
			began := time.Now()
			got, err := cache.GetOrLoad(t.Context(), c, kitchen, "k", p, load)
			do(t, err)
			return got, time.Since(began)
		}
		if got, took := get(); got != 1 || took < 2*time.Second {
			t.Errorf("the first: %d after %s", got, took)
		}
		time.Sleep(time.Second) // the news of its own write
		get()                   // into memory
		value = 2
		time.Sleep(11 * time.Second)
		if got, took := get(); got != 1 || took != 100*time.Millisecond {
			t.Errorf("after its end: %d after %s; want the old one after the soft timeout", got, took)
		}
		time.Sleep(3 * time.Second)
		if got, took := get(); got != 2 || took != 0 {
			t.Errorf("after the load: %d after %s", got, took)
		}
	})
}

func TestRefreshAhead(t *testing.T) {
	simulated(t, cache.Options{}, func(t *testing.T, c *cache.Cache, _ *sharedtest.Server) {
		p := &cache.Policy{TTL: time.Minute, RefreshAhead: true}
		var loads atomic.Int64
		load := func(context.Context) (int, error) { loads.Add(1); time.Sleep(time.Second); return 1, nil }
		waited := 0
		for range 6000 { // ten minutes
			began := time.Now()
			_, err := cache.GetOrLoad(t.Context(), c, kitchen, "k", p, load)
			do(t, err)
			if time.Since(began) > 0 {
				waited++
			}
			time.Sleep(100 * time.Millisecond)
		}
		// Ten minutes hold ten lives of an entry, of which only the first has to be waited for: that nobody begins the next one
		// early enough happens once in a million lives.
		if n := loads.Load(); waited != 1 || n < 10 || n > 14 {
			t.Errorf("%d loads, %d callers waited", n, waited)
		}
	})
}

func TestJitter(t *testing.T) {
	simulated(t, cache.Options{}, func(t *testing.T, c *cache.Cache, _ *sharedtest.Server) {
		p := &cache.Policy{TTL: 100 * time.Second, Jitter: 0.5}
		ends := map[time.Duration]bool{}
		for i := range 50 {
			key := fmt.Sprint("k", i)
			do(t, cache.Set(t.Context(), c, kitchen, key, 1, p))
			e, err := c.Explain(t.Context(), kitchen, key, nil)
			do(t, err)
			ends[e.Redis.ExpiresAt.Sub(e.Redis.CreatedAt)] = true
		}
		for life := range ends {
			if life < 50*time.Second || life > 150*time.Second || life%time.Second != 0 {
				t.Errorf("an entry lives %s", life)
			}
		}
		if len(ends) < 10 {
			t.Errorf("only %d different lives", len(ends))
		}
	})
}

func TestHoldOff(t *testing.T) {
	simulated(t, cache.Options{HoldOff: 5 * time.Second}, func(t *testing.T, c *cache.Cache, _ *sharedtest.Server) {
		life := func() time.Duration {
			_, err := cache.GetOrLoad(t.Context(), c, kitchen, "k", hour, func(context.Context) (int, error) { return 1, nil })
			do(t, err)
			e, err := c.Explain(t.Context(), kitchen, "k", nil)
			do(t, err)
			return e.Redis.ExpiresAt.Sub(e.Redis.CreatedAt)
		}
		do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
		if l := life(); l != 5*time.Second {
			t.Errorf("right after an invalidation it lives %s", l)
		}
		time.Sleep(10 * time.Second)
		if l := life(); l != time.Hour {
			t.Errorf("later it lives %s", l)
		}
	})
}

func TestTooManyLoads(t *testing.T) {
	simulated(t, cache.Options{MaxLoads: 3}, func(t *testing.T, c *cache.Cache, _ *sharedtest.Server) {
		var refused, good atomic.Int64
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() {
				_, err := cache.GetOrLoad(t.Context(), c, kitchen, fmt.Sprint("k", i), hour, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					return 1, nil
				})
				switch {
				case err == nil:
					good.Add(1)
				case errors.Is(err, cache.ErrOverloaded):
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		callers.Wait()
		if good.Load() != 3 || refused.Load() != 7 {
			t.Errorf("%d loads, %d refused", good.Load(), refused.Load())
		}
	})
}

// TestTenantsHaveTheirShare has one tenant fill memory many times over: what another one has stays.
func TestTenantsHaveTheirShare(t *testing.T) {
	c := run(t, cache.Options{MaxBytes: 1 << 20})
	small := &cache.Policy{TTL: time.Hour}
	for i := range 20 {
		do(t, cache.Set(t.Context(), c, "quiet", fmt.Sprint("k", i), i, small))
	}
	noise := make([]byte, 500)
	for i := range 5000 {
		do(t, cache.Set(t.Context(), c, "noisy", fmt.Sprint("k", i), noise, small))
	}
	for i := range 20 {
		if got, err := cache.Get[int](t.Context(), c, "quiet", fmt.Sprint("k", i), nil); err != nil || got != i {
			t.Fatalf("entry %d of the quiet tenant: %d, %v", i, got, err)
		}
	}
	for _, s := range c.TenantStats() {
		if s.Tenant == "noisy" && (s.Bytes > 1<<20/8+4000 || s.Bytes < 1<<20/16) {
			t.Errorf("the noisy tenant has %d bytes; its share is %d", s.Bytes, 1<<20/8)
		}
	}
	if st := c.Stats(); st.Bytes > 1<<20 {
		t.Errorf("memory has %d bytes of %d", st.Bytes, 1<<20)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := run(t, cache.Options{MaxBytes: 1 << 20, TenantShare: 1})
	value := make([]byte, 500)
	for i := range 5000 {
		do(t, cache.Set(t.Context(), c, kitchen, fmt.Sprint("k", i), value, &cache.Policy{TTL: time.Hour}))
	}
	eventually(t, "memory is within its bound", func() bool { return c.Stats().Bytes <= 1<<20 })
	if st := c.Stats(); st.Entries < 100 || st.Entries > 1000 {
		t.Errorf("%d entries", st.Entries)
	}
}

// TestManyTagsOfATenantAreFolded invalidates more tags than are kept.
func TestManyTagsOfATenantAreFolded(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		set(t, a, "k", "soto", hour)
		for i := range 2500 {
			do(t, a.InvalidateTag(t.Context(), kitchen, fmt.Sprint("tag", i)))
		}
		set(t, a, "k2", "rawon", hour)
		wantMenu(t, b, "k2", "rawon")
		do(t, a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{Tag: "menus"}))
		wantNone(t, b, "k2")
		wantNone(t, a, "k")
	})
}

func TestStructures(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		ctx := t.Context()
		h, err := cache.HashOf[menu](a, kitchen, "kitchen:menus", time.Minute)
		do(t, err)
		do(t, h.Set(ctx, map[string]menu{"mon": {Name: "soto"}, "tue": {Name: "rawon"}, "wed": {}}))
		do(t, h.Delete(ctx, "wed"))
		h2, err := cache.HashOf[menu](b, kitchen, "kitchen:menus", time.Minute)
		do(t, err)
		if got, err := h2.Get(ctx, "tue"); err != nil || got.Name != "rawon" {
			t.Errorf("field: %v, %v", got, err)
		}
		if got, err := h2.Get(ctx, "wed"); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("deleted field: %v, %v", got, err)
		}
		if all, err := h2.All(ctx); err != nil || len(all) != 2 {
			t.Errorf("all fields: %v, %v", all, err)
		}
		l, err := cache.ListOf[int](a, kitchen, "recent", 3, time.Minute)
		do(t, err)
		do(t, l.Push(ctx, 1, 2))
		do(t, l.Push(ctx, 3, 4))
		if got, err := l.Newest(ctx, 10); err != nil || fmt.Sprint(got) != "[4 3 2]" {
			t.Errorf("list: %v, %v", got, err)
		}
		if got, err := l.Newest(ctx, 1); err != nil || fmt.Sprint(got) != "[4]" {
			t.Errorf("newest: %v, %v", got, err)
		}
		s, err := cache.SetOf[string](a, kitchen, "online", time.Minute)
		do(t, err)
		do(t, s.Add(ctx, "budi", "sri", "budi"))
		do(t, s.Remove(ctx, "sri"))
		if has, err := s.Has(ctx, "budi"); err != nil || !has {
			t.Errorf("budi: %v, %v", has, err)
		}
		if has, err := s.Has(ctx, "sri"); err != nil || has {
			t.Errorf("sri: %v, %v", has, err)
		}
		if all, err := s.All(ctx); err != nil || len(all) != 1 {
			t.Errorf("all: %v, %v", all, err)
		}
		wrong, err := cache.ListOf[int](a, kitchen, "online", 3, time.Minute)
		do(t, err)
		for range 5 {
			if err := wrong.Push(ctx, 1); !errors.Is(err, cache.ErrKind) {
				t.Errorf("a set is taken for a list: %v; want ErrKind", err)
			}
		}
		if st := a.Stats(); st.BreakerOpened > 0 || st.Errors > 0 {
			t.Errorf("a structure of another kind is taken for a silent Redis: %+v", st)
		}
		if _, err := cache.HashOf[int](a, "a:b", "k", time.Minute); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("bad tenant: %v", err)
		}
		if _, err := cache.HashOf[int](a, kitchen, "k", 0); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("TTL 0: %v", err)
		}
		if _, err := cache.ListOf[int](a, kitchen, "k", 0, time.Minute); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("a list of nothing: %v", err)
		}
	})
}

// TestStructuresInMemoryAreBounded fills the memory of a cache without Redis: what does not fit is refused, and what is there stays.
func TestStructuresInMemoryAreBounded(t *testing.T) {
	c := run(t, cache.Options{MaxBytes: 64 << 10})
	h, err := cache.HashOf[string](c, kitchen, "h", time.Minute)
	do(t, err)
	do(t, h.Set(t.Context(), map[string]string{"a": "small"}))
	for range 5 {
		if err := h.Set(t.Context(), map[string]string{"b": strings.Repeat("x", 20<<10)}); !errors.Is(err, cache.ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
	}
	if got, err := h.Get(t.Context(), "a"); err != nil || got != "small" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExplain(t *testing.T) {
	a, c := withApp(t, time.Minute)
	explain := func(key string) cache.Explanation {
		t.Helper()
		e, err := c.Explain(t.Context(), kitchen, key, nil)
		do(t, err)
		return e
	}
	if e := explain("menus:today"); e.Served != "no" || e.Redis != nil || e.Name != "bergizi:cache:k1:menus:today" {
		t.Errorf("nothing: %+v", e)
	}
	a.set("menus:today", menu{Name: "rawon"}, kitchen, "menus")
	if e := explain("menus:today"); e.Served != "no" || e.Redis.Writer != "app" {
		t.Errorf("of the app, too soon: %+v", e)
	}
	set(t, c, "menus:today", "soto", hour)
	if e := explain("menus:today"); e.Served != "redis" || e.Redis.Writer != "cache" || len(e.Redis.Epochs) != 2 {
		t.Errorf("ours: %+v", e)
	}
	wantMenu(t, c, "menus:today", "soto")
	eventually(t, "memory has it", func() bool {
		_ = gone(c, "menus:today")()
		e := explain("menus:today")
		return e.Served == "memory" && e.Memory.Fresh
	})
	do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
	do(t, c.Forget(t.Context(), kitchen, "menus:today", 4, nil))
	if e := explain("menus:today"); e.Served != "no" || e.Redis.Kind != "floor" || e.Redis.Version != 4 || len(e.Record) != 1 || e.Record[0].What != "version" {
		t.Errorf("forgotten: %+v %+v", e, e.Redis)
	}
}

func TestProductionRealtime(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		state := cache.ProductionRealtime[row]()
		do(t, state.Set(t.Context(), a, kitchen, "p1", row{"cooking", 4}, 4))
		if got, err := state.Get(t.Context(), b, kitchen, "p1"); err != nil || got.Version != 4 {
			t.Fatalf("got %v, %v", got, err)
		}
		e, err := a.Explain(t.Context(), kitchen, "production:realtime:p1", nil)
		do(t, err)
		if e.Name != "bergizi:cache:k1:production:realtime:p1" || e.Redis != nil && e.Redis.ExpiresAt.Sub(e.Redis.CreatedAt) != 300*time.Second {
			t.Errorf("%+v", e)
		}
		do(t, state.Forget(t.Context(), a, kitchen, "p1", 5))
		if err := state.Set(t.Context(), b, kitchen, "p1", row{"cooking", 4}, 4); !errors.Is(err, cache.ErrOutdated) {
			t.Errorf("a slower write: %v", err)
		}
		got, err := state.GetOrLoad(t.Context(), b, kitchen, "p1", func(context.Context) (row, error) { return row{"done", 5}, nil })
		if err != nil || got.Version != 5 {
			t.Errorf("loaded: %v, %v", got, err)
		}
	})
}
