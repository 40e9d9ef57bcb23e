package brokertest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"kentongan/realtime"
	"kentongan/tenant"
)

func follow(t *testing.T, e Engine) {
	n := start(t, e)
	a, b, other := ch("k1", "a"), ch("k1", "b"), ch("k2", "a")
	n.fill(a, 3)
	heads := n.follow("k1")
	if got := heads.At("a"); got.Offset != 3 || got != n.history(a, realtime.Position{}, 0).Head {
		t.Errorf("the head of a is %v, want offset 3", got)
	}
	if got := heads.At("b"); got.Offset != 0 || got != n.history(b, realtime.Position{}, 0).Head {
		t.Errorf("the head of b is %v, want that of its history, %v", got, n.history(b, realtime.Position{}, 0).Head)
	}
	n.publish(other, `{"n":"unfollowed"}`)
	n.fill(a, 5)
	n.fill(b, 2)
	offsets(t, n.await(a, 0, 5), heads.At("a"))
	offsets(t, n.await(b, 0, 2), heads.At("b"))
	n.publish(a, `{"n":"last"}`)
	n.await(a, 5, 1)
	if n.count(other) != 0 {
		t.Error("a tenant that nobody follows was delivered")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.gaps) != 0 {
		t.Errorf("there are gaps: %v", n.gaps)
	}
}

func followTwice(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "a")
	n.follow("k1")
	n.fill(c, 4)
	n.await(c, 0, 4)
	heads := n.follow("k1")
	if got := heads.At("a").Offset; got != 4 {
		t.Errorf("the head at the second Follow is %d, want 4", got)
	}
	n.fill(c, 4)
	offsets(t, n.await(c, 4, 4), heads.At("a"))
	if got := n.await(c, 0, 8); len(got) != 8 {
		t.Errorf("%d publications in all, want 8", len(got))
	}
}

func unfollow(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "a")
	n.Unfollow("never-followed")
	n.follow("k1")
	n.fill(c, 1)
	n.await(c, 0, 1)
	n.Unfollow("k1")
	n.Unfollow("k1")
	before := n.fill(c, 3)
	heads := n.follow("k1")
	if got := heads.At("a"); got != before {
		t.Errorf("the head is %v, want %v", got, before)
	}
	n.fill(c, 2)
	n.until("the publications after the second Follow", func() bool {
		got := n.delivered[c]
		return got[len(got)-1].Position.Offset == before.Offset+2
	})
}

// followRaces lets one node follow and leave while others publish: in each period all that comes after its heads is
// there, in order, once.
func followRaces(t *testing.T, e Engine) {
	n := start(t, e)
	channels := []realtime.Channel{ch("k1", "big"), ch("k1", "a"), ch("k2", "big")}
	const publishers, each, periods = 4, 150, 40
	var done atomic.Int32
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			defer done.Add(1)
			for i := range each {
				for _, c := range channels {
					if _, err := n.Publish(context.Background(), c, fmt.Appendf(nil, `{"p":%d,"i":%d}`, p, i), realtime.PublishOptions{}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	period := func(of tenant.ID, last bool) {
		marks := map[realtime.Channel]int{}
		for _, c := range channels {
			marks[c] = n.count(c)
		}
		heads := n.follow(of)
		if again := n.follow(of); again.At("big").Offset < heads.At("big").Offset {
			t.Errorf("the heads went back from %v to %v", heads.At("big"), again.At("big"))
		}
		if last {
			wg.Wait()
		}
		for _, c := range channels {
			if c.Tenant != of {
				continue
			}
			head := heads.At(c.Name)
			if last {
				n.until(fmt.Sprintf("the last publication of %v", c), func() bool {
					got := n.delivered[c]
					return head.Offset == publishers*each || len(got) > 0 && got[len(got)-1].Position.Offset == publishers*each
				})
			}
			n.mu.Lock()
			var after []realtime.Publication
			for _, p := range n.delivered[c][marks[c]:] {
				if p.Position.Offset > head.Offset {
					after = append(after, p)
				}
			}
			n.mu.Unlock()
			offsets(t, after, head)
		}
		if !last {
			n.Unfollow(of)
		}
	}
	for i := range periods {
		if done.Load() == publishers {
			t.Logf("the publishers were done after %d periods", i)
			break
		}
		period("k1", false)
		period("k2", false)
	}
	period("k1", true)
	period("k2", true)
}

func followMany(t *testing.T, e Engine) {
	n := start(t, e)
	const tenants = 1500
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := w; i < tenants; i += 50 {
				if _, err := n.Follow(context.Background(), tenant.ID(fmt.Sprint("k", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range tenants {
		n.publish(ch(tenant.ID(fmt.Sprint("k", i)), "a"), `{}`)
	}
	for i := range tenants {
		n.await(ch(tenant.ID(fmt.Sprint("k", i)), "a"), 0, 1)
	}
}

func global(t *testing.T, e Engine) {
	n := start(t, e)
	alert := ch(tenant.Global, "alert")
	n.follow("k1")
	n.publish(alert, `{"n":"unfollowed"}`)
	heads := n.follow(tenant.Global)
	if got := heads.At("alert").Offset; got != 1 {
		t.Errorf("the head is %d, want 1", got)
	}
	n.publish(alert, `{}`)
	if got := n.await(alert, 0, 1)[0]; got.Position.Offset != 2 {
		t.Errorf("delivered %v, want offset 2", got.Position)
	}
}

func async(t *testing.T, e Engine) {
	n := start(t, e)
	a, ok := n.Broker.(realtime.AsyncPublisher)
	if !ok {
		t.Log("the engine is no AsyncPublisher")
		return
	}
	const publications = 2000
	channels := []realtime.Channel{ch("k1", "big"), ch("k1", "a"), ch("k2", "big")}
	for _, c := range channels {
		n.follow(c.Tenant)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[realtime.Channel][]realtime.Position{}
	wg.Add(publications * len(channels))
	for i := range publications {
		for _, c := range channels {
			a.PublishAsync(c, fmt.Appendf(nil, `{"i":%d}`, i), realtime.PublishOptions{}, func(p realtime.Published, err error) {
				defer wg.Done()
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[c] = append(got[c], p.Position)
			})
		}
	}
	a.PublishAsync(ch("k1", "b"), []byte(`{}`), realtime.PublishOptions{}, nil)
	wg.Wait()
	for _, c := range channels {
		for i, p := range n.await(c, 0, publications) {
			if want := fmt.Sprintf(`{"i":%d}`, i); string(p.Data) != want {
				t.Fatalf("publication %d of %v is %s, want %s", i, c, p.Data, want)
			}
			if got[c][i].Offset != uint64(i+1) {
				t.Fatalf("answer %d of %v is %v, want offset %d", i, c, got[c][i], i+1)
			}
		}
	}
	n.follow("k1")
	n.await(ch("k1", "b"), 0, 1)
	refused := make(chan error, 1)
	a.PublishAsync(channels[0], nil, realtime.PublishOptions{}, func(_ realtime.Published, err error) { refused <- err })
	mustBe(t, <-refused, realtime.ErrInvalid)
}
