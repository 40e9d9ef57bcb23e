package redis

import (
	"context"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
)

// TestOnlyTheLastConfirmationCounts flaps: SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE are written before the first one is confirmed. Heads
// that are read before the last one is confirmed would miss what is published in between.
func TestOnlyTheLastConfirmationCounts(t *testing.T) {
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	f := b.sub.follower("k1")
	toggle := func(on bool, want want) {
		t.Helper()
		f.mu.Lock()
		if on {
			f.on = true
			f.unsync()
		} else {
			f.off()
		}
		f.mu.Unlock()
		if got := f.wants(); got != want {
			t.Fatalf("wants %v, want %v", got, want)
		}
		if got := f.wants(); got != wantNothing {
			t.Fatalf("wants %v again, want nothing", got)
		}
	}
	jobs := func(want int) {
		t.Helper()
		if got := len(b.sub.syncer.take()); got != want {
			t.Fatalf("%d reads of heads are asked for, want %d", got, want)
		}
	}
	toggle(true, wantOn)
	toggle(false, wantOff)
	toggle(true, wantOn)
	f.confirmed()
	jobs(0)
	b.sub.unsubscribed([]byte(f.live))
	if f.gone {
		t.Fatal("it is forgotten though it is followed")
	}
	f.confirmed()
	jobs(1)
	toggle(false, wantOff)
	b.sub.unsubscribed([]byte(f.live))
	if !f.gone || b.sub.count() != 0 {
		t.Error("it is not forgotten though nobody follows it")
	}
}

// record is a Sink that keeps everything.
type record struct {
	mu   sync.Mutex
	got  []realtime.Publication
	gaps []realtime.Gap
}

func (r *record) Deliver(p *realtime.Publication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, *p)
}

func (r *record) Gap(g realtime.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, g)
}

func (r *record) wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		ok := f()
		r.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// silently publishes as the script does, but announces to nobody, as when a copy is lost on the way.
func silently(t *testing.T, b *Broker, ch realtime.Channel, data, size string) {
	t.Helper()
	head := b.keys.head(ch.Tenant)
	cmd := b.ask.B().Eval().Script(publishScript.text("")).Numkeys(3).Key(head, b.keys.stream(ch), head).Arg(
		ch.Name, data, size, "60000", "nobody listens here", "0123456789abcdef", realtime.NewEpoch(), "", "0", "", "300", "0").Build()
	if err := b.ask.Do(t.Context(), cmd).Error(); err != nil {
		t.Fatal(err)
	}
}

func TestLostCopies(t *testing.T) {
	addr := testenv.Redis(t)
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "a:{tenant}", Retention: realtime.Retention{Size: 5000, Age: time.Hour}}, {Spelling: "none:{tenant}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Address: addr, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	sink := &record{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx, sink) })
	defer wg.Wait()
	defer cancel()
	kept, none := realtime.Channel{Tenant: "k1", Name: "a"}, realtime.Channel{Tenant: "k1", Name: "none"}
	h, err := b.Follow(ctx, "k1")
	if err != nil {
		t.Fatal(err)
	}
	publish := func(ch realtime.Channel, data string) realtime.Published {
		p, err := b.Publish(ctx, ch, []byte(data), realtime.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	// Lost copies of a channel with history are read from it, before anything newer: the first ones of the channel, and
	// more than one page of them.
	const lost = maxPage + 500
	for range lost {
		silently(t, b, kept, `"lost"`, "5000")
	}
	publish(kept, `"seen"`)
	sink.wait(t, "all publications", func() bool { return len(sink.got) == lost+1 })
	for i, p := range sink.got {
		if p.Position != (realtime.Position{Epoch: h.Fresh.Epoch, Offset: uint64(i + 1)}) {
			t.Fatalf("publication %d is at %v", i, p.Position)
		}
	}
	if s := b.Stats(); s.Repaired < lost || s.Gaps != 0 {
		t.Errorf("%+v, want %d repaired and no gap", s, lost)
	}

	// Without history it is a gap.
	publish(none, `1`)
	silently(t, b, none, `2`, "0")
	publish(none, `3`)
	sink.wait(t, "the gap", func() bool { return len(sink.gaps) == 1 })
	if want := (realtime.Gap{Channel: none, Cause: realtime.GapNoHistory, Position: realtime.Position{Epoch: h.Fresh.Epoch, Offset: 3}}); sink.gaps[0] != want {
		t.Errorf("told %+v, want %+v", sink.gaps[0], want)
	}
	publish(none, `4`)
	sink.wait(t, "the publication after the gap", func() bool { return sink.got[len(sink.got)-1].Position.Offset == 4 })

	// Copies that come twice, from another epoch, or from somebody else, change nothing.
	before := len(sink.got)
	for _, forged := range [][]byte{
		encodeCopy(copyPublication, 7, 1, token{}, h.Fresh.Epoch, "a", `"old"`),
		encodeCopy(copyPublication, 9, 1, token{}, "anotherepoch", "a", `"of another epoch"`),
		encodeCopy(copyTurned, 0, 1, token{}, "anotherepoch", "a", "intake"),
		encodeCopy(copyTenantTurned, 0, 1, token{}, "anotherepoch", "", "intake"),
		[]byte(`{"type":"no copy"}`), {},
	} {
		if err := b.ask.Do(ctx, b.ask.B().Publish().Channel(b.keys.live("k1")).Message(string(forged)).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	last := publish(kept, `"last"`)
	sink.wait(t, "the last publication", func() bool { return sink.got[len(sink.got)-1].Position == last.Position })
	if len(sink.got) != before+1 || len(sink.gaps) != 1 {
		t.Errorf("%d publications and %d gaps, want %d and 1", len(sink.got), len(sink.gaps), before+1)
	}
	if s := b.Stats(); s.Foreign != 2 || s.Dropped == 0 {
		t.Errorf("%+v, want 2 foreign and some dropped", s)
	}
}

// TestArrived has the time of arrival come back with the copy on the node that published.
func TestArrived(t *testing.T) {
	addr := testenv.Redis(t)
	b, err := New(Options{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	sink := &record{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx, sink) })
	defer wg.Wait()
	defer cancel()
	if _, err := b.Follow(ctx, "k1"); err != nil {
		t.Fatal(err)
	}
	arrived := time.Now()
	ch := realtime.Channel{Tenant: "k1", Name: "updates"}
	for _, opts := range []realtime.PublishOptions{{Arrived: arrived}, {}} {
		if _, err := b.Publish(ctx, ch, []byte(`1`), opts); err != nil {
			t.Fatal(err)
		}
	}
	sink.wait(t, "both", func() bool { return len(sink.got) == 2 })
	if !sink.got[0].Arrived.Equal(arrived) || !sink.got[1].Arrived.IsZero() {
		t.Errorf("arrived %v and %v, want %v and zero", sink.got[0].Arrived, sink.got[1].Arrived, arrived)
	}
}
