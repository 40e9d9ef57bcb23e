//go:build unix

package cache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kentongan/cache"
	"kentongan/internal/testenv"
	"kentongan/tenant"
)

// app is the existing app's cache service, on a real ioredis.
type app struct {
	t *testing.T
	p *testenv.NodeProcess
}

func startApp(t *testing.T, addr string) app {
	t.Helper()
	return app{t, testenv.StartNode(t, "testdata/app.mjs", "redis://"+addr)}
}

// call runs a function of the app and returns its answer as JSON.
func (a app) call(words ...any) string {
	a.t.Helper()
	line, err := json.Marshal(words)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.p.Ask(string(line))
}

func (a app) raw(words ...any) string {
	a.t.Helper()
	return a.call(append([]any{"raw"}, words...)...)
}

// got is what the app's get returns.
type got struct {
	Hit   bool
	Data  *menu
	Entry struct {
		CreatedAt, ExpiresAt time.Time
		SppgID               string
		Tags                 []string
	}
}

func (a app) get(key string, t tenant.ID) (g got) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.call("get", key, t)), &g); err != nil {
		a.t.Fatal(err)
	}
	return g
}

func (a app) set(key string, m menu, t tenant.ID, tags ...string) {
	a.t.Helper()
	if tags == nil {
		tags = []string{}
	}
	a.call("set", key, m, map[string]any{"ttl": 300, "tags": tags, "sppgId": t})
}

// short is a quarantine that a test can wait for, and that is long enough for what has to happen within it on a busy machine.
const short = 3 * time.Second

// within does f until it took less than this: what has to happen within a quarantine may come after it on a machine that stands still.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	for range 20 {
		began := time.Now()
		if f(); time.Since(began) < limit {
			return
		}
	}
	t.Fatalf("it took more than %s each time", limit)
}

// withApp starts a Redis, the app and a node.
func withApp(t *testing.T, quarantine time.Duration) (app, *cache.Cache) {
	t.Helper()
	addr := testenv.Redis(t)
	a := startApp(t, addr)
	c := run(t, cache.Options{Shared: tierAt(t, addr), Quarantine: quarantine})
	awaitFence(t, c)
	return a, c
}

// settle makes the epochs of a tenant old enough for entries of the app to be trusted.
func settle(t *testing.T, c *cache.Cache, ids ...tenant.ID) {
	t.Helper()
	for _, id := range ids {
		_, _ = cache.Get[menu](t.Context(), c, id, "settle", nil)
	}
	time.Sleep(short + 100*time.Millisecond)
}

func TestTheAppReadsWhatWeWrite(t *testing.T) {
	a, c := withApp(t, short)
	do(t, cache.Set(t.Context(), c, kitchen, "menus:today", menu{Name: "soto", Rice: 1.5}, &cache.Policy{TTL: 90 * time.Second, Tags: []string{"menus", "today"}}))
	do(t, cache.Set(t.Context(), c, tenant.Global, "prices", menu{Name: "all"}, hour))
	g := a.get("menus:today", kitchen)
	if !g.Hit || g.Data == nil || g.Data.Name != "soto" || g.Data.Rice != 1.5 || g.Entry.SppgID != "k1" || len(g.Entry.Tags) != 2 {
		t.Fatalf("the app gets %+v", g)
	}
	if life := g.Entry.ExpiresAt.Sub(g.Entry.CreatedAt); life != 90*time.Second {
		t.Errorf("it lives %s", life)
	}
	var ends int64
	do(t, json.Unmarshal([]byte(a.raw("PEXPIRETIME", "bergizi:cache:k1:menus:today")), &ends))
	if d := time.UnixMilli(ends).Sub(g.Entry.ExpiresAt); d < -time.Second || d > 10*time.Second { // written a moment after it was made
		t.Errorf("in Redis it ends %s after what it says", d)
	}
	if g := a.get("prices", ""); !g.Hit || g.Data.Name != "all" {
		t.Errorf("the app gets of all: %+v", g)
	}
	for _, key := range []string{"bergizi:tag:k1:menus", "bergizi:tag:k1:today", "tag:global:menus"} {
		if n := a.raw("SCARD", key); n != "1" {
			t.Errorf("%s has %s members", key, n)
		}
	}
	if m := a.raw("SMEMBERS", "tag:global:menus"); m != `["cache:global:prices"]` {
		t.Errorf("members of the global tag: %s", m)
	}
}

func TestWeReadWhatTheAppWrites(t *testing.T) {
	t.Parallel() // it mostly waits
	a, c := withApp(t, short)
	settle(t, c, kitchen, tenant.Global)
	a.set("menus:today", menu{Name: "rawon"}, kitchen, "menus")
	a.set("prices", menu{Name: "all"}, "")
	wantMenu(t, c, "menus:today", "rawon")
	if m, err := cache.Get[menu](t.Context(), c, tenant.Global, "prices", nil); err != nil || m.Name != "all" {
		t.Fatalf("of all: %v, %v", m, err)
	}
	// Its next write is seen, though memory has the last one.
	a.set("menus:today", menu{Name: "pecel"}, kitchen, "menus")
	eventually(t, "the app's new value", func() bool {
		m, err := cache.Get[menu](t.Context(), c, kitchen, "menus:today", nil)
		return err == nil && m.Name == "pecel"
	})
	// And so are its invalidations.
	a.call("invalidate", "menus:today", kitchen)
	eventually(t, "the app's invalidation", gone(c, "menus:today"))
	set(t, c, "menus:tomorrow", "soto", hour)
	set(t, c, "stock", "rice", &cache.Policy{TTL: time.Hour, Tags: []string{"stock"}})
	wantMenu(t, c, "menus:tomorrow", "soto")
	a.call("invalidateByTag", "menus", kitchen)
	eventually(t, "the app's invalidation of a tag", gone(c, "menus:tomorrow"))
	wantMenu(t, c, "stock", "rice")
	if n := a.call("invalidateSppgCache", kitchen); n != "0" {
		t.Errorf("the stand-in clears a tenant: %s names; the app does not", n)
	}
}

func TestTheAppMissesWhatWeInvalidate(t *testing.T) {
	t.Parallel() // it mostly waits
	a, c := withApp(t, short)
	fill := func() {
		for i := range 3 {
			set(t, c, fmt.Sprint("menus:", i), "soto", hour)
			a.set(fmt.Sprint("its:", i), menu{Name: "rawon"}, kitchen, "menus")
		}
	}
	hits := func() (n int) {
		for i := range 3 {
			for _, key := range []string{"menus:", "its:"} {
				if a.get(fmt.Sprint(key, i), kitchen).Hit {
					n++
				}
			}
		}
		return n
	}
	fill()
	if n := hits(); n != 6 {
		t.Fatalf("the app has %d of 6", n)
	}
	do(t, c.Invalidate(t.Context(), kitchen, "its:1", nil))
	if n := hits(); n != 5 {
		t.Errorf("after one key the app has %d of 5", n)
	}
	do(t, c.InvalidateTag(t.Context(), kitchen, "menus"))
	if n := hits(); n != 0 {
		t.Errorf("after the tag the app has %d", n)
	}
	fill()
	do(t, c.InvalidateTenant(t.Context(), kitchen))
	eventually(t, "the app misses what a cleared tenant had", func() bool { return hits() == 0 })
	do(t, c.Forget(t.Context(), kitchen, "menus:1", 9, nil))
	if a.get("menus:1", kitchen).Hit {
		t.Error("the app takes a floor for a hit")
	}
}

// TestTheAppEndsOurLoads has the app do each of its things while this node loads: what was loaded before must not be kept.
func TestTheAppEndsOurLoads(t *testing.T) {
	a, c := withApp(t, short)
	for name, act := range map[string]func(kitchen tenant.ID){
		"invalidate":      func(kitchen tenant.ID) { a.call("invalidate", "menus:raced", kitchen) },
		"invalidateByTag": func(kitchen tenant.ID) { a.call("invalidateByTag", "menus", kitchen) },
		"set":             func(kitchen tenant.ID) { a.set("menus:raced", menu{Name: "new"}, kitchen, "menus") },
	} {
		kitchen := tenant.ID("raced-" + name) // one each: what one leaves to be cleaned up may still be removed while the next one loads
		started, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := cache.GetOrLoad(context.Background(), c, kitchen, "menus:raced", hour, func(context.Context) (menu, error) {
				close(started)
				<-release
				return menu{Name: "old"}, nil
			})
			done <- err
		}()
		<-started
		if g := a.get("menus:raced", kitchen); g.Hit {
			t.Errorf("%s: the app takes a lease for a hit", name)
		}
		if v := a.raw("GET", "bergizi:cache:"+string(kitchen)+":menus:raced"); !strings.HasPrefix(v, `"0e1`) {
			t.Errorf("%s: the app's read changes the lease to %s", name, v)
		}
		act(kitchen)
		close(release)
		do(t, <-done)
		if g := a.get("menus:raced", kitchen); g.Hit && g.Data.Name == "old" {
			t.Errorf("%s: the old load was written", name)
		}
		if m, err := cache.Get[menu](t.Context(), c, kitchen, "menus:raced", &cache.Policy{Strict: true}); err == nil && m.Name == "old" {
			t.Errorf("%s: the old load is served", name)
		}
	}
	if n := c.Stats().CommitsRefused; n != 3 {
		t.Errorf("%d commits were refused, want 3", n)
	}
}

// TestTheAppsLateWritesAreNotTrusted has the app write what it read before an invalidation of ours.
func TestTheAppsLateWritesAreNotTrusted(t *testing.T) {
	t.Parallel() // it mostly waits
	a, c := withApp(t, short)
	settle(t, c, kitchen)
	for name, invalidate := range map[string]func() error{
		"key":     func() error { return c.Invalidate(t.Context(), kitchen, "late:key", nil) },
		"tag":     func() error { return c.InvalidateTag(t.Context(), kitchen, "menus") },
		"version": func() error { return c.Forget(t.Context(), kitchen, "late:version", 3, nil) },
		"tenant":  func() error { return c.InvalidateTenant(t.Context(), kitchen) },
	} {
		within(t, short*2/3, func() {
			do(t, invalidate())
			a.set("late:"+name, menu{Name: "old"}, kitchen, "menus")
		})
		wantNone(t, c, "late:"+name)
	}
	// One load replaces it, and the app gets that, too.
	m, err := cache.GetOrLoad(t.Context(), c, kitchen, "late:tag", hour, func(context.Context) (menu, error) { return menu{Name: "new"}, nil })
	if err != nil || m.Name != "new" {
		t.Fatalf("load over a late write: %v, %v", m, err)
	}
	wantMenu(t, c, "late:tag", "new")
	if g := a.get("late:tag", kitchen); !g.Hit || g.Data.Name != "new" {
		t.Errorf("the app still has %+v", g)
	}
	eventually(t, "late writes under an invalidated key go away", func() bool { return !a.get("late:key", kitchen).Hit && !a.get("late:version", kitchen).Hit })
	// What it writes after the quarantine is trusted again.
	time.Sleep(short + 100*time.Millisecond)
	a.set("late:key", menu{Name: "good"}, kitchen, "menus")
	wantMenu(t, c, "late:key", "good")
}

func TestTagSetsOnlyLiveLonger(t *testing.T) {
	a, c := withApp(t, short)
	life := func() (n int) {
		if err := json.Unmarshal([]byte(a.raw("TTL", "bergizi:tag:k1:menus")), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a.raw("SADD", "bergizi:tag:k1:menus", "bergizi:cache:k1:other") // without an end, as the app's may be for a moment
	set(t, c, "menus:long", "soto", &cache.Policy{TTL: 2 * time.Hour, Tags: []string{"menus"}})
	if n := life(); n < 3*3600-5 || n > 3*3600 {
		t.Errorf("the set of a two-hour entry lives %d s", n)
	}
	set(t, c, "menus:short", "soto", &cache.Policy{TTL: time.Minute, Tags: []string{"menus"}})
	if n := life(); n < 3*3600-5 {
		t.Errorf("a short entry shortens it to %d s", n)
	}
}

// TestForeignTextsAreMisses puts other things under our names.
func TestForeignTextsAreMisses(t *testing.T) {
	t.Parallel() // it mostly waits
	a, c := withApp(t, short)
	settle(t, c, kitchen)
	malformed := 0
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	for _, text := range []string{
		"null", "0", `""`, "false", "{}", "[]", "12", "no JSON", `{"data":1}`, "\x00\xff", `{"data":{"name":7},"createdAt":"` + now + `",` +
			`"expiresAt":"2126-01-02T03:04:05.000Z","version":"1","tags":[]}`,
		`{"data":1,"createdAt":"yesterday","expiresAt":"tomorrow"}`, `{"version":1,"epochs":{},"createdAt":"2026-01-02T03:04:05.000Z",` +
			`"expiresAt":"2126-01-02T03:04:05.000Z","tags":[],"data":{}}`,
		`{"version":1,"epochs":"x","createdAt":7}`, "0e1", "0e1" + strings.Repeat("x", 38),
	} {
		a.raw("SETEX", "bergizi:cache:k1:foreign", 300, text)
		if m, err := cache.Get[menu](t.Context(), c, kitchen, "foreign", nil); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("%q: got %v, %v; want ErrNotFound", text, m, err)
		}
		malformed++
	}
	if n := c.Stats().Malformed; n != uint64(malformed) {
		t.Errorf("%d of %d were counted", n, malformed)
	}
	m, err := cache.GetOrLoad(t.Context(), c, kitchen, "foreign", hour, func(context.Context) (menu, error) { return menu{Name: "soto"}, nil })
	if err != nil || m.Name != "soto" {
		t.Fatalf("load over it: %v, %v", m, err)
	}
	wantMenu(t, c, "foreign", "soto")
}
