package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader is a session that keeps what it is offered.
type reader struct {
	mu    sync.Mutex
	wires []string
	seen  []realtime.Publication
	gaps  []realtime.Gap
}

func (r *reader) Offer(m *hub.Message) {
	m.Bare(false)
	m.V1(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wires = append(r.wires, m.Wire())
	r.seen = append(r.seen, *m.Publication)
}

func (r *reader) OfferBatch(b *hub.Batch) { each(b, r.Offer) }

// each offers what is in b one after the other.
func each(b *hub.Batch, offer func(m *hub.Message)) {
	for _, m := range b.Messages {
		offer(m)
	}
}

func (*reader) Near() uint64 { return 0 }

func (r *reader) OfferGap(_ string, g realtime.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, g)
}

func (r *reader) offsets(ch realtime.Channel) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, p := range r.seen {
		if p.Channel == ch {
			fmt.Fprint(&b, p.Position.Offset, " ")
		}
	}
	return b.String()
}

func names(t testing.TB) *realtime.Names {
	t.Helper()
	n, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fakeBroker follows with given heads; the test delivers by itself.
type fakeBroker struct {
	heads     realtime.Heads
	err       error
	entered   chan struct{} // if set, Follow announces itself and waits for proceed
	proceed   chan struct{}
	followed  atomic.Int32
	unfollows atomic.Int32
}

func (b *fakeBroker) Follow(context.Context, tenant.ID) (realtime.Heads, error) {
	b.followed.Add(1)
	if b.entered != nil {
		b.entered <- struct{}{}
		<-b.proceed
	}
	return b.heads, b.err
}

func (b *fakeBroker) Unfollow(tenant.ID) { b.unfollows.Add(1) }

func publication(ch realtime.Channel, epoch string, offset uint64) *realtime.Publication {
	return &realtime.Publication{
		Channel: ch, Position: realtime.Position{Epoch: epoch, Offset: offset}, Time: time.UnixMilli(1),
		Data: fmt.Appendf(nil, `{"n":%d}`, offset),
	}
}

// run starts a hub inside of a bubble and returns it with a stop function that waits.
func run(b hub.Broker, opts hub.Options) (*hub.Hub, func()) {
	h := hub.New(b, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			panic(err)
		}
	}()
	return h, func() { cancel(); <-done }
}

func always(hub.Heads) bool { return true }

func subscribe(t testing.TB, h *hub.Hub, s hub.Subscriber, ch realtime.Channel) *hub.Subscription {
	t.Helper()
	sub, err := h.Subscribe(t.Context(), s, ch, ch.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// TestBefore: who registers is told of each publication before any session has it, in a small room and in a large one.
func TestBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		updates := realtime.Channel{Tenant: "a", Name: "production:updates"}
		heads := realtime.Heads{Channels: map[string]realtime.Position{updates.Name: {Epoch: "e", Offset: 4}}, Fresh: realtime.Position{Epoch: "e"}}
		var readers []*reader
		var told []uint64
		h, stop := run(&fakeBroker{heads: heads}, hub.Options{Names: names(t), Before: func(p *realtime.Publication) {
			for _, r := range readers {
				if r.offsets(updates) != "" && len(told) == 0 {
					t.Error("a session has it already")
				}
			}
			told = append(told, p.Position.Offset)
		}})
		defer stop()
		h.Deliver(publication(updates, "e", 4)) // nobody follows
		told = nil
		for range 200 {
			r := &reader{}
			readers = append(readers, r)
			h.GoLive(subscribe(t, h, r, updates), always)
		}
		h.Deliver(publication(updates, "e", 5))
		h.Gather(publication(updates, "e", 6))
		h.Gather(publication(updates, "e", 7))
		h.Flush()
		synctest.Wait()
		if fmt.Sprint(told) != "[5 6 7]" || readers[199].offsets(updates) != "5 6 7 " {
			t.Errorf("told %v, the last reader has %s", told, readers[199].offsets(updates))
		}
	})
}

func TestDeliver(t *testing.T) {
	updates := realtime.Channel{Tenant: "a", Name: "production:updates"}
	heads := realtime.Heads{Channels: map[string]realtime.Position{updates.Name: {Epoch: "e", Offset: 4}}, Fresh: realtime.Position{Epoch: "e"}}

	t.Run("GoesToThoseWhoFollowTheChannelOrAllOfTheTenant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: heads}, hub.Options{Names: names(t)})
			defer stop()
			all, one, other, foreign := &reader{}, &reader{}, &reader{}, &reader{}
			h.GoLive(subscribe(t, h, all, realtime.Channel{Tenant: "a"}), always)
			h.GoLive(subscribe(t, h, one, updates), always)
			h.GoLive(subscribe(t, h, other, realtime.Channel{Tenant: "a", Name: "production:alerts"}), always)
			h.GoLive(subscribe(t, h, foreign, realtime.Channel{Tenant: "b"}), always)
			h.Deliver(publication(updates, "e", 5))
			synctest.Wait()
			for name, c := range map[string]struct {
				r    *reader
				want string
			}{"all": {all, "5 "}, "one": {one, "5 "}, "other channel": {other, ""}, "other tenant": {foreign, ""}} {
				if got := c.r.offsets(updates); got != c.want {
					t.Errorf("%s was offered %q, want %q", name, got, c.want)
				}
			}
			if all.wires[0] != "production:updates:a" {
				t.Errorf("wire name %q, want production:updates:a", all.wires[0])
			}
		})
	})

	t.Run("GlobalGoesToEveryTenant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(t), Shards: 3})
			defer stop()
			alert := realtime.Channel{Name: "system-alert"}
			var readers []*reader
			for _, id := range []tenant.ID{"a", "b", "c", "d", "e"} {
				r := &reader{}
				readers = append(readers, r)
				h.GoLive(subscribe(t, h, r, realtime.Channel{Tenant: id}), always)
			}
			named := &reader{}
			sub, err := h.Subscribe(t.Context(), named, alert, "d")
			if err != nil {
				t.Fatal(err)
			}
			h.GoLive(sub, always)
			h.Deliver(publication(alert, "e", 1))
			synctest.Wait()
			for i, r := range append(readers, named) {
				if got := r.offsets(alert); got != "1 " {
					t.Errorf("reader %d was offered %q, want once", i, got)
				}
			}
		})
	})

	t.Run("WhatIsNotAfterTheHeadsIsDropped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: heads}, hub.Options{Names: names(t)})
			defer stop()
			r := &reader{}
			h.GoLive(subscribe(t, h, r, updates), always)
			h.Deliver(publication(updates, "e", 4))
			h.Deliver(publication(updates, "old", 5))
			h.Deliver(publication(updates, "e", 5))
			h.Deliver(publication(updates, "e", 5))
			synctest.Wait()
			if got := r.offsets(updates); got != "5 " {
				t.Errorf("offered %q, want only 5", got)
			}
		})
	})

	t.Run("AHoleIsTold", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: heads}, hub.Options{Names: names(t)})
			defer stop()
			r := &reader{}
			h.GoLive(subscribe(t, h, r, updates), always)
			h.Deliver(publication(updates, "e", 7))
			synctest.Wait()
			if len(r.gaps) != 1 || r.offsets(updates) != "7 " {
				t.Errorf("gaps %v, offered %q; want one gap and 7", r.gaps, r.offsets(updates))
			}
		})
	})

	t.Run("WhatOvertakesFollowCountsInTheHeads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBroker{heads: heads, entered: make(chan struct{}), proceed: make(chan struct{})}
			h, stop := run(b, hub.Options{Names: names(t)})
			defer stop()
			subs := make(chan *hub.Subscription)
			r := &reader{}
			go func() { subs <- subscribe(t, h, r, updates) }()
			<-b.entered
			h.Deliver(publication(updates, "e", 5)) // after the heads, before Follow has returned
			synctest.Wait()
			close(b.proceed)
			var at realtime.Position
			h.GoLive(<-subs, func(v hub.Heads) bool { at = v.At(updates); return true })
			if at.Offset != 5 {
				t.Errorf("head %v, want 5: it was delivered already", at)
			}
			h.Deliver(publication(updates, "e", 6))
			synctest.Wait()
			if got := r.offsets(updates); got != "6 " || len(r.gaps) > 0 {
				t.Errorf("offered %q with gaps %v, want just 6", got, r.gaps)
			}
		})
	})

	t.Run("AGapMovesTheHeads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: heads}, hub.Options{Names: names(t)})
			defer stop()
			all, late := &reader{}, &reader{}
			h.GoLive(subscribe(t, h, all, realtime.Channel{Tenant: "a"}), always)
			sub := subscribe(t, h, late, updates)
			h.Gap(realtime.Gap{Channel: updates, Cause: realtime.GapIntake, Position: realtime.Position{Epoch: "f"}})
			h.Deliver(publication(updates, "f", 1))
			synctest.Wait()
			if len(all.gaps) != 1 || all.offsets(updates) != "1 " {
				t.Errorf("live reader: gaps %v, offered %q", all.gaps, all.offsets(updates))
			}
			if len(late.gaps)+len(late.seen) > 0 {
				t.Errorf("a reader that is not live was told %v %v", late.gaps, late.seen)
			}
			h.View(sub, func(v hub.Heads) {
				if got := v.At(updates); got != (realtime.Position{Epoch: "f", Offset: 1}) {
					t.Errorf("head %v, want f/1", got)
				}
			})
		})
	})
}

func TestSubscribe(t *testing.T) {
	ch := realtime.Channel{Tenant: "a", Name: "production:updates"}
	fresh := realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}

	t.Run("BrokerThatIsOutIsToldAndAskedAgain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBroker{err: realtime.ErrUnavailable}
			h, stop := run(b, hub.Options{Names: names(t)})
			defer stop()
			for range 2 {
				if _, err := h.Subscribe(t.Context(), &reader{}, ch, "a"); !errors.Is(err, realtime.ErrUnavailable) {
					t.Fatalf("error %v, want ErrUnavailable", err)
				}
			}
			if got := b.followed.Load(); got != 2 {
				t.Errorf("the broker was asked %d times, want 2", got)
			}
			if st := h.Stats(); st.Tenants != 0 || st.Subscriptions != 0 {
				t.Errorf("left behind: %+v", st)
			}
		})
	})

	t.Run("TenantIsUnfollowedAfterLingeringAndNotBefore", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := &fakeBroker{heads: fresh}
			h, stop := run(b, hub.Options{Names: names(t), Linger: 30 * time.Second})
			defer stop()
			sub := subscribe(t, h, &reader{}, ch)
			time.Sleep(time.Hour)
			h.Unsubscribe(sub)
			time.Sleep(20 * time.Second)
			h.Unsubscribe(subscribe(t, h, &reader{}, ch)) // a reload
			time.Sleep(20 * time.Second)
			if got := b.unfollows.Load(); got != 0 {
				t.Fatalf("unfollowed %d times 20 s after the last reader", got)
			}
			time.Sleep(40 * time.Second)
			if got, asked := b.unfollows.Load(), b.followed.Load(); got != 1 || asked != 1 {
				t.Errorf("unfollowed %d times, followed %d times; want 1 and 1", got, asked)
			}
		})
	})

	t.Run("NothingIsOfferedAfterUnsubscribe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: fresh}, hub.Options{Names: names(t)})
			defer stop()
			gone, stays := &reader{}, &reader{}
			sub := subscribe(t, h, gone, ch)
			h.GoLive(sub, always)
			h.GoLive(subscribe(t, h, stays, ch), always)
			h.Unsubscribe(sub)
			h.Unsubscribe(sub) // twice is harmless
			if !h.GoLive(sub, always) {
				t.Error("GoLive of an ended subscription asks for another round")
			}
			h.Deliver(publication(ch, "e", 1))
			synctest.Wait()
			if gone.offsets(ch) != "" || stays.offsets(ch) != "1 " {
				t.Errorf("gone %q, stays %q", gone.offsets(ch), stays.offsets(ch))
			}
		})
	})
}

// TestSeam drives readers that catch up from history and go live while publishers go on: each must have every offset after its
// start once, in order.
func TestSeam(t *testing.T) {
	const publications, readers = 3000, 20
	n := names(t)
	broker, err := memory.New(memory.Options{Names: mustNames(t, realtime.Pattern{Spelling: "production:updates:{tenant}", Retention: realtime.Retention{Size: publications, Age: time.Hour}})})
	if err != nil {
		t.Fatal(err)
	}
	h := hub.New(broker, hub.Options{Names: n})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx) })
	wg.Go(func() { _ = broker.Run(ctx, h) })
	ch := realtime.Channel{Tenant: "a", Name: "production:updates"}

	var publisher sync.WaitGroup
	publisher.Go(func() {
		for range publications {
			if _, err := broker.Publish(ctx, ch, []byte("1"), realtime.PublishOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	results := make([]*reader, readers)
	var clients sync.WaitGroup
	for i := range readers {
		r := &reader{}
		results[i] = r
		clients.Go(func() {
			sub, err := h.Subscribe(ctx, r, ch, "a")
			if err != nil {
				t.Error(err)
				return
			}
			at := realtime.Position{}
			h.View(sub, func(v hub.Heads) { at = realtime.Position{Epoch: v.At(ch).Epoch} })
			for {
				var head realtime.Position
				h.View(sub, func(v hub.Heads) { head = v.At(ch) })
				for at.Offset < head.Offset {
					page, err := broker.History(ctx, ch, at, int(head.Offset-at.Offset))
					if err != nil || page.Gap != "" {
						t.Error(err, page.Gap)
						return
					}
					for _, p := range page.Publications {
						r.mu.Lock()
						r.seen = append(r.seen, p)
						r.mu.Unlock()
						at = p.Position
					}
				}
				if h.GoLive(sub, func(v hub.Heads) bool { return v.At(ch) == at }) {
					return
				}
			}
		})
	}
	publisher.Wait()
	clients.Wait()
	want := uint64(publications)
	deadline := time.Now().Add(30 * time.Second)
	for _, r := range results {
		for {
			r.mu.Lock()
			n := len(r.seen)
			r.mu.Unlock()
			if uint64(n) >= want || time.Now().After(deadline) {
				break
			}
			time.Sleep(time.Millisecond) // waits for the shard's queue to run empty
		}
		r.mu.Lock()
		for i, p := range r.seen {
			if p.Position.Offset != uint64(i+1) {
				t.Fatalf("place %d holds offset %d", i, p.Position.Offset)
			}
		}
		if uint64(len(r.seen)) != want {
			t.Errorf("%d publications, want %d", len(r.seen), want)
		}
		r.mu.Unlock()
	}
	cancel()
	wg.Wait()
}

func mustNames(t *testing.T, p ...realtime.Pattern) *realtime.Names {
	t.Helper()
	n, err := realtime.NewNames(p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// slowReader takes its time, so that the queue of its shard is full.
type slowReader struct{}

func (slowReader) Offer(*hub.Message) { time.Sleep(200 * time.Microsecond) }

func (r slowReader) OfferBatch(b *hub.Batch) { each(b, r.Offer) }

func (slowReader) Near() uint64 { return 0 }

func (slowReader) OfferGap(string, realtime.Gap) {}

// TestFullQueueAndLeavingTenants has an engine that holds its lock while it waits for room in a full queue, and tenants that come
// and go meanwhile: unfollowing one must not wait for that engine with the shard locked.
func TestFullQueueAndLeavingTenants(t *testing.T) {
	const publishers, publications = 8, 600
	broker, err := memory.New(memory.Options{Names: names(t)})
	if err != nil {
		t.Fatal(err)
	}
	h := hub.New(broker, hub.Options{Names: names(t), Shards: 1, QueueLength: 4, Linger: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var parts sync.WaitGroup
	parts.Go(func() { _ = h.Run(ctx) })
	parts.Go(func() { _ = broker.Run(ctx, h) })
	h.GoLive(subscribe(t, h, slowReader{}, realtime.Channel{Tenant: "busy"}), always)

	var work, visitors sync.WaitGroup
	over := make(chan struct{})
	for i := range publishers {
		coming := tenant.ID(fmt.Sprint("t", i))
		work.Go(func() {
			to := coming
			if i%2 == 0 {
				to = "busy"
			}
			for range publications {
				if _, err := broker.Publish(ctx, realtime.Channel{Tenant: to, Name: "updates"}, []byte("1"), realtime.PublishOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		visitors.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if sub, err := h.Subscribe(ctx, slowReader{}, realtime.Channel{Tenant: coming}, coming); err == nil {
					h.Unsubscribe(sub)
				}
				time.Sleep(5 * time.Millisecond) // long enough for the tenant to be left
			}
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute): // each of 2,400 is slept over, which a busy machine draws out
		panic("hub and engine wait for each other") // with the stacks of all goroutines
	}
	close(over)
	visitors.Wait()
	cancel()
	parts.Wait()
}
