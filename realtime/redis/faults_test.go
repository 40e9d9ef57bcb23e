package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
)

var channelA = realtime.Channel{Tenant: "k1", Name: "production:updates"}

// watcher is a Sink that checks the promise of realtime.Sink for each channel: the next offset, or a gap before.
type watcher struct {
	t  *testing.T
	mu sync.Mutex

	at        map[realtime.Channel]realtime.Position
	delivered map[realtime.Channel][]string
	gaps      map[realtime.Channel][]realtime.Gap
}

func newWatcher(t *testing.T) *watcher {
	return &watcher{
		t: t, at: map[realtime.Channel]realtime.Position{}, delivered: map[realtime.Channel][]string{},
		gaps: map[realtime.Channel][]realtime.Gap{},
	}
}

func (w *watcher) Deliver(p *realtime.Publication) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.at[p.Channel]; ok && p.Position != (realtime.Position{Epoch: last.Epoch, Offset: last.Offset + 1}) {
		w.t.Errorf("%v: %v is delivered after %v", p.Channel, p.Position, last)
	}
	w.at[p.Channel] = p.Position
	w.delivered[p.Channel] = append(w.delivered[p.Channel], string(p.Data))
}

func (w *watcher) Gap(g realtime.Gap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[g.Channel] = g.Position
	w.gaps[g.Channel] = append(w.gaps[g.Channel], g)
}

func (w *watcher) has(ch realtime.Channel, data string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.delivered[ch], data)
}

func (w *watcher) gapCount(ch realtime.Channel) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.gaps[ch])
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

// follow starts a broker with a watcher that follows k1.
func follow(t *testing.T, opts redis.Options) (*redis.Broker, *watcher) {
	t.Helper()
	b, w := open(t, opts), newWatcher(t)
	run(t, b, w)
	var h realtime.Heads
	var err error
	eventually(t, "to follow", func() bool { // with limits as short as some tests set, a busy machine may not answer at once
		h, err = b.Follow(t.Context(), "k1")
		return !errors.Is(err, realtime.ErrUnavailable)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.at[channelA]; !ok {
		w.at[channelA] = h.At(channelA.Name)
	}
	return b, w
}

// admin is a plain client, to do to Redis what operators and accidents do.
func admin(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func do(t *testing.T, c rueidis.Client, args ...string) rueidis.RedisResult {
	t.Helper()
	r := c.Do(context.Background(), c.B().Arbitrary(args...).Build())
	if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%v: %v", args, err)
	}
	return r
}

// publishUntil publishes distinct data from several goroutines until stop, and returns what was acknowledged.
func publishUntil(t *testing.T, b *redis.Broker, stop <-chan struct{}) (wait func() map[string]realtime.Position) {
	acked := map[string]realtime.Position{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				data := fmt.Sprintf(`{"g":%d,"i":%d}`, g, i)
				p, err := b.Publish(context.Background(), channelA, []byte(data), realtime.PublishOptions{})
				if err == nil {
					mu.Lock()
					acked[data] = p.Position
					mu.Unlock()
				} else if !errors.Is(err, realtime.ErrUnavailable) {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	return func() map[string]realtime.Position { wg.Wait(); return acked }
}

// settle publishes a last message until it is acknowledged, and waits until it is delivered.
func settle(t *testing.T, b *redis.Broker, w *watcher) {
	t.Helper()
	eventually(t, "a publish that succeeds and arrives", func() bool {
		data := fmt.Sprintf(`{"last":%d}`, rand.Int64())
		if _, err := b.Publish(context.Background(), channelA, []byte(data), realtime.PublishOptions{}); err != nil {
			return false
		}
		for range 200 {
			if w.has(channelA, data) {
				return true
			}
			time.Sleep(5 * time.Millisecond)
		}
		return false
	})
}

// exactlyOnce checks that what was acknowledged was delivered once, and nothing else was delivered twice.
func exactlyOnce(t *testing.T, w *watcher, acked map[string]realtime.Position) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	times := map[string]int{}
	for _, d := range w.delivered[channelA] {
		times[d]++
		if times[d] == 2 {
			t.Errorf("%s was delivered twice", d)
		}
	}
	for d, p := range acked {
		if times[d] == 0 {
			t.Errorf("%s was acknowledged at %v and never delivered", d, p)
		}
	}
	t.Logf("%d acknowledged, %d delivered, %d gaps", len(acked), len(w.delivered[channelA]), len(w.gaps[channelA]))
}

// TestConnectionsKilled kills every connection of the broker again and again while it publishes.
func TestConnectionsKilled(t *testing.T) {
	addr := testenv.Redis(t)
	opts := redis.Options{Address: addr, Names: bigHistory(t)}
	b, w := follow(t, opts)
	killer := admin(t, addr)
	stop := make(chan struct{})
	wait := publishUntil(t, b, stop)
	broke := func() bool { s := b.Stats(); return s.Reconnects >= 2 && s.Repaired > 0 && s.Retried > 0 }
	for n, end := 0, time.Now().Add(30*time.Second); n < 60 || !broke() && time.Now().Before(end); n++ {
		time.Sleep(rand.N(10 * time.Millisecond)) // a random point is the point
		clients, err := do(t, killer, "CLIENT", "LIST").ToString()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimPrefix(clients, "txt:"), "\n") { // RESP3 names the format
			if id, ok := fieldOf(line, "id"); ok && strings.Contains(line, "name=kentongan-") && rand.N(2) == 0 {
				do(t, killer, "CLIENT", "KILL", "ID", id)
			}
		}
	}
	close(stop)
	acked := wait()
	settle(t, b, w)
	exactlyOnce(t, w, acked)
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: history holds everything", n)
	}
	if s := b.Stats(); !broke() {
		t.Errorf("nothing broke, so nothing is proved: %+v", s)
	} else {
		t.Logf("%+v", s)
	}
}

func fieldOf(line, key string) (string, bool) {
	for f := range strings.FieldsSeq(line) {
		if v, ok := strings.CutPrefix(f, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

// bigHistory keeps so much that no test's outage outgrows it.
func bigHistory(t *testing.T) *realtime.Names {
	t.Helper()
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "production:updates:{tenant}", Retention: realtime.Retention{Size: 1_000_000, Age: time.Hour}},
		{Spelling: "production:alerts:{tenant}", Retention: realtime.Retention{Size: 10, Age: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestRestartKeepsEpoch restarts a Redis that writes everything to disk before it answers: nothing is lost, so nothing is
// told.
func TestRestartKeepsEpoch(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	b, w := follow(t, redis.Options{Address: server.Addr, Names: bigHistory(t)})
	stop := make(chan struct{})
	wait := publishUntil(t, b, stop)
	for range 3 {
		before := b.Stats().Published
		eventually(t, "publications", func() bool { return b.Stats().Published > before+50 })
		server.Kill()
		server.Restart()
	}
	close(stop)
	acked := wait()
	settle(t, b, w)
	exactlyOnce(t, w, acked)
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: nothing was lost", n)
	}
}

// TestRestartEmpty restarts a Redis that keeps nothing: the epoch is another one, and it is told.
func TestRestartEmpty(t *testing.T) {
	server := testenv.StartRedis(t)
	b, w := follow(t, redis.Options{Address: server.Addr})
	first, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	eventually(t, "Ready to say so", func() bool { return b.Ready() != nil })
	server.Restart()
	eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
	settle(t, b, w)
	eventually(t, "Ready", func() bool { return b.Ready() == nil })
	page, err := b.History(t.Context(), channelA, first.Position, 10)
	if err != nil || page.Gap != realtime.GapEpoch || page.Head.Epoch == first.Position.Epoch {
		t.Errorf("history after the restart: %+v, %v; want gap %q and another epoch", page, err, realtime.GapEpoch)
	}
}

func TestFlushed(t *testing.T) {
	addr := testenv.Redis(t)
	b, w := follow(t, redis.Options{Address: addr})
	for range 5 {
		if _, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	do(t, admin(t, addr), "FLUSHALL")
	p, err := b.Publish(t.Context(), channelA, []byte(`"after"`), realtime.PublishOptions{})
	if err != nil || p.Position.Offset != 1 {
		t.Fatalf("the first publish after FLUSHALL: %v, %v; want offset 1", p, err)
	}
	eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
	settle(t, b, w)
}

// TestForgottenTail takes acknowledged publications away, as a failover to a replica that was behind does. Their offsets
// must not be given out a second time in the same epoch.
func TestForgottenTail(t *testing.T) {
	for name, after := range map[string]func(*testing.T, rueidis.Client){
		"found by publishing": func(*testing.T, rueidis.Client) {},
		"found by a reconnect": func(t *testing.T, c rueidis.Client) {
			do(t, c, "CLIENT", "KILL", "TYPE", "pubsub")
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr := testenv.Redis(t)
			b, w := follow(t, redis.Options{Address: addr})
			var last realtime.Published
			for range 5 {
				var err error
				if last, err = b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "deliveries", func() bool { return b.Stats().Delivered == 5 })
			c := admin(t, addr)
			do(t, c, "HSET", "kentongan:{k1}:head", "o:"+channelA.Name, "3")
			do(t, c, "XDEL", "kentongan:{k1}:h:"+channelA.Name, "4-0", "5-0")
			if after(t, c); name == "found by a reconnect" {
				eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
			}
			next, err := b.Publish(t.Context(), channelA, []byte(`2`), realtime.PublishOptions{})
			if err != nil || next.Position.Epoch == last.Position.Epoch {
				t.Errorf("the next publish: %v, %v; want another epoch than %s", next.Position, err, last.Position.Epoch)
			}
			eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
			settle(t, b, w)
		})
	}
}

func TestPaused(t *testing.T) {
	server := testenv.StartRedis(t)
	opts := redis.Options{Address: server.Addr, CommandTimeout: 400 * time.Millisecond, SilenceLimit: 300 * time.Millisecond}
	b, w := follow(t, opts)
	settle(t, b, w)
	server.Pause()
	// None of these has a deadline of its own, so that a test which hangs here has found a call that does not end.
	_, err := b.Publish(context.Background(), channelA, []byte(`2`), realtime.PublishOptions{})
	if !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
	if _, err := b.History(context.Background(), channelA, realtime.Position{}, 1); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("history: %v, want ErrUnavailable", err)
	}
	if _, err := b.Follow(context.Background(), "k2"); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("follow: %v, want ErrUnavailable", err)
	}
	if _, err := b.Presence().Members(context.Background(), channelA); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("members: %v, want ErrUnavailable", err)
	}
	eventually(t, "Ready to say so", func() bool { return b.Ready() != nil })
	server.Resume()
	settle(t, b, w)
	eventually(t, "Ready", func() bool { return b.Ready() == nil })
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: nothing was lost", n)
	}
}

// TestPausedAnswers publishes in all ways while Redis hangs. None of them waits for Redis: it goes on only when all have been answered.
// What became of a publication may be unknown; then it comes once at most.
func TestPausedAnswers(t *testing.T) {
	t.Parallel() // most of it is waiting for answers that do not come
	server := testenv.StartRedis(t)
	opts := redis.Options{
		Address: server.Addr, Names: bigHistory(t), AnswerLimit: 500 * time.Millisecond, SilenceLimit: 500 * time.Millisecond,
		CommandTimeout: 30 * time.Second,
	}
	b, w := follow(t, opts)
	for round := range 5 {
		settle(t, b, w)
		server.Pause()
		type answer struct {
			data string
			err  error
		}
		answers := make(chan answer, 100)
		for i := range 20 {
			data := fmt.Sprintf(`{"round":%d,"async":%d}`, round, i)
			b.PublishAsync(channelA, []byte(data), realtime.PublishOptions{Within: 500 * time.Millisecond}, func(_ realtime.Published, err error) {
				answers <- answer{data, err}
			})
			go func() {
				data := fmt.Sprintf(`{"round":%d,"sync":%d}`, round, i)
				_, err := b.Publish(context.Background(), channelA, []byte(data), realtime.PublishOptions{})
				answers <- answer{data, err}
			}()
		}
		never := map[string]bool{}
		for range 40 {
			a := <-answers
			if !errors.Is(a.err, realtime.ErrUnavailable) {
				t.Errorf("%s is answered with %v, want ErrUnavailable", a.data, a.err)
			}
			if errors.Is(a.err, realtime.ErrNotStored) {
				never[a.data] = true
			}
		}
		// Once the connection is given up nothing goes out any more, and that is known.
		eventually(t, "a publication that is not stored for certain", func() bool {
			data := fmt.Sprintf(`{"round":%d,"late":%d}`, round, rand.Int64())
			_, err := b.Publish(context.Background(), channelA, []byte(data), realtime.PublishOptions{})
			if errors.Is(err, realtime.ErrNotStored) {
				never[data] = true
			}
			return never[data]
		})
		// What nobody can send again waits for Redis, however long that takes.
		kept := make(chan error, 1)
		data := fmt.Sprintf(`{"round":%d,"kept":true}`, round)
		b.PublishAsync(channelA, []byte(data), realtime.PublishOptions{}, func(_ realtime.Published, err error) { kept <- err })
		eventually(t, "Ready to say so", func() bool { return b.Ready() != nil })
		server.Resume()
		if err := <-kept; err != nil {
			t.Errorf("what was kept: %v", err)
		}
		settle(t, b, w)
		eventually(t, "what was kept", func() bool { return w.has(channelA, data) })
		for data := range never {
			if w.has(channelA, data) {
				t.Errorf("%s is delivered, and its publisher was told that it is not stored", data)
			}
		}
	}
	exactlyOnce(t, w, nil)
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: nothing was lost", n)
	}
}

// TestSentToAHangingRedis sends publications into the socket of a Redis that hangs, gives the connection up, and sends them again when it
// goes on, which then finds both. They are carried out once.
func TestSentToAHangingRedis(t *testing.T) {
	server := testenv.StartRedis(t)
	b, w := follow(t, redis.Options{
		Address: server.Addr, Names: bigHistory(t), AnswerLimit: 100 * time.Millisecond, CommandTimeout: 30 * time.Second,
		SilenceLimit: 10 * time.Second, Retries: 100, GatherFor: 100 * time.Millisecond,
	})
	for round, tries := 0, 0; round < 3; {
		settle(t, b, w)
		stored := make(chan error, 300) // gathered after settle's, to be sent when Redis hangs
		retried := b.Stats().Retried
		for i := range 300 {
			data := fmt.Sprintf(`{"try":%d,"i":%d,"x":%q}`, tries, i, strings.Repeat("x", 2000)) // more than Redis reads at once
			b.PublishAsync(channelA, []byte(data), realtime.PublishOptions{}, func(_ realtime.Published, err error) { stored <- err })
		}
		server.Pause()
		given := false
		eventually(t, "a connection that is given up", func() bool {
			given = b.Stats().Retried > retried
			return given || len(stored) == cap(stored)
		})
		server.Resume()
		for range 300 {
			if err := <-stored; err != nil {
				t.Errorf("published to a Redis that hung: %v", err)
			}
		}
		if tries++; given {
			round++
		} else if tries == 100 { // a busy machine may need longer for this than the publications are gathered: then Redis had them before
			t.Fatal("Redis has never hung while publications were sent")
		}
	}
	settle(t, b, w)
	exactlyOnce(t, w, nil)
}

// TestLateBytes has the network deliver what was sent long after its connection was given up and it was sent again.
func TestLateBytes(t *testing.T) {
	proxy := newProxy(t, testenv.Redis(t))
	b, w := follow(t, redis.Options{Address: proxy.addr, Names: bigHistory(t), AnswerLimit: 200 * time.Millisecond, CommandTimeout: 30 * time.Second})
	settle(t, b, w)
	proxy.hold()
	stored := make(chan error, 1)
	b.PublishAsync(channelA, []byte(`"late"`), realtime.PublishOptions{}, func(_ realtime.Published, err error) { stored <- err })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	eventually(t, "its delivery", func() bool { return w.has(channelA, `"late"`) })
	proxy.release()
	for range 10 {
		settle(t, b, w) // time for the late bytes to arrive
	}
	exactlyOnce(t, w, nil)
	if b.Stats().Retried == 0 {
		t.Error("nothing was sent again: nothing is proved")
	}
}

// TestRestartEmptyKeepsTheQueue kills a Redis that comes back with nothing while publications wait: they are stamped in the new epoch,
// and the rest is told as a gap.
func TestRestartEmptyKeepsTheQueue(t *testing.T) {
	server := testenv.StartRedis(t)
	b, w := follow(t, redis.Options{Address: server.Addr, Names: bigHistory(t)})
	settle(t, b, w)
	w.mu.Lock()
	old := w.at[channelA].Epoch
	w.mu.Unlock()
	server.Kill()
	stored := make(chan realtime.Published, 100)
	for i := range 100 {
		b.PublishAsync(channelA, fmt.Appendf(nil, `{"waits":%d}`, i), realtime.PublishOptions{}, func(p realtime.Published, err error) {
			if err != nil {
				t.Errorf("published while Redis was away: %v", err)
			}
			stored <- p
		})
	}
	eventually(t, "Ready to say so", func() bool { return b.Ready() != nil })
	server.Restart()
	for i := range 100 {
		if p := <-stored; p.Position.Epoch == old || p.Position.Offset != uint64(i+1) {
			t.Errorf("publication %d is at %v, want offset %d of another epoch than %s", i, p.Position, i+1, old)
		}
	}
	eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
	settle(t, b, w)
	exactlyOnce(t, w, nil)
	page, err := b.History(t.Context(), channelA, realtime.Position{}, 1000)
	if err != nil || len(page.Publications) < 100 {
		t.Errorf("history has %d publications, %v; want all 100", len(page.Publications), err)
	}
}

// TestHalfOpen swallows what Redis sends on open connections, as a broken middlebox does: Redis counts the message as
// delivered, the kernel sees nothing wrong. New connections work.
func TestHalfOpen(t *testing.T) {
	proxy := newProxy(t, testenv.Redis(t))
	b, w := follow(t, redis.Options{Address: proxy.addr, SilenceLimit: 300 * time.Millisecond, CommandTimeout: 600 * time.Millisecond})
	settle(t, b, w)
	proxy.swallow()
	settle(t, b, w)
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none: history holds everything", n)
	}
	if b.Stats().Reconnects < 2 {
		t.Error("the dead connection was not replaced")
	}
}

// TestHalfOpenEach breaks one direction of one connection at a time, on a quiet day: nothing is published that could show it. Each is
// noticed by itself and replaced, and nothing is lost, nor told to be.
func TestHalfOpenEach(t *testing.T) {
	addr := testenv.Redis(t)
	for direction, harm := range map[string]int32{"FromRedis": harmSwallow, "ToRedis": harmMute} {
		for _, name := range []string{"ask", "publish", "subscribe"} {
			t.Run(direction+"/"+name, func(t *testing.T) {
				t.Parallel()
				proxy := newProxy(t, addr)
				b, w := follow(t, redis.Options{Address: proxy.addr, Prefix: newPrefix(), Names: bigHistory(t)})
				settle(t, b, w)
				before := proxy.of(name)
				for _, c := range before {
					c.harm.Store(harm)
				}
				began := time.Now()
				eventually(t, "another connection", func() bool { return len(proxy.of(name)) > len(before) })
				t.Logf("replaced after %v", time.Since(began))
				settle(t, b, w)
				exactlyOnce(t, w, nil)
				if n := w.gapCount(channelA); n != 0 {
					t.Errorf("%d gaps were told, want none: history holds everything", n)
				}
			})
		}
		t.Run(direction+"/intake", func(t *testing.T) {
			t.Parallel()
			proxy := newProxy(t, addr)
			s, err := redis.NewSource(redis.Options{Address: proxy.addr}, 1000)
			if err != nil {
				t.Fatal(err)
			}
			h, ended := newHearer(), make(chan error, 1)
			go func() { ended <- s.Receive(context.Background(), []string{"quiet:*"}, h) }()
			<-h.ready
			proxy.harm(harm)
			began := time.Now()
			err = <-ended
			t.Logf("noticed after %v: %v", time.Since(began), err)
			if err == nil || !strings.Contains(err.Error(), "no sign of life") {
				t.Errorf("Receive ends with %v, want that there was no sign of life", err)
			}
		})
	}
}

// TestAnswerLost cuts the connection in the moment in which the answer to a publish comes: it was stored, and the node
// does not know.
func TestAnswerLost(t *testing.T) {
	proxy := newProxy(t, testenv.Redis(t))
	b, w := follow(t, redis.Options{Address: proxy.addr, Names: bigHistory(t), SilenceLimit: 300 * time.Millisecond})
	for i := 0; b.Stats().Retried < 10; i++ { // now and then another question of the node meets the cut
		if i == 50 {
			t.Fatalf("%d answers of %d were lost, want 10", b.Stats().Retried, i)
		}
		settle(t, b, w) // the connections are up
		var page realtime.Page
		eventually(t, "the head", func() bool { // the connection for questions may be on its way back, too
			var err error
			page, err = b.History(t.Context(), channelA, realtime.Position{}, 0)
			return err == nil
		})
		want := page.Head.Offset + 1
		key := ""
		if i%2 == 1 {
			key = fmt.Sprint("key", i)
		}
		proxy.cut()
		p, err := b.Publish(t.Context(), channelA, fmt.Appendf(nil, `{"lost":%d}`, i), realtime.PublishOptions{Key: key})
		if err != nil || p.Position.Offset != want || p.Duplicate {
			t.Errorf("publish with the lost answer: %+v, %v; want offset %d, no duplicate", p, err, want)
		}
	}
	settle(t, b, w)
	exactlyOnce(t, w, nil)
	// A channel without history has no memory of tokens: there the honest answer is that nobody knows.
	none := realtime.Channel{Tenant: "k1", Name: "kept-nowhere"}
	for i := 0; ; i++ { // a question of the node may meet the cut, and the publication goes over the next connection
		settle(t, b, w)
		proxy.cut()
		_, err := b.Publish(t.Context(), none, []byte(`2`), realtime.PublishOptions{})
		if errors.Is(err, realtime.ErrUnavailable) {
			break
		}
		if err != nil || i == 50 {
			t.Fatalf("without history: %v, want ErrUnavailable", err)
		}
	}
}

// TestAnswerLostAndTurned loses the answer to a publish, and all epochs are turned before it is repeated: the repeat finds it in the
// history that was left, and does not store it again. The publisher may have published there before, or not, and somebody else, and
// the turn may come twice.
func TestAnswerLostAndTurned(t *testing.T) {
	addr := testenv.Redis(t)
	for _, c := range []struct{ before, after, turns int }{{1, 0, 1}, {1, 3, 1}, {0, 0, 1}, {0, 3, 1}, {1, 0, 2}, {0, 3, 2}, {0, 0, 0}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			proxy, prefix := newProxy(t, addr), newPrefix()
			b, w := follow(t, redis.Options{Address: proxy.addr, Prefix: prefix, Names: bigHistory(t)})
			other, _ := follow(t, redis.Options{Address: addr, Prefix: prefix, Names: bigHistory(t)})
			publish := func(b *redis.Broker, text string) realtime.Position {
				t.Helper()
				p, err := b.Publish(t.Context(), channelA, []byte(text), realtime.PublishOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return p.Position
			}
			first := publish(other, `"first"`)
			for range c.before {
				publish(b, `"known"`)
			}
			proxy.cut()
			var held, turned atomic.Bool
			b.HoldWhile(func() error {
				if held.Load() && !turned.Load() {
					return errors.New("not turned yet")
				}
				held.Store(true) // from the second try on
				return nil
			})
			lost := make(chan realtime.Position, 1)
			go func() {
				p, err := b.Publish(context.Background(), channelA, []byte(`"lost"`), realtime.PublishOptions{})
				if err != nil {
					t.Error(err)
				}
				lost <- p.Position
			}()
			eventually(t, "the first try to be stored", func() bool {
				page, err := other.History(t.Context(), channelA, first, 100)
				return err == nil && len(page.Publications) > c.before
			})
			for range c.turns {
				if err := other.TurnEpoch(t.Context(), realtime.Channel{Tenant: channelA.Tenant}, realtime.GapIntake); err != nil {
					t.Fatal(err)
				}
			}
			for range c.after {
				publish(other, `"new"`)
			}
			turned.Store(true)
			want := realtime.Position{Epoch: first.Epoch, Offset: first.Offset + uint64(c.before) + 1}
			if got := <-lost; got != want {
				t.Errorf("the repeat is answered with %v, want %v", got, want)
			}
			settle(t, b, w)
			page, err := other.History(t.Context(), channelA, realtime.Position{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Publications {
				if string(p.Data) == `"lost"` && p.Position != want {
					t.Errorf("it was stored again, at %v", p.Position)
				}
			}
		})
	}
}

// TestHold holds publications back: who waits is told why when the time is over, nothing is stored, an operator is told when it lasts and when
// it is over, and then the next one goes through.
func TestHold(t *testing.T) {
	var log syncBuffer
	b, w := follow(t, redis.Options{Address: testenv.Redis(t), AnswerLimit: 700 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	settle(t, b, w)
	why := errors.New("readers have to be told first")
	var held atomic.Bool
	held.Store(true)
	b.HoldWhile(func() error {
		if held.Load() {
			return why
		}
		return nil
	})
	for i := 0; i == 0 || !strings.Contains(log.String(), "publications wait"); i++ { // a busy machine may sleep over the moment to tell
		_, err := b.Publish(t.Context(), channelA, []byte(`"held"`), realtime.PublishOptions{})
		if !errors.Is(err, realtime.ErrNotStored) || !errors.Is(err, why) || i == 10 {
			t.Fatalf("publish: %v; want ErrNotStored, and why, and to be told in the log", err)
		}
	}
	if text := log.String(); strings.Count(text, "publications wait") != 1 || !strings.Contains(text, why.Error()) {
		t.Errorf("the log has not once that publications wait, and why:\n%s", text)
	}
	if strings.Contains(log.String(), "publications go on") {
		t.Error("the log says that publications go on, and they do not")
	}
	held.Store(false)
	settle(t, b, w)
	if !strings.Contains(log.String(), "publications go on") {
		t.Errorf("the log does not say that publications go on:\n%s", log.String())
	}
	page, err := b.History(t.Context(), channelA, realtime.Position{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Publications {
		if string(p.Data) == `"held"` {
			t.Error("what was answered as not stored is in the history")
		}
	}
}

// syncBuffer is a buffer that a log may be written to from anywhere.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestWrongPassword(t *testing.T) {
	const secret = "not-the-password-4711"
	server := testenv.StartRedis(t, "--requirepass", "right")
	b := open(t, redis.Options{Address: server.Addr, Password: secret, CommandTimeout: 300 * time.Millisecond})
	run(t, b, nothing{})
	_, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
	if !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
	eventually(t, "Ready to name the reason", func() bool {
		err := b.Ready()
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Fatalf("Ready tells the password: %v", err)
		}
		return err != nil && strings.Contains(err.Error(), "WRONGPASS")
	})
	right, w := follow(t, redis.Options{Address: server.Addr, Password: "right", DB: 3})
	settle(t, right, w)
}

func TestOptions(t *testing.T) {
	for name, opts := range map[string]redis.Options{
		"prefix with a glob":  {Prefix: "a*:"},
		"prefix with a brace": {Prefix: "a{b}:"},
		"negative database":   {DB: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := redis.New(opts); err == nil {
				b.Close()
				t.Error("New accepts it")
			}
		})
	}
}

// TestOverloaded fills the queue while Redis does not answer.
func TestOverloaded(t *testing.T) {
	server := testenv.StartRedis(t)
	b := open(t, redis.Options{Address: server.Addr, MaxQueue: 10, CommandTimeout: 500 * time.Millisecond})
	server.Pause()
	var overloaded, others, pending atomic.Int32
	var wg sync.WaitGroup
	for range 600 { // one batch is on its way, ten wait
		wg.Add(1)
		b.PublishAsync(channelA, []byte(`1`), realtime.PublishOptions{}, func(_ realtime.Published, err error) {
			defer wg.Done()
			switch {
			case errors.Is(err, realtime.ErrOverloaded) && errors.Is(err, realtime.ErrUnavailable):
				overloaded.Add(1)
			case errors.Is(err, realtime.ErrUnavailable):
				others.Add(1)
			default:
				pending.Add(1)
				t.Errorf("unexpected answer %v", err)
			}
		})
	}
	wg.Wait()
	server.Resume()
	if overloaded.Load() == 0 || others.Load() == 0 || overloaded.Load()+others.Load() != 600 {
		t.Errorf("%d overloaded, %d unavailable; want some of each, 600 in sum", overloaded.Load(), others.Load())
	}
}
