//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
)

// fleet is some servers on one Redis, of which any may be killed.
type fleet struct {
	t     *testing.T
	redis string
	nodes []*server
}

func (f *fleet) start() *server {
	f.t.Helper()
	s := serve(f.t, "REDIS_URL=redis://"+f.redis, "KENTONGAN_HISTORY_SIZE=100000", "KENTONGAN_LOG_LEVEL=info")
	f.nodes = append(f.nodes, s)
	eventually(f.t, "readiness", func() bool { status, _ := s.get("/readyz"); return status == http.StatusOK })
	return s
}

func (f *fleet) forget(s *server) {
	for i, other := range f.nodes {
		if other == s {
			f.nodes = append(f.nodes[:i:i], f.nodes[i+1:]...)
		}
	}
}

// holder waits for the node that stamps, other than not.
func (f *fleet) holder(not *server) (holder *server) {
	f.t.Helper()
	eventually(f.t, "a node that stamps", func() bool {
		for _, s := range f.nodes {
			if s == not {
				continue
			}
			if _, body := s.get("/readyz"); strings.Contains(body, "this node stamps") {
				holder = s
				return true
			}
		}
		return false
	})
	return holder
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// stream follows channels with kentongan.v1 and writes down what comes.
type stream struct {
	mu   sync.Mutex
	got  map[string][]string // data by channel
	last time.Time
	gaps []string
	err  error
}

func follow(t *testing.T, s *server, channels []string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, _, err := websocket.Dial(ctx, "ws://"+s.Addr+"/api/ws", &websocket.DialOptions{
		Subprotocols: []string{"kentongan.v1"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + apiKey}},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	out := &stream{got: map[string][]string{}}
	for i, channel := range channels {
		if err := conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"id":%d,"subscribe":{"channel":%q}}`, i+1, channel)); err != nil {
			t.Fatal(err)
		}
	}
	subscribed := make(chan struct{}, len(channels))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				out.mu.Lock()
				out.err = err
				out.mu.Unlock()
				return
			}
			if strings.Contains(string(data), `"subscribed"`) {
				subscribed <- struct{}{}
			}
			out.take(data)
		}
	})
	t.Cleanup(func() { cancel(); _ = conn.CloseNow(); wg.Wait() })
	for range channels {
		select {
		case <-subscribed:
		case <-time.After(patience):
			t.Fatal("not subscribed")
		}
	}
	return out
}

func (s *stream) take(data []byte) {
	var push struct {
		Message *struct {
			Channel string
			Data    json.RawMessage
		}
		Gap json.RawMessage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch err := json.Unmarshal(data, &push); {
	case err != nil:
		s.err = err
	case push.Message != nil:
		s.got[push.Message.Channel] = append(s.got[push.Message.Channel], string(push.Message.Data))
		s.last = time.Now()
	case push.Gap != nil:
		s.gaps = append(s.gaps, string(data))
	}
}

// seen returns when the last message came, and how many did.
func (s *stream) seen() (at time.Time, messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, got := range s.got {
		messages += len(got)
	}
	return s.last, messages
}

// history reads all that is kept of a channel.
func history(t *testing.T, s *server, channel string) (data []string) {
	t.Helper()
	var page struct {
		Epoch    string
		Offset   uint64
		Messages []struct {
			Offset uint64
			Data   json.RawMessage
		}
		Gap json.RawMessage
	}
	epoch, offset := "", uint64(0)
	for {
		query := url.Values{"channel": {channel}, "limit": {"1000"}}
		if epoch != "" {
			query.Set("epoch", epoch)
			query.Set("offset", fmt.Sprint(offset))
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr+"/api/history?"+query.Encode(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+apiKey)
		status, text := do(t, req)
		page.Messages = nil
		if err := json.Unmarshal([]byte(text), &page); status != http.StatusOK || err != nil || page.Gap != nil {
			t.Fatalf("history of %s: status %d, %.300s", channel, status, text)
		}
		if len(page.Messages) == 0 {
			return data
		}
		for _, m := range page.Messages {
			data = append(data, string(m.Data))
			offset++
			if m.Offset != offset {
				t.Fatalf("history of %s has offset %d, want %d", channel, m.Offset, offset)
			}
		}
		epoch = page.Epoch
	}
}

// TestEachPublishIsStampedOnceWhileNodesComeAndGo publishes with plain PUBLISH, 2,000 messages a second, while the node that
// stamps is killed, stopped, hangs and wakes up, or loses a connection, and others join. In the end history has each message once and in
// order, and so has a client that was there all the time; no gap was told.
func TestEachPublishIsStampedOnceWhileNodesComeAndGo(t *testing.T) {
	t.Parallel()
	f := &fleet{t: t, redis: testenv.Redis(t)}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{f.redis}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first := f.start()
	eventually(t, "the turn of the start", func() bool { return strings.Contains(first.output(), "all epochs turned") })
	stays := f.start() // and is never killed
	f.start()
	channels := []string{"production:updates:k1", "menu:updates:k1", "production:updates:k2", "system-alert"}
	out := follow(t, stays, channels)

	var published atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			var batch rueidis.Commands
			for range 10 {
				n := int(published.Load())
				batch = append(batch, client.B().Publish().Channel(channels[n%len(channels)]).Message(fmt.Sprintf(`{"n":%d}`, n)).Build())
				published.Add(1)
			}
			for _, r := range client.DoMulti(context.Background(), batch...) {
				if err := r.Error(); err != nil {
					t.Errorf("PUBLISH: %v", err)
					return
				}
			}
			<-tick.C
		}
	})

	// flows waits until messages come again, and returns how long none did.
	flows := func(what string, since time.Time) {
		t.Helper()
		eventually(t, "messages after "+what, func() bool { at, _ := out.seen(); return time.Since(since) > 200*time.Millisecond && at.After(since) })
	}
	quiet := func(what string, limit time.Duration, do func()) {
		t.Helper()
		longest, last := time.Duration(0), time.Now()
		watch, end := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() {
			for ; watch.Err() == nil; time.Sleep(time.Millisecond) {
				if at, _ := out.seen(); at.After(last) {
					last = at
				} else if d := time.Since(last); d > longest {
					longest = d
				}
			}
		})
		do()
		time.Sleep(limit)
		end()
		watching.Wait()
		t.Logf("%s: the client heard nothing for %v", what, longest.Round(time.Millisecond))
	}
	// other returns the node that stamps; it is not the one with the client.
	other := func() *server {
		if h := f.holder(nil); h != stays {
			return h
		}
		quiet("the client's node hangs for 2 s and wakes up", time.Second, func() {
			stays.signal(syscall.SIGSTOP)
			time.Sleep(2 * time.Second)
			stays.signal(syscall.SIGCONT)
		})
		return f.holder(stays)
	}
	h := other()
	quiet("kill -9", time.Second, func() { h.kill(); f.forget(h) })
	f.start()
	flows("a node joined", time.Now())
	h = other()
	quiet("SIGSTOP for 5 s", time.Second, func() {
		h.signal(syscall.SIGSTOP)
		time.Sleep(5 * time.Second)
		h.signal(syscall.SIGCONT)
	})
	eventually(t, "the one that woke up to stand by", func() bool {
		_, body := h.get("/readyz")
		return strings.Contains(body, "this one stands by")
	})
	h = other()
	quiet("a clean stop", time.Second, func() { h.stop(); f.forget(h) })
	f.start()
	for range 3 {
		quiet("a connection of each node is killed", time.Second, func() { killOneConnectionEach(t, client, 2*len(f.nodes)) })
	}
	h = other()
	quiet("kill -9 again", time.Second, func() { h.kill(); f.forget(h) })
	stop()
	wg.Wait()

	want := map[string][]string{}
	for n := range int(published.Load()) {
		channel := channels[n%len(channels)]
		want[channel] = append(want[channel], fmt.Sprintf(`{"n":%d}`, n))
	}
	eventually(t, "the last message", func() bool { _, n := out.seen(); return n >= int(published.Load()) })
	for _, channel := range channels {
		compare(t, "history of "+channel, history(t, stays, channel), want[channel])
		out.mu.Lock()
		compare(t, "the client's "+channel, out.got[channel], want[channel])
		out.mu.Unlock()
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if len(out.gaps) > 0 || out.err != nil {
		t.Errorf("the client was told %d gaps, the first %.200s, and ended with %v; want none, and to go on", len(out.gaps), out.gaps, out.err)
	}
	t.Logf("%d messages", published.Load())
}

// killOneConnectionEach kills every other one of the connections that hear PUBLISH, of which each node has two, as soon as all are there.
func killOneConnectionEach(t *testing.T, client rueidis.Client, all int) {
	t.Helper()
	var ids []string
	eventually(t, "two connections of each node that hear PUBLISH", func() bool { // those that were killed come back, and a new node has its first
		list, err := client.Do(t.Context(), client.B().ClientList().TypePubsub().Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		ids = nil
		for _, m := range regexp.MustCompile(`(?m)^(?:txt:)?id=(\d+) .*name=kentongan-intake .*$`).FindAllStringSubmatch(list, -1) {
			ids = append(ids, m[1])
		}
		return len(ids) == all
	})
	for i := 0; i < len(ids); i += 2 { // in the order of their ids: a node opens its two at the same time
		if err := client.Do(t.Context(), client.B().Arbitrary("CLIENT", "KILL", "ID", ids[i]).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: message %d is %s, want %s", what, i, got[i], want[i])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d messages, want %d", what, len(got), len(want))
	}
}
