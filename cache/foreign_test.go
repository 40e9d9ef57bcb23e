//go:build unix

package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kentongan/cache"
)

// TestForeignKindsAreMisses puts what is no text under our names. It is a miss, is counted, and is nobody else's trouble: a breaker that opens
// for one such name would take the cache away from all kitchens.
func TestForeignKindsAreMisses(t *testing.T) {
	a, c := withApp(t, short)
	set(t, c, "menus:good", "soto", hour)
	a.raw("HSET", "bergizi:cache:k1:foreign", "name", "soto")
	before := c.Stats()
	for range 10 {
		wantNone(t, c, "foreign")
	}
	if n := c.Stats().Malformed - before.Malformed; n != 10 {
		t.Errorf("%d of 10 were counted", n)
	}
	found, err := cache.GetMany[menu](t.Context(), c, kitchen, []string{"foreign", "menus:good"}, nil)
	if err != nil || len(found) != 1 || found["menus:good"].Name != "soto" {
		t.Errorf("many: %v, %v", found, err)
	}
	// Loads are answered, and what is there stays: it may be dear to somebody.
	for range 5 {
		m, err := cache.GetOrLoad(t.Context(), c, kitchen, "foreign", hour, func(context.Context) (menu, error) { return menu{Name: "rawon"}, nil })
		if err != nil || m.Name != "rawon" {
			t.Errorf("load: %v, %v", m, err)
		}
	}
	if kind := a.raw("TYPE", "bergizi:cache:k1:foreign"); kind != `"hash"` {
		t.Errorf("under the name is now a %s", kind)
	}
	e, err := c.Explain(t.Context(), kitchen, "foreign", nil)
	if err != nil || e.Redis == nil || e.Redis.Kind != "no text" {
		t.Errorf("explain: %+v, %v", e, err)
	}
	// A structure of ours under the name of an entry, and the other way round.
	l, err := cache.ListOf[int](c, kitchen, "menus:good", 3, time.Minute)
	do(t, err)
	for range 5 {
		if err := l.Push(t.Context(), 1); !errors.Is(err, cache.ErrKind) {
			t.Errorf("push onto an entry: %v; want ErrKind", err)
		}
	}
	// Sets of tags and epochs of another kind.
	a.raw("SET", "bergizi:tag:k1:odd", "x")
	odd := &cache.Policy{TTL: time.Hour, Tags: []string{"odd"}}
	set(t, c, "odd", "soto", odd)
	wantMenu(t, c, "odd", "soto")
	do(t, c.InvalidateTag(t.Context(), kitchen, "odd"))
	wantNone(t, c, "odd")
	for _, words := range [][]any{
		{"SET", "bergizi:epoch:k1", "x"}, {"HSET", "bergizi:epoch:k1", "menus", "soon"}, {"HSET", "bergizi:epoch:k1", "*", "never"},
	} {
		set(t, c, "before", "old", hour)
		if words[0] == "SET" {
			a.raw("DEL", "bergizi:epoch:k1")
		}
		a.raw(words...)
		eventually(t, "what was before is void", gone(c, "before"))
		set(t, c, "after", "soto", hour)
		wantMenu(t, c, "after", "soto")
		do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
		wantNone(t, c, "after")
	}
	// Who wants it replaced or removed gets that.
	for what, act := range map[string]func() error{
		"set":        func() error { return cache.Set(t.Context(), c, kitchen, "foreign", menu{Name: "soto"}, hour) },
		"forget":     func() error { return c.Forget(t.Context(), kitchen, "foreign", 3, nil) },
		"invalidate": func() error { return c.Invalidate(t.Context(), kitchen, "foreign", nil) },
	} {
		a.raw("DEL", "bergizi:cache:k1:foreign")
		a.raw("HSET", "bergizi:cache:k1:foreign", "name", "soto")
		do(t, act())
		if kind := a.raw("TYPE", "bergizi:cache:k1:foreign"); kind == `"hash"` {
			t.Errorf("%s leaves what was there", what)
		}
	}
	set(t, c, "foreign", "soto", hour)
	wantMenu(t, c, "foreign", "soto")
	if st := c.Stats(); st.BreakerOpened > 0 || st.Errors > 0 {
		t.Errorf("%+v", st)
	}
}
