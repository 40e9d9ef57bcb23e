package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
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

// heardMessage is one message as a Source tells it.
type heardMessage struct {
	glob, name string
	payload    []byte
	size       int
}

// hearer is a stamping.Hearer that passes everything on.
type hearer struct {
	ready    chan string
	messages chan heardMessage
	marks    chan string
	answers  chan stamping.Answer
	pongs    chan int64
	wants    atomic.Bool
	spare    atomic.Bool
}

func newHearer() *hearer {
	h := &hearer{
		ready: make(chan string, 1), messages: make(chan heardMessage, 100), marks: make(chan string, 100),
		answers: make(chan stamping.Answer, 100), pongs: make(chan int64, 100),
	}
	h.wants.Store(true)
	return h
}

func (h *hearer) Ready(name string)         { h.ready <- name }
func (h *hearer) Ponged(sent int64)         { h.pongs <- sent }
func (h *hearer) Wants() bool               { return h.wants.Load() }
func (h *hearer) Marked(mark string)        { h.marks <- mark }
func (h *hearer) Learned(a stamping.Answer) { h.answers <- a }
func (h *hearer) Rest(bool) time.Duration   { return time.Millisecond }
func (h *hearer) Spare() bool               { return h.spare.Load() }
func (h *hearer) Message(glob, name, payload []byte, size int) {
	h.messages <- heardMessage{string(glob), string(name), payload, size}
}

func TestSource(t *testing.T) {
	addr := testenv.Redis(t)
	s, err := redis.NewSource(redis.Options{Address: addr, SilenceLimit: 300 * time.Millisecond}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	h := newHearer()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Receive(ctx, []string{"a:*", "b"}, h) }()
	feed := <-h.ready
	c := admin(t, addr)
	if n, err := do(t, c, "PUBSUB", "NUMSUB", feed).AsIntMap(); err != nil || n[feed] != 1 {
		t.Errorf("subscribers of %s: %v, %v; want 1", feed, n, err)
	}
	long := strings.Repeat("x", 5<<20)
	for _, m := range [][2]string{{"a:1", "one"}, {"b", ""}, {"c", "unheard"}, {"a:2", long}, {"a:" + strings.Repeat("n", 100_000), "long name"}, {"b", "last"}} {
		do(t, c, "PUBLISH", m[0], m[1])
	}
	for _, want := range []heardMessage{{"a:*", "a:1", []byte("one"), 3}, {"b", "b", []byte{}, 0}, {"a:*", "a:2", nil, len(long)}} {
		if got := <-h.messages; got.glob != want.glob || got.name != want.name || string(got.payload) != string(want.payload) || (got.payload == nil) != (want.payload == nil) || got.size != want.size {
			t.Errorf("heard %q %q with %d bytes of %d, want %q %q of %d", got.glob, got.name, len(got.payload), got.size, want.glob, want.name, want.size)
		}
	}
	if got := <-h.messages; string(got.payload) != "long name" || len(got.name) > 64<<10 {
		t.Errorf("heard %q on a name of %d bytes", got.payload, len(got.name))
	}
	if got := <-h.messages; string(got.payload) != "last" {
		t.Errorf("heard %q, want the last", got.payload)
	}

	// What is not wanted is not read, and marks are not subject to what messages are.
	h.wants.Store(false)
	do(t, c, "PUBLISH", "a:1", "not wanted")
	answers := "a n.1 n.2 -3" + strings.Repeat(" n.1 "+strings.Repeat("m", 100)+" 4", 20)
	for _, word := range []string{"m n.7", "m", "nonsense", "a n.1 n.2", "a n.1 n.2 three", "", answers} {
		do(t, c, "PUBLISH", "kentongan:intake:marks", word)
	}
	if got := <-h.messages; got.payload != nil || got.size != len("not wanted") {
		t.Errorf("what is not wanted came with %q of %d bytes", got.payload, got.size)
	}
	if got := <-h.marks; got != "n.7" {
		t.Errorf("met mark %q, want n.7", got)
	}
	if got := <-h.answers; got != (stamping.Answer{Numbering: "n.1", Mark: "n.2", Number: -3}) {
		t.Errorf("learned %+v", got)
	}
	for range 20 {
		<-h.answers
	}
	if len(h.marks)+len(h.answers) > 0 {
		t.Error("nonsense is taken for a mark or an answer")
	}
	if sent := <-h.pongs; time.Since(time.Unix(0, sent)) > time.Minute {
		t.Errorf("a pong of %v", time.Unix(0, sent))
	}
	do(t, c, "CLIENT", "KILL", "TYPE", "pubsub")
	if err := <-ended; err == nil {
		t.Error("a broken connection is no error")
	}
	cancel()
	if err := s.Receive(ctx, []string{"*"}, newHearer()); err != nil {
		t.Errorf("after the end: %v, want nil", err)
	}
}
