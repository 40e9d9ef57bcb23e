package intake

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

func defaultNames(t testing.TB) *realtime.Names {
	t.Helper()
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPubSubTakesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRadio()
		var taken []string
		ids := map[string]bool{}
		p, stop := r.node(t, PubSubOptions{
			TrustStart: true, MaxBytes: 100, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Taken: func(id string, ch realtime.Channel, data []byte) {
				taken = append(taken, fmt.Sprintf("%s/%s %s", ch.Tenant, ch.Name, data))
				ids[id] = true
			},
		})
		settle()
		if err := p.Ready(); err != nil {
			t.Errorf("Ready: %v", err)
		}
		r.publish("production:updates:k1", `{"n":1}`)
		r.publish("production:updates:k1", `{"n":2}`)
		r.publish("dashboard-update-k2", `[]`)
		r.publish("system-alert", `"x"`)
		for range 3 {
			r.publish("menu:updates:k1", `{"n":`)
			r.publish("menu:updates:k1", "\"\xff\"")
			r.publish("hrd:updates:k1", "\x00\x01")
			r.publish("hrd:updates:k1", "")
		}
		r.publish("updates:k1", `"`+strings.Repeat("x", 100)+`"`)
		r.say("updates:k1", nil, 5<<20) // the source did not even read it
		r.publish("user:7:notifications", `{}`)
		r.publish("production:updates:", `{}`)
		r.publish("production:updates:a b", `{}`)
		r.publish("production:updates:{k}", `{}`)
		r.publish("production:updates:k1\n", `{}`)
		r.publish("production:updates:*", `{}`)
		r.publish(strings.Repeat("x", 70_000), `{}`)
		r.publish("user:7:notifications", `{"again":true}`)
		settle()
		stop()
		stamped, turns := r.got()
		want := []string{`k1/production:updates {"n":1}`, `k1/production:updates {"n":2}`, `k2/dashboard-update []`, `/system-alert "x"`}
		if fmt.Sprint(stamped) != fmt.Sprint(want) {
			t.Errorf("stamped %v, want %v", stamped, want)
		}
		if len(taken) != 16 || len(ids) != 16 {
			t.Errorf("told of %q with %d ids, want the four and the twelve that are no JSON", taken, len(ids))
		}
		taken = slices.DeleteFunc(taken, func(line string) bool { return !slices.Contains(want, line) })
		if !slices.Equal(taken, want) {
			t.Errorf("told of %q, want %q in that order", taken, want)
		}
		s := p.Stats()
		if s.Received != 26 || s.Stamped != 4 || s.Invalid != 12 || s.TooLarge != 2 || s.Unmatched != 8 || s.Breaks != 0 {
			t.Errorf("stats are %+v", s)
		}
		names := p.Unmatched().Names()
		if len(names) != 7 || names[0].Name != "user:7:notifications" || names[0].Count != 2 || names[0].LastPayload != len(`{"again":true}`) {
			t.Errorf("unmatched names are %+v", names)
		}
		if len(turns) != 0 {
			t.Errorf("turned %v, want nothing: these messages can never be sent", turns)
		}
		if got := strings.Count(log.String(), "message not sent"); got != 3 {
			t.Errorf("%d complaints are logged, want one for each of 3 channels:\n%s", got, &log)
		}
		if longest := len(log.String()); longest > 20_000 {
			t.Errorf("the log has %d bytes: a hostile name is in it", longest)
		}
	})
}

// settle lets everything happen that happens without anybody doing something.
func settle() { time.Sleep(5 * time.Second) }

func TestPubSubTellsBreaks(t *testing.T) {
	for _, connections := range []int{1, 2} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRadio()
				r.refuse, r.fail = errCut, 3
				var breaks []time.Duration
				p, stop := r.node(t, PubSubOptions{
					Connections: connections, OnBreak: func(from, to time.Time) { breaks = append(breaks, to.Sub(from)) },
				})
				settle()
				if p.Ready() == nil {
					t.Error("it is ready without a connection")
				}
				r.set(func() { r.refuse = nil })
				settle()
				if err := p.Ready(); err != nil {
					t.Errorf("Ready: %v", err)
				}
				r.set(func() { r.refuse = errCut })
				r.cut(0)
				if err := p.Ready(); err != nil {
					t.Errorf("right after the cut: %v, want nil for the time that a take-over needs", err)
				}
				time.Sleep(2 * time.Second)
				if p.Ready() == nil {
					t.Error("it is ready though nobody stamps")
				}
				r.publish("updates:k1", `"nobody hears it"`)
				r.set(func() { r.refuse = nil })
				settle()
				r.publish("updates:k1", `"heard"`)
				settle()
				if len(breaks) != 1 || breaks[0] < 2*time.Second || breaks[0] > 4*time.Second {
					t.Errorf("breaks lasted %v, want one of the 2 s since it was last heard of and the wait for the next connection", breaks)
				}
				stamped, turns := r.got()
				if fmt.Sprint(turns) != "[all intake all intake]" {
					t.Errorf("turned %v, want all at the start and after the break, in spite of failures", turns)
				}
				if fmt.Sprint(stamped) != `[k1/updates "heard"]` {
					t.Errorf("stamped %v", stamped)
				}
				if s := p.Stats(); s.Breaks != 1 || s.Counts.Takes[stamping.CauseFirst] != 1 {
					t.Errorf("%+v, want 1 break", s)
				}
				if err := p.Ready(); err != nil {
					t.Errorf("Ready: %v", err)
				}
				stop()
			})
		})
	}
}

// TestPubSubOneConnectionIsEnough cuts connections one at a time while messages come.
func TestPubSubOneConnectionIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		p, stop := r.node(t, PubSubOptions{TrustStart: true})
		settle()
		var want []string
		for i := range 300 {
			r.publish("updates:k1", fmt.Sprint(i))
			want = append(want, fmt.Sprintf("k1/updates %d", i))
			if i%30 == 29 {
				r.cut(1)
			}
			if time.Sleep(time.Millisecond); i%30 == 20 { // time enough to come back
				time.Sleep(3 * time.Second)
			}
		}
		settle()
		stop()
		stamped, turns := r.got()
		if fmt.Sprint(stamped) != fmt.Sprint(want) || len(turns) != 0 {
			t.Errorf("stamped %v, turned %v; want all once and nothing", stamped, turns)
		}
		if s := p.Stats(); s.Broken != 10 || s.Breaks != 0 || s.Received != 300 {
			t.Errorf("%+v, want 10 broken connections, no break, and 300 messages", s)
		}
	})
}

// TestPubSubLeavesWhatDoesNotHear has a connection that lives and over which nothing comes any more: it hears a Redis that was
// replaced, or that of which the other side does not know it. The first is seen by a mark that does not come though a later ping is
// answered, the second at the next report.
func TestPubSubLeavesWhatDoesNotHear(t *testing.T) {
	for name, harm := range map[string]func(r *radio) func(string, *radioConn){
		"deaf": func(*radio) func(string, *radioConn) { return func(_ string, c *radioConn) { c.deaf = true } },
		"unknown": func(r *radio) func(string, *radioConn) {
			return func(name string, _ *radioConn) { delete(r.conns, name) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRadio()
				p, stop := r.node(t, PubSubOptions{TrustStart: true})
				settle()
				var want []string
				for i := range 5000 {
					switch {
					case i == 1000:
						r.spoil(harm(r))
					case i%1000 == 500:
						r.pong()
					case i == 4400:
						if s := p.Stats(); s.Counts.Deaf != 1 || s.Broken != 1 || s.Status.Joined != 2 {
							t.Errorf("3.4 s after the harm: %+v; want one connection given up, and two", s)
						}
					}
					r.publish("updates:k1", fmt.Sprint(i))
					want = append(want, fmt.Sprintf("k1/updates %d", i))
					time.Sleep(time.Millisecond)
				}
				settle()
				stop()
				if stamped, turns := r.got(); fmt.Sprint(stamped) != fmt.Sprint(want) || len(turns) != 0 {
					t.Errorf("%d messages are stamped, turned %v; want %d and nothing", len(stamped), turns, len(want))
				}
			})
		})
	}
}

// TestPubSubNodesGoOnForEachOther has three nodes come and go in turn while messages come.
func TestPubSubNodesGoOnForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		var want []string
		publish := func() {
			for range 20 {
				want = append(want, fmt.Sprintf("k1/updates %d", len(want)))
				r.publish("updates:k1", fmt.Sprint(len(want)-1))
				time.Sleep(time.Millisecond)
			}
		}
		first, stop := r.node(t, PubSubOptions{TrustStart: true})
		settle()
		publish()
		if got := first.Role(); got != "this node stamps" {
			t.Errorf("the only node says %q", got)
		}
		for range 5 {
			next, stopNext := r.node(t, PubSubOptions{})
			publish()
			settle()
			if got := next.Role(); !strings.HasSuffix(got, "this one stands by") || next.Ready() != nil {
				t.Errorf("the second node says %q, %v", got, next.Ready())
			}
			publish()
			stop() // the first hands over
			publish()
			settle()
			if s := next.Stats(); !s.Status.Held || s.Counts.Takes[stamping.CauseReleased] != 1 {
				t.Errorf("after the holder left: %+v", s)
			}
			stop = stopNext
		}
		settle()
		stop()
		stamped, turns := r.got()
		if fmt.Sprint(stamped) != fmt.Sprint(want) || len(turns) != 0 {
			t.Errorf("stamped %d messages, turned %v; want %d once each, in order, and nothing", len(stamped), turns, len(want))
		}
	})
}

// TestPubSubSaysThatItStandsBy has nodes find their place at many moments, most of them between two reports: each says so once.
func TestPubSubSaysThatItStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		_, stop := r.node(t, PubSubOptions{TrustStart: true})
		settle()
		for n := range 20 {
			var out strings.Builder // the node writes while this waits, and has ended when it is read
			_, stopNext := r.node(t, PubSubOptions{Log: slog.New(slog.NewTextHandler(&out, nil))})
			time.Sleep(time.Duration(n) * 7 * time.Millisecond)
			r.publish("updates:k1", "1")
			settle()
			stopNext()
			if said := strings.Count(out.String(), "this node stands by to stamp PUBLISH"); said != 1 {
				t.Errorf("node %d says %d times that it stands by, want once:\n%s", n, said, out.String())
			}
		}
		stop()
	})
}

// TestPubSubOtherGlobs has a node with other settings wait until the one that stamps is gone.
func TestPubSubOtherGlobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		_, stopOne := r.node(t, PubSubOptions{TrustStart: true})
		settle()
		two, stopTwo := r.node(t, PubSubOptions{OnlyPatterns: true})
		settle()
		if got := two.Role(); !strings.Contains(got, "listens to other channels") || two.Ready() != nil {
			t.Errorf("the node with other globs says %q, %v", got, two.Ready())
		}
		r.publish("updates:k1", "1")
		settle()
		stopOne()
		settle()
		r.publish("updates:k1", "2")
		settle()
		stopTwo()
		stamped, turns := r.got()
		if fmt.Sprint(stamped) != "[k1/updates 1 k1/updates 2]" || fmt.Sprint(turns) != "[all intake]" {
			t.Errorf("stamped %v, turned %v; want both messages, and one turn", stamped, turns)
		}
	})
}

func TestPubSubTellsWhatIsStuck(t *testing.T) {
	for _, healed := range []bool{false, true} {
		t.Run(fmt.Sprint(healed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRadio()
				tries := 0
				r.stuck = func(m *stamping.Numbered) error {
					if string(m.Data) != "2" || healed && tries > 0 {
						return nil
					}
					tries++
					return errors.New("WRONGTYPE")
				}
				p, stop := r.node(t, PubSubOptions{TrustStart: true})
				settle()
				for i := range 5 {
					r.publish("updates:k1", fmt.Sprint(i))
				}
				settle()
				stop()
				stamped, turns := r.got()
				want, wantTurns := "[k1/updates 0 k1/updates 1 k1/updates 3 k1/updates 4]", 3
				if healed {
					want, wantTurns = "[k1/updates 0 k1/updates 1 k1/updates 2 k1/updates 3 k1/updates 4]", 1
				}
				if fmt.Sprint(stamped) != want || len(turns) != wantTurns || turns[0] != "k1/updates intake" {
					t.Errorf("stamped %v, turned %v; want %s and %d turns", stamped, turns, want, wantTurns)
				}
				if got := p.Stats().Failed; (got == 1) == healed {
					t.Errorf("%d failed", got)
				}
			})
		})
	}
}

// TestPubSubTellsWhatCameTooFast has more come than it may keep while nothing can be stamped.
func TestPubSubTellsWhatCameTooFast(t *testing.T) {
	for _, channels := range []int{2, 3 * maxTurns} {
		t.Run(fmt.Sprint(channels), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRadio()
				r.fail = 2
				p, stop := r.node(t, PubSubOptions{TrustStart: true, MaxWaiting: 3})
				settle()
				r.set(func() { r.err = realtime.ErrUnavailable })
				for i := range channels * 2 {
					r.publish(fmt.Sprint("updates:k", i%channels), fmt.Sprint(i))
				}
				settle()
				r.set(func() { r.err = nil })
				settle()
				r.publish("updates:k1", `"after"`)
				settle()
				stop()
				stamped, turns := r.got()
				if want := `[k0/updates 0 k1/updates 1 k2/updates 2 k1/updates "after"]`; channels > 2 && fmt.Sprint(stamped) != want {
					t.Errorf("stamped %v, want %s", stamped, want)
				}
				if want := `[k0/updates 0 k1/updates 1 k0/updates 2 k1/updates "after"]`; channels == 2 && fmt.Sprint(stamped) != want {
					t.Errorf("stamped %v, want %s", stamped, want)
				}
				want := "[k1/updates overloaded]"
				if channels > 2 {
					want = "[all intake]"
				}
				if fmt.Sprint(turns) != want {
					t.Errorf("turned %v, want %s", turns, want)
				}
				if got := p.Stats().Overloaded; got != uint64(channels*2-3) {
					t.Errorf("%d were too many, want %d", got, channels*2-3)
				}
			})
		})
	}
}

// TestPubSubOnlyPatterns sends a name over each glob that matches it, as Redis does.
func TestPubSubOnlyPatterns(t *testing.T) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "a:{tenant}"}, {Spelling: "a:{tenant}:*"}, {Spelling: "alert"}})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		p, stop := r.node(t, PubSubOptions{Names: names, OnlyPatterns: true, TrustStart: true})
		settle()
		for _, name := range []string{"a:k1", "a:k1:b", "alert", "a:k1:b:c", "other"} {
			r.publish(name, "1")
		}
		settle()
		stop()
		if stamped, _ := r.got(); fmt.Sprint(stamped) != "[k1/a 1 k1/a:b 1 /alert 1]" {
			t.Errorf("stamped %v", stamped)
		}
		if s := p.Stats(); s.Unmatched != 1 || s.Received != 4 {
			t.Errorf("%+v, want 1 unmatched of 4", s)
		}
	})
}

func TestPubSubRefusesIgnoredPatterns(t *testing.T) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "app:x:{tenant}"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPubSub(newRadio(), newRadio(), nil, PubSubOptions{Names: names, Ignore: []string{"app:"}}); !errors.Is(err, realtime.ErrPattern) {
		t.Errorf("got %v, want ErrPattern", err)
	}
	if _, err := NewPubSub(newRadio(), newRadio(), nil, PubSubOptions{}); err == nil {
		t.Error("a PubSub without names is accepted")
	}
}

func TestUnmatchedIsBounded(t *testing.T) {
	u := NewUnmatched(10)
	at := time.Unix(0, 0)
	for i := range 1000 {
		u.Saw(fmt.Append(nil, "often"), i, at)
		if !u.Saw(fmt.Append(nil, "once", i), 1, at.Add(time.Duration(i))) {
			t.Fatalf("once%d is not new", i)
		}
	}
	names := u.Names()
	if len(names) != 10 || names[0].Name != "often" || names[0].Count != 1000 || u.Total() != 2000 {
		t.Errorf("%d names, the first is %+v, total %d; want 10, the frequent one, 2000", len(names), names[0], u.Total())
	}
	for _, n := range names[1:] {
		if n.LastSeen.Before(at.Add(990)) {
			t.Errorf("%s of long ago is still there", n.Name)
		}
	}
}

// redisGlob is the matching of Redis as its documentation tells it, for what our globs use.
func redisGlob(glob, name string) bool {
	for glob != "" {
		switch glob[0] {
		case '*':
			for i := 0; i <= len(name); i++ {
				if redisGlob(glob[1:], name[i:]) {
					return true
				}
			}
			return false
		case '[': // always negated here
			end := 2
			in := map[byte]bool{}
			for ; glob[end] != ']'; end++ {
				if glob[end] == '\\' {
					end++
				}
				in[glob[end]] = true
			}
			if name == "" || in[name[0]] {
				return false
			}
			glob, name = glob[end+1:], name[1:]
			continue
		case '\\':
			glob = glob[1:]
		}
		if name == "" || name[0] != glob[0] {
			return false
		}
		glob, name = glob[1:], name[1:]
	}
	return name == ""
}

func TestGlobsExcept(t *testing.T) {
	letters := rapid.SampledFrom([]byte("abk_e:*[]?\\^-"))
	word := func(least, most int) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(letters, least, most), func(b []byte) string { return string(b) })
	}
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SliceOfN(word(1, 4), 1, 4).Draw(t, "prefixes")
		name := word(1, 7).Draw(t, "name")
		if rapid.Bool().Draw(t, "ignored") {
			name = rapid.SampledFrom(prefixes).Draw(t, "prefix") + name
		}
		want := 1
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				want = 0
			}
		}
		got := 0
		for _, g := range globsExcept(prefixes) {
			if redisGlob(g, name) {
				got++
			}
		}
		if got != want {
			t.Fatalf("%d of the globs %q match %q, want %d", got, globsExcept(prefixes), name, want)
		}
	})
}

func TestStarMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[ab:*]{0,6}`).Draw(t, "glob")
		name := rapid.StringMatching(`[ab:]{0,8}`).Draw(t, "name")
		if got, want := starMatch(glob, name), redisGlob(glob, name); got != want {
			t.Fatalf("starMatch(%q, %q) is %v, want %v", glob, name, got, want)
		}
	})
}

func FuzzPubSubMessage(f *testing.F) {
	f.Add([]byte("production:updates:k1"), []byte(`{"a":1}`))
	f.Add([]byte("system-alert"), []byte("\"\xff\""))
	names := defaultNames(f)
	r := newRadio()
	p, err := NewPubSub(r, r, r, PubSubOptions{Names: names})
	if err != nil {
		f.Fatal(err)
	}
	p.feeds[0].Ready("feed")
	f.Fuzz(func(t *testing.T, name, payload []byte) {
		before := p.node.Status().Waiting
		p.feeds[0].Message([]byte("*"), name, payload, len(payload))
		_, _, err := names.Parse(string(name))
		if taken := p.node.Status().Waiting > before; taken != (err == nil) {
			t.Errorf("taken is %v for %q", taken, name)
		}
		if fit := p.judge(&stamping.Message{Data: payload}); fit != validJSON(payload) {
			t.Errorf("fit is %v for %q", fit, payload)
		}
		p.node.Down(0)
		p.feeds[0].Ready("feed") // on a new line nothing waits
	})
}

// TestOneConnectionStays gives up connections whose questions are not answered, though they still hear: the two of a node never go at the
// same time, for that would be a break, and the last one stays until another hears.
func TestOneConnectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRadio()
		p, stop := r.node(t, PubSubOptions{TrustStart: true})
		defer stop()
		settle()
		first, second := p.feeds[0], p.feeds[1]
		for range 2 {
			if !second.Spare() {
				t.Error("the second of two that hear must stay")
			}
		}
		if first.Spare() {
			t.Error("both may go")
		}
		r.publish("production:updates:k1", `{"n":1}`)
		r.mu.Lock()
		r.refuse = errCut // no new one can be had
		r.mu.Unlock()
		p.mu.Lock()
		second.close()
		p.mu.Unlock()
		settle()
		if first.Spare() {
			t.Error("the last one may go")
		}
		r.publish("production:updates:k1", `{"n":2}`)
		r.mu.Lock()
		r.refuse = nil
		r.mu.Unlock()
		settle()
		settle()
		if !first.Spare() {
			t.Error("the first must stay, though the second is back")
		}
		if s := p.Stats(); s.Breaks != 0 || s.Stamped != 2 {
			t.Errorf("%d breaks, %d stamped; want none, and both", s.Breaks, s.Stamped)
		}
	})
}
