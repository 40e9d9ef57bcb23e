package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/tenant"
)

// value is what all keep: as JSON some 300 bytes.
type value struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Portions int      `json:"portions"`
	Progress float64  `json:"progress"`
	Notes    string   `json:"notes"`
	Tags     []string `json:"tags"`
}

var sample = value{"clx0z9production7", "Nasi soto ayam, tempe, jeruk", 2950, 0.4, strings.Repeat("catatan dapur ", 12), []string{"production", "realtime"}}

const kitchen = tenant.ID("sppg_7")

var threeTags = &cache.Policy{TTL: time.Hour, Tags: []string{"production", "menus", "realtime"}}

// bench is what the measurements share.
type bench struct {
	ctx   context.Context
	addr  string
	ours  *cache.Cache
	tier  *counted
	redis *redis.Client // to look at Redis, and as the peer that is plain
	app   *app          // nil: node or its packages are missing
	names int           // entries of a tag to invalidate

	scenes []scene // that were measured
}

// The columns of the last table.
const (
	kentongan = "kentongan"
	appLoop   = "the app's loop"
	aside     = "rueidisaside"
	eko       = "eko/gocache"
	plain     = "plain go-redis"
)

// scene is one row of the last table: what each of them takes.
type scene struct {
	what string
	of   map[string]string
}

// side puts a figure into the last table.
func (b *bench) side(what, who, figure string) {
	for _, s := range b.scenes {
		if s.what == what {
			s.of[who] = figure
			return
		}
	}
	b.scenes = append(b.scenes, scene{what, map[string]string{who: figure}})
}

// sideBySide prints all that was measured of this run in one table.
func (b *bench) sideBySide() {
	columns := []string{kentongan, appLoop, aside, eko, plain}
	fmt.Printf("\nSide by side; – : it cannot, or has nothing of the kind\n| |")
	for _, c := range columns {
		fmt.Printf(" %s |", c)
	}
	fmt.Print("\n|---|---|---|---|---|---|\n")
	for _, s := range b.scenes {
		fmt.Printf("| %s |", s.what)
		for _, c := range columns {
			figure := s.of[c]
			if figure == "" {
				figure = "–"
			}
			fmt.Printf(" %s |", figure)
		}
		fmt.Println()
	}
}

// counted counts round trips.
type counted struct {
	*shared.Redis
	trips int
}

func (c *counted) Read(ctx context.Context, keys, hashes []string) ([]string, []shared.Epochs, error) {
	c.trips++
	return c.Redis.Read(ctx, keys, hashes)
}

func (c *counted) Swap(ctx context.Context, s shared.Swap) (shared.Swapped, error) {
	c.trips++
	return c.Redis.Swap(ctx, s)
}

func (c *counted) Bump(ctx context.Context, b shared.Bump) (shared.Bumped, error) {
	c.trips++
	return c.Redis.Bump(ctx, b)
}

// parts are what is measured, in this order.
var parts = []struct {
	name    string
	measure func(*bench) error
}{
	{"memory", memoryHits}, {"redis", sharedHits}, {"set", sets}, {"rush", stampede}, {"invalidate", invalidations}, {"garbage", garbage},
	{"gone", gone},
}

func main() {
	names := flag.Int("names", 100_000, "entries of the tag that is invalidated")
	only := flag.String("only", "", "measure only these parts, separated by commas: memory, redis, set, rush, invalidate, garbage, gone")
	flag.Parse()
	if err := run(*names, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench-cache:", err)
		os.Exit(1)
	}
}

func run(names int, only string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	addr, end, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer end()
	inner, err := cache.OpenRedis(shared.Options{Address: addr})
	if err != nil {
		return err
	}
	b := &bench{ctx: ctx, addr: addr, tier: &counted{Redis: inner}, names: names}
	if b.ours, err = cache.New(cache.Options{Shared: b.tier}); err != nil {
		return err
	}
	runCtx, stopRun := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.ours.Run(runCtx) }() // it has no error but that of a close
	defer func() { stopRun(); <-ended }()
	b.redis = redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = b.redis.Close() }()
	if b.app, err = startApp(ctx, addr); err != nil {
		fmt.Println("the app's own loop is left out:", err)
	} else {
		defer b.app.close()
	}
	for b.ours.Stats().Staleness < 0 {
		time.Sleep(10 * time.Millisecond)
	}
	for _, part := range parts {
		if only != "" && !slices.Contains(strings.Split(only, ","), part.name) {
			continue
		}
		if err := part.measure(b); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	b.sideBySide()
	return ctx.Err()
}

// startRedis starts a redis-server of its own, which keeps nothing.
func startRedis(ctx context.Context) (addr string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	_ = l.Close() // the server takes it
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return addr, end, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	end()
	return "", nil, errors.New("redis-server does not start")
}

// row is one line of a table.
type row struct {
	who  string
	time time.Duration // of one
	more string
}

// show prints rows with their ratios to the first, which is ours.
func show(title string, rows []row) {
	fmt.Printf("\n%s\n", title)
	for _, r := range rows {
		ratio := float64(r.time) / float64(rows[0].time)
		fmt.Printf("  %-34s %12s  %7.2f×  %s\n", r.who, r.time.Round(time.Microsecond/10), ratio, r.more)
	}
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
