package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/app"
	"kentongan/bench/drive"
	"kentongan/bench/publish"
	"kentongan/config"
	"kentongan/internal/testenv"
)

// roleServe makes this binary the server, with the race detector if that is on.
const roleServe = "serve"

// serve is kentongan serve.
func serve() error {
	cfg, err := config.Load(config.Input{Environ: os.Environ(), Serve: true})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: cfg.Log.Level}))
	return app.Run(ctx, cfg, app.Options{Log: log})
}

// servers returns what starts servers of a test.
func servers(t *testing.T) server {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return func(settings ...string) program {
		return serverProgram(path, dir, append(settings, "GORACE=atexit_sleep_ms=0"), false)
	}
}

// TestTrialsOfTinySize plays each trial against the real server: nothing may be lost, and each must have told its figures.
func TestTrialsOfTinySize(t *testing.T) {
	near := beside{kitchens: 4, each: 2, rate: 100, window: 200 * time.Millisecond}
	around := 300 * time.Millisecond
	small := []struct {
		name    string
		engines []string
		play    play
		figures []string
	}{
		{"jitter", []string{memory, redis}, jitter{clients: 40, most: 20, messages: 20, rate: 20,
			life: drive.Life{CutEvery: 300 * time.Millisecond, Offline: 100 * time.Millisecond, Seed: 1}},
			[]string{"delivered", "delivery p95", "reconnects"}},
		{"restart-drain", []string{redis}, restart{kitchens: 4, each: 10, rate: 50, drain: 2 * time.Second, around: around},
			[]string{"back within 5 s", "fullest second over mean"}},
		{"restart-kill", []string{redis}, restart{kitchens: 4, each: 10, rate: 50, around: around}.killed(), []string{"away p99"}},
		{"stamping", []string{redis}, stamping{kitchens: 10, messages: 500, faster: 2, rate: 200},
			[]string{"redis: the script, from a bare client", "memory alone over redis", "redis: PUBLISH to socket at 200/s, p99"}},
		{"back", []string{memory, redis}, back{kitchens: 10, each: 3, most: 15, missed: 5, rate: 1000, turns: 2, beside: near},
			[]string{"all caught up after", "neighbours meanwhile, p99"}},
		{"crowd", []string{memory}, crowd{settings: []string{"KENTONGAN_HEADER_TIMEOUT=1s", "KENTONGAN_BACKLOG_BYTES=64KiB", "KENTONGAN_MAX_PUBLISH_BYTES=64KiB"},
			lorises: 5, deaf: 5, bytes: 60_000, rate: 50, turns: 1, window: 9 * time.Second, beside: near},
			[]string{"neighbours' p99, meanwhile over alone", "elsewhere: neighbours' p99, meanwhile over alone",
				"neighbours' p99, meanwhile, here over elsewhere", "thrown out for not reading"}},
		{"overload", []string{memory}, overload{beside: near, turns: 2, window: time.Second},
			[]string{"refusal, p99", "refused with 503 and Retry-After", "neighbours' p99, meanwhile over alone"}},
		{"noisy", []string{memory, redis}, noisy{screens: 5, flood: 50, deaf: 3, bytes: 30_000, rate: 10, storm: 3, replays: 5, history: 300, turns: 2,
			window: 400 * time.Millisecond, beside: near},
			[]string{"flood: neighbours' p99, meanwhile over alone", "connect storm: connects", "replays: neighbours' p99, meanwhile over alone",
				"replays: elsewhere: neighbours' p99, meanwhile over alone", "replays: neighbours' p99, meanwhile, here over elsewhere"}},
		{"replay", []string{memory, redis}, replay{clients: 10, messages: 300, rate: 5000, beside: near},
			[]string{"all have everything after", "server's RSS grew by at most"}},
	}
	for _, test := range small {
		for _, engine := range test.engines {
			t.Run(test.name+"/"+engine, func(t *testing.T) {
				t.Parallel() // most of the time they wait
				l := quickly(t)
				l.redis, l.pace.silence = testenv.StartRedis(t).Addr, 10*time.Second
				r, err := l.trial(t.Context(), trial{name: test.name, play: test.play}, engine, servers(t), 1, io.Discard)
				if err != nil || r.Failed != "" {
					t.Fatalf("%+v\n%v", r, err)
				}
				for _, name := range test.figures {
					if f := find(r, name); f == nil || f.Value < 0 {
						t.Errorf("%s: %+v, want a figure", name, f)
					}
				}
			})
		}
	}
}

func find(r report, name string) *figure {
	for i := range r.Figures {
		if r.Figures[i].Name == name {
			return &r.Figures[i]
		}
	}
	return nil
}

// TestTrialNoticesALoss loses one message on its way in, which no client can know of.
func TestTrialNoticesALoss(t *testing.T) {
	l := quickly(t)
	l.pace.silence = 3 * time.Second // of which a busy machine must not make a second loss
	lose := func(settings ...string) program {
		p := servers(t)(settings...)
		start := p.start
		p.start = func(ctx context.Context, engine, redisAddress string) (*running, error) {
			r, err := start(ctx, engine, redisAddress)
			if err == nil {
				door := r.door
				r.door = func() (publish.Door, error) {
					d, err := door()
					return &lossy{Door: d}, err
				}
			}
			return r, err
		}
		return p
	}
	life := drive.Life{CutEvery: time.Second, Offline: 10 * time.Millisecond}
	play := jitter{clients: 3, most: 3, messages: 70, rate: 200, life: life}
	r, err := l.trial(t.Context(), trial{name: "jitter", play: play}, memory, lose, 1, io.Discard)
	if err != nil || !strings.HasPrefix(r.Failed, "207 of 210 delivered, 3 missing without a gap") {
		t.Fatalf("%+v, %v; want the message that was lost for three clients", r, err)
	}
	if f := find(r, "delivered"); f == nil || !f.Aim.missed(f.Value) || r.Log == "" {
		t.Fatalf("delivered: %+v, log %q", f, r.Log)
	}
}

// TestTrialTellsWhyAServerDoesNotStart: the error has what the server says.
func TestTrialTellsWhyAServerDoesNotStart(t *testing.T) {
	path, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	broken := func(...string) program { return serverProgram(path, t.TempDir(), nil, false) }
	for _, tr := range trials(true) {
		if _, err := quickly(t).trial(t.Context(), tr, memory, broken, 1, io.Discard); err == nil {
			t.Errorf("%s: no error", tr.name)
		}
	}
}

func TestLosses(t *testing.T) {
	fine := drive.Counts{Delivered: 5, Cuts: 3, Returned: 3, Closed: 2, Failures: 1, Bytes: 9, Why: "closed by the server: 4000"}
	if got := losses(fine, 5); got != "" {
		t.Errorf("nothing is lost, got %q", got)
	}
	for _, spoil := range []func(*drive.Counts){
		func(c *drive.Counts) { c.Delivered-- }, func(c *drive.Counts) { c.Delivered++ }, func(c *drive.Counts) { c.Missing++ },
		func(c *drive.Counts) { c.Twice++ }, func(c *drive.Counts) { c.Foreign++ }, func(c *drive.Counts) { c.Broken++ },
		func(c *drive.Counts) { c.Gaps++ }, func(c *drive.Counts) { c.Skipped++ },
	} {
		c := fine
		spoil(&c)
		if why := losses(c, 5); !strings.Contains(why, "4000") {
			t.Errorf("%+v: got %q, want a loss with its first trouble", c, why)
		}
	}
}

// TestBusiestSecond compares with a count of every window by itself.
func TestBusiestSecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 60).Draw(t, "slots")
		highest, mean := busiest(slots)
		want, total, first, last := 0, 0, -1, -1
		for i, n := range slots {
			sum := 0
			for _, m := range slots[max(i-9, 0) : i+1] {
				sum += m
			}
			want, total = max(want, sum), total+n
			if n > 0 {
				last = i
				if first < 0 {
					first = i
				}
			}
		}
		if highest != want {
			t.Fatalf("fullest %d, want %d; mean %v", highest, want, mean)
		}
		if seconds := max(float64(last-first+1)/10, 1); first >= 0 && (mean*seconds-float64(total))*(mean*seconds-float64(total)) > 1e-9 {
			t.Fatalf("mean %v over %v s, want %d in all", mean, seconds, total)
		}
	})
}

func TestMergeTakesMedians(t *testing.T) {
	round := func(v float64, failed string) report {
		r := report{Trial: "t", Failed: failed, Log: failed}
		r.add("x", v, "ms", atMost(2))
		r.each("y", []float64{v, 3, 3}, "ms", limit{})
		return r
	}
	got := merge([]report{round(9, ""), round(1, "lost"), round(2, "also")})
	if got.Figures[0].Value != 2 || got.Failed != "lost" || got.Log != "lost" || len(got.Figures[0].Rounds) != 3 ||
		got.Figures[1].Value != 3 || len(got.Figures[1].Turns) != 9 {
		t.Fatalf("%+v; want the median 2 of three rounds and the first failure", got)
	}
}

func TestFiguresAreSpelled(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 15: "15", 1234567: "1234567", 0.5: "0.50", 12.34: "12.3", 123.4: "123", -3.14159: "-3.14"} {
		if got := number(v); got != want {
			t.Errorf("%v is spelled %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{100: "100", 99.99999: "99.9999", 96.5: "96.5"} {
		if got := (&figure{Value: v, Unit: "%"}).spell(); got != want {
			t.Errorf("%v %% is spelled %s, want %s", v, got, want)
		}
	}
	for _, l := range []struct {
		limit        limit
		at, past     float64
		text         string
		promisesNone bool
	}{{atMost(3), 3, 3.1, "≤ 3", false}, {atLeast(100), 100, 99.9, "≥ 100", false}, {limit{}, 0, 1e9, "", true}} {
		if l.limit.missed(l.at) || l.limit.missed(l.past) == l.promisesNone || l.limit.String() != l.text {
			t.Errorf("%q: missed at %v or not past it", l.limit, l.at)
		}
	}
}

// TestPeerInNode measures the program with ws beside the floor, with the packages of the other tests.
func TestPeerInNode(t *testing.T) {
	l := quickly(t)
	l.redis, l.pace.rounds = testenv.Redis(t), 1
	folder := t.TempDir()
	for _, name := range []string{"ws.mjs", "redis.mjs"} {
		text, err := os.ReadFile(filepath.Join("peers", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(testenv.NodeModules(t), "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	s := scene{name: "spread", kind: fanOut, tenants: 5, each: 2, rate: 200, bytes: 300}
	ws := peer("node ws", func(r *running) { r.settle = 200 * time.Millisecond }, node, filepath.Join(folder, "ws.mjs"))
	rows, err := l.scene(t.Context(), s, redis, []program{base(t), ws}, "", io.Discard)
	if err != nil || failed(results{Rows: rows}) || rows[1].Ratio <= 0 {
		t.Fatalf("%+v, %v", rows, err)
	}
	var table strings.Builder
	if err := printPeers(&table, rows); err != nil || !strings.Contains(table.String(), "node ws") {
		t.Fatalf("%v, no node ws in\n%s", err, table.String())
	}
}

func TestPeersSayHowTheyAreInstalled(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		if list, err := peers(folder); err == nil || !strings.Contains(err.Error(), "make peers") {
			t.Errorf("%d peers, %v; want a word of make peers", len(list), err)
		}
		if err := os.MkdirAll(filepath.Join(folder, "node_modules", "ioredis"), 0o700); err != nil { // and now without Bun
			t.Fatal(err)
		}
	}
	bun := filepath.Join(folder, "node_modules", "@oven", "bun-x", "bin")
	if err := os.MkdirAll(bun, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bun, "bun"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := peers(folder); err != nil || len(list) != 3 {
		t.Errorf("%d peers, %v; want three", len(list), err)
	}
}

func TestDuringTellsWhatBreaks(t *testing.T) {
	door := &lossy{Door: brokenDoor{}}
	publisher, err := publish.New(door, publish.Load{Tenants: 1, Rate: 1000, Bytes: 300}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publishing(t.Context(), publisher, func(ctx context.Context) error { return sleep(ctx, 50*time.Millisecond) }); err == nil {
		t.Error("the door broke, and nobody says so")
	}
	whole, err := publish.New(silentDoor{}, publish.Load{Tenants: 1, Rate: 1000, Bytes: 300}, now)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := publishing(t.Context(), whole, func(ctx context.Context) error { return sleep(ctx, 50*time.Millisecond) })
	if err != nil || sent.Messages == 0 {
		t.Errorf("%+v, %v; want messages and no error", sent, err)
	}
	stopped := fmt.Errorf("it ends")
	if _, err := publishing(t.Context(), whole, func(context.Context) error { return stopped }); err == nil || !strings.Contains(err.Error(), "it ends") {
		t.Errorf("got %v, want the error of what was done meanwhile", err)
	}
}

// silentDoor takes everything.
type silentDoor struct{}

func (silentDoor) Add(int, []byte) {}
func (silentDoor) Flush() error    { return nil }
func (silentDoor) Close() error    { return nil }

// brokenDoor takes nothing.
type brokenDoor struct{ silentDoor }

func (brokenDoor) Flush() error { return io.ErrClosedPipe }
