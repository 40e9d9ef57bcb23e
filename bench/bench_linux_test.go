package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
	"kentongan/internal/testenv"
)

// TestMain makes this binary a driver, the Go floor or the server when a round starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == roleDriver || os.Args[1] == roleTwin) {
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == roleServe {
		if err := serve(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// For the children: a program under race detection sleeps a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// quickly is a lab whose rounds take a fraction of a second.
func quickly(t *testing.T) *lab {
	t.Helper()
	driver, err := driverCommand()
	if err != nil {
		t.Fatal(err)
	}
	return &lab{driver: driver, dir: t.TempDir(), pace: pace{rounds: 2, warm: 100 * time.Millisecond, window: 300 * time.Millisecond, settle: 50 * time.Millisecond, silence: time.Second}}
}

// base is the floor that machines without a compiler have: this very binary.
func base(t *testing.T) program {
	t.Helper()
	p, err := options{Floor: "go"}.floor(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScenesAgainstItself measures the floor as if it were the server: nothing may be lost, and all accounts have to be
// of a sane size.
func TestScenesAgainstItself(t *testing.T) {
	l := quickly(t)
	l.redis = testenv.Redis(t)
	small := []scene{
		{name: "room", kind: fanOut, engines: []string{memory, redis}, tenants: 1, each: 50, rate: 200, bytes: 300, aim: aim{ratio: 100}},
		{name: "many", kind: fanOut, engines: []string{memory, redis}, tenants: 40, each: 2, rate: 1000, bytes: 300},
		{name: "still", kind: idle, engines: []string{memory}, tenants: 30, each: 2, aim: aim{bytesEach: 1 << 20}},
		{name: "join", kind: connect, engines: []string{redis}, tenants: 20, each: 5, rate: 500, aim: aim{cpu: time.Second}},
	}
	for _, s := range small {
		for _, engine := range s.engines {
			t.Run(s.name+"/"+engine, func(t *testing.T) {
				rows, err := l.scene(t.Context(), s, engine, []program{base(t), base(t)}, "", io.Discard)
				if err != nil || len(rows) != 2 || failed(results{Rows: rows}) {
					t.Fatalf("%+v, %v", rows, err)
				}
				checkRow(t, s, rows[1])
			})
		}
	}
}

func checkRow(t *testing.T, s scene, r row) {
	t.Helper()
	m := r.Median
	if m.RSS < 1<<20 || m.RSS > 1<<30 || m.PSS <= 0 || m.Descriptors < s.screens() || r.Missed {
		t.Errorf("held at the end: %+v, aim missed: %v", m, r.Missed)
	}
	if s.kind == idle {
		return
	}
	if r.PerUnit <= 0 || r.PerUnit > 1e5 || r.Ratio <= 0 {
		t.Errorf("cpu of a unit %v µs, ratio %v", r.PerUnit, r.Ratio)
	}
	if m.P50 <= 0 || m.P50 > m.P99 || m.P99 > m.Max {
		t.Errorf("latencies %v %v %v", m.P50, m.P99, m.Max)
	}
	if m.Delivered != m.Expected || s.kind == fanOut && r.Messages != float64(s.rate)*0.3 {
		t.Errorf("delivered %d of %d, %v messages", m.Delivered, m.Expected, r.Messages)
	}
}

// lossy is a Door that leaves out a message now and then.
type lossy struct {
	publish.Door
	count int
}

func (d *lossy) Add(tenant int, text []byte) {
	if d.count++; d.count != 60 { // in the window, not while warming up
		d.Door.Add(tenant, text)
	}
}

// TestLossFailsTheRow loses one message on its way in.
func TestLossFailsTheRow(t *testing.T) {
	l, floor := quickly(t), base(t)
	start := floor.start
	floor.start = func(ctx context.Context, engine, redisAddress string) (*running, error) {
		r, err := start(ctx, engine, redisAddress)
		if err != nil {
			return nil, err
		}
		door := r.door
		r.door = func() (publish.Door, error) {
			d, err := door()
			return &lossy{Door: d}, err
		}
		return r, nil
	}
	s := scene{name: "room", kind: fanOut, engines: []string{memory}, tenants: 1, each: 10, rate: 300, bytes: 300, bare: true}
	l.pace.rounds = 1
	rows, err := l.scene(t.Context(), s, memory, []program{floor, floor}, "", io.Discard)
	if err != nil || !failed(results{Rows: rows}) || rows[0].Median.Delivered != 890 || !strings.Contains(rows[0].Median.Failed, "890 of 900 delivered, 10 missing") {
		t.Fatalf("%+v, %v; want 10 of 900 deliveries noticed as missing", rows, err)
	}
	var table strings.Builder
	if err := printTable(&table, rows); err != nil || !strings.Contains(table.String(), "FAILED") {
		t.Fatalf("%v, table does not say FAILED:\n%s", err, table.String())
	}
}

func TestRoundTellsWhyAProgramDoesNotStart(t *testing.T) {
	path, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	_, err = quickly(t).round(t.Context(), scene{kind: idle, tenants: 1, each: 1}, memory, serverProgram(path, t.TempDir(), nil, false))
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Fatalf("got %v, want the exit status", err)
	}
}

func TestFault(t *testing.T) {
	if got := fault(drive.Counts{Delivered: 5, Pings: 3, Unmarked: 2, Bytes: 9}, 5); got != "" {
		t.Errorf("nothing is wrong, got %q", got)
	}
	for _, c := range []drive.Counts{
		{Delivered: 4}, {Delivered: 6}, {Delivered: 5, Missing: 1}, {Delivered: 5, Twice: 1}, {Delivered: 5, Foreign: 1},
		{Delivered: 5, Broken: 1}, {Delivered: 5, Closed: 1},
	} {
		if fault(c, 5) == "" {
			t.Errorf("%+v passes for 5 deliveries", c)
		}
	}
}

// TestMedianLiesInTheMiddle: as many figures below as above.
func TestMedianLiesInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		figures := rapid.SliceOfN(rapid.Int64Range(-1e12, 1e12), 1, 9).Draw(t, "figures")
		rounds := make([]outcome, len(figures))
		for i, v := range figures {
			rounds[i].RSS = v
		}
		m, below, above := median(rounds, func(o outcome) int64 { return o.RSS }), 0, 0
		for _, v := range figures {
			if v < m {
				below++
			}
			if v > m {
				above++
			}
		}
		if below > len(figures)/2 || above > len(figures)/2 {
			t.Fatalf("median %d of %v", m, figures)
		}
	})
}

func TestSumAndCompare(t *testing.T) {
	s := scene{name: "room", kind: fanOut, tenants: 1, each: 10, aim: aim{ratio: 1.6}}
	rounds := func(cpu ...time.Duration) []outcome {
		var list []outcome
		for _, c := range cpu {
			list = append(list, outcome{CPU: c, Expected: 100, Delivered: 100, Allocations: -1, RSS: 2000, Before: 1000})
		}
		return list
	}
	floor := sum(s, redis, "floor", rounds(100*time.Microsecond, 300*time.Microsecond, 9*time.Second))
	server := sum(s, redis, "kentongan", rounds(400*time.Microsecond, 500*time.Microsecond))
	server.compare(&floor, s.aim, aim{ratio: 1.4})
	if floor.PerUnit != 3 || server.PerUnit != 4.5 || server.Ratio != 1.5 || server.Missed || !server.Beyond || server.Messages != 10 {
		t.Errorf("floor %v µs, server %v µs, ratio %v, missed %v, messages %v", floor.PerUnit, server.PerUnit, server.Ratio, server.Missed, server.Messages)
	}
	if server.Allocs != -1 || server.PerConn != 100 {
		t.Errorf("allocations %v, want -1 for not told; %v bytes a connection, want 100", server.Allocs, server.PerConn)
	}
	for _, c := range []struct {
		aim    aim
		missed bool
		text   string
	}{
		{aim{}, false, ""},
		{aim{ratio: 1.4}, true, "≤ 1.40 × floor"},
		{aim{bytesEach: 100}, false, "≤ 0.1 KB"},
		{aim{bytesEach: 99}, true, "≤ 0.1 KB"},
		{aim{cpu: 4 * time.Microsecond}, true, "≤ 4µs CPU"},
		{aim{bytesEach: 100, goroutines: 7}, false, "≤ 0.1 KB, ≤ 7 goroutines"},
		{aim{bytesEach: 100, goroutines: 6}, true, "≤ 0.1 KB, ≤ 6 goroutines"},
	} {
		server.Median.Goroutines = 7
		server.compare(&floor, c.aim, aim{})
		if server.Missed != c.missed || server.Aim != c.text || server.Beyond || server.Bound != "" {
			t.Errorf("aim %+v is spelled %q, missed %v; want %q, %v", c.aim, server.Aim, server.Missed, c.text, c.missed)
		}
	}
	broken := rounds(time.Second)
	broken[0].Failed = "lost"
	if !failed(results{Rows: []row{floor, sum(s, redis, "kentongan", broken)}}) || failed(results{Rows: []row{floor, server}}) {
		t.Error("failed does not tell rows with a loss from rows without")
	}
}

func TestAdminFigures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/debug/pprof/goroutine":
			_, _ = io.WriteString(w, "goroutine profile: total 42\n1 @ 0x1\n")
		case "/metrics":
			_, _ = io.WriteString(w, "# HELP x\ngo_memstats_mallocs_total 1.5e+06\n"+
				"kentongan_engine_published_total_of_all 8\nkentongan_engine_published_total 7\n")
		case "/debug/pprof/profile":
			_, _ = io.WriteString(w, r.URL.RawQuery)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	defer client.CloseIdleConnections()
	if n, err := goroutines(t.Context(), server.URL); n != 42 || err != nil {
		t.Errorf("goroutines: %d, %v", n, err)
	}
	if n, err := allocations(t.Context(), server.URL); n != 1.5e6 || err != nil {
		t.Errorf("allocations: %v, %v", n, err)
	}
	if n, err := metric(t.Context(), server.URL, "kentongan_engine_published_total"); n != 7 || err != nil {
		t.Errorf("metric: %v, %v; want 7, and not that of a longer name", n, err)
	}
	if _, err := allocations(t.Context(), server.URL+"/debug/pprof/goroutine?"); err == nil {
		t.Error("a page without the figure is no error")
	}
	file := filepath.Join(t.TempDir(), "deep", "cpu")
	if err := profile(t.Context(), server.URL, "profile", 3*time.Second, file); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "seconds=3" {
		t.Errorf("profile: %q, %v", text, err)
	}
	if err := profile(t.Context(), server.URL, "heap", 0, file); err == nil {
		t.Error("a profile that is not there is no error")
	}
}

func TestChoose(t *testing.T) {
	chosen, err := options{Only: "^spread$", Engine: redis}.choose()
	if err != nil || len(chosen.scenes) != 1 || len(chosen.trials) != 0 || chosen.need(memory) ||
		!reflect.DeepEqual(chosen.scenes[0].engines, []string{redis}) || chosen.scenes[0].screens() != 10_000 {
		t.Fatalf("%+v, %v", chosen, err)
	}
	// A trial that takes long has to be wished for.
	for _, o := range []options{{Engine: "both"}, {Engine: "both", Quick: true}, {Engine: "both", All: true}, {Engine: "both", Only: "jitter"}} {
		chosen, err := o.choose()
		has := slices.ContainsFunc(chosen.trials, func(t trial) bool { return t.name == "jitter" })
		if want := o.All || o.Only != ""; err != nil || has != want {
			t.Errorf("%+v chooses jitter: %v, %v; want %v", o, has, err, want)
		}
	}
	chosen, err = options{Engine: "both"}.choose()
	at := slices.IndexFunc(chosen.trials, func(t trial) bool { return t.name == "replay" })
	if err != nil || at < 0 || !slices.Equal(chosen.trials[at].engines, []string{memory}) {
		t.Errorf("%+v, %v; want replay with the memory engine alone", chosen.trials, err)
	}
	for _, o := range []options{{Only: "nothing"}, {Only: "("}, {Only: "deflate", Engine: redis}} {
		if _, err := o.choose(); err == nil {
			t.Errorf("%+v chooses something", o)
		}
	}
}

func TestBadArgumentsEndWithTrouble(t *testing.T) {
	for _, args := range [][]string{{"--nonsense"}, {"--only", "("}, {"--engine", "tape"}} {
		var out, progress bytes.Buffer
		if code := run(args, &out, &progress); code != exitTrouble || progress.Len() == 0 || out.Len() != 0 {
			t.Errorf("%v: exit code %d, says %q", args, code, progress.String())
		}
	}
}

func TestTellWritesTableAndFile(t *testing.T) {
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "run.json")
	rows := []row{{Scene: "room", Kind: fanOut}, {Scene: "still", Kind: idle}, {Scene: "join", Kind: connect}}
	reports := []report{{Trial: "storming", Engine: memory, Figures: []figure{{Name: "loss", Aim: atMost(0), Value: 1}}, Failed: "1 lost"}}
	if err := tell(&out, results{Rows: rows, Reports: reports, Taken: 2.5}, options{JSON: file, HTTP: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "POST /api/publish") || !strings.Contains(out.String(), "the host took 2.5 %") {
		t.Errorf("the table does not say how the memory engine was published to, or what the host took:\n%s", out.String())
	}
	for _, text := range []string{"storming, memory", "(missed)", "FAILED: 1 lost"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, out.String())
		}
	}
	for _, r := range rows {
		if !strings.Contains(out.String(), r.Scene) {
			t.Errorf("the table has no %s:\n%s", r.Scene, out.String())
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Machine string
		Rows    []row
		Trials  []struct {
			Trial   string
			Figures []struct{ Aim string }
		}
	}
	if err := json.Unmarshal(text, &back); err != nil || len(back.Rows) != 3 ||
		len(back.Trials) != 1 || back.Trials[0].Figures[0].Aim != "≤ 0" || !strings.Contains(back.Machine, "cores, Linux") {
		t.Fatalf("%+v, %v", back, err)
	}
	if err := tell(io.Discard, results{Rows: rows}, options{JSON: t.TempDir()}); err == nil {
		t.Error("figures were written to a folder")
	}
}
