package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/redis"
)

// listener writes down what a Broker delivers.
type listener struct {
	mu   sync.Mutex
	got  []string
	gaps []realtime.Gap
}

func (l *listener) Deliver(p *realtime.Publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, string(p.Data))
}

func (l *listener) Gap(g realtime.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = append(l.gaps, g)
}

func (l *listener) has(data string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.got, data)
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two questions, not for an effect
	}
}

type house struct {
	*listener
	broker *redis.Broker
	door   *intake.PubSub
	app    rueidis.Client
}

// build starts a broker, the door, and an app that publishes, all on one Redis.
func build(t *testing.T, addr string, opts intake.PubSubOptions) *house {
	t.Helper()
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	opts.Names = names
	settings := redis.Options{Address: addr, Names: names}
	h := &house{listener: &listener{}}
	if h.broker, err = redis.New(settings); err != nil {
		t.Fatal(err)
	}
	source, err := redis.NewSource(settings, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if h.door, err = intake.NewPubSub(source, h.broker.Ledger(), h.broker, opts); err != nil {
		t.Fatal(err)
	}
	h.broker.HoldWhile(h.door.Owes)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.broker.Run(ctx, h.listener) })
	wg.Go(func() { _ = h.door.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	if _, err := h.broker.Follow(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	if h.app, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.app.Close)
	eventually(t, "the door to hear", func() bool { return h.door.Ready() == nil })
	return h
}

func (h *house) publish(t *testing.T, channel, payload string) {
	t.Helper()
	if err := h.app.Do(context.Background(), h.app.B().Publish().Channel(channel).Message(payload).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

func TestPublishReachesTheSink(t *testing.T) {
	h := build(t, testenv.Redis(t), intake.PubSubOptions{TrustStart: true})
	const messages = 3000
	for i := range messages {
		h.publish(t, "production:updates:k1", fmt.Sprintf(`{"n":%d}`, i))
	}
	h.publish(t, "production:updates:k2", `{"tenant":"another"}`)
	h.publish(t, "unknown:name", `{}`)
	h.publish(t, "k", `"a name that our own prefix begins with"`)
	h.publish(t, "updates:k1", `"`+strings.Repeat("x", 5<<20)+`"`)
	h.publish(t, "updates:k1", "\xff")
	h.publish(t, "production:updates:k1", `"last"`)
	eventually(t, "the last message", func() bool { return h.has(`"last"`) })
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.got) != messages+1 {
		t.Errorf("%d messages arrived, want %d", len(h.got), messages+1)
	}
	for i := range messages {
		if want := fmt.Sprintf(`{"n":%d}`, i); h.got[i] != want {
			t.Fatalf("message %d is %s, want %s", i, h.got[i], want)
		}
	}
	if len(h.gaps) != 0 {
		t.Errorf("there are gaps: %v", h.gaps)
	}
	s := h.door.Stats()
	if s.Received != messages+6 || s.Unmatched != 2 || s.TooLarge != 1 || s.Invalid != 1 {
		t.Errorf("the door counts %+v; want to have heard the app and nothing of ours", s)
	}
}

func TestBrokenDoorIsTold(t *testing.T) {
	var mu sync.Mutex
	breaks := 0
	h := build(t, testenv.Redis(t), intake.PubSubOptions{TrustStart: true, OnBreak: func(from, to time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if breaks++; !from.Before(to) {
			t.Errorf("a break from %v to %v", from, to)
		}
	}})
	h.publish(t, "production:updates:k1", `"before"`)
	eventually(t, "the first message", func() bool { return h.has(`"before"`) })
	clients, err := h.app.Do(context.Background(), h.app.B().ClientList().TypePubsub().Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimPrefix(clients, "txt:"), "\n") {
		if id, rest, ok := strings.Cut(strings.TrimPrefix(line, "id="), " "); ok && strings.Contains(rest, "name=kentongan-intake") {
			if err := h.app.Do(context.Background(), h.app.B().Arbitrary("CLIENT", "KILL", "ID", id).Build()).Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the gap", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, g := range h.gaps {
			if g.Channel.Name == "production:updates" && g.Cause == realtime.GapIntake {
				return true
			}
		}
		return false
	})
	h.publish(t, "production:updates:k1", `"after"`)
	eventually(t, "the message after the break", func() bool { return h.has(`"after"`) })
	mu.Lock()
	defer mu.Unlock()
	if breaks != 1 {
		t.Errorf("%d breaks were told, want 1", breaks)
	}
}

func TestOnlyPatterns(t *testing.T) {
	h := build(t, testenv.Redis(t), intake.PubSubOptions{TrustStart: true, OnlyPatterns: true})
	h.publish(t, "unknown:name", `{}`)
	h.publish(t, "updates:k1", `1`)
	h.publish(t, "updates:k1", `"last"`)
	eventually(t, "the last message", func() bool { return h.has(`"last"`) })
	if s := h.door.Stats(); s.Received != 2 || s.Unmatched != 0 {
		t.Errorf("the door counts %+v, want 2 received and nothing else", s)
	}
}

// A publication is acknowledged the moment Redis is back without its data. The turn of all epochs that is owed then must not take it
// along: who was told that it is stored, was told the truth.
func TestAcknowledgedOutlivesTheTurn(t *testing.T) {
	server := testenv.StartRedis(t)
	h := build(t, server.Addr, intake.PubSubOptions{})
	for i := range 6 {
		server.Kill()
		server.Restart()
		data := fmt.Sprintf(`{"round":%d}`, i)
		eventually(t, "a publication to be stored", func() bool {
			_, err := h.broker.Publish(t.Context(), realtime.Channel{Tenant: "k1", Name: "production:updates"}, []byte(data), realtime.PublishOptions{})
			return err == nil
		})
		eventually(t, "what was stored to be delivered: "+data, func() bool { return h.has(data) })
	}
}
