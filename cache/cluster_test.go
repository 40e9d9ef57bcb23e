//go:build unix

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
)

// TestCluster does everything on a Cluster of three nodes: an act with keys of two slots would be refused.
func TestCluster(t *testing.T) {
	t.Parallel() // it mostly waits
	addrs := testenv.StartCluster(t)
	open := func(addr string) *cache.Cache {
		r, err := cache.OpenRedis(shared.Options{Address: addr, Cluster: true})
		do(t, err)
		return run(t, cache.Options{Shared: r})
	}
	a, b := open(addrs[0]), open(addrs[1])
	ctx := t.Context()
	for i := range 20 {
		set(t, a, fmt.Sprint("k", i), "soto", hour)
	}
	for i := range 20 {
		wantMenu(t, b, fmt.Sprint("k", i), "soto")
	}
	found, err := cache.GetMany[menu](ctx, b, kitchen, []string{"k1", "k2", "k3", "none"}, nil)
	if err != nil || len(found) != 3 {
		t.Errorf("many: %v, %v", found, err)
	}
	do(t, a.Invalidate(ctx, kitchen, "k1", nil))
	do(t, a.Forget(ctx, kitchen, "k2", 9, nil))
	wantNone(t, a, "k1")
	eventually(t, "another node forgets", gone(b, "k1"))
	eventually(t, "another node forgets up to a version", gone(b, "k2"))
	if err := cache.Set(ctx, b, kitchen, "k2", row{"x", 8}, &cache.Policy{TTL: time.Hour, Version: 8}); !errors.Is(err, cache.ErrOutdated) {
		t.Errorf("an older version: %v", err)
	}
	do(t, a.InvalidateAndWait(ctx, kitchen, cache.Scope{Tag: "menus"}))
	wantNone(t, b, "k3")
	set(t, a, "k3", "rawon", hour)
	wantMenu(t, b, "k3", "rawon")
	do(t, b.InvalidateTenant(ctx, kitchen))
	wantNone(t, b, "k3")
	eventually(t, "another node forgets all", gone(a, "k3"))

	var loads atomic.Int64
	var callers sync.WaitGroup
	for i := range 500 {
		c := a
		if i%2 == 1 {
			c = b
		}
		callers.Go(func() {
			got, err := cache.GetOrLoad(ctx, c, kitchen, "hot", hour, func(context.Context) (menu, error) {
				loads.Add(1)
				time.Sleep(20 * time.Millisecond)
				return menu{Name: "soto"}, nil
			})
			if err != nil || got.Name != "soto" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	callers.Wait()
	if loads.Load() != 1 {
		t.Errorf("%d loads", loads.Load())
	}
	h, err := cache.HashOf[int](a, kitchen, "hash", time.Minute)
	do(t, err)
	do(t, h.Set(ctx, map[string]int{"a": 1}))
	if got, err := h.Get(ctx, "a"); err != nil || got != 1 {
		t.Errorf("hash: %v, %v", got, err)
	}
	e, err := a.Explain(ctx, kitchen, "hot", nil)
	if err != nil || e.Served == "no" || e.Redis == nil || len(e.Record) == 0 {
		t.Errorf("explain: %+v, %v", e, err)
	}
	if st := a.Stats(); st.BreakerOpen || st.Staleness >= 0 {
		t.Errorf("%+v", st)
	}
}
