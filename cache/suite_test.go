//go:build unix

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a cache and ends it with the test.
func run(t *testing.T, o cache.Options) *cache.Cache {
	t.Helper()
	c, err := cache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

// tierAt returns the way to a Redis. A cache closes it.
func tierAt(t *testing.T, addr string) shared.Tier {
	t.Helper()
	r, err := cache.OpenRedis(shared.Options{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nodes returns two nodes of one cache: with Redis two, in memory twice the same.
func everywhere(t *testing.T, test func(t *testing.T, a, b *cache.Cache)) {
	t.Run("Memory", func(t *testing.T) {
		c := run(t, cache.Options{})
		test(t, c, c)
	})
	t.Run("Redis", func(t *testing.T) {
		addr := testenv.Redis(t)
		a, b := run(t, cache.Options{Shared: tierAt(t, addr)}), run(t, cache.Options{Shared: tierAt(t, addr)})
		awaitFence(t, a, b)
		test(t, a, b)
	})
}

// awaitFence waits until memory answers.
func awaitFence(t *testing.T, caches ...*cache.Cache) {
	t.Helper()
	for _, c := range caches {
		for deadline := time.Now().Add(30 * time.Second); c.Stats().Staleness < 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("memory does not answer after 30 s")
			}
		}
	}
}

type menu struct {
	Name  string  `json:"name"`
	Rice  float64 `json:"rice"`
	Notes []string
}

const kitchen = tenant.ID("k1")

var hour = &cache.Policy{TTL: time.Hour, Tags: []string{"menus"}}

func wantMenu(t *testing.T, c *cache.Cache, key, name string) {
	t.Helper()
	got, err := cache.Get[menu](t.Context(), c, kitchen, key, nil)
	if err != nil || got.Name != name {
		t.Fatalf("%s: got %q, %v; want %q", key, got.Name, err, name)
	}
}

func wantNone(t *testing.T, c *cache.Cache, key string) {
	t.Helper()
	if got, err := cache.Get[menu](t.Context(), c, kitchen, key, nil); !errors.Is(err, cache.ErrNotFound) {
		t.Fatalf("%s: got %q, %v; want ErrNotFound", key, got.Name, err)
	}
}

// eventually waits for what another node sees within the bound.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 30 s: %s", what)
		}
	}
}

func set(t *testing.T, c *cache.Cache, key, name string, p *cache.Policy) {
	t.Helper()
	if err := cache.Set(t.Context(), c, kitchen, key, menu{Name: name}, p); err != nil {
		t.Fatal(err)
	}
}

func gone(c *cache.Cache, key string) func() bool {
	return func() bool {
		_, err := cache.Get[menu](context.Background(), c, kitchen, key, nil)
		return errors.Is(err, cache.ErrNotFound)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSetAndInvalidate(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		wantNone(t, a, "menus:today")
		set(t, a, "menus:today", "soto", hour)
		wantMenu(t, a, "menus:today", "soto")
		wantMenu(t, b, "menus:today", "soto")
		wantMenu(t, b, "menus:today", "soto") // out of memory
		do(t, a.Invalidate(t.Context(), kitchen, "menus:today", nil))
		wantNone(t, a, "menus:today")
		eventually(t, "the other node forgets", gone(b, "menus:today"))

		for _, key := range []string{"menus:today", "menus:tomorrow"} {
			set(t, a, key, "rawon", hour)
		}
		set(t, a, "stock", "rice", &cache.Policy{TTL: time.Hour})
		wantMenu(t, b, "menus:tomorrow", "rawon")
		do(t, a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{Tag: "menus"}))
		wantNone(t, b, "menus:today")
		wantNone(t, b, "menus:tomorrow")
		wantMenu(t, b, "stock", "rice")
		do(t, cache.Set(t.Context(), a, "k10", "stock", menu{Name: "oil"}, hour))
		do(t, a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{All: true}))
		wantNone(t, b, "stock")
		if got, err := cache.Get[menu](t.Context(), b, "k10", "stock", nil); err != nil || got.Name != "oil" {
			t.Fatalf("of another tenant: %v, %v", got, err)
		}
		do(t, a.InvalidateAndWait(t.Context(), "k10", cache.Scope{Key: "stock"}))
		if got, err := cache.Get[menu](t.Context(), b, "k10", "stock", nil); !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("after its invalidation: %v, %v", got, err)
		}
	})
}

func TestGlobalAndOwnNames(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		own := &cache.Policy{TTL: time.Hour, Own: true, CompressFrom: 100, Tags: []string{"menus"}}
		long := menu{Name: strings.Repeat("soto ", 1000)}
		do(t, cache.Set(t.Context(), a, tenant.Global, "prices", menu{Name: "all"}, hour))
		do(t, cache.Set(t.Context(), a, kitchen, "prices", long, own))
		do(t, cache.Set(t.Context(), a, tenant.Global, "prices", menu{Name: "mine"}, own))
		for _, c := range []struct {
			t    tenant.ID
			p    *cache.Policy
			want string
		}{{tenant.Global, nil, "all"}, {kitchen, own, long.Name}, {tenant.Global, own, "mine"}} {
			if got, err := cache.Get[menu](t.Context(), b, c.t, "prices", c.p); err != nil || got.Name != c.want {
				t.Fatalf("%q %v: got %.20q, %v", c.t, c.p, got.Name, err)
			}
		}
		wantNone(t, a, "prices")
		do(t, a.InvalidateAndWait(t.Context(), tenant.Global, cache.Scope{Tag: "menus"}))
		if got, err := cache.Get[menu](t.Context(), b, tenant.Global, "prices", own); !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("after the tag: %v, %v", got, err)
		}
		if _, err := cache.Get[menu](t.Context(), b, kitchen, "prices", own); err != nil {
			t.Fatalf("the tag of another tenant: %v", err)
		}
	})
}

func TestOneLoadForTenThousand(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		var loads atomic.Int64
		var callers sync.WaitGroup
		var wrong atomic.Int64
		for i := range 10_000 {
			c := a
			if i%2 == 1 {
				c = b
			}
			callers.Go(func() {
				got, err := cache.GetOrLoad(t.Context(), c, kitchen, "menus:hot", hour, func(context.Context) (menu, error) {
					loads.Add(1)
					time.Sleep(30 * time.Millisecond)
					return menu{Name: "soto"}, nil
				})
				if err != nil || got.Name != "soto" {
					wrong.Add(1)
				}
			})
		}
		callers.Wait()
		if loads.Load() != 1 || wrong.Load() != 0 {
			t.Fatalf("%d loads, %d wrong answers", loads.Load(), wrong.Load())
		}
	})
}

func TestLoaders(t *testing.T) {
	everywhere(t, func(t *testing.T, a, _ *cache.Cache) {
		quick := &cache.Policy{TTL: time.Hour, HardTimeout: 50 * time.Millisecond} // for the one that is too late: a busy machine makes others so
		load := func(key string, p *cache.Policy, f func(context.Context) (menu, error)) (menu, error) {
			return cache.GetOrLoad(t.Context(), a, kitchen, key, p, f)
		}
		// One that panics.
		var panicked *cache.LoaderPanicError
		if _, err := load("panics", hour, func(context.Context) (menu, error) { panic("secret data") }); !errors.As(err, &panicked) ||
			strings.Contains(err.Error(), "secret") || !strings.Contains(string(panicked.Stack), "suite_test") {
			t.Errorf("a panic: %v", err)
		}
		if _, err := load("exits", hour, func(context.Context) (menu, error) { runtime.Goexit(); return menu{}, nil }); !errors.As(err, &panicked) {
			t.Errorf("an ended goroutine: %v", err)
		}
		// One that does not heed its context, and comes back late.
		late := make(chan struct{})
		if _, err := load("late", quick, func(context.Context) (menu, error) { <-late; return menu{Name: "late"}, nil }); !errors.Is(err, cache.ErrLoadTimeout) {
			t.Errorf("a late load: %v", err)
		}
		close(late)
		eventually(t, "the loader ends", func() bool { return a.Stats().Loading == 0 })
		wantNone(t, a, "late")
		// One that fails; and the next one works at once.
		broken := errors.New("the source is away")
		if _, err := load("fails", hour, func(context.Context) (menu, error) { return menu{}, broken }); !errors.Is(err, broken) {
			t.Errorf("a failed load: %v", err)
		}
		if got, err := load("fails", hour, func(context.Context) (menu, error) { return menu{Name: "soto"}, nil }); err != nil || got.Name != "soto" {
			t.Errorf("after it: %v, %v", got, err)
		}
		// One that finds nothing, remembered and not.
		none := func(context.Context) (menu, error) { return menu{}, fmt.Errorf("menu: %w", cache.ErrNotFound) }
		if _, err := load("none", hour, none); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("nothing: %v", err)
		}
		remembering := &cache.Policy{TTL: time.Hour, Negative: time.Hour}
		for range 2 {
			if _, err := load("none", remembering, none); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("nothing: %v", err)
			}
		}
		if _, err := load("none", remembering, func(context.Context) (menu, error) { t.Error("it was remembered"); return menu{}, nil }); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("nothing: %v", err)
		}
		// A caller that gives up; the load goes on for the others.
		ctx, cancel := context.WithCancel(t.Context())
		started, release := make(chan struct{}), make(chan struct{})
		go func() { <-started; cancel(); close(release) }()
		_, err := cache.GetOrLoad(ctx, a, kitchen, "given-up", hour, func(context.Context) (menu, error) {
			close(started)
			<-release
			return menu{Name: "soto"}, nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that gave up: %v", err)
		}
		eventually(t, "the load is kept", func() bool {
			got, err := cache.Get[menu](t.Context(), a, kitchen, "given-up", nil)
			return err == nil && got.Name == "soto"
		})
	})
}

func TestLoadIsNotKeptAfterAnInvalidation(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		for name, invalidate := range map[string]func() error{
			"key":     func() error { return b.Invalidate(t.Context(), kitchen, "menus:raced", nil) },
			"tag":     func() error { return b.InvalidateTag(t.Context(), kitchen, "menus") },
			"tenant":  func() error { return b.InvalidateTenant(t.Context(), kitchen) },
			"version": func() error { return b.Forget(t.Context(), kitchen, "menus:raced", 7, nil) },
			"set":     func() error { return cache.Set(t.Context(), b, kitchen, "menus:raced", menu{Name: "new"}, hour) },
		} {
			started, release := make(chan struct{}), make(chan struct{})
			done := make(chan error, 1)
			go func() {
				_, err := cache.GetOrLoad(t.Context(), a, kitchen, "menus:raced", hour, func(context.Context) (menu, error) {
					close(started)
					<-release
					return menu{Name: "old"}, nil
				})
				done <- err
			}()
			<-started
			do(t, invalidate())
			close(release)
			do(t, <-done)
			if got, err := cache.Get[menu](t.Context(), a, kitchen, "menus:raced", &cache.Policy{Strict: true}); err == nil && got.Name == "old" {
				t.Errorf("%s: the old load was kept", name)
			}
			do(t, a.InvalidateTenant(t.Context(), kitchen))
			if err := a.InvalidateAndWait(t.Context(), kitchen, cache.Scope{Key: "menus:raced"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// row knows its version.
type row struct {
	Name    string
	Version int64
}

// CacheVersion implements cache.Versioned.
func (r row) CacheVersion() int64 { return r.Version }

func TestVersions(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		write := func(c *cache.Cache, version int64) error {
			return cache.Set(t.Context(), c, kitchen, "row", row{"x", version}, &cache.Policy{TTL: time.Hour, Version: version})
		}
		read := func(c *cache.Cache) int64 {
			got, err := cache.Get[row](t.Context(), c, kitchen, "row", &cache.Policy{Strict: true})
			if err != nil {
				return 0
			}
			return got.Version
		}
		do(t, write(a, 5))
		if err := write(b, 4); !errors.Is(err, cache.ErrOutdated) {
			t.Fatalf("version 4 after 5: %v", err)
		}
		do(t, b.Forget(t.Context(), kitchen, "row", 5, nil))
		if got := read(a); got != 5 {
			t.Fatalf("forget up to 5 removes 5: %d", got)
		}
		do(t, b.Forget(t.Context(), kitchen, "row", 7, nil))
		if got := read(a); got != 0 {
			t.Fatalf("forget up to 7 leaves %d", got)
		}
		if err := write(a, 6); !errors.Is(err, cache.ErrOutdated) {
			t.Fatalf("version 6 after 7 was forgotten: %v", err)
		}
		// A load from a replica that lags is answered, and not kept.
		got, err := cache.GetOrLoad(t.Context(), a, kitchen, "row", hour, func(context.Context) (row, error) { return row{"x", 6}, nil })
		if err != nil || got.Version != 6 {
			t.Fatalf("a load: %v, %v", got, err)
		}
		if got := read(a); got != 0 {
			t.Fatalf("version %d is kept", got)
		}
		got, err = cache.GetOrLoad(t.Context(), b, kitchen, "row", hour, func(context.Context) (row, error) { return row{"x", 7}, nil })
		if err != nil || got.Version != 7 || read(a) != 7 {
			t.Fatalf("a load of 7: %v, %v, kept %d", got, err, read(a))
		}
	})
}

func TestGetManyAndWarm(t *testing.T) {
	everywhere(t, func(t *testing.T, a, b *cache.Cache) {
		keys := []string{"m:1", "m:2", "m:3", "m:4"}
		for _, key := range keys[:3] {
			set(t, a, key, key, hour)
		}
		if n, err := cache.Warm[menu](t.Context(), b, kitchen, keys, nil); err != nil || n != 3 {
			t.Fatalf("warm: %d, %v", n, err)
		}
		found, err := cache.GetMany[menu](t.Context(), b, kitchen, keys, nil)
		if err != nil || len(found) != 3 || found["m:2"].Name != "m:2" {
			t.Fatalf("many: %v, %v", found, err)
		}
		if found, err := cache.GetMany[menu](t.Context(), b, kitchen, nil, nil); err != nil || len(found) != 0 {
			t.Fatalf("none of none: %v, %v", found, err)
		}
	})
}

func TestBadInput(t *testing.T) {
	everywhere(t, func(t *testing.T, a, _ *cache.Cache) {
		ctx := t.Context()
		for name, err := range map[string]error{
			"tenant with a colon":     cache.Set(ctx, a, "a:b", "k", 1, hour),
			"tenant with a star":      a.InvalidateTenant(ctx, "*"),
			"tenant of a tag":         a.InvalidateTag(ctx, "a?", "x"),
			"tenant of a read":        getError(a, "[a]", "k", nil),
			"empty key":               cache.Set(ctx, a, kitchen, "", 1, hour),
			"key with empty part":     cache.Set(ctx, a, kitchen, "a::b", 1, hour),
			"key ends in a colon":     cache.Set(ctx, a, kitchen, "a:", 1, hour),
			"long key":                cache.Set(ctx, a, kitchen, strings.Repeat("k", 2000), 1, hour),
			"key in no UTF-8":         getError(a, kitchen, "\xff", nil),
			"TTL 0":                   cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{}),
			"TTL negative":            cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{TTL: -1}),
			"TTL too long":            cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{TTL: cache.MaxTTL + 1}),
			"value without JSON":      cache.Set(ctx, a, kitchen, "k", make(chan int), hour),
			"value that is no number": cache.Set(ctx, a, kitchen, "k", math.NaN(), hour),
			"empty tag":               a.InvalidateTag(ctx, kitchen, ""),
			"tag star":                cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{TTL: 1, Tags: []string{"*"}}),
			"compression":             cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{TTL: 1, CompressFrom: 10}),
			"version 0":               a.Forget(ctx, kitchen, "k", 0, nil),
			"jitter":                  cache.Set(ctx, a, kitchen, "k", 1, &cache.Policy{TTL: 1, Jitter: 0.9}),
			"timeout":                 getError(a, kitchen, "k", &cache.Policy{HardTimeout: time.Hour}),
			"scope of nothing":        a.InvalidateAndWait(ctx, kitchen, cache.Scope{}),
			"scope of two":            a.InvalidateAndWait(ctx, kitchen, cache.Scope{Key: "a", Tag: "b"}),
		} {
			if !errors.Is(err, cache.ErrInvalid) {
				t.Errorf("%s: %v; want ErrInvalid", name, err)
			}
		}
		if err := cache.Set(ctx, a, kitchen, "k", strings.Repeat("x", 10<<20), hour); !errors.Is(err, cache.ErrTooLarge) {
			t.Errorf("10 MB: %v", err)
		}
		if _, err := cache.GetOrLoad(ctx, a, kitchen, "k", hour, func(context.Context) (string, error) {
			return strings.Repeat("x", 10<<20), nil
		}); !errors.Is(err, cache.ErrTooLarge) {
			t.Errorf("10 MB loaded: %v", err)
		}
		if _, err := cache.GetOrLoad(ctx, a, kitchen, "k", hour, func(context.Context) (func(), error) { return func() {}, nil }); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("a function loaded: %v", err)
		}
		wantNone(t, a, "k")
		large := strings.Repeat("x", 1<<20)
		do(t, cache.Set(ctx, a, kitchen, "large", large, hour))
		if got, err := cache.Get[string](ctx, a, kitchen, "large", nil); err != nil || got != large {
			t.Errorf("1 MB: %d bytes, %v", len(got), err)
		}
	})
}

func getError(c *cache.Cache, t tenant.ID, key string, p *cache.Policy) error {
	_, err := cache.Get[int](context.Background(), c, t, key, p)
	return err
}

func TestAnotherTypeIsAMiss(t *testing.T) {
	everywhere(t, func(t *testing.T, a, _ *cache.Cache) {
		set(t, a, "menu", "soto", hour)
		wantMenu(t, a, "menu", "soto")
		if got, err := cache.Get[int](t.Context(), a, kitchen, "menu", nil); !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("an object as a number: %v, %v", got, err)
		}
		if got, err := cache.GetOrLoad(t.Context(), a, kitchen, "menu", hour, func(context.Context) (int, error) { return 7, nil }); err != nil || got != 7 {
			t.Fatalf("loaded as a number: %v, %v", got, err)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []cache.Options{
		{MaxBytes: 1}, {TenantShare: 2}, {Bound: time.Hour}, {Quarantine: -1}, {HoldOff: -1}, {MaxValueBytes: -1}, {MaxLoads: -1},
	} {
		if _, err := cache.New(o); !errors.Is(err, cache.ErrInvalid) {
			t.Errorf("%+v: %v; want ErrInvalid", o, err)
		}
	}
}

func TestClosed(t *testing.T) {
	everywhere(t, func(t *testing.T, _, _ *cache.Cache) {
		c, err := cache.New(cache.Options{})
		do(t, err)
		do(t, c.Close())
		do(t, c.Close())
		if err := cache.Set(t.Context(), c, kitchen, "k", 1, hour); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("set: %v", err)
		}
		if _, err := cache.GetOrLoad(t.Context(), c, kitchen, "k", hour, func(context.Context) (int, error) { return 1, nil }); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("load: %v", err)
		}
		if err := c.InvalidateTag(t.Context(), kitchen, "x"); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("invalidate: %v", err)
		}
	})
}
