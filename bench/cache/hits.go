package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto"
	gocache "github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/store"
	redisstore "github.com/eko/gocache/store/redis/v4"
	ristrettostore "github.com/eko/gocache/store/ristretto/v4"
	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"kentongan/cache"
)

// rounds is how often each is measured, in turn; the best counts, for what disturbs a measurement only ever slows it.
const rounds = 5

// cpuTime is how long this thread has worked.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// spin calls f for a while on a thread of its own, and returns the time of the CPU that one call takes: what else the machine does is
// not in it.
func spin(f func() error) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const batch = 10_000
	began, calls := cpuTime(), 0
	for cpuTime()-began < 100*time.Millisecond {
		for range batch {
			if err := f(); err != nil {
				return 0, err
			}
		}
		calls += batch
	}
	return float64(cpuTime()-began) / float64(calls), nil
}

// contest measures each in turn, alone or on all CPUs at once, and returns the best of each.
func contest(fs []func() error, threads int) ([]float64, error) {
	out := make([]float64, len(fs))
	for range rounds {
		for i, f := range fs {
			var all errgroup.Group
			times := make([]float64, threads)
			for t := range threads {
				all.Go(func() (err error) {
					times[t], err = spin(f)
					return err
				})
			}
			if err := all.Wait(); err != nil {
				return nil, err
			}
			if worst := slices.Max(times); out[i] == 0 || worst < out[i] {
				out[i] = worst
			}
		}
	}
	return out, nil
}

// race measures each in turn by the clock on the wall, and returns the best of each.
func race(n int, fs ...func(i int) error) ([]time.Duration, error) {
	out := make([]time.Duration, len(fs))
	for round := range rounds {
		for i, f := range fs {
			began := time.Now()
			for j := range n {
				if err := f(round*n + j); err != nil {
					return nil, err
				}
			}
			if took := time.Since(began) / time.Duration(n); out[i] == 0 || took < out[i] {
				out[i] = took
			}
		}
	}
	return out, nil
}

func (b *bench) aside() (rueidisaside.CacheAsideClient, error) {
	return rueidisaside.NewClient(rueidisaside.ClientOption{ClientOption: rueidis.ClientOption{InitAddress: []string{b.addr}}})
}

var errMiss = errors.New("miss")

func memoryHits(b *bench) error {
	if err := cache.Set(b.ctx, b.ours, kitchen, "hot:key", sample, threeTags); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond)
	bare := otter.Must(&otter.Options[string, *value]{MaximumWeight: 64 << 20, Weigher: func(string, *value) uint32 { return 700 }})
	bare.Set("hot:key", &sample)
	ending := otter.Must(&otter.Options[string, *value]{
		MaximumWeight: 64 << 20, Weigher: func(string, *value) uint32 { return 700 }, ExpiryCalculator: otter.ExpiryWriting[string, *value](time.Hour),
	})
	defer ending.StopAllGoroutines()
	ending.Set("hot:key", &sample)
	r, err := ristretto.NewCache(&ristretto.Config{NumCounters: 1e6, MaxCost: 64 << 20, BufferItems: 64})
	if err != nil {
		return err
	}
	defer r.Close()
	ristrettoCache := gocache.New[*value](ristrettostore.NewRistretto(r))
	if err := ristrettoCache.Set(b.ctx, "hot:key", &sample, store.WithCost(700)); err != nil {
		return err
	}
	r.Wait()
	side, err := b.aside()
	if err != nil {
		return err
	}
	defer side.Close()
	text := mustJSON(sample)
	fs := []func() error{
		func() error { _, err := cache.Get[value](b.ctx, b.ours, kitchen, "hot:key", threeTags); return err },
		func() error { return hit(bare.GetIfPresent("hot:key")) },
		func() error { return hit(ending.GetIfPresent("hot:key")) },
		func() error { _, err := ristrettoCache.Get(b.ctx, "hot:key"); return err },
		func() error {
			got, err := side.Get(b.ctx, time.Hour, "side:key", func(context.Context, string) (string, error) { return text, nil })
			if err != nil {
				return err
			}
			var v value
			return json.Unmarshal([]byte(got), &v)
		},
	}
	who := []string{"kentongan, with tag check", "otter", "otter with an end of life", "eko/gocache, ristretto", "rueidisaside and JSON"}
	for _, threads := range []int{1, runtime.GOMAXPROCS(0)} {
		results, err := contest(fs, threads)
		if err != nil {
			return err
		}
		title := fmt.Sprintf("Hit in memory, on %d CPU, time of the CPU", threads)
		fmt.Printf("\n%s\n", title)
		for i, column := range map[int]string{0: kentongan, 3: eko, 4: aside} {
			b.side(title, column, fmt.Sprintf("%.0f ns", results[i]))
		}
		for i, ns := range results {
			allocs := testing.AllocsPerRun(1000, func() { _ = fs[i]() })
			fmt.Printf("  %-34s %9.1f ns  %6.2f×  %.0f allocs\n", who[i], ns, ns/results[0], allocs)
		}
	}
	return nil
}

func hit(v *value, ok bool) error {
	if !ok || v == nil {
		return errMiss
	}
	return nil
}

func sharedHits(b *bench) error {
	ekoRedis := gocache.New[string](redisstore.NewRedis(b.redis))
	if err := ekoRedis.Set(b.ctx, "eko:key", mustJSON(sample)); err != nil {
		return err
	}
	side, err := b.aside()
	if err != nil {
		return err
	}
	defer side.Close()
	const n = 2000
	if err := b.fillAside(n * rounds); err != nil {
		return err
	}
	trips := b.tier.trips
	read := func(text string, err error) error {
		if err != nil {
			return err
		}
		var v value
		return json.Unmarshal([]byte(text), &v)
	}
	fs := []func(int) error{
		func(int) error {
			b.ours.ForgetHere(kitchen, "hot:key")
			_, err := cache.Get[value](b.ctx, b.ours, kitchen, "hot:key", threeTags)
			return err
		},
		func(int) error { return read(b.redis.Get(b.ctx, "eko:key").Result()) },
		func(int) error { return read(ekoRedis.Get(b.ctx, "eko:key")) },
		func(i int) error { // each name once: after that it is in memory
			return read(side.Get(b.ctx, time.Hour, "aside:"+strconv.Itoa(i), func(context.Context, string) (string, error) { return "", errMiss }))
		},
	}
	who := []string{"kentongan", "go-redis GET and JSON", "eko/gocache, redis, and JSON", "rueidisaside, first time, and JSON"}
	columns := []string{kentongan, plain, eko, aside}
	times, err := race(n, fs...)
	if err != nil {
		return err
	}
	trips = b.tier.trips - trips
	if b.app != nil {
		best, err := b.app.best(n, "get", "hot:key", kitchen)
		if err != nil {
			return err
		}
		who, columns, times = append(who, "the app (ioredis)"), append(columns, appLoop), append(times, best)
	}
	rows := rowsOf(who, times)
	rows[0].more = fmt.Sprintf("%.2f round trips, %.0f allocs", float64(trips)/(n*rounds), testing.AllocsPerRun(1000, func() { _ = fs[0](0) }))
	rows[1].more = fmt.Sprintf("%.0f allocs", testing.AllocsPerRun(1000, func() { _ = fs[1](0) }))
	b.showAll("Hit in Redis, one after the other", rows, columns)
	return nil
}

// fillAside writes what rueidisaside will find in Redis.
func (b *bench) fillAside(n int) error {
	text := mustJSON(sample)
	_, err := b.redis.Pipelined(b.ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(b.ctx, "aside:"+strconv.Itoa(i), text, time.Hour)
		}
		return nil
	})
	return err
}

// best is race for the app alone.
func (a *app) best(n int, words ...any) (best time.Duration, err error) {
	for round := range rounds {
		took, err := a.times(n, round*n, words...)
		if err != nil {
			return 0, err
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// showAll shows rows, and puts them into the last table.
func (b *bench) showAll(title string, rows []row, columns []string) {
	show(title, rows)
	for i, r := range rows {
		figure := r.time.Round(max(time.Microsecond, (r.time / 100).Truncate(time.Microsecond))).String()
		if strings.HasSuffix(r.more, "loads") || strings.HasSuffix(r.more, "load") {
			figure += ", " + r.more
		}
		b.side(title, columns[i], figure)
	}
}

func rowsOf(who []string, times []time.Duration) []row {
	rows := make([]row, len(who))
	for i := range who {
		rows[i] = row{who: who[i], time: times[i]}
	}
	return rows
}

// stampede has 10,000 callers ask for one key that takes 50 ms to load.
func stampede(b *bench) error {
	const callers = 10_000
	rush := func(get func() error) (time.Duration, error) {
		var all sync.WaitGroup
		var failed atomic.Value
		began := time.Now()
		for range callers {
			all.Go(func() {
				if err := get(); err != nil {
					failed.Store(err)
				}
			})
		}
		all.Wait()
		err, _ := failed.Load().(error)
		return time.Since(began), err
	}
	var loads atomic.Int64
	load := func() value { loads.Add(1); time.Sleep(50 * time.Millisecond); return sample }
	var rows []row
	add := func(who string, get func() error) error {
		loads.Store(0)
		took, err := rush(get)
		rows = append(rows, row{who, took, plural(loads.Load())})
		return err
	}
	if err := add("kentongan", func() error {
		_, err := cache.GetOrLoad(b.ctx, b.ours, kitchen, "rush:key", threeTags, func(context.Context) (value, error) { return load(), nil })
		return err
	}); err != nil {
		return err
	}
	side, err := b.aside()
	if err != nil {
		return err
	}
	defer side.Close()
	if err := add("rueidisaside", func() error {
		_, err := side.Get(b.ctx, time.Hour, "rush:side", func(context.Context, string) (string, error) { return mustJSON(load()), nil })
		return err
	}); err != nil {
		return err
	}
	r, err := ristretto.NewCache(&ristretto.Config{NumCounters: 1e6, MaxCost: 64 << 20, BufferItems: 64})
	if err != nil {
		return err
	}
	defer r.Close()
	loadable := gocache.NewLoadable[*value](func(context.Context, any) (*value, []store.Option, error) { v := load(); return &v, nil, nil },
		gocache.New[*value](ristrettostore.NewRistretto(r)))
	defer func() { _ = loadable.Close() }()
	if err := add("eko/gocache, ristretto, loadable", func() error { _, err := loadable.Get(b.ctx, "rush:eko"); return err }); err != nil {
		return err
	}
	columns := []string{kentongan, aside, eko, plain}
	if err := add("go-redis GET, else load and SET", func() error {
		text, err := b.redis.Get(b.ctx, "rush:plain").Result()
		if errors.Is(err, redis.Nil) {
			return b.redis.Set(b.ctx, "rush:plain", mustJSON(load()), time.Hour).Err()
		}
		if err != nil {
			return err
		}
		var v value
		return json.Unmarshal([]byte(text), &v)
	}); err != nil {
		return err
	}
	if b.app != nil {
		began := time.Now()
		n, err := b.app.call("rush", callers, 50, "rush:app", sample, map[string]any{"ttl": 3600, "tags": threeTags.Tags, "sppgId": kitchen})
		if err != nil {
			return err
		}
		rows, columns = append(rows, row{"the app (ioredis)", time.Since(began), plural(int64(n))}), append(columns, appLoop)
	}
	b.showAll("10,000 callers of one key whose load takes 50 ms", rows, columns)
	return nil
}

func plural(loads int64) string {
	if loads == 1 {
		return "1 load"
	}
	return fmt.Sprintf("%d loads", loads)
}
