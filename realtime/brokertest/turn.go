package brokertest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"kentongan/realtime"
)

func turner(t *testing.T, n *node) realtime.EpochTurner {
	t.Helper()
	turn, ok := n.Broker.(realtime.EpochTurner)
	if !ok {
		t.Log("the engine is no EpochTurner")
	}
	return turn
}

func turned(t *testing.T, e Engine) {
	n := start(t, e)
	turn := turner(t, n)
	if turn == nil {
		return
	}
	a, b := ch("k1", "a"), ch("k1", "b")
	heads := n.follow("k1")
	old := n.fill(a, 3)
	n.fill(b, 3)
	n.await(a, 0, 3)
	n.await(b, 0, 3)
	if err := turn.TurnEpoch(context.Background(), a, realtime.GapIntake); err != nil {
		t.Fatal(err)
	}
	gap := n.awaitGap(a, realtime.GapIntake)
	if gap.Position.Epoch == old.Epoch || gap.Position.Offset != 0 {
		t.Errorf("the gap is at %v, want offset 0 of another epoch than %s", gap.Position, old.Epoch)
	}
	wantGap(t, n.history(a, old, 10), realtime.GapEpoch)
	if page := n.history(a, gap.Position, 10); page.Gap != "" || page.Head != gap.Position {
		t.Errorf("after the gap: head %v, gap %q; want %v and none", page.Head, page.Gap, gap.Position)
	}
	n.fill(a, 2)
	offsets(t, n.await(a, 3, 2), gap.Position)
	n.fill(b, 2)
	offsets(t, n.await(b, 0, 5), heads.At("b")) // the other channel did not notice
	if got := n.follow("k1").At("a"); got != (realtime.Position{Epoch: gap.Position.Epoch, Offset: 2}) {
		t.Errorf("the head is %v, want offset 2 of %s", got, gap.Position.Epoch)
	}
}

func turnedAll(t *testing.T, e Engine) {
	n := start(t, e)
	turn := turner(t, n)
	if turn == nil {
		return
	}
	a, never, order, gone := ch("k1", "a"), ch("k1", "b"), ch("k1", "orders:7"), ch("k2", "a")
	heads := n.follow("k1")
	old := n.fill(a, 3)
	n.fill(order, 1)
	n.await(order, 0, 1)
	n.await(a, 0, 3)
	oldGone := n.fill(gone, 2)
	if err := turn.TurnAll(context.Background(), realtime.GapIntake); err != nil {
		t.Fatal(err)
	}
	for _, c := range []realtime.Channel{a, order, never} {
		gap := n.awaitGap(c, realtime.GapIntake)
		if gap.Position.Epoch == old.Epoch || gap.Position.Offset != 0 {
			t.Errorf("the gap of %v is at %v, want offset 0 of another epoch than %s", c, gap.Position, old.Epoch)
		}
		n.fill(c, 2)
		offsets(t, n.await(c, n.before(c), 2), gap.Position)
	}
	wantGap(t, n.history(a, old, 10), realtime.GapEpoch)
	wantGap(t, n.history(never, heads.At("b"), 10), realtime.GapEpoch)
	wantGap(t, n.history(gone, oldGone, 10), realtime.GapEpoch) // nobody followed it: told when somebody comes back
	if page := n.history(gone, realtime.Position{}, 10); len(page.Publications) != 0 || page.Gap != "" {
		t.Errorf("the turned channel still has %d publications, gap %q; want none", len(page.Publications), page.Gap)
	}
	if got := n.publish(gone, `{}`); got.Offset != 1 || got.Epoch == oldGone.Epoch {
		t.Errorf("the first publication after the turn is at %v, want offset 1 of a new epoch", got)
	}
}

// before returns how many publications of c were delivered before its first gap's epoch.
func (n *node) before(c realtime.Channel) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := 0
	for i < len(n.delivered[c]) && n.delivered[c][i].Position.Epoch != n.gaps[c][0].Position.Epoch {
		i++
	}
	return i
}

// turnedUnderTraffic turns a tenant, and a channel of it, again and again while somebody publishes: who follows is told of
// gaps, and is given every message once and in order all the same, for nothing was lost between the engine and here.
func turnedUnderTraffic(t *testing.T, e Engine) {
	n := start(t, e)
	turn := turner(t, n)
	if turn == nil {
		return
	}
	big := ch("k1", "big")
	at := n.follow("k1").At("big")
	turned := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait() // also after a publication that failed: it may still have something to say
	wg.Go(func() {
		defer close(turned)
		for i := range 40 {
			c := realtime.Channel{Tenant: "k1"} // all channels of the tenant
			if i%4 == 3 {
				c = big
			}
			if err := turn.TurnEpoch(context.Background(), c, realtime.GapIntake); err != nil {
				t.Error(err)
			}
			if i%2 == 0 { // else the next turn comes at once
				n.await(big, 0, n.count(big)+2)
			}
		}
	})
	published := 0
	for more := true; more; published++ {
		select {
		case <-turned:
			more = false // and one more after the last turn
		default:
		}
		n.publish(big, fmt.Sprintf(`{"n":%d}`, published))
	}
	wg.Wait()
	n.awaitGap(big, realtime.GapIntake)
	for i, p := range n.await(big, 0, published) {
		if want := fmt.Sprintf(`{"n":%d}`, i); string(p.Data) != want {
			t.Fatalf("message %d is %s at %v, want %s", i, p.Data, p.Position, want)
		}
		next := realtime.Position{Epoch: at.Epoch, Offset: at.Offset + 1}
		if p.Position.Epoch != at.Epoch {
			next = realtime.Position{Epoch: p.Position.Epoch, Offset: 1}
		}
		if p.Position != next {
			t.Fatalf("message %d is at %v after %v, want %v", i, p.Position, at, next)
		}
		at = p.Position
	}
}
