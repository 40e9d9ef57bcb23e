package hub_test

import (
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
)

func TestFollowers(t *testing.T) {
	h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(t)})
	defer stop()
	updates, alerts := realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Channel{Tenant: "a", Name: "production:alerts"}
	global := realtime.Channel{Name: "system-alert"}
	all, one := subscribe(t, h, &reader{}, realtime.Channel{Tenant: "a"}), subscribe(t, h, &reader{}, updates)
	other := subscribe(t, h, &reader{}, realtime.Channel{Tenant: "b"})
	want := func(when string, nUpdates, nAlerts, nGlobal int) {
		t.Helper()
		if u, a, g := h.Followers(updates), h.Followers(alerts), h.Followers(global); u != nUpdates || a != nAlerts || g != nGlobal {
			t.Errorf("%s: %d, %d, %d; want %d, %d, %d", when, u, a, g, nUpdates, nAlerts, nGlobal)
		}
	}
	want("before anybody is live", 0, 0, 0)
	for _, sub := range []*hub.Subscription{all, one, other} {
		h.GoLive(sub, always)
	}
	want("all live", 2, 1, 2)
	h.Unsubscribe(all)
	want("one gone", 1, 0, 1)
	if n := h.Followers(realtime.Channel{Tenant: "nobody", Name: "updates"}); n != 0 {
		t.Errorf("a kitchen that nobody follows has %d followers", n)
	}
}

// stuck takes a message, and then waits until it is let go.
type stuck struct {
	reader
	in, out chan struct{}
}

func (s *stuck) Offer(*hub.Message) { close(s.in); <-s.out }

// TestFollowersDoNotWait asks while a message is being delivered: whoever publishes is told the number, and what he publishes next would
// wait as well.
func TestFollowersDoNotWait(t *testing.T) {
	h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(t), Shards: 1})
	defer stop()
	ch := realtime.Channel{Tenant: "a", Name: "production:updates"}
	s := &stuck{in: make(chan struct{}), out: make(chan struct{})}
	h.GoLive(subscribe(t, h, s, realtime.Channel{Tenant: "a"}), always)
	go h.Deliver(publication(ch, "e", 1))
	<-s.in
	defer close(s.out)
	told := make(chan int, 1)
	go func() { told <- h.Followers(ch) }()
	select {
	case n := <-told:
		if n != 1 {
			t.Errorf("%d followers, want 1", n)
		}
	case <-time.After(30 * time.Second):
		t.Error("Followers waits for a delivery")
	}
}
