package brokertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kentongan/realtime"
)

// snapshot returns the snapshot of c, and checks what holds for each.
func (n *node) snapshot(c realtime.Channel) realtime.Snapshot {
	n.t.Helper()
	keeper, ok := n.Broker.(realtime.Snapshotter)
	if !ok {
		n.t.Fatal("the Broker is no Snapshotter")
	}
	s, err := keeper.Snapshot(context.Background(), c)
	if err != nil {
		n.t.Fatalf("snapshot of %v: %v", c, err)
	}
	for i, p := range s.Publications {
		if p.Channel != c || p.Position.Epoch != s.Head.Epoch || p.Position.Offset > s.Head.Offset || p.Time.IsZero() {
			n.t.Errorf("publication %d is %v at %v of %v, with the head at %v", i, p.Channel, p.Position, p.Time, s.Head)
		}
		if i > 0 && p.Position.Offset <= s.Publications[i-1].Position.Offset {
			n.t.Errorf("publication %d is at %v, behind one at %v", i, p.Position, s.Publications[i-1].Position)
		}
	}
	return s
}

func (n *node) wantSnapshot(c realtime.Channel, head realtime.Position, data ...string) {
	n.t.Helper()
	s := n.snapshot(c)
	var got []string
	for _, p := range s.Publications {
		got = append(got, string(p.Data))
	}
	if s.Head != head || !slices.Equal(got, data) {
		n.t.Errorf("the snapshot at %v is %q, want %q at %v", s.Head, got, data, head)
	}
}

func snapshotNewest(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "keyed")
	n.wantSnapshot(c, n.history(c, realtime.Position{}, 0).Head)
	a1 := n.publish(c, `{"data":{"id":"a"},"n":1}`)
	n.wantSnapshot(c, a1, `{"data":{"id":"a"},"n":1}`)
	n.publish(c, `{"data":{"id":"b"},"n":2}`)
	n.publish(c, `{"data":{},"n":3}`) // without a key: in the history alone
	n.publish(c, `{ "n" : 4, "data" : { "id" : "a" } }`)
	n.publish(ch("k2", "keyed"), `{"data":{"id":"of another kitchen"}}`)
	last := n.publish(c, `{"data":{"id":7},"n":5}`)
	n.wantSnapshot(c, last, `{"data":{"id":"b"},"n":2}`, `{ "n" : 4, "data" : { "id" : "a" } }`, `{"data":{"id":7},"n":5}`)
	if got := n.history(c, realtime.Position{Epoch: last.Epoch}, 100); len(got.Publications) != 5 {
		t.Errorf("the history has %d, want all 5", len(got.Publications))
	}
	n.publish(c, `{"data":{"id":"\u0000\r\n'\"}"}}`)
	if got := len(n.snapshot(c).Publications); got != 4 {
		t.Errorf("with an odd key there are %d, want 4", got)
	}
	n.publish(c, `{"data":{"id":"`+strings.Repeat("k", realtime.MaxSnapshotKeyBytes+1)+`"}}`)
	if got := len(n.snapshot(c).Publications); got != 4 {
		t.Errorf("with a key that is too long there are %d, want 4", got)
	}
	other := ch("k1", "a")
	n.wantSnapshot(other, n.publish(other, `{"data":{"id":"a"}}`)) // its pattern asks for none
}

// snapshotOutlivesHistory keeps the newest of a key that the history has let go by number.
func snapshotOutlivesHistory(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "keyed")
	n.publish(c, `{"data":{"id":"quiet"}}`)
	var last realtime.Position
	for i := range 300 {
		last = n.publish(c, fmt.Sprintf(`{"data":{"id":"busy"},"n":%d}`, i))
	}
	n.wantSnapshot(c, last, `{"data":{"id":"quiet"}}`, `{"data":{"id":"busy"},"n":299}`)
}

func snapshotAge(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "keyedshort")
	first := n.publish(c, `{"id":"a"}`)
	eventually(t, "the only publication to expire", func() bool { return len(n.snapshot(c).Publications) == 0 })
	n.wantSnapshot(c, first)
	second := n.publish(c, `{"id":"b"}`)
	if s := n.snapshot(c); s.Head != second {
		t.Errorf("the head is %v, want %v", s.Head, second)
	}
}

func snapshotTurn(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "keyed")
	for _, what := range []realtime.Channel{c, ch("k1", "")} {
		n.publish(c, `{"data":{"id":"a"}}`)
		n.publish(c, `{"data":{"id":"b"}}`)
		turner, ok := n.Broker.(realtime.EpochTurner)
		if !ok {
			t.Fatal("epochs cannot be turned: what was missed would be hidden by a snapshot")
		}
		if err := turner.TurnEpoch(context.Background(), what, realtime.GapIntake); err != nil {
			t.Fatal(err)
		}
		n.wantSnapshot(c, n.history(c, realtime.Position{}, 0).Head) // nobody knows what was missed
		n.wantSnapshot(c, n.publish(c, `{"data":{"id":"c"}}`), `{"data":{"id":"c"}}`)
	}
}

func snapshotBounds(t *testing.T, e Engine) {
	n := start(t, e)
	c, large := ch("k1", "keyed"), ch("k2", "keyed")
	var last realtime.Position
	for i := range realtime.MaxSnapshotKeys + 50 {
		last = n.publish(c, fmt.Sprintf(`{"data":{"id":"%d"}}`, i))
	}
	s := n.snapshot(c)
	kept := len(s.Publications)
	if kept > realtime.MaxSnapshotKeys || kept < realtime.MaxSnapshotKeys*9/10 || s.Head != last {
		t.Fatalf("%d keys are kept up to %v, want about %d up to %v", kept, s.Head, realtime.MaxSnapshotKeys, last)
	}
	for i, p := range s.Publications {
		if want := last.Offset - uint64(kept-1-i); p.Position.Offset != want {
			t.Fatalf("publication %d of %d is at %v, want the newest, so offset %d", i, kept, p.Position, want)
		}
	}
	for i := range 50 {
		n.publish(large, fmt.Sprintf(`{"data":{"id":"%d"},"x":"%s"}`, i, strings.Repeat("x", 100<<10)))
	}
	bytes := 0
	for _, p := range n.snapshot(large).Publications {
		bytes += len(p.Data)
	}
	if bytes > realtime.MaxSnapshotBytes || bytes < realtime.MaxSnapshotBytes/3 {
		t.Errorf("%d bytes are kept, want somewhat less than %d", bytes, realtime.MaxSnapshotBytes)
	}
	last = n.publish(large, fmt.Sprintf(`{"data":{"id":"huge"},"x":"%s"}`, strings.Repeat("x", realtime.MaxSnapshotBytes)))
	if s := n.snapshot(large); len(s.Publications) != 1 || s.Publications[0].Position != last {
		t.Errorf("with one that is larger than all together %d are kept, want it alone", len(s.Publications))
	}
	// Small ones take the place of large ones, and the bytes are counted as before.
	for i := range 500 {
		last = n.publish(large, fmt.Sprintf(`{"data":{"id":"%d"},"n":%d}`, i%50, i))
	}
	if s := n.snapshot(large); len(s.Publications) < 50 || s.Publications[len(s.Publications)-1].Position != last {
		t.Errorf("%d are kept, want the 50 small ones at least", len(s.Publications))
	}
}

func snapshotNodes(t *testing.T, e Engine) {
	n1, n2 := start(t, e), start(t, e)
	c := ch("k1", "keyed")
	if !e.Shared {
		n1.publish(c, `{"data":{"id":"a"},"n":1}`)
		n2.wantSnapshot(c, n2.history(c, realtime.Position{}, 0).Head)
		return
	}
	n1.publish(c, `{"data":{"id":"a"},"n":1}`)
	last := n2.publish(c, `{"data":{"id":"a"},"n":2}`)
	n1.wantSnapshot(c, last, `{"data":{"id":"a"},"n":2}`)
	n2.wantSnapshot(c, last, `{"data":{"id":"a"},"n":2}`)
}

func snapshotContext(t *testing.T, e Engine) {
	n := start(t, e)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	keeper, ok := n.Broker.(realtime.Snapshotter)
	if !ok {
		t.Fatal("the Broker is no Snapshotter")
	}
	_, err := keeper.Snapshot(ctx, ch("k1", "keyed"))
	mustBe(t, err, realtime.ErrUnavailable)
}
