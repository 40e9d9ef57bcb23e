package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// keptHistory is a broker with a history of each channel in one epoch, as long as head.
type keptHistory struct {
	realtime.Broker

	head  uint64
	reads atomic.Int64
}

const keptEpoch = "e"

func (h *keptHistory) History(_ context.Context, ch realtime.Channel, since realtime.Position, limit int) (realtime.Page, error) {
	h.reads.Add(1)
	time.Sleep(time.Millisecond)
	return h.page(ch, since, limit), nil
}

func (h *keptHistory) page(ch realtime.Channel, since realtime.Position, limit int) realtime.Page {
	page := realtime.Page{Head: realtime.Position{Epoch: keptEpoch, Offset: h.head}}
	if since.Epoch != keptEpoch {
		page.Gap = realtime.GapExpired
		return page
	}
	for at := since.Offset + 1; at <= h.head && len(page.Publications) < limit; at++ {
		page.Publications = append(page.Publications, realtime.Publication{Channel: ch, Position: realtime.Position{Epoch: keptEpoch, Offset: at}})
	}
	page.More = since.Offset+uint64(len(page.Publications)) < h.head
	return page
}

// TestRecentPagesAreWhatTheEngineHas keeps pages of a history that grows, and asks for others at random: what is found goes on right behind
// the position, in its epoch and channel, is no more than was asked for, and says that there is more where there was.
func TestRecentPagesAreWhatTheEngineHas(t *testing.T) {
	found := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h, r, now := keptHistory{head: 1 + rng.Uint64N(50)}, recent{}, time.Unix(0, 0)
		random := func() pageAsk {
			a := ask(string(rune('a' + rng.IntN(2))))
			a.since = realtime.Position{Epoch: keptEpoch, Offset: rng.Uint64N(h.head + 3)}
			if rng.IntN(10) == 0 {
				a.since.Epoch = ""
			}
			a.limit = 1 + rng.IntN(20)
			return a
		}
		read := map[realtime.Channel]time.Time{}
		for range 200 {
			h.head += rng.Uint64N(3)
			now = now.Add(time.Duration(rng.Int64N(int64(recentFor / 2))))
			if a := random(); rng.IntN(3) == 0 {
				r.add(a.channel, h.page(a.channel, a.since, a.limit), now)
				read[a.channel] = now
			}
			a := random()
			page, ok := r.find(a, now)
			if !ok {
				continue
			}
			found++
			want := h.page(a.channel, a.since, a.limit)
			if len(page.Publications) == 0 || len(page.Publications) > a.limit || page.Gap != "" || page.Head.Epoch != keptEpoch {
				t.Fatalf("seed %d: %+v gets %+v", seed, a, page)
			}
			for i, p := range page.Publications {
				if p.Channel != a.channel || p.Position != want.Publications[i].Position {
					t.Fatalf("seed %d: %+v gets %v at %d, want %v", seed, a, p.Position, i, want.Publications[i].Position)
				}
			}
			if last := page.Publications[len(page.Publications)-1]; page.More != (last.Position.Offset < page.Head.Offset) {
				t.Fatalf("seed %d: %+v gets up to %d of %d, and more: %t", seed, a, last.Position.Offset, page.Head.Offset, page.More)
			}
			if now.Sub(read[a.channel]) >= recentFor {
				t.Fatalf("seed %d: %+v gets what was read %s ago", seed, a, now.Sub(read[a.channel]))
			}
		}
		r.clear()
		if page, ok := r.find(pageAsk{channel: ask("a").channel, since: realtime.Position{Epoch: keptEpoch, Offset: 1}, limit: 10}, now); ok {
			t.Fatalf("seed %d: %+v is left", seed, page)
		}
	}
	if found < 100 {
		t.Errorf("%d pages were found", found)
	}
}

// TestLargeKitchensReadOnce has many more readers than may join a read go through one history, each in pieces of its own size: the engine
// is asked for a few times what it has, and not by each group of readers that shares a read; and again when all have ended.
func TestLargeKitchensReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &keptHistory{head: 2000}
		p := newPages(h, nil)
		defer p.close()
		const readers, pages = 5 * (maxJoined + 1), 20
		all := func(home tenant.ID) {
			var wg sync.WaitGroup
			for i := range readers {
				wg.Go(func() {
					a := ask("a")
					a.since.Epoch = keptEpoch
					for a.since.Offset < h.head {
						p.read(t.Context(), home, a, func(page *sharedPage, err error) {
							if err != nil || len(page.Publications) == 0 || page.Publications[0].Position.Offset != a.since.Offset+1 {
								t.Errorf("behind %d comes %+v, %v", a.since.Offset, page.Page, err)
								a.since.Offset = h.head
								return
							}
							took := page.Publications
							if i%10 == 0 { // has little room
								took = took[:(len(took)+1)/2]
							}
							a.since = took[len(took)-1].Position
						})
					}
				})
			}
			wg.Wait()
		}
		for round := range int64(2) {
			before := h.reads.Load()
			all("a")
			if n := h.reads.Load() - before; n < pages || n > 6*pages {
				t.Errorf("round %d: %d reads of %d pages by %d readers", round, n, pages, readers)
			}
		}
	})
}

// TestTurnedEpochsAreAskedFor: whoever stands in an epoch that is over hears of the gap from the engine, however lately somebody has read on
// in it.
func TestTurnedEpochsAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &keptHistory{head: 2000}
		p := newPages(h, nil)
		defer p.close()
		a := ask("a")
		a.since.Epoch = keptEpoch
		read := func(turned bool) {
			a.turned = turned
			p.read(t.Context(), "a", a, func(*sharedPage, error) {})
		}
		if !p.reads.take(t.Context(), "a") { // others go on, so that the page is kept
			t.Fatal("no turn")
		}
		defer p.reads.give("a")
		for i, want := range []int64{1, 1, 2} {
			read(i == 2)
			if n := h.reads.Load(); n != want {
				t.Errorf("%d reads after %d, want %d", n, i+1, want)
			}
		}
	})
}
