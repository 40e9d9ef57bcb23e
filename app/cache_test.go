package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared/sharedtest"
	"kentongan/production"
	"kentongan/realtime"
)

func TestProductionOf(t *testing.T) {
	for data, want := range map[string]string{
		`{"type":"production_update","productionId":"p1","data":{"progress":40}}`: "p1",
		`{"productionId" : "p 2"}`:            "p 2",
		`{"data":{"productionId":"p3"}}`:      "p3",
		`{"productionId":7}`:                  "",
		`{"productionId":"a\"b"}`:             "",
		`{"productionId":"`:                   "",
		`{"productionId"`:                     "",
		`{"productionIds":["x"],"other":"p"}`: "",
		`"productionId"`:                      "",
		`{}`:                                  "",
	} {
		if got := productionOf([]byte(data)); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
	}
}

func FuzzProductionOf(f *testing.F) {
	f.Add([]byte(`{"productionId":"p1"}`))
	f.Add([]byte(`{"productionId" : "`))
	f.Fuzz(func(_ *testing.T, data []byte) { productionOf(data) })
}

// TestForgetBefore has the news of a change not arrive from Redis: then it is the publication that makes memory forget.
func TestForgetBefore(t *testing.T) {
	if forgetBefore(nil) != nil {
		t.Error("a cache that is off is told of publications")
	}
	synctest.Test(t, func(t *testing.T) {
		server := sharedtest.NewServer()
		start := func() (*cache.Cache, *sharedtest.Node, func()) {
			node := sharedtest.NewNode(server, nil)
			c, err := cache.New(cache.Options{Shared: node, Bound: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); _ = c.Run(ctx) }()
			time.Sleep(time.Second)
			return c, node, func() { stop(); <-ended }
		}
		a, node, stopA := start()
		b, _, stopB := start()
		defer stopB()
		defer stopA()
		state := cache.ProductionRealtime[int]()
		set := func(progress int) {
			t.Helper()
			for _, id := range []string{"p1", "p2"} {
				if err := state.Set(t.Context(), b, "k1", id, progress, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := func(id string, want int) {
			t.Helper()
			if got, err := state.Get(t.Context(), a, "k1", id); err != nil || got != want {
				t.Errorf("%s: got %d, %v; want %d", id, got, err, want)
			}
		}
		set(40)
		time.Sleep(time.Second)
		want("p1", 40)
		want("p2", 40)
		node.Hang(true)
		set(50)
		tell := forgetBefore(a)
		for _, p := range []realtime.Publication{
			{Channel: realtime.Channel{Tenant: "k1", Name: "notifications"}, Data: []byte(`{"productionId":"p1"}`)},
			{Channel: realtime.Channel{Tenant: "k2", Name: "production:updates"}, Data: []byte(`{"productionId":"p1"}`)},
		} {
			tell(&p)
		}
		want("p1", 40) // nothing that concerns it
		tell(&realtime.Publication{
			Channel: realtime.Channel{Tenant: "k1", Name: "production:updates"}, Data: []byte(`{"type":"production_update","productionId":"p1"}`),
		})
		want("p1", 50)
		want("p2", 40)
		node.Hang(false)
	})
}

// TestTheRelayMakesTheCacheForget has a slow reader who brings what is older than the event that went out.
func TestTheRelayMakesTheCacheForget(t *testing.T) {
	c, err := cache.New(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	state := cache.ProductionRealtime[json.RawMessage]()
	set := func(version int64) {
		t.Helper()
		text := json.RawMessage(fmt.Sprintf(`{"version":%d}`, version))
		if err := state.Set(t.Context(), c, "k1", "p1", text, version); err != nil && !errors.Is(err, cache.ErrOutdated) {
			t.Fatal(err)
		}
	}
	get := func() string {
		t.Helper()
		got, err := state.Get(t.Context(), c, "k1", "p1")
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			t.Fatal(err)
		}
		return string(got)
	}
	set(3)
	if got := get(); got != `{"version":3}` {
		t.Fatalf("got %q", got)
	}
	if err := (stateCache{c}).Forget(t.Context(), &production.Event{Tenant: "k1", ProductionID: "p1", Version: 5}); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != "" {
		t.Errorf("behind the event of version 5 came %q", got)
	}
	set(4)
	if got := get(); got != "" {
		t.Errorf("a slower reader has put back %q", got)
	}
	set(5)
	if got := get(); got != `{"version":5}` {
		t.Errorf("version 5 is %q", got)
	}
}
