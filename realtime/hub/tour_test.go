package hub_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
)

// follower checks that it is offered each publication behind the heads at which it went live, in the order of its channel, once, until it
// leaves. The shard's lock guards it.
type follower struct {
	subs   []*hub.Subscription
	at     map[realtime.Channel]realtime.Position
	left   atomic.Bool
	wrongs *wrongs
}

// wrongs are the first few mistakes that were found.
type wrongs struct {
	mu   sync.Mutex
	list []string
}

func (w *wrongs) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < 10 {
		w.list = append(w.list, fmt.Sprintf(format, args...))
	}
}

func (f *follower) Offer(m *hub.Message) {
	ch, p := m.Publication.Channel, m.Publication.Position
	if at := f.at[ch]; p.Epoch != at.Epoch || p.Offset != at.Offset+1 {
		f.wrongs.add("%s: %v is offered to who has %v", ch.Name, p, at)
	}
	if f.left.Load() {
		f.wrongs.add("%s: %v is offered to who has left", ch.Name, p)
	}
	f.at[ch] = p
}

func (f *follower) OfferBatch(b *hub.Batch) {
	if len(b.Messages) < 2 {
		f.wrongs.add("a batch of %d", len(b.Messages))
	}
	each(b, f.Offer)
}

func (*follower) Near() uint64 { return 0 }

func (f *follower) OfferGap(_ string, g realtime.Gap) { f.at[g.Channel] = g.Position }

// follow makes f follow the kitchen, or both of its channels by their names.
func (f *follower) follow(t *testing.T, h *hub.Hub, byName bool) {
	t.Helper()
	channels := []realtime.Channel{{Tenant: "a"}}
	if byName {
		channels = []realtime.Channel{updatesOfA, alertsOfA}
	}
	for _, ch := range channels {
		f.subs = append(f.subs, subscribe(t, h, f, ch))
	}
	f.at = map[realtime.Channel]realtime.Position{}
	h.GoLive(f.subs[0], func(heads hub.Heads) bool {
		for _, ch := range []realtime.Channel{updatesOfA, alertsOfA} {
			f.at[ch] = heads.At(ch)
		}
		return true
	}, f.subs[1:]...)
}

// look checks that f has been offered all up to the heads.
func (f *follower) look(h *hub.Hub) {
	h.View(f.subs[0], func(heads hub.Heads) {
		for _, ch := range []realtime.Channel{updatesOfA, alertsOfA} {
			if f.at[ch] != heads.At(ch) {
				f.wrongs.add("%s: who looks at the head %v has %v", ch.Name, heads.At(ch), f.at[ch])
			}
		}
	}, f.subs[1:]...)
}

func (f *follower) leave(h *hub.Hub) {
	for _, sub := range f.subs {
		h.Unsubscribe(sub)
	}
	f.left.Store(true)
}

// TestComingAndGoing has sessions come, go, and look at the heads while publications and gaps go through their room, which is a large one
// and is hardly ever at rest.
func TestComingAndGoing(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e0"}}},
				hub.Options{Names: names(t), Shards: 1, QueueLength: 64})
			defer stop()
			var found wrongs
			newFollower := func(byName bool) *follower {
				f := &follower{wrongs: &found}
				f.follow(t, h, byName)
				return f
			}
			stay := make([]*follower, 150)
			for i := range stay {
				stay[i] = newFollower(i%5 == 0)
			}
			var over atomic.Bool
			var visitors sync.WaitGroup
			for n := range uint64(4) {
				visitors.Go(func() {
					chance := rand.New(rand.NewPCG(seed, n))
					for !over.Load() {
						f := newFollower(chance.IntN(2) == 0)
						for range chance.IntN(4) {
							f.look(h)
							stay[chance.IntN(len(stay))].look(h)
						}
						f.leave(h)
					}
				})
			}
			chance := rand.New(rand.NewPCG(seed, 100))
			heads := map[realtime.Channel]realtime.Position{updatesOfA: {Epoch: "e0"}, alertsOfA: {Epoch: "e0"}}
			for n := range 4000 {
				ch := updatesOfA
				if chance.IntN(3) == 0 {
					ch = alertsOfA
				}
				at := heads[ch]
				if chance.IntN(100) == 0 {
					at = realtime.Position{Epoch: fmt.Sprint("e", n)}
					h.Gap(realtime.Gap{Channel: ch, Position: at})
				}
				at.Offset++
				heads[ch] = at
				h.Deliver(publication(ch, at.Epoch, at.Offset))
			}
			over.Store(true)
			visitors.Wait()
			synctest.Wait()
			for _, f := range stay {
				for ch, head := range heads {
					if f.at[ch] != head {
						found.add("%s: who stayed has %v in the end, want %v", ch.Name, f.at[ch], head)
					}
				}
			}
			if n := h.Stats().Queued; n != 0 {
				found.add("%d publications wait in the end", n)
			}
			for _, wrong := range found.list {
				t.Error(wrong)
			}
		})
	}
}
