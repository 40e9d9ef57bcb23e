package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/relay"
	"kentongan/production/storetest"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
	"kentongan/realtime/redis"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; nothing is measured with it.
const patience = 30 * time.Second

func names(t testing.TB) *realtime.Names {
	t.Helper()
	n, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func inMemory(t testing.TB) *memory.Broker {
	t.Helper()
	b, err := memory.New(memory.Options{Names: names(t)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// event is the n-th of a kitchen, committed now.
func event(t tenant.ID, n int, channel string) production.Event {
	now := production.At(time.Now())
	return production.Event{
		ID: fmt.Sprintf("p.%d.0", n), Tenant: t, Channel: channel, ProductionID: "p", Version: int64(n), At: now,
		Payload: fmt.Appendf(nil, `{"type":"production_update","productionId":"p","data":{"n":%d},"timestamp":%d}`, n, now),
	}
}

func commit(t testing.TB, store production.Changes, events ...production.Event) {
	t.Helper()
	if _, err := store.Commit(context.Background(), production.Commit{Tenant: events[0].Tenant, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// held is what a channel's history has.
func held(t testing.TB, b relay.Broker, ch realtime.Channel) (payloads []string, head realtime.Position) {
	t.Helper()
	page, err := b.History(context.Background(), ch, realtime.Position{}, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Publications {
		payloads = append(payloads, string(p.Data))
	}
	return payloads, page.Head
}

// run runs a relay and returns how to stop it.
func run(t testing.TB, r *relay.Relay) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// drained waits until nothing waits to be published.
func drained(t testing.TB, store production.Outbox) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n, _, err := store.Backlog(context.Background())
		if err == nil && n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d events still wait (%v)", n, err)
		}
	}
}

// TestEveryEventOnceAndInOrder has two relays on one database while several kitchens work.
func TestEveryEventOnceAndInOrder(t *testing.T) {
	engines := map[string]func(t *testing.T) realtime.Broker{
		"memory": func(t *testing.T) realtime.Broker { return inMemory(t) },
		"redis": func(t *testing.T) realtime.Broker {
			b, err := redis.New(redis.Options{Address: testenv.Redis(t), Names: names(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			return b
		},
	}
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			store, broker := storetest.NewModel(), open(t)
			door := intake.NewRelay(names(t), broker, 0)
			var relays []*relay.Relay
			for _, owner := range []string{"a", "b"} {
				r := relay.New(store, door, broker, relay.Options{Owner: owner, Batch: 7})
				relays = append(relays, r)
				defer run(t, r)()
			}
			const kitchens, changes = 5, 60
			want := make([]map[string][]string, kitchens)
			var g sync.WaitGroup
			for k := range kitchens {
				want[k] = map[string][]string{}
				g.Go(func() {
					id := tenant.ID(fmt.Sprint("k", k))
					for n := range changes {
						events := []production.Event{event(id, 2*n+1, production.UpdatesChannel)}
						if n%3 == 0 {
							events = append(events, event(id, 2*n+2, production.AlertsChannel))
						}
						commit(t, store, events...)
						for _, e := range events {
							want[k][e.Channel] = append(want[k][e.Channel], string(e.Payload))
						}
					}
				})
			}
			g.Wait()
			drained(t, store)
			published := uint64(0)
			for _, r := range relays {
				published += r.Stats().Published
			}
			if total := uint64(kitchens * (changes + changes/3)); published != total {
				t.Errorf("%d were published, want %d", published, total)
			}
			for k := range kitchens {
				id := tenant.ID(fmt.Sprint("k", k))
				snapshot, err := store.Snapshot(t.Context(), id, "")
				if err != nil {
					t.Fatal(err)
				}
				for channel, payloads := range want[k] {
					got, head := held(t, broker, realtime.Channel{Tenant: id, Name: channel})
					if !slices.Equal(got, payloads) {
						t.Errorf("%s of %s has %q, want %q", channel, id, got, payloads)
					}
					if sent := (production.Sent{Channel: channel, Epoch: head.Epoch, Offset: head.Offset}); !slices.Contains(snapshot.Positions, sent) {
						t.Errorf("%s of %s is marked as %v, and its head is %v", channel, id, snapshot.Positions, head)
					}
				}
			}
		})
	}
}

func TestWakesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		r := relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{PollEvery: time.Hour})
		defer run(t, r)()
		synctest.Wait()
		began := time.Now()
		commit(t, store, event("k1", 1, production.UpdatesChannel))
		synctest.Wait()
		if got, _ := held(t, broker, realtime.Channel{Tenant: "k1", Name: production.UpdatesChannel}); len(got) != 1 || !time.Now().Equal(began) {
			t.Errorf("%d events are out after %s, want 1 at once", len(got), time.Since(began))
		}
	})
}

// flaky fails as it is told to, before or after the publication was stored.
type flaky struct {
	relay.Publisher
	fail func(key string) (before, after error)
	mu   sync.Mutex
	keys []string
}

func (f *flaky) Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error) {
	f.mu.Lock()
	f.keys = append(f.keys, string(ch.Tenant)+" "+key)
	before, after := f.fail(key)
	f.mu.Unlock()
	if before != nil {
		return realtime.Published{}, before
	}
	p, err := f.Publisher.Publish(ctx, ch, data, key)
	return p, errors.Join(err, after)
}

// TestEngineIsOut takes the engine away for a minute: it is asked rarely, and all goes on where it was.
func TestEngineIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		out := time.Now().Add(time.Minute)
		door := &flaky{Publisher: intake.NewRelay(names(t), broker, 0), fail: func(string) (before, after error) {
			if time.Now().Before(out) {
				return nil, realtime.ErrUnavailable // it was stored, and nobody knows
			}
			return nil, nil
		}}
		r := relay.New(store, door, broker, relay.Options{Workers: 1})
		defer run(t, r)()
		var want []string
		for n := range 5 {
			e := event("k1", n+1, production.UpdatesChannel)
			want = append(want, string(e.Payload))
			commit(t, store, e)
		}
		time.Sleep(time.Minute + 6*time.Second)
		synctest.Wait()
		got, _ := held(t, broker, realtime.Channel{Tenant: "k1", Name: production.UpdatesChannel})
		if !slices.Equal(got, want) {
			t.Errorf("the channel has %q, want %q", got, want)
		}
		if n := len(door.keys); n > 40 {
			t.Errorf("the engine was asked %d times", n)
		}
		if st := r.Stats(); st.Retries == 0 || st.Duplicates != 1 || st.Published != 4 || st.Poisoned != 0 {
			t.Errorf("stats %+v, want some retries and the first one as a duplicate", st)
		}
	})
}

// TestPoison has every sort of event that can never be published, between good ones.
func TestPoison(t *testing.T) {
	good := func(n int) production.Event { return event("k1", n, production.UpdatesChannel) }
	for name, spoil := range map[string]func(e *production.Event){
		"NoJSON":    func(e *production.Event) { e.Payload = []byte("{") },
		"TooLarge":  func(e *production.Event) { e.Payload = []byte(`"` + strings.Repeat("x", 2<<20) + `"`) },
		"NoChannel": func(e *production.Event) { e.Channel = "nowhere" },
		"NoID":      func(e *production.Event) { e.ID = "" },
		"KeyReused": func(e *production.Event) { e.ID = "p.1.0" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, broker := storetest.NewModel(), inMemory(t)
				r := relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{})
				defer run(t, r)()
				ch := realtime.Channel{Tenant: "k1", Name: production.UpdatesChannel}
				commit(t, store, good(1))
				synctest.Wait()
				_, before := held(t, broker, ch)
				bad := good(2)
				spoil(&bad)
				commit(t, store, bad)
				commit(t, store, good(3))
				synctest.Wait()
				drained(t, store)
				page, err := broker.History(t.Context(), ch, realtime.Position{}, 10)
				if err != nil {
					t.Fatal(err)
				}
				if p := page.Publications; len(p) == 0 || string(p[len(p)-1].Data) != string(good(3).Payload) {
					t.Errorf("the channel has %v, want what came after the bad event at its end", p)
				}
				if told := page.Head.Epoch != before.Epoch; told != (name != "NoChannel") {
					t.Errorf("readers who miss something were told a gap: %v", told)
				}
				list, total := r.Poisoned()
				if total != 1 || len(list) != 1 || list[0].Tenant != "k1" || list[0].Seq != 2 || list[0].Event != bad.ID || list[0].Reason == "" {
					t.Errorf("set aside: %+v of %d", list, total)
				}
			})
		})
	}
	t.Run("AnErrorThatNobodyUnderstands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store, broker := storetest.NewModel(), inMemory(t)
			strange := errors.New("a mistake of ours")
			door := &flaky{Publisher: intake.NewRelay(names(t), broker, 0), fail: func(key string) (before, after error) {
				if key == "p.1.0" {
					return strange, nil
				}
				return nil, nil
			}}
			r := relay.New(store, door, broker, relay.Options{})
			defer run(t, r)()
			commit(t, store, good(1), good(2))
			time.Sleep(3 * time.Minute)
			if n, _, _ := store.Backlog(t.Context()); n != 2 {
				t.Errorf("%d events wait after three minutes, want both", n)
			}
			time.Sleep(5 * time.Minute)
			if got, _ := held(t, broker, realtime.Channel{Tenant: "k1", Name: production.UpdatesChannel}); len(got) != 1 || got[0] != string(good(2).Payload) && !strings.Contains(got[0], `"n":2`) {
				t.Errorf("the channel has %q, want the second event", got)
			}
			if list, _ := r.Poisoned(); len(list) != 1 || !strings.Contains(list[0].Reason, strange.Error()) {
				t.Errorf("set aside: %+v", list)
			}
		})
	})
	t.Run("ReadersCannotBeToldNow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := storetest.NewModel()
			broker := &mute{Broker: inMemory(t)}
			broker.out.Store(true)
			r := relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{})
			defer run(t, r)()
			bad := good(1)
			bad.Payload = []byte("{")
			commit(t, store, bad)
			time.Sleep(time.Minute)
			if _, total := r.Poisoned(); total != 0 {
				t.Error("it was set aside although nobody could be told")
			}
			broker.out.Store(false)
			time.Sleep(time.Minute)
			if _, total := r.Poisoned(); total != 1 {
				t.Errorf("%d were set aside, want 1", total)
			}
		})
	})
}

// mute cannot turn epochs for a while.
type mute struct {
	*memory.Broker
	out atomic.Bool
}

func (m *mute) TurnEpoch(ctx context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	if m.out.Load() {
		return realtime.ErrUnavailable
	}
	return m.Broker.TurnEpoch(ctx, ch, cause)
}

// faulty is an outbox whose marks and claims fail as they are told to, before or after they were done.
type faulty struct {
	*storetest.Model
	fail func() (before, after bool)
}

func (f *faulty) MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []production.Sent) error {
	before, after := f.fail()
	if before {
		return production.ErrUnavailable
	}
	err := f.Model.MarkSent(ctx, owner, t, seq, at)
	if after {
		return errors.Join(err, production.ErrUnavailable)
	}
	return err
}

func (f *faulty) Claim(ctx context.Context, owner string, lease time.Duration, limit int) (production.Claim, error) {
	before, after := f.fail()
	if before {
		return production.Claim{}, production.ErrUnavailable
	}
	c, err := f.Model.Claim(ctx, owner, lease, limit)
	if after {
		return production.Claim{}, errors.Join(err, production.ErrUnavailable)
	}
	return c, err
}

// TestWhateverBreaks lets engine and database fail at any place, and relays die and come: each event is in its channel once, in order.
func TestWhateverBreaks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(rt, "faults")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 6), 1, 6).Draw(rt, "commits")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 6).Draw(rt, "seconds between restarts")
		batch := rapid.IntRange(1, 5).Draw(rt, "batch")
		problem := ""
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			next := func() int {
				mu.Lock()
				defer mu.Unlock()
				if len(faults) == 0 {
					return 0
				}
				f := faults[0]
				faults = faults[1:]
				return f
			}
			broker := inMemory(t)
			store := &faulty{Model: storetest.NewModel(), fail: func() (before, after bool) { f := next(); return f == 1, f == 2 }}
			door := &flaky{Publisher: intake.NewRelay(names(t), broker, 0), fail: func(string) (before, after error) {
				switch next() {
				case 1:
					return realtime.ErrUnavailable, nil
				case 2:
					return nil, realtime.ErrUnavailable
				}
				return nil, nil
			}}
			want := map[realtime.Channel][]string{}
			n := 0
			for i, size := range sizes {
				var events []production.Event
				for range size {
					n++
					e := event("k1", n, []string{production.UpdatesChannel, production.AlertsChannel}[n%3/2])
					events = append(events, e)
					ch := realtime.Channel{Tenant: "k1", Name: e.Channel}
					want[ch] = append(want[ch], string(e.Payload))
				}
				commit(t, store.Model, events...)
				stop := run(t, relay.New(store, door, broker, relay.Options{Batch: batch, Workers: 2}))
				time.Sleep(time.Duration(pauses[i%len(pauses)]) * time.Millisecond)
				stop()
				time.Sleep(time.Duration(pauses[i%len(pauses)]) * time.Second) // long enough for leases to end, and for keys
			}
			stop := run(t, relay.New(store, door, broker, relay.Options{Batch: batch}))
			time.Sleep(2 * time.Minute)
			stop()
			for ch, payloads := range want {
				if got, _ := held(t, broker, ch); !slices.Equal(got, payloads) {
					problem = fmt.Sprintf("%v has %q, want %q", ch, got, payloads)
				}
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// TestOldEventsAreLookedFor is a crash between publication and mark, and a night until somebody starts the server again.
func TestOldEventsAreLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		door := intake.NewRelay(names(t), broker, 0)
		ch := realtime.Channel{Tenant: "k1", Name: production.UpdatesChannel}
		var want []string
		for n := range 450 { // more than two pages
			e := event("k1", n+1, ch.Name)
			commit(t, store, e)
			want = append(want, string(e.Payload))
			if n < 440 {
				if _, err := door.Publish(t.Context(), ch, e.Payload, e.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(6 * time.Hour)
		r := relay.New(store, door, broker, relay.Options{})
		stop := run(t, r)
		synctest.Wait()
		stop()
		if got, _ := held(t, broker, ch); !slices.Equal(got, want) {
			t.Errorf("the channel has %d, want %d, each once", len(got), len(want))
		}
		if st := r.Stats(); st.Duplicates != 440 || st.Published != 10 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestTheLeaseOfTheDeadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		commit(t, store, event("k1", 1, production.UpdatesChannel))
		if _, err := store.Claim(t.Context(), "dead/0", 15*time.Second, 1); err != nil {
			t.Fatal(err)
		}
		defer run(t, relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{}))()
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if n, _, _ := store.Backlog(t.Context()); n != 1 {
			t.Error("somebody else's event was taken")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n, _, _ := store.Backlog(t.Context()); n != 0 {
			t.Error("the event of a dead relay waits although its lease has ended")
		}
	})
}

// TestAStopLeavesNothingToRepeat stops while a batch is on its way: what went out is marked.
func TestAStopLeavesNothingToRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		door := intake.NewRelay(names(t), broker, 0)
		slow := &flaky{Publisher: door, fail: func(string) (before, after error) { time.Sleep(100 * time.Millisecond); return nil, nil }}
		for n := range 20 {
			commit(t, store, event("k1", n+1, production.UpdatesChannel))
		}
		first := relay.New(store, slow, broker, relay.Options{})
		stop := run(t, first)
		time.Sleep(time.Second)
		stop()
		if n, _, _ := store.Backlog(t.Context()); n == 0 || uint64(n) != 20-first.Stats().Published {
			t.Errorf("%d events wait, and %d were published", n, first.Stats().Published)
		}
		second := relay.New(store, door, broker, relay.Options{})
		stop = run(t, second)
		synctest.Wait()
		stop()
		if st := second.Stats(); st.Duplicates != 0 || st.Published+first.Stats().Published != 20 {
			t.Errorf("the second one has %+v", st)
		}
	})
}

// cached is a listener.
type cached struct {
	broker relay.Broker
	t      *testing.T
	heard  []string
	err    error
}

func (c *cached) Forget(_ context.Context, e *production.Event) error {
	got, _ := held(c.t, c.broker, realtime.Channel{Tenant: e.Tenant, Name: production.UpdatesChannel})
	c.heard = append(c.heard, fmt.Sprintf("%s %s %d, %d out", e.Tenant, e.ProductionID, e.Version, len(got)))
	return c.err
}

func TestListenersHearFirst(t *testing.T) {
	for name, err := range map[string]error{"Works": nil, "Broken": errors.New("no cache")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, broker := storetest.NewModel(), inMemory(t)
				c := &cached{broker: broker, t: t, err: err}
				r := relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{Listener: c})
				commit(t, store, event("k1", 7, production.UpdatesChannel), event("k1", 8, production.UpdatesChannel))
				stop := run(t, r)
				synctest.Wait()
				stop()
				if want := []string{"k1 p 7, 0 out", "k1 p 8, 1 out"}; !slices.Equal(c.heard, want) {
					t.Errorf("heard %q, want %q", c.heard, want)
				}
				if st := r.Stats(); st.Published != 2 || (st.Unheard == 2) != (err != nil) {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

func TestBacklogAndReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := inMemory(t)
		down := atomic.Bool{}
		store := &faulty{Model: storetest.NewModel(), fail: func() (before, after bool) { return down.Load(), false }}
		door := &flaky{Publisher: intake.NewRelay(names(t), broker, 0), fail: func(string) (before, after error) { return realtime.ErrUnavailable, nil }}
		r := relay.New(store, door, broker, relay.Options{})
		defer run(t, r)()
		commit(t, store.Model, event("k1", 1, production.UpdatesChannel), event("k1", 2, production.UpdatesChannel))
		time.Sleep(time.Minute)
		if st := r.Stats(); st.Backlog != 2 || st.Oldest != time.Minute || r.Ready() != nil {
			t.Errorf("stats %+v, ready: %v; want 2 events that wait for a minute", st, r.Ready())
		}
		down.Store(true)
		time.Sleep(10 * time.Second)
		if r.Ready() == nil {
			t.Error("ready although the outbox cannot be read")
		}
		down.Store(false)
		time.Sleep(10 * time.Second)
		if err := r.Ready(); err != nil {
			t.Errorf("not ready although the outbox is back: %v", err)
		}
	})
}

// TestForgets deletes what is too old, and never what was not sent.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, broker := storetest.NewModel(), inMemory(t)
		r := relay.New(store, intake.NewRelay(names(t), broker, 0), broker, relay.Options{Keep: relay.Keep{Events: time.Hour, Keys: 2 * time.Hour}})
		defer run(t, r)()
		for n := range 1200 {
			e := event("k1", n+1, production.UpdatesChannel)
			c := production.Commit{Tenant: "k1", Events: []production.Event{e}, Remember: &production.Remembered{Key: e.ID, At: e.At, Result: []byte("{}")}}
			if _, err := store.Commit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour + 2*time.Minute)
		known := func() bool {
			l, err := store.Load(t.Context(), "k1", production.Want{Key: "p.1.0"})
			if err != nil {
				t.Fatal(err)
			}
			return l.Remembered != nil
		}
		if !known() {
			t.Error("a key was forgotten with the events")
		}
		time.Sleep(time.Hour + 10*time.Minute)
		if known() {
			t.Error("a key is kept for ever")
		}
		if n, err := store.Forget(t.Context(), production.Before{Events: production.At(time.Now())}, 10_000); err != nil || n != 0 {
			t.Errorf("%d events were kept beside the newest (%v)", n, err)
		}
	})
}
