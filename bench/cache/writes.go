package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gocache "github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/store"
	redisstore "github.com/eko/gocache/store/redis/v4"
	"github.com/redis/go-redis/v9"

	"kentongan/cache"
)

func sets(b *bench) error {
	key := func(i int) string { return "set:" + strconv.Itoa(i) }
	ekoRedis := gocache.New[string](redisstore.NewRedis(b.redis))
	text := mustJSON(sample)
	trips := b.tier.trips
	fs := []func(int) error{
		func(i int) error { return cache.Set(b.ctx, b.ours, kitchen, key(i), sample, threeTags) },
		func(i int) error {
			return ekoRedis.Set(b.ctx, "eko:"+key(i), text, store.WithExpiration(time.Hour), store.WithTags(threeTags.Tags))
		},
		func(i int) error {
			_, err := b.redis.Pipelined(b.ctx, func(p redis.Pipeliner) error {
				p.Set(b.ctx, "plain:"+key(i), text, time.Hour)
				for _, tag := range threeTags.Tags {
					p.SAdd(b.ctx, "plain:tag:"+tag, "plain:"+key(i))
					p.Expire(b.ctx, "plain:tag:"+tag, 2*time.Hour)
				}
				return nil
			})
			return err
		},
	}
	who := []string{"kentongan", "eko/gocache, redis", "go-redis, one pipeline by hand"}
	columns := []string{kentongan, eko, plain}
	const n = 1000
	times, err := race(n, fs...)
	if err != nil {
		return err
	}
	trips = b.tier.trips - trips
	if b.app != nil {
		best, err := b.app.best(n, "set", "app:set:#", sample, map[string]any{"ttl": 3600, "tags": threeTags.Tags, "sppgId": kitchen})
		if err != nil {
			return err
		}
		who, columns, times = append(who, "the app (ioredis)"), append(columns, appLoop), append(times, best)
	}
	rows := rowsOf(who, times)
	rows[0].more = fmt.Sprintf("%.2f round trips", float64(trips)/(n*rounds))
	rows[2].more = "not atomic"
	b.showAll("Set with three tags, one after the other", rows, columns)
	return nil
}

// fill writes as many entries with one tag, as the app's service would, past all caches.
func (b *bench) fill(id, tag, set string) error {
	const page = 5000
	text := `{"version":1,"epochs":{"*":1},"createdAt":"2026-01-02T03:04:05.000Z","expiresAt":"2036-01-02T03:04:05.000Z","tags":["` + tag + `"],"data":1}`
	for from := 0; from < b.names; from += page {
		_, err := b.redis.Pipelined(b.ctx, func(p redis.Pipeliner) error {
			names := make([]any, 0, page)
			for i := from; i < min(from+page, b.names); i++ {
				name := "bergizi:cache:" + id + ":" + tag + ":" + strconv.Itoa(i)
				p.Set(b.ctx, name, text, time.Hour)
				names = append(names, name)
			}
			p.SAdd(b.ctx, set, names...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// spent returns how long Redis itself has worked on commands, and the longest of them since it was asked last.
func (b *bench) spent() (total, longest time.Duration, err error) {
	info, err := b.redis.Info(b.ctx, "commandstats").Result()
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(info) {
		_, rest, ok := strings.Cut(line, "usec=")
		name, _, _ := strings.Cut(line, ":")
		if !ok || name == "cmdstat_info" || name == "cmdstat_slowlog|get" || name == "cmdstat_slowlog|reset" || strings.HasPrefix(name, "cmdstat_config") {
			continue
		}
		if strings.HasPrefix(name, "cmdstat_evalsha") || isOutermost(name) {
			us, _, _ := strings.Cut(rest, ",")
			n, _ := strconv.ParseInt(us, 10, 64) // as Redis writes it
			total += time.Duration(n) * time.Microsecond
		}
	}
	slow, err := b.redis.SlowLogGet(b.ctx, 128).Result()
	if err != nil {
		return 0, 0, err
	}
	for _, s := range slow {
		longest = max(longest, s.Duration)
	}
	return total, longest, b.redis.Do(b.ctx, "SLOWLOG", "RESET").Err()
}

// isOutermost leaves out what scripts call: it is in the time of the script.
func isOutermost(name string) bool { return name == "cmdstat_del" || name == "cmdstat_smembers" }

// invalidations measures a tag and a tenant of many entries.
func invalidations(b *bench) error {
	if err := b.redis.ConfigSet(b.ctx, "slowlog-log-slower-than", "200").Err(); err != nil {
		return err
	}
	_, _, _ = b.spent()
	if err := b.redis.ConfigResetStat(b.ctx).Err(); err != nil {
		return err
	}
	timed := func(f func() error) (took, inRedis time.Duration, err error) {
		before, _, err := b.spent()
		if err != nil {
			return 0, 0, err
		}
		began := time.Now()
		err = f()
		took = time.Since(began)
		after, _, errAfter := b.spent()
		if err == nil {
			err = errAfter
		}
		return took, after - before, err
	}
	gone := func(id, tag string) (time.Duration, error) {
		began := time.Now()
		for {
			n, err := b.redis.Exists(b.ctx, "bergizi:cache:"+id+":"+tag+":0", "bergizi:cache:"+id+":"+tag+":"+strconv.Itoa(b.names-1),
				"bergizi:cache:"+id+":"+tag+":"+strconv.Itoa(b.names/2)).Result()
			if err != nil {
				return 0, err
			}
			chores, err := b.redis.ZCard(b.ctx, "kentongan:cache:chores").Result()
			if err != nil || n == 0 && chores == 0 {
				return time.Since(began), err
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	var rows []row
	if err := b.fill("sppg_7", "big", "bergizi:tag:sppg_7:big"); err != nil {
		return err
	}
	_ = b.ours.InvalidateTag(b.ctx, kitchen, "small") // scripts are known from here on
	trips := b.tier.trips
	took, inRedis, err := timed(func() error { return b.ours.InvalidateTag(b.ctx, kitchen, "big") })
	if err != nil {
		return err
	}
	tripsTaken := b.tier.trips - trips
	reclaimed, err := gone("sppg_7", "big")
	if err != nil {
		return err
	}
	_, longest, err := b.spent()
	if err != nil {
		return err
	}
	rows = append(rows, row{"kentongan, tag", took, fmt.Sprintf("%d round trip, %s of Redis at most, all removed after %s, longest step %s",
		tripsTaken, inRedis, reclaimed.Round(time.Millisecond), under(longest))})

	if err := b.fill("sppg_8", "all", "bergizi:tag:sppg_8:all"); err != nil {
		return err
	}
	_, _, _ = b.spent()
	took, inRedis, err = timed(func() error { return b.ours.InvalidateTenant(b.ctx, "sppg_8") })
	if err != nil {
		return err
	}
	if reclaimed, err = gone("sppg_8", "all"); err != nil {
		return err
	}
	if _, longest, err = b.spent(); err != nil {
		return err
	}
	fmt.Printf("\nSteps of cleaning up, 250 names each, on average: %s\n", b.steps())
	rows = append(rows, row{"kentongan, tenant", took, fmt.Sprintf("%s of Redis at most, all removed after %s, longest step %s",
		inRedis, reclaimed.Round(time.Millisecond), under(longest))})

	if err := b.fill("sppg_9", "eko", "gocache_tag_eko"); err != nil {
		return err
	}
	ekoRedis := gocache.New[string](redisstore.NewRedis(b.redis))
	if took, _, err = timed(func() error { return ekoRedis.Invalidate(b.ctx, store.WithInvalidateTags([]string{"eko"})) }); err != nil {
		return err
	}
	rows = append(rows, row{"eko/gocache, redis, tag", took, "a round trip each"})
	columns := []string{kentongan, kentongan, eko}
	for _, peer := range []struct {
		who, column, tag string
		act              func(tag string) error
		more             string
	}{
		{"go-redis by hand, tag", plain, "byhand", b.unlinkByHand, "SMEMBERS, and UNLINK of 1,000 at a time; a write in between is lost to the tag"},
		{"go-redis by hand, tenant", plain, "scanned", b.scanByHand, "SCAN of all there is, and UNLINK"},
		{"the app (ioredis), tag", appLoop, "app", func(tag string) error { return b.askApp("invalidateByTag", tag, "sppg_9") }, "a round trip each"},
		{"the app (ioredis), tenant", appLoop, "kept", func(string) error { return b.askApp("invalidateSppgCache", "sppg_9") }, "KEYS, which matches nothing: all are still there"},
	} {
		if peer.column == appLoop && b.app == nil {
			continue
		}
		if err := b.fill("sppg_9", peer.tag, "bergizi:tag:sppg_9:"+peer.tag); err != nil {
			return err
		}
		if took, _, err = timed(func() error { return peer.act(peer.tag) }); err != nil {
			return err
		}
		rows, columns = append(rows, row{peer.who, took, peer.more}), append(columns, peer.column)
	}
	show(fmt.Sprintf("Invalidate %d entries", b.names), rows)
	for i, r := range rows {
		what := "Invalidate a tag of"
		if strings.HasSuffix(r.who, "tenant") {
			what = "Clear a tenant of"
		}
		figure := r.time.Round(10 * time.Microsecond).String()
		if columns[i] == appLoop && strings.HasSuffix(r.who, "tenant") {
			figure += ", removes nothing"
		}
		b.side(fmt.Sprintf("%s %d entries", what, b.names), columns[i], figure)
	}
	return nil
}

func (b *bench) askApp(words ...any) error {
	_, err := b.app.call(words...)
	return err
}

// unlinkAtOnce is how many names those who do it by hand remove with one command.
const unlinkAtOnce = 1000

// unlinkByHand invalidates a tag as one would with a plain client.
func (b *bench) unlinkByHand(tag string) error {
	set := "bergizi:tag:sppg_9:" + tag
	names, err := b.redis.SMembers(b.ctx, set).Result()
	if err != nil {
		return err
	}
	for page := range slices.Chunk(names, unlinkAtOnce) {
		if err := b.redis.Unlink(b.ctx, page...).Err(); err != nil {
			return err
		}
	}
	return b.redis.Unlink(b.ctx, set).Err()
}

// scanByHand clears a tenant as one would with a plain client.
func (b *bench) scanByHand(string) error {
	var cursor uint64
	for {
		names, next, err := b.redis.Scan(b.ctx, cursor, "bergizi:cache:sppg_9:*", unlinkAtOnce).Result()
		if err != nil {
			return err
		}
		if len(names) > 0 {
			if err := b.redis.Unlink(b.ctx, names...).Err(); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// steps returns how long Redis takes for one step of a chore, on average.
func (b *bench) steps() string {
	info, err := b.redis.Info(b.ctx, "commandstats").Result()
	if err != nil {
		return err.Error()
	}
	var out []string
	for line := range strings.Lines(info) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if name != "spop" && name != "unlink" && name != "scan" {
			continue
		}
		_, rest, _ = strings.Cut(rest, "usec_per_call=")
		average, _, _ := strings.Cut(rest, ",")
		out = append(out, name+" "+average+" µs")
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func under(longest time.Duration) string {
	if longest == 0 {
		return "under 200µs"
	}
	return longest.String()
}

// garbage writes entries of one tag that end soon, over and over, and looks what is left of them in the set.
func garbage(b *bench) error {
	const n = 20_000
	p := &cache.Policy{TTL: time.Hour, Tags: []string{"hot"}}
	for i := range n {
		key := "rotating:" + strconv.Itoa(i)
		if err := cache.Set(b.ctx, b.ours, kitchen, key, i, p); err != nil {
			return err
		}
		if i >= 1000 { // the last thousand live
			if err := b.redis.Unlink(b.ctx, "bergizi:cache:sppg_7:rotating:"+strconv.Itoa(i-1000)).Err(); err != nil {
				return err
			}
		}
	}
	size, err := b.redis.SCard(b.ctx, "bergizi:tag:sppg_7:hot").Result()
	if err != nil {
		return err
	}
	fmt.Printf("\nA hot tag: %d entries written, of which 1,000 live\n  kentongan's set has %d names, %.0f %% of them dead; one that nobody cleans has %d, %.0f %%\n",
		n, size, 100*float64(size-1000)/float64(size), n, 100*float64(n-1000)/n)
	return nil
}

// gone asks while Redis does not answer.
func gone(b *bench) error {
	p := &cache.Policy{TTL: time.Hour, StaleOnError: time.Hour}
	for i := range 100 {
		if err := cache.Set(b.ctx, b.ours, kitchen, "gone:"+strconv.Itoa(i), sample, p); err != nil {
			return err
		}
	}
	time.Sleep(200 * time.Millisecond)
	for i := range 100 {
		if _, err := cache.Get[value](b.ctx, b.ours, kitchen, "gone:"+strconv.Itoa(i), p); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := b.redis.Do(b.ctx, "CLIENT", "PAUSE", "6000", "ALL").Err(); err != nil {
		return err
	}
	for !b.ours.Stats().BreakerOpen {
		time.Sleep(5 * time.Millisecond)
	}
	opened := time.Since(began)
	var took []time.Duration
	var failed atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				at := time.Now()
				_, err := cache.GetOrLoad(b.ctx, b.ours, kitchen, "gone:"+strconv.Itoa((g+i)%100), p, func(context.Context) (value, error) {
					return value{}, errMiss
				})
				d := time.Since(at)
				if err != nil {
					failed.Add(1)
				}
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	for st := b.ours.Stats(); st.BreakerOpen || st.Staleness < 0; st = b.ours.Stats() {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Printf("\nRedis stands still for 6 s, and the source is away\n  the breaker opened after %s; of %d reads after that %d failed, median %s, p99 %s; used again %s after they ended\n",
		opened.Round(time.Millisecond), len(took), failed.Load(), took[len(took)/2], took[len(took)*99/100], (time.Since(began) - 6*time.Second).Round(time.Millisecond))
	return nil
}
