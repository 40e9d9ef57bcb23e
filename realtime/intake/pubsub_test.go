package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
)

// script is a Source that plays what a test wants: each function is one connection.
type script struct {
	connections []func(ctx context.Context, f feed) error
	globs       []string
}

type feed struct {
	ready, alive func()
	message      func(glob, channel, payload []byte, size int)
}

func (f feed) say(name, payload string) {
	f.message([]byte("*"), []byte(name), []byte(payload), len(payload))
}

func (s *script) Receive(ctx context.Context, globs []string, ready, alive func(), message func(glob, channel, payload []byte, size int)) error {
	s.globs = globs
	if len(s.connections) == 0 {
		<-ctx.Done()
		return nil
	}
	next := s.connections[0]
	s.connections = s.connections[1:]
	return next(ctx, feed{ready, alive, message})
}

// stamper writes down what it is given.
type stamper struct {
	mu    sync.Mutex
	got   []string
	turns []string
	err   error // answer of PublishAsync
	fail  int   // turns that fail before one succeeds
}

func (s *stamper) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	s.mu.Lock()
	if s.err == nil {
		s.got = append(s.got, fmt.Sprintf("%s/%s %s", ch.Tenant, ch.Name, data))
	}
	err := s.err
	s.mu.Unlock()
	if opts.Arrived.IsZero() {
		err = errors.New("no time of arrival")
	}
	done(realtime.Published{}, err)
}

func (s *stamper) turn(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return realtime.ErrUnavailable
	}
	s.turns = append(s.turns, what)
	return nil
}

func (s *stamper) TurnEpoch(_ context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	return s.turn(fmt.Sprintf("%s/%s %s", ch.Tenant, ch.Name, cause))
}

func (s *stamper) TurnAll(_ context.Context, cause realtime.GapCause) error {
	return s.turn("all " + string(cause))
}

func defaultNames(t testing.TB) *realtime.Names {
	t.Helper()
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func newPubSub(t *testing.T, source Source, st Stamper, opts PubSubOptions) *PubSub {
	t.Helper()
	opts.Names = defaultNames(t)
	p, err := NewPubSub(source, st, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// play runs a PubSub over connections until it waits for nothing but the next one.
func play(t *testing.T, st *stamper, opts PubSubOptions, connections ...func(ctx context.Context, f feed) error) *PubSub {
	t.Helper()
	var p *PubSub
	synctest.Test(t, func(t *testing.T) {
		p = newPubSub(t, &script{connections: connections}, st, opts)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

func TestPubSubTakesIn(t *testing.T) {
	var log bytes.Buffer
	st := &stamper{}
	p := play(t, st, PubSubOptions{TrustStart: true, MaxBytes: 100, Log: slog.New(slog.NewTextHandler(&log, nil))}, func(ctx context.Context, f feed) error {
		f.ready()
		f.say("production:updates:k1", `{"n":1}`)
		f.say("production:updates:k1", `{"n":2}`)
		f.say("dashboard-update-k2", `[]`)
		f.say("system-alert", `"x"`)
		for range 3 {
			f.say("menu:updates:k1", `{"n":`)
			f.say("menu:updates:k1", "\"\xff\"")
			f.say("hrd:updates:k1", "\x00\x01")
			f.say("hrd:updates:k1", "")
		}
		f.say("updates:k1", `"`+strings.Repeat("x", 100)+`"`)
		f.message([]byte("*"), []byte("updates:k1"), nil, 5<<20) // the source did not even read it
		f.say("user:7:notifications", `{}`)
		f.say("production:updates:", `{}`)
		f.say("production:updates:a b", `{}`)
		f.say("production:updates:{k}", `{}`)
		f.say("production:updates:k1\n", `{}`)
		f.say("production:updates:*", `{}`)
		f.say(strings.Repeat("x", 70_000), `{}`)
		f.say("user:7:notifications", `{"again":true}`)
		<-ctx.Done()
		return nil
	})
	want := []string{`k1/production:updates {"n":1}`, `k1/production:updates {"n":2}`, `k2/dashboard-update []`, `/system-alert "x"`}
	if fmt.Sprint(st.got) != fmt.Sprint(want) {
		t.Errorf("stamped %v, want %v", st.got, want)
	}
	s := p.Stats()
	if s.Received != 26 || s.Stamped != 4 || s.Invalid != 12 || s.TooLarge != 2 || s.Unmatched != 8 || s.Breaks != 0 {
		t.Errorf("stats are %+v", s)
	}
	names := p.Unmatched().Names()
	if len(names) != 7 || names[0].Name != "user:7:notifications" || names[0].Count != 2 || names[0].LastPayload != len(`{"again":true}`) {
		t.Errorf("unmatched names are %+v", names)
	}
	if len(st.turns) != 0 {
		t.Errorf("turned %v, want nothing: these messages can never be sent", st.turns)
	}
	if got := strings.Count(log.String(), "message not sent"); got != 3 {
		t.Errorf("%d complaints are logged, want one for each of 3 channels:\n%s", got, &log)
	}
	if longest := len(log.String()); longest > 20_000 {
		t.Errorf("the log has %d bytes: a hostile name is in it", longest)
	}
}

func TestPubSubTellsBreaks(t *testing.T) {
	st := &stamper{fail: 3}
	var breaks []time.Duration
	opts := PubSubOptions{OnBreak: func(from, to time.Time) { breaks = append(breaks, to.Sub(from)) }}
	broken := errors.New("broken")
	p := play(t, st, opts,
		func(context.Context, feed) error { return broken }, // it was never up: no break yet
		func(_ context.Context, f feed) error {
			f.ready()
			time.Sleep(time.Minute)
			f.alive()
			time.Sleep(2 * time.Second)
			return broken
		},
		func(context.Context, feed) error { return broken },
		func(ctx context.Context, f feed) error {
			f.ready()
			<-ctx.Done()
			return nil
		})
	if len(breaks) != 1 || breaks[0] < 2*time.Second || breaks[0] > 5*time.Second {
		t.Errorf("breaks lasted %v, want one of the 2 s since the last sign of life and the wait for the next connection", breaks)
	}
	if fmt.Sprint(st.turns) != fmt.Sprint([]string{"all intake", "all intake"}) {
		t.Errorf("turned %v, want all at the start and after the break, in spite of failures", st.turns)
	}
	if p.Stats().Breaks != 1 {
		t.Errorf("%d breaks are counted, want 1", p.Stats().Breaks)
	}
	if p.Ready() == nil {
		return // it was ready when the test ended
	}
	t.Errorf("Ready: %v", p.Ready())
}

func TestPubSubTellsWhatIsNotStamped(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{realtime.ErrOverloaded, "[k1/updates overloaded]"},
		{realtime.ErrUnavailable, "[k1/updates intake]"},
		{realtime.ErrInvalid, "[]"},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			st := &stamper{err: fmt.Errorf("publish: %w", c.err)}
			play(t, st, PubSubOptions{TrustStart: true}, func(ctx context.Context, f feed) error {
				f.ready()
				f.say("updates:k1", `{}`)
				<-ctx.Done()
				return nil
			})
			if fmt.Sprint(st.turns) != c.want {
				t.Errorf("turned %v, want %s", st.turns, c.want)
			}
		})
	}
}

func TestPubSubManyFailuresTurnAll(t *testing.T) {
	st := &stamper{err: realtime.ErrOverloaded, fail: 1}
	play(t, st, PubSubOptions{TrustStart: true}, func(ctx context.Context, f feed) error {
		f.ready()
		for i := range 3 * maxTurns {
			f.say(fmt.Sprint("updates:k", i), `{}`)
		}
		<-ctx.Done()
		return nil
	})
	all := false
	for _, turn := range st.turns {
		all = all || turn == "all intake"
	}
	if !all {
		t.Errorf("%d turns and none is of all", len(st.turns))
	}
}

// TestPubSubOnlyPatterns sends a name over each glob that matches it, as Redis does.
func TestPubSubOnlyPatterns(t *testing.T) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "a:{tenant}"}, {Spelling: "a:{tenant}:*"}, {Spelling: "alert"}})
	if err != nil {
		t.Fatal(err)
	}
	st := &stamper{}
	p, err := NewPubSub(&script{}, st, PubSubOptions{Names: names, OnlyPatterns: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a:k1", "a:k1:b", "alert", "a:k1:b:c"} {
		for _, glob := range p.globs {
			if starMatch(glob, name) {
				p.message([]byte(glob), []byte(name), []byte(`1`), 1)
			}
		}
	}
	if want := "[k1/a 1 k1/a:b 1 /alert 1]"; fmt.Sprint(st.got) != want {
		t.Errorf("stamped %v, want %v", st.got, want)
	}
	if p.Unmatched().Total() != 1 {
		t.Errorf("%d unmatched, want 1", p.Unmatched().Total())
	}
}

func TestPubSubRefusesIgnoredPatterns(t *testing.T) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "app:x:{tenant}"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewPubSub(&script{}, &stamper{}, PubSubOptions{Names: names, Ignore: []string{"app:"}}); !errors.Is(err, realtime.ErrPattern) {
		t.Errorf("got %v, want ErrPattern", err)
	}
	if _, err := NewPubSub(&script{}, &stamper{}, PubSubOptions{}); err == nil {
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
	st := &stamper{}
	names := defaultNames(f)
	p, err := NewPubSub(&script{}, st, PubSubOptions{Names: names})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, payload []byte) {
		before := len(st.got)
		p.message([]byte("*"), name, payload, len(payload))
		_, _, err := names.Parse(string(name))
		if taken := len(st.got) > before; taken != (err == nil && validJSON(payload)) {
			t.Errorf("taken is %v for %q %q", taken, name, payload)
		}
		st.got = st.got[:0]
	})
}
