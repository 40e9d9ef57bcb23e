package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

var chA = realtime.Channel{Tenant: "k1", Name: "production:updates"}

type nothing struct{ gaps []realtime.Gap }

func (*nothing) Deliver(*realtime.Publication) {}
func (n *nothing) Gap(g realtime.Gap)          { n.gaps = append(n.gaps, g) }

func publish(t testing.TB, b *memory.Broker, ch realtime.Channel, data []byte, key string) realtime.Published {
	t.Helper()
	p, err := b.Publish(context.Background(), ch, data, realtime.PublishOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func history(t testing.TB, b *memory.Broker, ch realtime.Channel, since realtime.Position) realtime.Page {
	t.Helper()
	page, err := b.History(context.Background(), ch, since, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestHistoryExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx, &nothing{}) }()
		first := publish(t, b, chA, []byte(`1`), "")
		time.Sleep(realtime.DefaultRetention.Age - time.Second)
		publish(t, b, chA, []byte(`2`), "")
		if got := len(history(t, b, chA, realtime.Position{}).Publications); got != 2 {
			t.Errorf("a second before its age %d are held, want 2", got)
		}
		time.Sleep(2 * time.Second)
		if page := history(t, b, chA, realtime.Position{Epoch: first.Position.Epoch}); page.Gap != realtime.GapExpired {
			t.Errorf("a second after its age the gap is %q, want %q", page.Gap, realtime.GapExpired)
		}
		if page := history(t, b, chA, first.Position); len(page.Publications) != 1 {
			t.Errorf("after the first there are %d, want the second", len(page.Publications))
		}
		time.Sleep(2 * realtime.DefaultRetention.Age) // the sweep finds it though nobody asks
		if s := b.Stats(); s.HistoryBytes != 0 || s.Channels != 1 {
			t.Errorf("after the sweep: %+v, want no bytes, and the channel's offsets", s)
		}
		if p := publish(t, b, chA, []byte(`3`), ""); p.Position != (realtime.Position{Epoch: first.Position.Epoch, Offset: 3}) {
			t.Errorf("the next is at %v, want offset 3 of the same epoch", p.Position)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestKeysExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, memory.Options{MaxKeys: 3})
		first := publish(t, b, chA, []byte(`1`), "key")
		time.Sleep(realtime.IdempotencyWindow)
		if p := publish(t, b, chA, []byte(`1`), "key"); !p.Duplicate || p.Position != first.Position {
			t.Errorf("at the end of the window: %+v, want the duplicate", p)
		}
		time.Sleep(time.Second)
		if p := publish(t, b, chA, []byte(`9`), "key"); p.Duplicate {
			t.Errorf("after the window: %+v, want a new publication", p)
		}
		for i := range 3 { // the oldest of more than three is forgotten early
			publish(t, b, chA, []byte(`1`), fmt.Sprint(i))
		}
		if p := publish(t, b, chA, []byte(`1`), "key"); p.Duplicate {
			t.Errorf("past the bound: %+v, want a new publication", p)
		}
		if p := publish(t, b, chA, []byte(`1`), "2"); !p.Duplicate {
			t.Error("the newest key was forgotten")
		}
	})
}

// TestNoisyTenantPaysForItself fills the history with one tenant's publications; the others keep theirs.
func TestNoisyTenantPaysForItself(t *testing.T) {
	const limit = 1 << 20
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "a:{tenant}", Retention: realtime.Retention{Size: 1 << 20, Age: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, memory.Options{Names: names, MaxHistoryBytes: limit})
	quiet := make([]realtime.Channel, 50)
	for i := range quiet {
		quiet[i] = realtime.Channel{Tenant: tenant.ID(fmt.Sprint("quiet", i)), Name: "a"}
		for range 20 {
			publish(t, b, quiet[i], make([]byte, 200), "")
		}
	}
	noisy := realtime.Channel{Tenant: "noisy", Name: "a"}
	for range 50_000 {
		publish(t, b, noisy, make([]byte, 1000), "")
		if got := b.Stats().HistoryBytes; got > limit+2000 {
			t.Fatalf("the history holds %d bytes, want %d at most", got, limit)
		}
	}
	for _, ch := range quiet {
		if got := len(history(t, b, ch, realtime.Position{}).Publications); got != 20 {
			t.Errorf("%s holds %d publications, want all 20", ch.Tenant, got)
		}
	}
	page := history(t, b, noisy, realtime.Position{})
	if len(page.Publications) < 500 || page.Publications[len(page.Publications)-1].Position != page.Head {
		t.Errorf("the noisy one holds %d publications up to %v, want its newest hundreds up to %v", len(page.Publications),
			page.Publications[len(page.Publications)-1].Position, page.Head)
	}
	if page := history(t, b, noisy, realtime.Position{Epoch: page.Head.Epoch, Offset: 1}); page.Gap != realtime.GapExpired {
		t.Errorf("what was let go is a gap %q, want %q", page.Gap, realtime.GapExpired)
	}
}

// TestForgottenChannelsTurn has more channels than can be remembered. Whoever comes back to a forgotten one is told.
func TestForgottenChannelsTurn(t *testing.T) {
	b := open(t, memory.Options{MaxChannels: 100})
	ctx, cancel := context.WithCancel(context.Background())
	sink, ended := &nothing{}, make(chan error)
	go func() { ended <- b.Run(ctx, sink) }()
	if _, err := b.Follow(ctx, "followed"); err != nil {
		t.Fatal(err)
	}
	followed := realtime.Channel{Tenant: "followed", Name: "updates"}
	old := publish(t, b, followed, []byte(`1`), "")
	positions := map[realtime.Channel]realtime.Position{followed: old.Position}
	for i := range 1000 {
		ch := realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i)), Name: "updates"}
		positions[ch] = publish(t, b, ch, []byte(`1`), "").Position
		if got := b.Stats().Channels; got > 101 {
			t.Fatalf("%d channels are remembered, want 100", got)
		}
	}
	told, kept := 0, 0
	for ch, p := range positions {
		switch page := history(t, b, ch, p); {
		case page.Gap == realtime.GapEpoch && page.Head.Offset == 0:
			told++
		case page.Gap == "" && page.Head == p:
			kept++
		default:
			t.Errorf("%v at %v: %+v", ch, p, page)
		}
	}
	if told < 900 || kept < 50 {
		t.Errorf("%d are told and %d are kept, want 900 and 50 at least", told, kept)
	}
	// The followed tenant's channel was forgotten too; its followers are told before its next publication.
	next := publish(t, b, followed, []byte(`2`), "")
	if next.Position.Offset != 1 || next.Position.Epoch == old.Position.Epoch {
		t.Errorf("the next publication is at %v, want offset 1 of another epoch", next.Position)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if want := (realtime.Gap{Channel: followed, Cause: realtime.GapEpoch, Position: realtime.Position{Epoch: next.Position.Epoch}}); len(sink.gaps) != 1 || sink.gaps[0] != want {
		t.Errorf("told %v, want %v", sink.gaps, want)
	}
}

func TestStopped(t *testing.T) {
	b := open(t, memory.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Run(ctx, &nothing{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(ctx, &nothing{}); err == nil {
		t.Error("a second Run is accepted")
	}
	if err := b.TurnAll(context.Background(), realtime.GapIntake); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("TurnAll: %v, want ErrUnavailable", err)
	}
}

// TestAgainstModel does random things and compares with a list of everything that was ever published.
func TestAgainstModel(t *testing.T) {
	names, err := realtime.NewNames([]realtime.Pattern{{Spelling: "a:{tenant}", Retention: realtime.Retention{Size: 7, Age: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		b, err := memory.New(memory.Options{Names: names})
		if err != nil {
			t.Fatal(err)
		}
		ctx, ch := context.Background(), realtime.Channel{Tenant: "k1", Name: "a"}
		var all []string // of this epoch
		var last realtime.Position
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				data := rapid.StringN(1, 5, 10).Draw(t, "data")
				p, err := b.Publish(ctx, ch, []byte(data), realtime.PublishOptions{})
				last = p.Position
				if all = append(all, data); err != nil || p.Position.Offset != uint64(len(all)) {
					t.Fatalf("publish: %+v, %v; want offset %d", p, err, len(all))
				}
			},
			"turn": func(t *rapid.T) {
				if err := b.TurnEpoch(ctx, rapid.SampledFrom([]realtime.Channel{ch, {Tenant: "k1"}}).Draw(t, "what"), realtime.GapIntake); err != nil {
					t.Fatal(err)
				}
				all = nil
				page, err := b.History(ctx, ch, last, 10)
				if err != nil || last != (realtime.Position{}) && page.Gap != realtime.GapEpoch {
					t.Fatalf("after the turn %v is continued by %+v, %v", last, page, err)
				}
				last = page.Head
			},
			"read": func(t *rapid.T) {
				head, err := b.History(ctx, ch, realtime.Position{}, 0)
				if err != nil || head.Head.Offset != uint64(len(all)) {
					t.Fatalf("head: %+v, %v; want offset %d", head, err, len(all))
				}
				since := realtime.Position{Epoch: head.Head.Epoch, Offset: uint64(rapid.IntRange(0, len(all)+1).Draw(t, "since"))}
				limit := rapid.IntRange(0, 10).Draw(t, "limit")
				page, err := b.History(ctx, ch, since, limit)
				if err != nil {
					t.Fatal(err)
				}
				missed := len(all) - int(since.Offset)
				switch {
				case missed < 0 && page.Gap != realtime.GapAhead, missed > 7 && page.Gap != realtime.GapExpired, missed >= 0 && missed <= 7 && page.Gap != "":
					t.Fatalf("%d missed: gap %q", missed, page.Gap)
				case page.Gap != "":
					return
				case len(page.Publications) != min(missed, limit) || page.More != (missed > limit):
					t.Fatalf("%d missed, limit %d: %d publications, more %v", missed, limit, len(page.Publications), page.More)
				}
				for i, p := range page.Publications {
					if at := int(since.Offset) + i; string(p.Data) != all[at] || p.Position.Offset != uint64(at+1) {
						t.Fatalf("publication %d is %q at %v, want %q", i, p.Data, p.Position, all[at])
					}
				}
			},
		})
	})
}

func BenchmarkPublish(b *testing.B) {
	data := fmt.Appendf(nil, `{"type":"production_update","productionId":"prod-0001","padding":"%0200d"}`, 7)
	channels := make([]realtime.Channel, 2000)
	for i := range channels {
		channels[i] = realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i)), Name: "production:updates"}
	}
	for _, followed := range []bool{false, true} {
		b.Run(fmt.Sprintf("followed=%v", followed), func(b *testing.B) {
			broker := open(b, memory.Options{})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() { ended <- broker.Run(ctx, &nothing{}) }()
			if followed {
				for _, ch := range channels {
					if _, err := broker.Follow(ctx, ch.Tenant); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := broker.Publish(ctx, channels[i%len(channels)], data, realtime.PublishOptions{}); err != nil {
					b.Fatal(err)
				}
				i++
			}
			cancel()
			<-ended
		})
	}
}

// TestSnapshotsCountAsHistory fills many snapshots: they are within the bound of all history, and nothing is left when they end.
func TestSnapshotsCountAsHistory(t *testing.T) {
	const limit = 1 << 20
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "a:{tenant}", Retention: realtime.Retention{Size: 2, Age: time.Hour}, SnapshotKey: "id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, memory.Options{Names: names, MaxHistoryBytes: limit})
	for i := range 5000 {
		ch := realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i%100)), Name: "a"}
		publish(t, b, ch, fmt.Appendf(nil, `{"id":%d,"x":"%01000d"}`, i/100, 0), "")
		if got := b.Stats().HistoryBytes; got > limit+3000 {
			t.Fatalf("after %d publications %d bytes are held, want %d at most", i+1, got, limit)
		}
	}
	for i := range 100 {
		if err := b.TurnEpoch(t.Context(), realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i))}, realtime.GapIntake); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Stats().HistoryBytes; got != 0 {
		t.Errorf("%d bytes are held of nothing", got)
	}
}
