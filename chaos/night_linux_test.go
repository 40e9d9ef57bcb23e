package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/chaos/check"
	"kentongan/chaos/client"
)

// TestNight restarts everything once, one part after another, and expects that nobody notices more than the gap of the failover.
func TestNight(t *testing.T) {
	o := options{Seed: 1, Mix: "small", Engine: string(night), Nodes: 2, Clients: 18, Rate: 120}
	scenes, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	r, err := play(t.Context(), scenes[0], binary, os.Getenv("CHAOS_KEEP"), &progress)
	if err != nil || !r.ok() {
		t.Fatalf("%s: %v %s%s\n%s", &scenes[0], err, r.why, r.verdict.String(), &progress)
	}
	var table bytes.Buffer
	if err := printTable(&table, []row{r}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v\n%s", r.verdict.Stats, &table)
	if len(r.steps) != len(nightSteps()) {
		t.Fatalf("%d steps were made of %d", len(r.steps), len(nightSteps()))
	}
	failedOver, told := false, 0 // what comes of it may be told late, in the next steps; whether it may is for the verdict
	for _, s := range r.steps {
		if failedOver = failedOver || strings.HasPrefix(s.does, "failover"); failedOver {
			told += s.gaps
		} else if s.gaps > 0 {
			t.Errorf("%s: %d gaps were told", s.does, s.gaps)
		}
		if !strings.Contains(table.String(), s.does) {
			t.Errorf("the table does not have %q", s.does)
		}
	}
	if told == 0 {
		t.Error("the failover told no gap")
	}
}

// TestNightPlans: the night cannot be had in parts.
func TestNightPlans(t *testing.T) {
	for _, o := range []options{{Engine: "night", Faults: "F1"}, {Engine: "night", Count: 3}} {
		if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "once and in order") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

// TestKitchenIsJudged: a row without its event, an event without its row, an event that comes twice, and answers that do not fit the
// rows are found.
func TestKitchenIsJudged(t *testing.T) {
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	message := func(n uint32, offset uint64) check.Event {
		return check.Event{At: at(100 + int(offset)), Kind: check.Message, Seq: n, Of: 0, Position: check.Position{Epoch: "e", Offset: offset}}
	}
	opened := []check.Event{
		{At: at(1), Kind: check.Opened, Channel: -1},
		{At: at(2), Kind: check.Subscribed, Position: check.Position{Epoch: "e"}},
		{At: at(2), Kind: check.Subscribed, Channel: 1, Position: check.Position{Epoch: "f"}},
	}
	rows := []event{{0, "a", at(50)}, {0, "b", at(51)}, {0, "c", at(52)}}
	for name, test := range map[string]struct {
		heard  []check.Event
		texts  []string
		counts [3]int // asked, acknowledged, in the database
		want   check.Class
		none   bool
	}{
		"Right":           {heard: []check.Event{message(0, 1), message(1, 2), message(2, 3)}, texts: []string{"a", "b", "c"}, counts: [3]int{3, 3, 3}, none: true},
		"RowWithoutEvent": {heard: []check.Event{message(0, 1), message(1, 2)}, texts: []string{"a", "c"}, counts: [3]int{3, 3, 3}, want: check.Lost},
		"EventWithoutRow": {
			heard: []check.Event{message(0, 1), message(1, 2), message(2, 3), message(3, 4)}, texts: []string{"a", "b", "c", "d"},
			counts: [3]int{3, 3, 3}, want: check.Phantom,
		},
		"Twice": {
			heard: []check.Event{message(0, 1), message(1, 2), message(1, 3), message(2, 4)}, texts: []string{"a", "b", "c"},
			counts: [3]int{3, 3, 3}, want: check.Twice,
		},
		"AnswerWithoutRow": {heard: []check.Event{message(0, 1), message(1, 2), message(2, 3)}, texts: []string{"a", "b", "c"}, counts: [3]int{4, 4, 3}, want: check.Lost},
		"DoneTwice":        {heard: []check.Event{message(0, 1), message(1, 2), message(2, 3)}, texts: []string{"a", "b", "c"}, counts: [3]int{2, 2, 3}, want: check.Twice},
	} {
		t.Run(name, func(t *testing.T) {
			world := &check.World{Channels: []check.Channel{{Name: "u", Tenant: "k"}, {Name: "a", Tenant: "k"}}, Retention: retention}
			k := &kitchen{rows: rows, channels: [2]int{0, 1}, asked: test.counts[0], acked: test.counts[1], count: test.counts[2]}
			w := &watcher{texts: map[string]int{}, Client: client.New(client.Options{World: world, Tenant: "k", Dialect: check.V1, Channels: k.channels[:]})}
			for i, text := range test.texts {
				w.texts[text] = i
			}
			k.watchers = []*watcher{w}
			pubs, subs := k.histories(0)
			known := make([]place, len(test.texts))
			for i, text := range test.texts {
				for n, r := range rows {
					if r.text == text {
						known[i] = place{0, 0, uint32(n + 1)}
					}
				}
			}
			subs[0].Events = append(slices.Clip(opened), placed(test.heard, check.V1, known)...)
			v := check.Judge(world, pubs, subs)
			k.judge(&v)
			if v.Flawless() != test.none || !test.none && v.Counts[test.want] == 0 {
				t.Errorf("got %s", v.String())
			}
		})
	}
}
