package intake_test

import (
	"context"
	"errors"
	"fmt"
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

// streamHouse is a Redis, an engine on it, and the app that appends.
type streamHouse struct {
	t      *testing.T
	server *testenv.RedisServer
	names  *realtime.Names
	broker *redis.Broker
	app    rueidis.Client
}

func buildStream(t *testing.T, args ...string) *streamHouse {
	t.Helper()
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "updates:{tenant}", Retention: realtime.Retention{Size: 10_000, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &streamHouse{t: t, server: testenv.StartRedis(t, args...), names: names}
	if h.broker, err = redis.New(redis.Options{Address: h.server.Addr, Names: names}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.broker.Run(ctx, &listener{}) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	h.app, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{h.server.Addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.app.Close)
	return h
}

// node starts one node of the door; change may put something between it and Redis.
func (h *streamHouse) node(change func(intake.StreamSource) intake.StreamSource) (door *intake.Stream, source *redis.Stream, stop func()) {
	h.t.Helper()
	source, err := redis.NewStream(redis.Options{Address: h.server.Addr})
	if err != nil {
		h.t.Fatal(err)
	}
	var used intake.StreamSource = source
	if change != nil {
		used = change(source)
	}
	door = intake.NewStream(used, intake.StreamOptions{Names: h.names, Publisher: h.broker, ClaimAfter: 300 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = door.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done; source.Close() })
	h.t.Cleanup(stop)
	return door, source, stop
}

func (h *streamHouse) do(args ...string) rueidis.RedisResult {
	h.t.Helper()
	r := h.app.Do(context.Background(), h.app.B().Arbitrary(args...).Build())
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		h.t.Fatalf("%.100v: %v", args, err)
	}
	return r
}

func (h *streamHouse) add(from, to int) {
	h.t.Helper()
	for i := from; i < to; i++ {
		h.do("XADD", "kentongan:publish", "*", "channel", "updates:k1", "data", fmt.Sprint(i))
	}
}

// stored checks that the channel holds 0, 1 … n-1, in that order.
func (h *streamHouse) stored(n int) {
	h.t.Helper()
	page, err := h.broker.History(h.t.Context(), updatesK1, realtime.Position{}, 10_000)
	if err != nil || len(page.Publications) != n {
		h.t.Fatalf("%d publications are stored, %v; want %d", len(page.Publications), err, n)
	}
	for i, p := range page.Publications {
		if string(p.Data) != fmt.Sprint(i) {
			h.t.Fatalf("place %d holds %s", i, p.Data)
		}
	}
}

func (h *streamHouse) pending() int64 {
	h.t.Helper()
	summary, err := h.do("XPENDING", "kentongan:publish", "kentongan").ToArray()
	if err != nil {
		h.t.Fatal(err)
	}
	n, _ := summary[0].AsInt64()
	return n
}

func TestStreamFromRedis(t *testing.T) {
	h := buildStream(t)
	h.add(0, 500) // before there is any node
	door, source, stop := h.node(nil)
	h.add(500, 1000)
	h.do("XADD", "kentongan:publish", "*", "channel", "nothing", "data", "1")
	eventually(t, "all to be taken", func() bool { s := door.Stats(); return s.Stamped == 1000 && s.Poisoned == 1 })
	h.stored(1000)
	eventually(t, "all to be acknowledged and trimmed", func() bool {
		n, err := h.do("XLEN", "kentongan:publish").AsInt64()
		return err == nil && n <= 200 && h.pending() == 0 // Redis trims whole blocks of a hundred
	})
	var poison [][]string
	if err := source.Poisoned(t.Context(), 10, func(_ string, fields []string) { poison = append(poison, fields) }); err != nil {
		t.Fatal(err)
	}
	if len(poison) != 1 || !strings.Contains(strings.Join(poison[0], " "), "reason bad channel: no channel pattern matches channel nothing") {
		t.Errorf("set aside: %q", poison)
	}
	if door.Ready() != nil {
		t.Errorf("not ready: %v", door.Ready())
	}
	stop() // while it waits for entries
}

// TestStreamTakesOverFromTheDead has a consumer that was given entries and never comes back.
func TestStreamTakesOverFromTheDead(t *testing.T) {
	h := buildStream(t)
	h.add(0, 100)
	h.do("XGROUP", "CREATE", "kentongan:publish", "kentongan", "0")
	h.do("XREADGROUP", "GROUP", "kentongan", "dead", "COUNT", "60", "STREAMS", "kentongan:publish", ">")
	door, _, _ := h.node(nil)
	eventually(t, "all to be stored", func() bool { return door.Stats().Stamped == 100 && h.pending() == 0 })
	if s := door.Stats(); s.Claimed != 60 || s.Duplicates != 0 {
		t.Errorf("the door counts %+v; want 60 claimed", s)
	}
	seen := map[string]int{}
	page, err := h.broker.History(t.Context(), updatesK1, realtime.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Publications {
		seen[string(p.Data)]++
	}
	for i := range 100 {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("entry %d is stored %d times", i, seen[fmt.Sprint(i)])
		}
	}
}

// noAck loses every acknowledgement, as a node does that ends between the stamp and it.
type noAck struct{ intake.StreamSource }

func (noAck) Ack(context.Context, []string) error { return errors.New("gone") }

func TestStreamCrashBeforeTheAcknowledgement(t *testing.T) {
	h := buildStream(t)
	h.add(0, 100)
	door, _, crash := h.node(func(s intake.StreamSource) intake.StreamSource { return noAck{s} })
	eventually(t, "the stamps", func() bool { return door.Stats().Stamped >= 100 })
	crash()
	if n := h.pending(); n != 100 {
		t.Fatalf("%d are pending after the crash, want 100", n)
	}
	next, _, _ := h.node(nil)
	eventually(t, "the next node to take over", func() bool { return h.pending() == 0 })
	h.stored(100)
	if s := next.Stats(); s.Claimed != 100 || s.Duplicates != 100 {
		t.Errorf("the next node counts %+v; want all 100 claimed, and found to be duplicates", s)
	}
}

func TestStreamOutlivesRedis(t *testing.T) {
	t.Run("WithItsData", func(t *testing.T) {
		h := buildStream(t, "--appendonly", "yes", "--appendfsync", "always")
		door, _, _ := h.node(nil)
		h.add(0, 50)
		h.server.Kill()
		eventually(t, "the door to say so", func() bool { return door.Ready() != nil })
		h.server.Restart()
		eventually(t, "the app to be back", func() bool {
			return h.app.Do(context.Background(), h.app.B().Ping().Build()).Error() == nil
		})
		h.add(50, 100)
		eventually(t, "all to be acknowledged", func() bool { return door.Stats().Stamped >= 100 && h.pending() == 0 })
		h.stored(100)
	})
	t.Run("Empty", func(t *testing.T) {
		h := buildStream(t)
		door, _, _ := h.node(nil)
		h.add(0, 10)
		eventually(t, "the first", func() bool { return door.Stats().Stamped == 10 })
		h.server.Restart()
		eventually(t, "the app to be back", func() bool {
			return h.app.Do(context.Background(), h.app.B().Ping().Build()).Error() == nil
		})
		h.add(0, 10)
		eventually(t, "the next", func() bool { return door.Stats().Stamped == 20 && h.pending() == 0 })
		h.stored(10)
	})
}
