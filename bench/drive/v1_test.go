package drive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/bench/latency"
)

// newHistogram returns one with n durations.
func newHistogram(n int) *latency.Histogram {
	h := new(latency.Histogram)
	for range n {
		h.Record(time.Millisecond)
	}
	return h
}

// TestReadPushGolden reads the frames of the server's own tests.
func TestReadPushGolden(t *testing.T) {
	const epoch = "k3v9x2m7q4ab"
	want := map[string]push{
		"v1-message":        {kind: message, epoch: []byte(epoch), offset: 7},
		"v1-subscribed":     {kind: subscribed, epoch: []byte(epoch), offset: 7, recovered: true},
		"v1-subscribed-gap": {kind: subscribed, epoch: []byte(epoch), offset: 7, cause: "expired"},
		"v1-gap":            {kind: gap, epoch: []byte(epoch), offset: 7, cause: "intake"},
		"v1-goaway":         {kind: goaway, after: 1500 * time.Millisecond},
		"v1-error":          {kind: refusal, cause: "NO_SUCH_CHANNEL"},
		"v1-welcome":        {},
		"v1-heartbeat":      {},
	}
	for name, w := range want {
		text, err := os.ReadFile(filepath.Join("..", "..", "realtime", "protocol", "testdata", "frames", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readPush(text)
		if err != nil || got.kind != w.kind || string(got.epoch) != string(w.epoch) || got.offset != w.offset ||
			got.recovered != w.recovered || got.cause != w.cause || got.after != w.after {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, w)
		}
	}
}

func TestReadPushRefusesWhatItCannotRead(t *testing.T) {
	for _, text := range []string{
		``, `{`, `[]`, `{"message":{"channel":"a"}}`, `{"message":{"channel":"a","offset":,"epoch":"e"}}`,
		`{"message":{"channel":"a","offset":1x,"epoch":"e"}}`, `{"message":{"channel":"a","offset":12345678901234567,"epoch":"e"}}`,
		`{"message":{"channel":"a","offset":1,"epoch":"e`,
	} {
		if p, err := readPush([]byte(text)); err == nil {
			t.Errorf("%s is read as %+v", text, p)
		}
	}
}

func FuzzReadPush(f *testing.F) {
	f.Add([]byte(`{"message":{"channel":"c","offset":7,"epoch":"e","time":1,"data":{"offset":9}}}`))
	f.Add([]byte(`{"subscribed":{"channel":"c","epoch":"e","offset":7,"recovered":true}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := readPush(text); err != nil && p.kind != other {
			t.Fatalf("%+v with %v", p, err)
		}
	})
}

func TestJourneyGoesOnFromWhatWasHeard(t *testing.T) {
	var j journey
	if got := string(j.resume(nil, "c")); got != "?channels=c" {
		t.Fatalf("at first: %s", got)
	}
	hear := func(p push, wants string) {
		t.Helper()
		if wrong := j.take(p); (wrong == "") != (wants == "") || !strings.Contains(wrong, wants) {
			t.Fatalf("%+v: %q is wrong, want %q", p, wrong, wants)
		}
	}
	hear(push{kind: subscribed, epoch: []byte("e"), offset: 3}, "")
	if j.told {
		t.Fatal("the first answer without a position is taken for a gap")
	}
	hear(push{kind: message, epoch: []byte("e"), offset: 4}, "")
	hear(push{kind: subscribed, epoch: []byte("e"), offset: 9, recovered: true}, "")
	if got := string(j.resume(nil, "c")); got != "?channels=c@e/4" {
		t.Fatalf("recovered, and the next resume is %s", got)
	}
	hear(push{kind: message, epoch: []byte("e"), offset: 6}, "e/6 after e/4")
	hear(push{kind: gap, epoch: []byte("f"), offset: 2}, "")
	if !j.told {
		t.Fatal("the gap is forgotten")
	}
	hear(push{kind: message, epoch: []byte("f"), offset: 3}, "")
	hear(push{kind: message, epoch: []byte("g"), offset: 4}, "g/4 after f/3")
	hear(push{kind: subscribed, epoch: []byte("g"), offset: 4}, "neither recovered nor a gap")
	hear(push{kind: refusal, cause: "FORBIDDEN"}, "FORBIDDEN")
}

// TestJudgeFindsEachLossAndDouble spoils a sequence at random, and wants the exact numbers.
func TestJudgeFindsEachLossAndDouble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got, want Counts
		last, told := 0, false
		n := rapid.IntRange(1, 200).Draw(t, "messages")
		for seq := 1; seq <= n; seq++ {
			switch fate := rapid.IntRange(0, 9).Draw(t, "fate"); {
			case fate == 0 && seq < n:
				if told {
					want.Skipped++
				} else {
					want.Missing++
				}
				continue
			case fate == 1 && last == seq-1: // a gap between two messages of which none is missing yet
				told = true
			case fate == 2 && last > 0:
				again := rapid.IntRange(1, last).Draw(t, "again")
				last, _ = got.judge(last, again, false)
				want.Twice++
			}
			last, _ = got.judge(last, seq, told)
			want.Delivered++
			told = false
		}
		got.Why = ""
		if got != want || last != n {
			t.Fatalf("got %+v, last %d; want %+v, last %d", got, last, want, n)
		}
	})
}

// TestTimersComeInOrder sets timers in any order and takes them by the clock.
func TestTimersComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set timers
		dues := rapid.SliceOfN(rapid.Int64Range(0, 1000), 0, 50).Draw(t, "dues")
		for i, due := range dues {
			set.set(timer{due: due, index: i})
		}
		taken, before := 0, int64(-1)
		for now := int64(0); now <= 1000; now += 100 {
			for {
				one, ok := set.next(now)
				if !ok {
					break
				}
				if one.due > now || one.due < before || one.due <= now-100 {
					t.Fatalf("at %d comes what was due at %d, after %d", now, one.due, before)
				}
				taken, before = taken+1, one.due
			}
		}
		if taken != len(dues) || set.waitMS(0) != -1 {
			t.Fatalf("%d of %d came, then it waits %d ms", taken, len(dues), set.waitMS(0))
		}
	})
	var one timers
	one.set(timer{due: 2_000_001})
	if got := one.waitMS(0); got != 3 {
		t.Errorf("waits %d ms for what is due in 2.000001 ms, want 3", got)
	}
	if got := one.waitMS(9_000_000); got != 0 {
		t.Errorf("waits %d ms for what is due already", got)
	}
}

func TestReturnsOfTwoDriversAddUp(t *testing.T) {
	a, b := Returns{Away: newHistogram(1)}, Returns{Away: newHistogram(2), Slots: []int{1, 0, 2}}
	a.add(&b)
	a.add(&Returns{Away: newHistogram(0), Slots: []int{5}})
	if len(a.Slots) != 3 || a.Slots[0] != 6 || a.Slots[2] != 2 || a.Away.Count() != 3 {
		t.Fatalf("%v, %d durations; want [6 0 2] and 3", a.Slots, a.Away.Count())
	}
	sum := Counts{LastNs: 5, Gaps: 1}
	sum.Add(Counts{LastNs: 3, Gaps: 2, Skipped: 4, Cuts: 5, Returned: 6, Failures: 7, Down: 8})
	if want := (Counts{LastNs: 5, Gaps: 3, Skipped: 4, Cuts: 5, Returned: 6, Failures: 7, Down: 8}); sum != want {
		t.Fatalf("got %+v, want %+v", sum, want)
	}
}
