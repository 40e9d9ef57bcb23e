package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kentongan/chaos/check"
)

// binary is the server, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	code := 1
	dir, err := os.MkdirTemp("", "kentongan-chaos-test-")
	if err == nil {
		binary, err = server(context.Background(), &options{Race: true}, dir)
	}
	if err == nil {
		code = m.Run()
		if err = goleak.Find(); err != nil {
			code = 1
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestMixture breaks everything that the server runs on at once, each fault at least one time, and expects that nobody notices.
// It is the small one of the command; make chaos is the large one.
func TestMixture(t *testing.T) {
	for e, sockets := range map[string]string{"memory": "portable", "redis": "auto", "sentinel": "auto"} {
		t.Run(e, func(t *testing.T) {
			o := options{Seed: 1, Mix: "small", Engine: e, Sockets: sockets, Nodes: 2, Clients: 18, Rate: 150}
			scenes, err := o.plan()
			if err != nil {
				t.Fatal(err)
			}
			for i := range scenes {
				if scenes[i].count < len(scenes[i].faults) {
					t.Errorf("%d faults of %d kinds", scenes[i].count, len(scenes[i].faults))
				}
				var progress bytes.Buffer
				r, err := play(t.Context(), scenes[i], binary, os.Getenv("CHAOS_KEEP"), &progress)
				if err != nil || !r.ok() {
					t.Errorf("%s: %v %s%s\n%s", &scenes[i], err, r.why, r.verdict.String(), &progress)
				}
				t.Logf("%+v", r.verdict.Stats)
			}
		})
	}
}

// TestSlotMoves moves the slot of a Cluster, in which the server keeps everything, twice under load.
func TestSlotMoves(t *testing.T) {
	o := options{Seed: 1, Mix: "small", Engine: "cluster", Faults: "F10", Count: 2, Nodes: 2, Clients: 9, Rate: 100}
	scenes, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	for i := range scenes {
		var progress bytes.Buffer
		r, err := play(t.Context(), scenes[i], binary, os.Getenv("CHAOS_KEEP"), &progress)
		if err != nil || !r.ok() {
			t.Errorf("%s: %v %s%s\n%s", &scenes[i], err, r.why, r.verdict.String(), &progress)
		}
		t.Logf("%+v", r.verdict.Stats)
	}
}

// TestNothingHappens: a run in which nobody is hurt, nobody speaks or nobody listens proves nothing, and fails.
func TestNothingHappens(t *testing.T) {
	base := scene{name: "none", engine: memory, nodes: 1, seed: 1, overlap: 1, clients: 9, rate: 100, pace: smallPace}
	cut, err := choose("F12", memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		why    string
		change func(s *scene)
	}{
		{"no fault was injected", func(*scene) {}},
		{"no message was acknowledged", func(s *scene) { s.faults, s.count, s.rate = cut, 1, 0 }},
		{"no message was delivered", func(s *scene) { s.faults, s.count, s.clients = cut, 1, 0 }},
	} {
		s := base
		test.change(&s)
		r, err := play(t.Context(), s, binary, "", t.Output())
		if err != nil || r.ok() || r.why != test.why {
			t.Errorf("got ok %v, %q, %v; want %q", r.ok(), r.why, err, test.why)
		}
		if !failed([]row{r}) {
			t.Errorf("%s: the command would end with 0", test.why)
		}
	}
}

// TestKeepsWhatFailed: histories, faults and logs of a run that fails are there to be read.
func TestKeepsWhatFailed(t *testing.T) {
	dir := t.TempDir()
	s := scene{name: "none", engine: memory, nodes: 1, seed: 7, overlap: 1, clients: 3, rate: 50, pace: smallPace}
	if _, err := play(t.Context(), s, binary, dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "none-memory-7")
	for _, name := range []string{"record.json", "faults.txt", "gateway-0.log"} {
		if _, err := os.Stat(filepath.Join(kept, name)); err != nil {
			t.Error(err)
		}
	}
	var out, progress bytes.Buffer
	if code := run([]string{"--judge", kept}, &out, &progress); code != exitWrong || !strings.Contains(out.String(), "no fault was injected") {
		t.Errorf("judged again: code %d, %s%s", code, &out, &progress)
	}
	if code := run([]string{"--judge", dir}, &out, &progress); code != exitTrouble || !strings.Contains(progress.String(), "record.json") {
		t.Errorf("a folder without a record: code %d, %s", code, &progress)
	}
}

func TestPlans(t *testing.T) {
	names := func(o options) string {
		scenes, err := o.plan()
		if err != nil {
			return "error: " + err.Error()
		}
		var all []string
		for _, s := range scenes {
			all = append(all, fmt.Sprintf("%s/%s×%d:%d", s.name, s.engine, s.nodes, s.count))
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct {
		o    options
		want string
	}{
		{options{Mix: "small", Engine: "every", Nodes: 2}, "F18/memory×1:5 F18/redis×2:10 F18/sentinel×2:7 F18/cluster×2:8"},
		{options{Mix: "small", Engine: "redis", Nodes: 3, Faults: "f1,F3"}, "F1/redis×3:5 F3/redis×3:10"},
		{options{Mix: "ci", Engine: "memory", Nodes: 2}, "F1/memory×1:50 F2/memory×1:20 F11/memory×1:3 F12/memory×1:10 F13/memory×1:20 F18/memory×1:30"},
		{options{Mix: "ci", Engine: "redis", Nodes: 2, Faults: "F18"}, "F18/redis×2:30 F18/redis×3:30"},
		{options{Mix: "ci", Engine: "sentinel", Nodes: 2, Faults: "all"}, "F7/sentinel×2:3 F8/sentinel×2:2"},
		{options{Mix: "ci", Engine: "cluster", Nodes: 2, Faults: "all"}, "F7/cluster×2:3 F8/cluster×2:2 F10/cluster×2:10"},
		{options{Mix: "release", Engine: "memory", Faults: "F2"}, strings.Repeat(" F2/memory×1:100", 2)[1:]},
		{options{Mix: "ci", Engine: "redis", Nodes: 2, Faults: "F2", Count: 7}, "F2/redis×2:7"},
		{options{Engine: "memory", Faults: "F4"}, "error: the engine memory knows none of the faults F4"},
		{options{Engine: "redis", Faults: "F99"}, `error: there is no fault "F99"; there are F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 F13, F18 for a mixture, and all`},
	} {
		if got := names(test.o); got != test.want {
			t.Errorf("%+v: got %s; want %s", test.o, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	good := row{scene: scene{name: "F1", engine: redis, nodes: 2}}
	good.verdict.Stats = check.Stats{Acked: 12, Deliveries: 34, Faults: 5, Reconnects: 6}
	bad := row{scene: scene{name: "F2", engine: memory, nodes: 1}}
	bad.verdict.Counts[check.Lost] = 3
	empty := row{scene: scene{name: "F3", engine: memory, nodes: 1}, why: "no fault was injected"}
	var out bytes.Buffer
	if err := printTable(&out, []row{good, bad, empty}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"redis×2", "lost", "undeclared", "silence p50", "ok", "WRONG", "EMPTY: no fault was injected"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if failed([]row{good}) || !failed([]row{good, bad}) || !failed([]row{empty}) {
		t.Error("a bad row does not fail the run, or a good one does")
	}
	round := good
	if rows := add(add(nil, &good), &round); len(rows) != 1 || rows[0].verdict.Stats.Deliveries != 68 || rows[0].verdict.Stats.Faults != 10 {
		t.Errorf("two rounds of one scene: %+v", rows)
	}
}

func TestCommandLine(t *testing.T) {
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--help":                      {0, "kill -9 of a gateway"},
		"--faults F99":                {exitTrouble, `there is no fault "F99"`},
		"--engine none":               {exitTrouble, "--engine"},
		"--engine memory --faults F4": {exitTrouble, "knows none"},
		"--server /none --engine memory --faults F12": {exitTrouble, "/none"},
	} {
		var out, progress bytes.Buffer
		code := run(strings.Fields(args), &out, &progress)
		if text := out.String() + progress.String(); code != want.code || !strings.Contains(text, want.says) {
			t.Errorf("%s: code %d, %s; want %d, %q", args, code, text, want.code, want.says)
		}
	}
}
