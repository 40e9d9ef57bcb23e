package brokertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// node is a Broker that runs, with a Sink that writes down what comes and checks the promises of realtime.Sink.
type node struct {
	realtime.Broker
	t    *testing.T
	stop func() // ends Run and waits for it; may be called twice

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at each event
	inside    map[tenant.ID]bool
	stopped   bool
	delivered map[realtime.Channel][]realtime.Publication
	gaps      map[realtime.Channel][]realtime.Gap
}

func start(t *testing.T, e Engine) *node {
	t.Helper()
	n := &node{
		Broker: e.Open(t, testNames(t)), t: t, changed: make(chan struct{}), inside: map[tenant.ID]bool{},
		delivered: map[realtime.Channel][]realtime.Publication{}, gaps: map[realtime.Channel][]realtime.Gap{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, n) }()
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run returned %v, want nil", err)
				}
			case <-time.After(patience):
				t.Error("Run did not return")
			}
			n.mu.Lock()
			n.stopped = true
			n.mu.Unlock()
		})
	}
	t.Cleanup(n.stop)
	return n
}

// enter checks that calls for one tenant do not overlap, and none comes after Run.
func (n *node) enter(t tenant.ID) (leave func()) {
	n.mu.Lock()
	if n.inside[t] {
		n.t.Errorf("the Sink is called for tenant %q while it is called for it", t)
	}
	if n.stopped {
		n.t.Errorf("the Sink is called for tenant %q after Run returned", t)
	}
	n.inside[t] = true
	n.mu.Unlock()
	return func() {
		n.mu.Lock()
		n.inside[t] = false
		close(n.changed)
		n.changed = make(chan struct{})
		n.mu.Unlock()
	}
}

func (n *node) Deliver(p *realtime.Publication) {
	defer n.enter(p.Channel.Tenant)()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delivered[p.Channel] = append(n.delivered[p.Channel], *p)
}

func (n *node) Gap(g realtime.Gap) {
	defer n.enter(g.Channel.Tenant)()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gaps[g.Channel] = append(n.gaps[g.Channel], g)
}

// count returns how many publications of ch were delivered so far.
func (n *node) count(ch realtime.Channel) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.delivered[ch])
}

// await returns the first want publications of ch that come after the first skip ones.
func (n *node) await(ch realtime.Channel, skip, want int) []realtime.Publication {
	n.t.Helper()
	var got []realtime.Publication
	n.until(fmt.Sprintf("%d publications of %v", want, ch), func() bool {
		got = n.delivered[ch][min(skip, len(n.delivered[ch])):]
		return len(got) >= want
	})
	return got[:want:want]
}

// awaitGap returns the first gap of ch that has cause.
func (n *node) awaitGap(ch realtime.Channel, cause realtime.GapCause) realtime.Gap {
	n.t.Helper()
	var got realtime.Gap
	n.until(fmt.Sprintf("gap %q of %v", cause, ch), func() bool {
		for _, g := range n.gaps[ch] {
			if g.Cause == cause {
				got = g
				return true
			}
		}
		return false
	})
	return got
}

// until waits until f, called with the lock held, is true.
func (n *node) until(what string, f func() bool) {
	n.t.Helper()
	limit := time.After(patience)
	for {
		n.mu.Lock()
		ok, changed := f(), n.changed
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			n.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (n *node) publish(ch realtime.Channel, data string) realtime.Position {
	n.t.Helper()
	p, err := n.Publish(context.Background(), ch, []byte(data), realtime.PublishOptions{})
	if err != nil {
		n.t.Fatalf("publish to %v: %v", ch, err)
	}
	return p.Position
}

// fill publishes {"n":1} to {"n":count} to ch.
func (n *node) fill(ch realtime.Channel, count int) (last realtime.Position) {
	n.t.Helper()
	for i := range count {
		last = n.publish(ch, fmt.Sprintf(`{"n":%d}`, i+1))
	}
	return last
}

func (n *node) history(ch realtime.Channel, since realtime.Position, limit int) realtime.Page {
	n.t.Helper()
	page, err := n.History(context.Background(), ch, since, limit)
	if err != nil {
		n.t.Fatalf("history of %v: %v", ch, err)
	}
	return page
}

func (n *node) follow(t tenant.ID) realtime.Heads {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h, err := n.Follow(ctx, t)
	if err != nil {
		n.t.Fatalf("follow %q: %v", t, err)
	}
	return h
}

// offsets checks that publications follow from without a hole, in one epoch.
func offsets(t *testing.T, got []realtime.Publication, from realtime.Position) {
	t.Helper()
	for i, p := range got {
		if want := (realtime.Position{Epoch: from.Epoch, Offset: from.Offset + 1 + uint64(i)}); p.Position != want {
			t.Fatalf("publication %d is at %v, want %v", i, p.Position, want)
		}
	}
}

// wantGap checks that a page is a gap of that cause, without publications.
func wantGap(t *testing.T, page realtime.Page, cause realtime.GapCause) {
	t.Helper()
	if page.Gap != cause || len(page.Publications) != 0 {
		t.Errorf("got gap %q with %d publications, want gap %q with none", page.Gap, len(page.Publications), cause)
	}
}

// eventually repeats f until it is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two questions, not for an effect
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func ch(t tenant.ID, name string) realtime.Channel { return realtime.Channel{Tenant: t, Name: name} }
