package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
)

// scrape returns what the metrics of the cache are, by name and labels.
func scrape(c *cache.Cache) map[string]float64 {
	series := map[string]float64{}
	name := regexp.MustCompile(`fqName: "kentongan_cache_([a-z_]+)"`)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		series[strings.Join(append(name.FindStringSubmatch(d.String())[1:], labels...), " ")] = v
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) { gauge(d, float64(v), labels...) }
	(&metrics{app: &App{cache: c}}).collectCache(counter, gauge)
	return series
}

// TestEachMetricOfTheCacheMoves has everything happen that is counted.
func TestEachMetricOfTheCacheMoves(t *testing.T) {
	const id, quarantine = "kitchen-of-the-test", 200 * time.Millisecond
	server := testenv.StartRedis(t)
	ctx := t.Context()
	open := func() (*cache.Cache, *shared.Redis) {
		tier, err := cache.OpenRedis(shared.Options{Address: server.Addr})
		if err != nil {
			t.Fatal(err)
		}
		c, err := cache.New(cache.Options{Shared: tier, Bound: 500 * time.Millisecond, Quarantine: quarantine, MaxLoads: 2})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
		return c, tier
	}
	c, tier := open()
	other, _ := open()

	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func(now map[string]float64) bool) {
		t.Helper()
		var now map[string]float64
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if now = scrape(c); ok(now) {
				return
			}
		}
		t.Fatalf("%s: not after 30 s: %v", what, now)
	}
	moved := map[string]bool{}
	// moves runs f until these series have risen.
	moves := func(f func(), names ...string) {
		t.Helper()
		before := scrape(c)
		for _, name := range names {
			if _, ok := before[name]; !ok {
				t.Fatalf("there is no %s: %v", name, before)
			}
			moved[name] = true
		}
		until(strings.Join(names, ", "), func(map[string]float64) bool {
			f()
			now := scrape(c)
			for _, name := range names {
				if now[name] <= before[name] {
					return false
				}
			}
			return true
		})
	}
	once := func(f func()) func() { return sync.OnceFunc(f) }
	tagged := &cache.Policy{TTL: time.Hour, Tags: []string{"menus"}, StaleOnError: time.Hour}
	get := func(key string) func() { return func() { _, _ = cache.Get[int](ctx, c, id, key, tagged) } }
	load := func(c *cache.Cache, key string, f func(context.Context) (int, error)) func() {
		return func() { _, _ = cache.GetOrLoad(ctx, c, id, key, tagged, f) }
	}
	one := func(context.Context) (int, error) { return 1, nil }
	write := func(key, text string) {
		_, err := tier.Swap(ctx, shared.Swap{Key: "bergizi:cache:" + id + ":" + key, Any: true, Value: text, TTL: time.Minute})
		do(err)
	}

	until("memory answers", func(now map[string]float64) bool { return now["staleness_seconds"] >= 0 && now["breaker_open"] == 0 })
	if got := scrape(c)["bound_seconds"]; got != 0.5 {
		t.Errorf("the bound is %v s", got)
	}
	moves(get("none"), "reads_total miss", "tenants")
	do(cache.Set(ctx, c, id, "k", 1, tagged))
	moves(get("k"), "reads_total redis", "reads_total memory", "entries", "bytes")
	moves(load(c, "new", one), "loads_total ok", "leases_total taken", "commits_total written")
	moves(once(load(c, "fails", func(context.Context) (int, error) { return 0, errors.New("away") })), "loads_total failed")
	moves(once(load(c, "raced", func(context.Context) (int, error) { return 1, c.Invalidate(ctx, id, "raced", nil) })), "commits_total refused")
	moves(func() { do(cache.Set(ctx, other, id, "k", 2, tagged)) }, "changes_total")

	var callers sync.WaitGroup
	keys := 0
	key := func() string { keys++; return fmt.Sprint("key", keys) }
	slowly := func(context.Context) (int, error) { time.Sleep(30 * time.Millisecond); return 1, nil }
	moves(func() {
		same := key()
		for range 20 { // those who come after the news of the lease wait for it instead
			callers.Go(load(c, same, slowly))
		}
		time.Sleep(10 * time.Millisecond)
	}, "loading", "joined_total")
	callers.Wait()
	moves(func() {
		for range 3 {
			callers.Go(load(c, key(), slowly))
		}
		callers.Wait()
	}, "loads_total overloaded")
	release := make(chan struct{})
	moves(once(func() {
		callers.Go(load(other, "theirs", func(context.Context) (int, error) { <-release; return 1, nil }))
		callers.Go(func() {
			for scrape(other)["loading"] == 0 {
				time.Sleep(time.Millisecond)
			}
			load(c, "theirs", one)()
		})
	}), "leases_total waited")
	close(release)
	callers.Wait()

	write("foreign", "nonsense")
	moves(get("foreign"), "distrusted_total malformed")
	do(cache.Set(ctx, c, id, "old", 1, tagged))
	texts, _, err := tier.Read(ctx, []string{"bergizi:cache:" + id + ":old"}, nil)
	do(err)
	do(c.InvalidateTag(ctx, id, "menus"))
	write("old", texts[0])
	moves(get("old"), "distrusted_total invalidated")
	time.Sleep(2 * quarantine) // the epochs are old enough
	moves(func() {             // a chore each, of which the other node does some
		late := key()
		do(c.Invalidate(ctx, id, late, nil))
		now := time.Now().UTC()
		write(late, `{"data":1,"createdAt":"`+now.Format("2006-01-02T15:04:05.000Z")+`","expiresAt":"`+
			now.Add(time.Minute).Format("2006-01-02T15:04:05.000Z")+`","version":"1.0","sppgId":"`+id+`","tags":[]}`)
		get(late)()
		time.Sleep(20 * time.Millisecond)
	}, "distrusted_total quarantine", "chores_total")
	moves(func() {
		do(cache.Set(ctx, c, id, "dead", 1, tagged))
		do(c.Invalidate(ctx, id, "dead", nil))
		do(cache.Set(ctx, c, id, "k", 1, tagged))
	}, "tag_names_total looked", "tag_names_total dead")
	if now := scrape(c); now["redis_bytes"] < 100_000 || now["redis_names"] < 1 || now["redis_names"] > 100 {
		t.Errorf("Redis has %v names in %v bytes", now["redis_names"], now["redis_bytes"])
	}
	moved["redis_bytes"], moved["redis_names"] = true, true

	moves(load(c, "k", one), "reads_total memory") // it is there when Redis goes
	moves(load(c, "lost", func(context.Context) (int, error) { server.Kill(); return 1, nil }), "commits_total failed", "redis_errors_total")
	moves(load(c, "k", func(context.Context) (int, error) { return 0, errors.New("away") }), "breaker_open", "breaker_opened_total", "reads_total stale")
	if got := scrape(c)["staleness_seconds"]; got != -1 {
		t.Errorf("without Redis what memory knows is %v s old", got)
	}
	for name := range scrape(c) {
		if !moved[name] && name != "bound_seconds" && name != "staleness_seconds" {
			t.Errorf("nothing has moved %s", name)
		}
		if strings.Contains(name, id) {
			t.Errorf("a tenant is a label: %s", name)
		}
	}
}
