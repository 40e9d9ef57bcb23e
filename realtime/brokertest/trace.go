package brokertest

import (
	"context"
	"testing"
	"time"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// traced publishes in a trace and in none, in turn: every node has with each publication where it stands in its own trace, and nothing of
// it is in the history.
func traced(t *testing.T, e Engine) {
	nodes := []*node{start(t, e)}
	if e.Shared {
		nodes = append(nodes, start(t, e))
	}
	c, other := ch("k1", "a"), ch("k1", "b")
	for _, n := range nodes {
		n.follow("k1")
	}
	const many = 30
	trace := func(i int) *tracing.Context {
		if i%3 == 2 {
			return nil
		}
		return &tracing.Context{Trace: [16]byte{1, byte(i)}, Span: [8]byte{2, byte(i)}, Heard: time.Now()}
	}
	publish := nodes[0].Publish
	if async, ok := nodes[0].Broker.(realtime.AsyncPublisher); ok {
		publish = func(_ context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
			async.PublishAsync(ch, data, opts, func(_ realtime.Published, err error) {
				if err != nil {
					t.Error(err)
				}
			})
			return realtime.Published{}, nil
		}
	}
	for i := range many {
		for _, to := range []realtime.Channel{c, other} {
			opts := realtime.PublishOptions{Trace: trace(i)}
			if to == other {
				opts.Trace = nil
			}
			if _, err := publish(t.Context(), to, []byte(`{}`), opts); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, n := range nodes {
		got := n.await(c, 0, many)
		for j := range got {
			want, have := trace(j), got[j].Trace
			switch {
			case (want == nil) != (have == nil):
				t.Fatalf("on node %d publication %d has the trace %v, want %v", i, j+1, have, want)
			case want == nil:
			case have.Trace != want.Trace || have.Span != want.Span || have.Heard.IsZero():
				t.Fatalf("on node %d publication %d has the trace %+v, want %v", i, j+1, *have, want)
			}
		}
		for _, p := range n.await(other, 0, many) {
			if p.Trace != nil {
				t.Fatalf("on node %d %v has the trace %v of another publication", i, p.Position, p.Trace)
			}
		}
	}
	for _, p := range nodes[0].history(c, realtime.Position{}, many).Publications {
		if p.Trace != nil {
			t.Errorf("in the history %v has a trace", p.Position)
		}
	}
}
