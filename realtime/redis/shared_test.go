package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
)

func TestTickets(t *testing.T) {
	b := open(t, redis.Options{Address: testenv.Redis(t)})
	tickets, ctx := b.Tickets(), t.Context()
	if _, err := tickets.TakeTicket(ctx, "none"); !errors.Is(err, redis.ErrNoTicket) {
		t.Errorf("a ticket that never was: %v, want ErrNoTicket", err)
	}
	const data = "\x00\xffdata"
	if err := tickets.PutTicket(ctx, "one", []byte(data), time.Minute); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 8 {
		wg.Go(func() {
			got, err := tickets.TakeTicket(ctx, "one")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && string(got) == data:
				taken++
			case !errors.Is(err, redis.ErrNoTicket):
				t.Errorf("take: %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if taken != 1 {
		t.Errorf("the ticket was taken %d times, want once", taken)
	}
	if err := tickets.PutTicket(ctx, "short", []byte(data), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ticket to expire", func() bool {
		_, err := tickets.TakeTicket(ctx, "short")
		return errors.Is(err, redis.ErrNoTicket)
	})
	b.Close()
	if _, err := tickets.TakeTicket(ctx, "one"); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("after Close: %v, want ErrUnavailable", err)
	}
}

// heard collects revocations.
type heard struct {
	mu  sync.Mutex
	got []string
}

func (h *heard) on(payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, string(payload))
}

func (h *heard) has(s string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.got, s)
}

func TestRevocations(t *testing.T) {
	addr := testenv.Redis(t)
	app := admin(t, addr)
	node := func() (*redis.Broker, *heard) {
		h := &heard{}
		b := open(t, redis.Options{Address: addr, OnRevocation: h.on})
		run(t, b, nothing{})
		if _, err := b.Follow(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		return b, h
	}
	one, heardOne := node()
	_, heardTwo := node()
	if err := one.AnnounceRevocation(t.Context(), []byte(`{"sub":"a"}`)); err != nil {
		t.Fatal(err)
	}
	do(t, app, "PUBLISH", "kentongan:revoke", `{"sub":"b"}`) // as the app does, which remembers nothing
	for _, h := range []*heard{heardOne, heardTwo} {
		for _, want := range []string{`{"sub":"a"}`, `{"sub":"b"}`} {
			eventually(t, want, func() bool { return h.has(want) })
		}
	}
	eventually(t, "both to be remembered", func() bool {
		n, err := do(t, app, "ZCARD", "kentongan:revoked").AsInt64()
		return err == nil && n == 2
	})
	_, later := node()
	eventually(t, "a node that starts later to hear both", func() bool { return later.has(`{"sub":"a"}`) && later.has(`{"sub":"b"}`) })

	// One that comes while a node is disconnected is read when it is back.
	do(t, app, "ZADD", "kentongan:revoked", fmt.Sprint(time.Now().UnixMilli()), `{"sub":"c"}`)
	do(t, app, "ZADD", "kentongan:revoked", "1", `{"sub":"long ago"}`)
	do(t, app, "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "the missed one", func() bool { return heardOne.has(`{"sub":"c"}`) && heardTwo.has(`{"sub":"c"}`) })
	if heardOne.has(`{"sub":"long ago"}`) {
		t.Error("one that is older than a session was told")
	}
	if err := one.AnnounceRevocation(t.Context(), nil); !errors.Is(err, realtime.ErrInvalid) {
		t.Errorf("an empty one: %v, want ErrInvalid", err)
	}
	if err := one.AnnounceRevocation(t.Context(), make([]byte, 1<<20)); !errors.Is(err, realtime.ErrInvalid) {
		t.Errorf("a large one: %v, want ErrInvalid", err)
	}
}

func members(t *testing.T, b *redis.Broker) []string {
	t.Helper()
	all, err := b.Presence().Members(context.Background(), channelA)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, m := range all {
		got = append(got, fmt.Sprintf("%s:%d", m.User, m.Sessions))
	}
	return got
}

// TestVanishedNode takes a node's keys away, as their expiry does.
func TestVanishedNode(t *testing.T) {
	addr := testenv.Redis(t)
	one, _ := follow(t, redis.Options{Address: addr})
	two, _ := follow(t, redis.Options{Address: addr})
	two.Presence().Join(channelA, "ani")
	eventually(t, "ani", func() bool { return slices.Equal(members(t, one), []string{"ani:1"}) })
	c := admin(t, addr)
	keys, err := do(t, c, "KEYS", "kentongan:{k1}:present:*").AsStrSlice()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys of presence: %q, %v; want one", keys, err)
	}
	if ttl, err := do(t, c, "PTTL", keys[0]).AsInt64(); err != nil || ttl <= 0 || ttl > realtime.PresenceExpiry.Milliseconds() {
		t.Errorf("it lives for %d ms, %v; want %v at most", ttl, err, realtime.PresenceExpiry)
	}
	do(t, c, "DEL", keys[0])
	if got := members(t, one); len(got) != 0 {
		t.Errorf("after the node has vanished there are %v", got)
	}
	if n, err := do(t, c, "SCARD", "kentongan:{k1}:present").AsInt64(); err != nil || n != 0 {
		t.Errorf("%d nodes are listed, %v; want none", n, err)
	}
	two.Presence().Join(channelA, "ani") // it had not vanished after all
	eventually(t, "ani again", func() bool { return slices.Equal(members(t, one), []string{"ani:2"}) })
	if got := members(t, two); !slices.Equal(got, []string{"ani:2"}) {
		t.Errorf("at the node itself there are %v, want its own sessions once", got)
	}
}

func TestSource(t *testing.T) {
	addr := testenv.Redis(t)
	s, err := redis.NewSource(redis.Options{Address: addr}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	type heardMessage struct {
		glob, name string
		payload    []byte
		size       int
	}
	messages, ready := make(chan heardMessage, 10), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Receive(ctx, []string{"a:*", "b"}, func() { close(ready) }, func() {},
			func(glob, name, payload []byte, size int) {
				messages <- heardMessage{string(glob), string(name), payload, size}
			})
	}()
	<-ready
	c := admin(t, addr)
	long := strings.Repeat("x", 5<<20)
	for _, m := range [][2]string{{"a:1", "one"}, {"b", ""}, {"c", "unheard"}, {"a:2", long}, {"a:" + strings.Repeat("n", 100_000), "long name"}, {"b", "last"}} {
		do(t, c, "PUBLISH", m[0], m[1])
	}
	for _, want := range []heardMessage{{"a:*", "a:1", []byte("one"), 3}, {"b", "b", []byte{}, 0}, {"a:*", "a:2", nil, len(long)}} {
		if got := <-messages; got.glob != want.glob || got.name != want.name || string(got.payload) != string(want.payload) || (got.payload == nil) != (want.payload == nil) || got.size != want.size {
			t.Errorf("heard %q %q with %d bytes of %d, want %q %q of %d", got.glob, got.name, len(got.payload), got.size, want.glob, want.name, want.size)
		}
	}
	if got := <-messages; string(got.payload) != "long name" || len(got.name) > 64<<10 {
		t.Errorf("heard %q on a name of %d bytes", got.payload, len(got.name))
	}
	if got := <-messages; string(got.payload) != "last" {
		t.Errorf("heard %q, want the last", got.payload)
	}
	do(t, c, "CLIENT", "KILL", "TYPE", "pubsub")
	if err := <-ended; err == nil {
		t.Error("a broken connection is no error")
	}
	cancel()
	if err := s.Receive(ctx, []string{"*"}, func() {}, func() {}, nil); err != nil {
		t.Errorf("after the end: %v, want nil", err)
	}
}
