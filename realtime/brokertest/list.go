package brokertest

import (
	"context"
	"errors"
	"testing"

	"kentongan/realtime"
	"kentongan/tenant"
)

func listed(t *testing.T, e Engine) {
	n := start(t, e)
	lister, ok := n.Broker.(realtime.Lister)
	if !ok {
		t.Fatal("it is no Lister")
	}
	ctx := context.Background()
	channels := func(limit int) map[realtime.Channel]realtime.Position {
		t.Helper()
		heads, err := lister.Channels(ctx, limit)
		if err != nil {
			t.Fatal(err)
		}
		all := map[realtime.Channel]realtime.Position{}
		for _, h := range heads {
			all[h.Channel] = h.Head
		}
		if len(all) != len(heads) {
			t.Errorf("%d channels in a list of %d", len(all), len(heads))
		}
		return all
	}
	if got := channels(10); len(got) != 0 {
		t.Errorf("nothing was published, and it lists %v", got)
	}
	want := map[realtime.Channel]realtime.Position{}
	for _, ch := range []realtime.Channel{
		{Tenant: "k1", Name: "a"}, {Tenant: "k1", Name: "b"}, {Tenant: "k2", Name: "a"}, {Tenant: tenant.Global, Name: "alert"},
	} {
		for range 2 {
			p, err := n.Publish(ctx, ch, []byte("1"), realtime.PublishOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want[ch] = p.Position
		}
	}
	got := channels(10)
	for ch, head := range want {
		if got[ch] != head {
			t.Errorf("%v: got %v, want %v", ch, got[ch], head)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if some := channels(2); len(some) != 2 {
		t.Errorf("two at most: got %v", some)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := lister.Channels(over, 1); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("after its context: got %v, want ErrUnavailable", err)
	}
}
