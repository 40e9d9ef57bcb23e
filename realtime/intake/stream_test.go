package intake_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// fakeStream is a stream in memory, with a group of which each reader is one node. It fails when it is told to.
type fakeStream struct {
	mu      sync.Mutex
	entries []fakeEntry
	next    int // not delivered yet
	aside   [][]string
	tidied  int
	fail    func(what string) error // nil: never
	more    chan struct{}
}

type fakeEntry struct {
	fields []string
	since  time.Time // when it was delivered last
	acked  bool
}

func newFakeStream() *fakeStream { return &fakeStream{more: make(chan struct{}, 1)} }

func (f *fakeStream) add(fields ...string) {
	f.mu.Lock()
	f.entries = append(f.entries, fakeEntry{fields: fields})
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *fakeStream) trouble(what string) error {
	if f.fail == nil {
		return nil
	}
	return f.fail(what)
}

func (f *fakeStream) Read(ctx context.Context, count int, wait time.Duration, take func(string, []string)) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		f.mu.Lock()
		if err := f.trouble("read"); err != nil || f.next < len(f.entries) {
			defer f.mu.Unlock()
			for ; err == nil && f.next < len(f.entries) && count > 0; count-- {
				f.entries[f.next].since = time.Now()
				take(fmt.Sprintf("%d-0", f.next+1), f.entries[f.next].fields)
				f.next++
			}
			return err
		}
		f.mu.Unlock()
		select {
		case <-f.more:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeStream) Claim(_ context.Context, idle time.Duration, count int, take func(string, []string)) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.trouble("claim"); err != nil {
		return false, err
	}
	for i := range f.next {
		if e := &f.entries[i]; !e.acked && time.Since(e.since) >= idle {
			if count--; count < 0 {
				return true, nil
			}
			e.since = time.Now()
			take(fmt.Sprintf("%d-0", i+1), e.fields)
		}
	}
	return false, nil
}

func (f *fakeStream) Ack(_ context.Context, ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.trouble("ack"); err != nil {
		return err
	}
	for _, id := range ids {
		var n int
		_, _ = fmt.Sscanf(id, "%d-0", &n)
		f.entries[n-1].acked = true
	}
	return nil
}

func (f *fakeStream) SetAside(_ context.Context, fields []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.trouble("set aside"); err != nil {
		return err
	}
	f.aside = append(f.aside, fields)
	return nil
}

func (f *fakeStream) Tidy(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tidied++
	return f.trouble("tidy")
}

func (f *fakeStream) unacked() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.entries {
		if !e.acked {
			n++
		}
	}
	return n
}

// keyed is an engine that knows idempotency keys, and fails when it is told to, after storing or before.
type keyed struct {
	mu     sync.Mutex
	stored map[realtime.Channel][]string
	keys   map[string]string
	fail   func() (after, before bool) // nil: never
}

func newKeyed() *keyed {
	return &keyed{stored: map[realtime.Channel][]string{}, keys: map[string]string{}}
}

func (k *keyed) Publish(ctx context.Context, ch realtime.Channel, data []byte, o realtime.PublishOptions) (realtime.Published, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	after, before := false, ctx.Err() != nil
	if k.fail != nil && !before {
		after, before = k.fail()
	}
	if before {
		return realtime.Published{}, realtime.ErrUnavailable
	}
	record := ch.Name + "/" + string(ch.Tenant) + "/" + o.Key
	first, seen := k.keys[record]
	switch {
	case seen && first != string(data):
		return realtime.Published{}, realtime.ErrKeyReused
	case !seen:
		k.keys[record] = string(data)
		k.stored[ch] = append(k.stored[ch], string(data))
	}
	if after {
		return realtime.Published{}, realtime.ErrUnavailable
	}
	return realtime.Published{Duplicate: seen}, nil
}

// runStream runs a node of the door until stop is called.
func runStream(t interface{ Errorf(string, ...any) }, source intake.StreamSource, engine intake.Publisher) (door *intake.Stream, stop func()) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		panic(err)
	}
	door = intake.NewStream(source, intake.StreamOptions{Names: names, Publisher: engine, MaxBytes: 100})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := door.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	return door, sync.OnceFunc(func() { cancel(); <-done })
}

var updatesK1 = realtime.Channel{Tenant: "k1", Name: "updates"}

func TestStreamPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, engine := newFakeStream(), newKeyed()
		long := `"` + strings.Repeat("x", 100) + `"`
		rows := []struct {
			reason string // "": none
			fields []string
		}{
			{"", []string{"channel", "updates:k1", "data", "1", "traceparent", "00-1"}},
			{"", []string{"data", "2", "channel", "updates:k1", "id", "mine"}},
			{"", []string{"data", "2", "channel", "updates:k1", "id", "mine"}},
			{"bad id: it was used before", []string{"data", "3", "channel", "updates:k1", "id", "mine"}},
			{"field channel is missing", []string{"data", "1"}},
			{"field data is missing", []string{"channel", "updates:k1"}},
			{"field data is there twice", []string{"channel", "updates:k1", "data", "1", "data", "2"}},
			{"bad channel", []string{"channel", "nothing", "data", "1"}},
			{"bad channel", []string{"channel", strings.Repeat("x", 1000), "data", "1"}},
			{"invalid JSON", []string{"channel", "updates:k1", "data", "{"}},
			{"invalid JSON", []string{"channel", "updates:k1", "data", ""}},
			{"invalid JSON", []string{"channel", "updates:k1", "data", "\"\xff\""}},
			{"too large", []string{"channel", "updates:k1", "data", long}},
			{"bad id: 300 bytes", []string{"channel", "updates:k1", "data", "1", "id", strings.Repeat("i", 300)}},
			{"field channel is missing", nil},
			{"", []string{"channel", "system-alert", "data", "4"}},
		}
		for _, r := range rows {
			source.add(r.fields...)
		}
		door, stop := runStream(t, source, engine)
		synctest.Wait()
		stop()
		aside := slices.Clone(source.aside)
		for i, r := range rows {
			if r.reason == "" {
				continue
			}
			at := slices.IndexFunc(aside, func(f []string) bool { return f[1] == fmt.Sprintf("%d-0", i+1) })
			if at < 0 || !strings.HasPrefix(aside[at][3], r.reason) || len(aside[at][5]) > realtime.MaxNameBytes {
				t.Errorf("entry %d %.60q: want it set aside because %q; all that is: %.400q", i+1, r.fields, r.reason, aside)
			}
		}
		if n := source.unacked(); n > 0 || len(aside) != 12 {
			t.Errorf("%d are not acknowledged and %d set aside, want 0 and 12", n, len(aside))
		}
		if got := engine.stored[updatesK1]; !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("stored %v, want 1 and 2", got)
		}
		st := door.Stats()
		if st.Received != 16 || st.Stamped != 4 || st.Duplicates != 1 || st.Poisoned != 12 {
			t.Errorf("the door counts %+v; want 16 received, 4 stamped of which 1 duplicate, 12 set aside", st)
		}
	})
}

// TestStreamLosesAndRepeatsNothing has a stream and an engine that fail at any step, and nodes that end at any time, with
// another taking over. Each entry is stored once, none is acknowledged before, and one node keeps the order of a channel.
func TestStreamLosesAndRepeatsNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(*testing.T) {
			const entries = 60
			seed := rapid.Uint64().Draw(rt, "seed")
			trouble := rapid.IntRange(0, 60).Draw(rt, "trouble") // percent
			kills := rapid.IntRange(0, 3).Draw(rt, "kills")
			dice := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			roll := func() bool { mu.Lock(); defer mu.Unlock(); return dice.IntN(100) < trouble }
			source, engine := newFakeStream(), newKeyed()
			healed := false // guarded by the fakes' locks
			source.fail = func(what string) error {
				if !healed && roll() {
					return errors.New("no " + what)
				}
				return nil
			}
			engine.fail = func() (bool, bool) { return !healed && roll(), !healed && roll() }
			for i := range entries {
				source.add("channel", fmt.Sprintf("updates:k%d", i%3), "data", fmt.Sprint(i))
			}
			for range kills {
				_, stop := runStream(rt, source, engine)
				time.Sleep(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "life")) * time.Millisecond)
				stop()
			}
			door, stop := runStream(rt, source, engine)
			time.Sleep(time.Minute)
			source.mu.Lock()
			engine.mu.Lock()
			healed = true
			engine.mu.Unlock()
			source.mu.Unlock()
			time.Sleep(2 * time.Minute)
			stop()
			if n := source.unacked(); n > 0 || door.Ready() != nil {
				rt.Errorf("%d entries are not acknowledged, and the door says %v", n, door.Ready())
			}
			for k := range 3 {
				got := engine.stored[realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", k)), Name: "updates"}]
				if kills > 0 {
					slices.SortFunc(got, func(a, b string) int { return len(a)*100 - len(b)*100 + strings.Compare(a, b) })
				}
				for i, data := range got {
					if want := fmt.Sprint(3*i + k); data != want {
						rt.Fatalf("k%d: place %d holds %s, want %s: %v", k, i, data, want, got)
					}
				}
				if len(got) != entries/3 {
					rt.Errorf("k%d: %d are stored, want %d", k, len(got), entries/3)
				}
			}
		})
	})
}

// TestStreamAcknowledgesAfterTheStamp looks at the order of the two at every acknowledgement.
func TestStreamAcknowledgesAfterTheStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, engine := newFakeStream(), newKeyed()
		out := true // guarded by the engine's lock
		engine.fail = func() (bool, bool) { return false, out }
		source.add("channel", "updates:k1", "data", "1")
		source.add("channel", "updates:k2", "data", "2")
		door, stop := runStream(t, source, engine)
		defer stop()
		time.Sleep(10 * time.Minute)
		if n := source.unacked(); n != 2 || !errors.Is(door.Ready(), realtime.ErrUnavailable) {
			t.Errorf("%d are not acknowledged while the engine is out, and the door says %v; want 2, unavailable", n, door.Ready())
		}
		engine.mu.Lock()
		out = false
		engine.mu.Unlock()
		time.Sleep(5 * time.Second)
		if n := source.unacked(); n != 0 || door.Ready() != nil {
			t.Errorf("%d are not acknowledged after it is back, and the door says %v", n, door.Ready())
		}
	})
}
