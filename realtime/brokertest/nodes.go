package brokertest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"kentongan/realtime"
)

func runEnds(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "a")
	n.follow("k1")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := n.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{}); err != nil {
					mustBe(t, err, realtime.ErrUnavailable)
					return
				}
			}
		})
	}
	n.await(c, 0, 10)
	n.stop() // while they publish
	cancel()
	wg.Wait()
	_, err := n.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{})
	mustBe(t, err, realtime.ErrUnavailable)
	_, err = n.History(context.Background(), c, realtime.Position{}, 1)
	mustBe(t, err, realtime.ErrUnavailable)
	_, err = n.Follow(context.Background(), "k2")
	mustBe(t, err, realtime.ErrUnavailable)
	n.Unfollow("k1")
	if h, ok := n.Broker.(realtime.Health); ok && h.Ready() == nil {
		t.Error("an ended Broker says that it is ready")
	}
}

func twoNodes(t *testing.T, e Engine) {
	if !e.Shared {
		t.Log("the engine has one node only")
		return
	}
	one, two := start(t, e), start(t, e)
	c := ch("k1", "a")
	one.fill(c, 2)
	heads := two.follow("k1")
	if got := heads.At("a").Offset; got != 2 {
		t.Errorf("the other node has the head at %d, want 2", got)
	}
	one.fill(c, 3)
	offsets(t, two.await(c, 0, 3), heads.At("a"))
	if got := two.publish(c, `{}`); got != (realtime.Position{Epoch: heads.At("a").Epoch, Offset: 6}) {
		t.Errorf("the other node publishes at %v, want offset 6 of %s", got, heads.At("a").Epoch)
	}
	if got := len(one.history(c, realtime.Position{}, 10).Publications); got != 6 {
		t.Errorf("the history has %d publications, want 6", got)
	}
	p, err := one.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{Key: "k"})
	if err != nil || p.Duplicate {
		t.Fatalf("publish with a key: %+v, %v", p, err)
	}
	if again, err := two.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{Key: "k"}); err != nil || !again.Duplicate || again.Position != p.Position {
		t.Errorf("the same key at the other node: %+v, %v; want the duplicate at %v", again, err, p.Position)
	}
}

// twoNodesOrder publishes on both nodes at once; both must see the same order.
func twoNodesOrder(t *testing.T, e Engine) {
	if !e.Shared {
		t.Log("the engine has one node only")
		return
	}
	nodes := []*node{start(t, e), start(t, e)}
	c := ch("k1", "big")
	const each = 500
	var heads realtime.Heads
	for _, n := range nodes {
		heads = n.follow("k1")
	}
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			for j := range each {
				if _, err := n.Publish(context.Background(), c, fmt.Appendf(nil, `{"node":%d,"n":%d}`, i, j), realtime.PublishOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	first, second := nodes[0].await(c, 0, 2*each), nodes[1].await(c, 0, 2*each)
	offsets(t, first, heads.At("big"))
	offsets(t, second, heads.At("big"))
	for i := range first {
		if string(first[i].Data) != string(second[i].Data) {
			t.Fatalf("at %v one node has %s, the other %s", first[i].Position, first[i].Data, second[i].Data)
		}
	}
}

func reopened(t *testing.T, e Engine) {
	c := ch("k1", "a")
	n := start(t, e)
	head := n.fill(c, 4)
	p, err := n.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{Key: "once"})
	if err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = start(t, e)
	page := n.history(c, head, 10)
	if !e.Shared {
		wantGap(t, page, realtime.GapEpoch)
		if got := n.publish(c, `{}`); got.Offset != 1 || got.Epoch == head.Epoch {
			t.Errorf("the first publication is at %v, want offset 1 of a new epoch", got)
		}
		return
	}
	if page.Gap != "" || page.Head != p.Position || len(page.Publications) != 1 {
		t.Fatalf("after reopening: head %v, %d publications, gap %q; want %v and 1", page.Head, len(page.Publications), page.Gap, p.Position)
	}
	if again, err := n.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{Key: "once"}); err != nil || again.Position != p.Position {
		t.Errorf("the key after reopening: %+v, %v; want %v", again, err, p.Position)
	}
	heads := n.follow("k1")
	if heads.At("a") != p.Position {
		t.Errorf("the head is %v, want %v", heads.At("a"), p.Position)
	}
	n.fill(c, 1)
	offsets(t, n.await(c, 0, 1), p.Position)
}
