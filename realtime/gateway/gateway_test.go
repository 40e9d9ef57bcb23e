package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/hub"
	"kentongan/realtime/memory"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; nothing is measured with it.
const patience = 30 * time.Second

// door admits whoever the header X-Test-User names: "user@tenant role".
type door struct {
	mu      sync.Mutex
	expires time.Time
}

func (d *door) Admit(_ context.Context, r *http.Request) (*auth.Identity, error) {
	user, role, _ := strings.Cut(r.Header.Get("X-Test-User"), " ")
	if user == "" {
		return nil, auth.ErrNoCredential
	}
	if user == "panic" {
		panic("a mistake of ours")
	}
	name, kitchen, _ := strings.Cut(user, "@")
	d.mu.Lock()
	defer d.mu.Unlock()
	return &auth.Identity{
		Kind: auth.KindSession, Subject: name, Tenant: tenant.ID(kitchen), Role: role, Server: role == "server",
		Platform: strings.HasPrefix(role, "PLATFORM_"), IssuedAt: auth.At(time.Now()), Expires: auth.At(d.expires),
	}, nil
}

// node is a whole server but for the real credentials, on the memory engine.
type node struct {
	t       testing.TB
	addr    string
	broker  *memory.Broker
	gateway *gateway.Gateway
	door    *door
	client  *tls.Config // of those who connect; nil: without TLS
	stop    func()
}

func start(t testing.TB, opts gateway.Options) *node {
	t.Helper()
	return startOver(t, nil, opts)
}

// startOver is start with TLS, unless secure is nil.
func startOver(t testing.TB, secure *tls.Config, opts gateway.Options) *node {
	t.Helper()
	if opts.Sockets == nil {
		sockets, err := socket.Open(socket.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sockets.Close) // after stop
		opts.Sockets = sockets
	}
	names := opts.Names
	if names == nil {
		names = namesOf(t, realtime.DefaultPatterns()...)
	}
	broker, err := memory.New(memory.Options{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, broker: broker, door: &door{}}
	opts.Names, opts.Broker, opts.Presence, opts.Auth = names, broker, &memory.Presence{}, n.door
	opts.Hub = hub.New(broker, hub.Options{Names: names, Hidden: opts.Hidden})
	n.gateway = gateway.New(opts)
	mux := http.NewServeMux()
	n.gateway.Routes(mux, http.NotFoundHandler())
	server := gateway.NewServer(mux)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	var parts sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	parts.Go(func() { _ = broker.Run(ctx, opts.Hub) })
	parts.Go(func() { _ = opts.Hub.Run(ctx) })
	parts.Go(func() { _ = n.gateway.Run(ctx) })
	front := func() net.Listener { return n.gateway.Listen(l, 0) }
	if secure != nil {
		n.client = clientTLS()
		server = gateway.NewTLSServer(mux)
		front = func() net.Listener { return n.gateway.ListenTLS(l, secure, 0) }
	}
	parts.Go(func() { _ = server.Serve(front()) })
	n.stop = sync.OnceFunc(func() {
		_ = server.Close()
		cancel()
		parts.Wait()
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) publish(t tenant.ID, name, data string) {
	n.t.Helper()
	if _, err := n.broker.Publish(context.Background(), realtime.Channel{Tenant: t, Name: name}, []byte(data), realtime.PublishOptions{}); err != nil {
		n.t.Fatal(err)
	}
}

// client is a WebSocket of one user.
type client struct {
	t    testing.TB
	conn *websocket.Conn
}

func (n *node) dial(user, path string, protocols ...string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	scheme := "ws://"
	if n.client != nil {
		scheme = "wss://"
	}
	transport := &http.Transport{TLSClientConfig: n.client}
	defer transport.CloseIdleConnections()
	conn, resp, err := websocket.Dial(ctx, scheme+n.addr+path, &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Test-User": {user}}, Subprotocols: protocols, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		n.t.Fatalf("dial %s as %s: %v (status %d)", path, user, err, status)
	}
	conn.SetReadLimit(16 << 20)
	n.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{n.t, conn}
}

func (c *client) read() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return string(data)
}

// readKey reads pushes until one of the kind comes, and returns it.
func (c *client) readKey(key string) map[string]any {
	c.t.Helper()
	for {
		var push map[string]any
		text := c.read()
		if err := json.Unmarshal([]byte(text), &push); err != nil {
			c.t.Fatalf("push %q: %v", text, err)
		}
		if inner, ok := push[key].(map[string]any); ok {
			return inner
		}
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func TestBare(t *testing.T) {
	n := start(t, gateway.Options{})

	t.Run("GetsItsKitchensPayloadsVerbatimAndNoOthers", func(t *testing.T) {
		a, b := n.dial("u1@a", "/api/ws"), n.dial("u2@b", "/")
		n.publish("b", "production:updates", `{"kitchen":"b"}`)
		n.publish("a", "production:updates", `{ "kitchen" : "a", "n": 1.50 }`)
		n.publish("", "system-alert", `"all"`)
		if got := a.read(); got != `{ "kitchen" : "a", "n": 1.50 }` {
			t.Errorf("a read %s", got)
		}
		if got := a.read(); got != `"all"` {
			t.Errorf("a read %s, want the global alert", got)
		}
		if got := b.read(); got != `{"kitchen":"b"}` {
			t.Errorf("b read %s", got)
		}
	})

	t.Run("SubscribeAndPingAreAnswered", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws")
		c.send(`{"type":"ping"}`)
		if got := c.read(); !strings.Contains(got, `"pong"`) {
			t.Errorf("ping was answered with %s", got)
		}
		c.send(`{"type":"SUBSCRIBE","channels":["production:updates:a","production:alerts:a"]}`)
		for range 2 {
			if got := c.read(); !strings.Contains(got, `"subscribed"`) {
				t.Errorf("subscribe was answered with %s", got)
			}
		}
		n.publish("a", "production:updates", `1`)
		if got := c.read(); got != "1" {
			t.Errorf("read %s, want the publication once", got)
		}
		n.publish("a", "production:updates", `2`)
		if got := c.read(); got != "2" {
			t.Errorf("read %s: the publication came twice", got)
		}
	})

	t.Run("ForeignChannelLooksUnknown", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws")
		c.send(`{"type":"subscribe","channel":"production:updates:b"}`)
		foreign := c.read()
		c.send(`{"type":"subscribe","channel":"nothing:of:the:kind"}`)
		if unknown := c.read(); foreign != unknown || !strings.Contains(foreign, "NO_SUCH_CHANNEL") {
			t.Errorf("foreign %s, unknown %s; want the same refusal", foreign, unknown)
		}
	})
}

func TestV1(t *testing.T) {
	n := start(t, gateway.Options{})
	const ch = "production:updates:a"

	t.Run("SubscribeThenMessagesThenResume", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + ch + `"}}`)
		sub := c.readKey("subscribed")
		n.publish("a", "production:updates", `{"n":1}`)
		m := c.readKey("message")
		if m["channel"] != ch || m["offset"] != sub["offset"].(float64)+1 || m["epoch"] != sub["epoch"] {
			t.Errorf("message %v after %v", m, sub)
		}
		_ = c.conn.CloseNow()
		for i := range 250 { // more than two pages
			n.publish("a", "production:updates", fmt.Sprint(i))
		}
		c = n.dial("u1@a", "/api/ws", "kentongan.v1")
		c.send(fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q,"since":{"epoch":%q,"offset":%v}}}`, ch, m["epoch"], m["offset"]))
		if again := c.readKey("subscribed"); again["recovered"] != true {
			t.Fatalf("resume answered %v, want recovered", again)
		}
		next := m["offset"].(float64) + 1
		for range 250 {
			got := c.readKey("message")
			if got["offset"] != next {
				t.Fatalf("offset %v, want %v", got["offset"], next)
			}
			next++
		}
		n.publish("a", "production:updates", `"live"`)
		if got := c.readKey("message"); got["data"] != "live" || got["offset"] != next {
			t.Errorf("after the replay came %v, want the live one with offset %v", got, next)
		}
	})

	t.Run("ResumeInTheUpgradeRequest", func(t *testing.T) {
		c := n.dial("u1@a", "/api/ws?channels="+ch, "kentongan.v1")
		at := c.readKey("subscribed")
		n.publish("a", "production:updates", `"missed"`)
		again := n.dial("u1@a", fmt.Sprintf("/api/ws?channels=%s@%s/%v", ch, at["epoch"], at["offset"]), "kentongan.v1")
		if got := again.readKey("subscribed"); got["recovered"] != true {
			t.Errorf("answered %v, want recovered", got)
		}
		if got := again.readKey("message"); got["data"] != "missed" {
			t.Errorf("first message %v", got)
		}
	})

	for name, since := range map[string]string{
		"OtherEpoch":  `{"epoch":"other","offset":1}`,
		"EmptyEpoch":  `{"epoch":"","offset":1}`,
		"FromFuture":  `{"epoch":"EPOCH","offset":9007199254740991}`,
		"Negative":    `{"epoch":"EPOCH","offset":-1}`,
		"NotANumber":  `{"epoch":"EPOCH","offset":"x"}`,
		"HugeOffset":  `{"epoch":"EPOCH","offset":18446744073709551616}`,
		"NoOffset":    `{"epoch":"EPOCH"}`,
		"NotAnObject": `"EPOCH/1"`,
	} {
		t.Run("HonestGap/"+name, func(t *testing.T) {
			c := n.dial("u1@a", "/api/ws?channels="+ch, "kentongan.v1")
			epoch := c.readKey("subscribed")["epoch"].(string)
			c = n.dial("u1@a", "/api/ws", "kentongan.v1")
			c.send(`{"id":7,"subscribe":{"channel":"` + ch + `","since":` + strings.ReplaceAll(since, "EPOCH", epoch) + `}}`)
			got := c.readKey("subscribed")
			if got["recovered"] == true || got["gap"] == nil || got["gap"] == "" {
				t.Errorf("answered %v, want a gap", got)
			}
			n.publish("a", "production:updates", `"live"`)
			if m := c.readKey("message"); m["data"] != "live" {
				t.Errorf("then came %v, want only what is live", m)
			}
		})
	}

	t.Run("OtherCommands", func(t *testing.T) {
		c := n.dial("u9@a", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"subscribe":{"channel":"` + ch + `"}}`)
		c.readKey("subscribed")
		c.send(`{"id":2,"history":{"channel":"` + ch + `","limit":3}}`)
		if h := c.readKey("history"); len(h["messages"].([]any)) != 3 {
			t.Errorf("history %v, want 3 messages", h)
		}
		c.send(`{"id":3,"presence":{"channel":"` + ch + `"}}`)
		if p := fmt.Sprint(c.readKey("presence")); !strings.Contains(p, "u9") {
			t.Errorf("presence %s, want u9 in it", p)
		}
		c.send(`{"id":4,"publish":{"channel":"` + ch + `","data":1}}`)
		if e := c.readKey("error"); e["code"] != "FORBIDDEN" {
			t.Errorf("publish by a browser was answered %v", e)
		}
		c.send(`{"id":5,"unsubscribe":{"channel":"` + ch + `"}}`)
		c.readKey("unsubscribed")
		c.send(`{"id":6,"frobnicate":{}}`)
		if e := c.readKey("error"); e["code"] != "UNKNOWN_COMMAND" {
			t.Errorf("unknown command was answered %v", e)
		}
		n.publish("a", "production:updates", `1`)
		c.send(`{"id":8,"ping":{}}`)
		var push map[string]any
		if err := json.Unmarshal([]byte(c.read()), &push); err != nil || push["pong"] == nil {
			t.Errorf("after unsubscribe came %v, want just the pong", push)
		}
	})

	t.Run("ServersMayPublish", func(t *testing.T) {
		c := n.dial("app@a server", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"publish":{"channel":"` + ch + `","data":{"x":1},"key":"k1"}}`)
		first := c.readKey("published")
		c.send(`{"id":2,"publish":{"channel":"` + ch + `","data":{"x":1},"key":"k1"}}`)
		if again := c.readKey("published"); again["offset"] != first["offset"] {
			t.Errorf("repeated publish got %v, want the first position %v", again, first)
		}
		c.send(`{"id":3,"publish":{"channel":"production:updates:b","data":1}}`)
		if e := c.readKey("error"); e["code"] != "NO_SUCH_CHANNEL" {
			t.Errorf("publish into a foreign kitchen was answered %v", e)
		}
		c.send(`{"id":4,"publish":{"channel":"system-alert","data":1}}`)
		if e := c.readKey("error"); e["code"] != "NO_SUCH_CHANNEL" {
			t.Errorf("publish to everybody with a key of one kitchen was answered %v", e)
		}
	})

	t.Run("ServersMayHaveToWait", func(t *testing.T) {
		var mu sync.Mutex
		var asked []string
		limited := start(t, gateway.Options{MayPublish: func(name string, _ tenant.ID) (time.Duration, string) {
			mu.Lock()
			defer mu.Unlock()
			if asked = append(asked, name); len(asked) > 1 {
				return time.Second, "try again in 1000 ms"
			}
			return 0, ""
		}})
		c := limited.dial("app@a server", "/api/ws", "kentongan.v1")
		c.send(`{"id":1,"publish":{"channel":"` + ch + `","data":1}}`)
		c.readKey("published")
		c.send(`{"id":2,"publish":{"channel":"` + ch + `","data":2}}`)
		if e := c.readKey("error"); e["code"] != "RATE_LIMITED" || e["temporary"] != true || e["message"] != "try again in 1000 ms" {
			t.Errorf("the second publish was answered %v", e)
		}
		page, err := limited.broker.History(t.Context(), realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Position{}, 9)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || len(page.Publications) != 1 || fmt.Sprint(asked) != "[app app]" {
			t.Errorf("%d are stored, and %q asked; %v", len(page.Publications), asked, err)
		}
	})

	t.Run("ChannelLimit", func(t *testing.T) {
		limited := start(t, gateway.Options{MaxChannels: 2})
		c := limited.dial("u1@a", "/api/ws", "kentongan.v1")
		for i, name := range []string{"production:updates:a", "production:alerts:a"} {
			c.send(fmt.Sprintf(`{"id":%d,"subscribe":{"channel":%q}}`, i+1, name))
			c.readKey("subscribed")
		}
		c.send(`{"id":9,"subscribe":{"channel":"updates:a"}}`)
		if e := c.readKey("error"); e["code"] != "TOO_MANY_CHANNELS" {
			t.Errorf("one too many was answered %v", e)
		}
	})
}

// events reads an event stream.
type events struct {
	t    testing.TB
	body io.ReadCloser
	buf  *bufio.Reader
}

type event struct{ id, name, data string }

func (n *node) stream(user, query, lastID string) *events {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/api/sse"+query, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("X-Test-User", user)
	req.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		n.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		n.t.Fatalf("stream answered %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	n.t.Cleanup(func() { _ = resp.Body.Close() })
	return &events{n.t, resp.Body, bufio.NewReader(resp.Body)}
}

// next returns the next event that has the name; "" is that of messages.
func (e *events) next(name string) event {
	e.t.Helper()
	var ev event
	for {
		line, err := e.buf.ReadString('\n')
		if err != nil {
			e.t.Fatalf("stream: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if ev.data != "" && ev.name == name {
				return ev
			}
			ev = event{}
		case field == "id":
			ev.id = value
		case field == "event":
			ev.name = value
		case field == "data":
			ev.data += value
		}
	}
}

func TestSSE(t *testing.T) {
	n := start(t, gateway.Options{})

	for name, query := range map[string]string{
		"AllOfTheKitchen": "",
		"NamedChannels":   "?channels=production:updates:a,production:alerts:a,system-alert",
	} {
		t.Run("ResumesEveryChannel/"+name, func(t *testing.T) {
			s := n.stream("u1@a", query, "")
			n.publish("a", "production:updates", `1`)
			first := s.next("")
			if !strings.Contains(first.data, `"data":1`) || first.id == "" {
				t.Fatalf("first event %+v", first)
			}
			_ = s.body.Close()
			n.publish("a", "production:updates", `2`)
			n.publish("a", "production:alerts", `"alert"`)
			n.publish("", "system-alert", `"global"`)
			s = n.stream("u1@a", query, first.id)
			got := map[string]int{}
			for range 3 {
				got[s.next("").data]++
			}
			n.publish("a", "production:updates", `"live"`)
			live := s.next("")
			if !strings.Contains(live.data, `"live"`) || len(got) != 3 {
				t.Errorf("missed %v, then %+v; want the three and the live one", got, live)
			}
			// What came during the replay carries cursors, too: resuming from the last gives nothing twice.
			_ = s.body.Close()
			n.publish("a", "production:alerts", `"last"`)
			s = n.stream("u1@a", query, live.id)
			if last := s.next(""); !strings.Contains(last.data, `"last"`) {
				t.Errorf("second resume starts with %+v", last)
			}
		})
	}

	t.Run("ResumesFromThePositionsBesideTheNames", func(t *testing.T) {
		n := start(t, gateway.Options{})
		for _, data := range []string{`1`, `2`, `3`} {
			n.publish("a", "production:updates", data)
		}
		n.publish("a", "production:alerts", `"old"`)
		var head struct{ Epoch string }
		if status := n.getJSON("/api/history?channel=production:updates:a", &head); status != http.StatusOK {
			t.Fatalf("history answers %d", status)
		}
		// Of a channel without a position nothing old comes, and no gap either; one that cannot be read is a gap of its own.
		query := "?channels=production:updates:a@" + head.Epoch + "/1,production:alerts:a,menu:updates:a@rubbish"
		n.publish("a", "menu:updates", `"old"`)
		s := n.stream("u1@a", query, "")
		gap := s.next("gap")
		if !strings.Contains(gap.data, `"menu:updates:a","cause":"bad-request"`) {
			t.Errorf("first gap %+v; want the one of the position that cannot be read", gap)
		}
		_ = s.body.Close()
		s = n.stream("u1@a", strings.TrimSuffix(query, ",menu:updates:a@rubbish"), "")
		if beat := s.next("heartbeat"); !strings.Contains(beat.data, `"offsets":{"production:updates:a":3,"production:alerts:a":1}`) {
			t.Errorf("got %+v; want how far the channels are, ahead of what was missed", beat)
		}
		for _, want := range []string{`"data":2`, `"data":3`} {
			if got := s.next(""); !strings.Contains(got.data, want) {
				t.Errorf("got %+v; want %s", got, want)
			}
		}
		n.publish("a", "production:alerts", `"new"`)
		last := s.next("")
		if !strings.Contains(last.data, `"data":"new"`) {
			t.Errorf("got %+v; want the new alert", last)
		}
		// A browser that resumes by itself sends the same address and its own, newer, cursor.
		_ = s.body.Close()
		n.publish("a", "production:updates", `4`)
		s = n.stream("u1@a", strings.TrimSuffix(query, ",menu:updates:a@rubbish"), last.id)
		if got := s.next(""); !strings.Contains(got.data, `"data":4`) {
			t.Errorf("with a cursor it begins with %+v; want what is after the cursor", got)
		}
	})

	// What is published once the client has seen the answer is for it, whatever its other channels still have to catch up with.
	for name, before := range map[string]int{"NewBesideResumed": 1, "FirstOfAllBesideResumed": 0} {
		t.Run(name, func(t *testing.T) {
			n := start(t, gateway.Options{})
			n.publish("a", "production:updates", `1`)
			for range before {
				n.publish("a", "production:alerts", `"old"`)
			}
			var head struct{ Epoch string }
			if status := n.getJSON("/api/history?channel=production:updates:a", &head); status != http.StatusOK {
				t.Fatalf("history answers %d", status)
			}
			for range 20 {
				s := n.stream("u1@a", "?channels=production:updates:a@"+head.Epoch+"/0,production:alerts:a", "")
				s.next("heartbeat")
				n.publish("a", "production:alerts", `"new"`)
				for !strings.Contains(s.next("").data, `"data":"new"`) { //nolint:revive // it fails by itself if that never comes
				}
				_ = s.body.Close()
			}
		})
	}

	t.Run("UnreadableCursorIsAGap", func(*testing.T) {
		n.publish("a", "production:updates", `1`)
		s := n.stream("u1@a", "", "rubbish")
		for !strings.Contains(s.next("gap").data, `"production:updates:a"`) {
			continue // every channel that has a history tells its own
		}
	})

	t.Run("ForeignCursorIsAGap", func(t *testing.T) {
		n.publish("b", "production:updates", `"secret of b"`)
		s := n.stream("u2@b", "", "")
		n.publish("b", "production:updates", `"more of b"`)
		id := s.next("").id
		stolen := n.stream("u1@a", "", id)
		stolen.next("gap")
		n.publish("a", "production:updates", `"mine"`)
		if ev := stolen.next(""); !strings.Contains(ev.data, `"mine"`) {
			t.Errorf("first message %+v", ev)
		}
	})
}

// TestMistakeEndsOneConnection has the server panic over a handshake: the others must not notice.
func TestMistakeEndsOneConnection(t *testing.T) {
	n := start(t, gateway.Options{})
	neighbour := n.dial("u1@a", "/api/ws")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+n.addr+"/api/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Test-User": {"panic"}}})
	if err == nil {
		_ = conn.CloseNow()
		t.Error("the handshake was answered as if nothing had happened")
	}
	n.publish("a", "production:updates", `1`)
	if got := neighbour.read(); got != "1" {
		t.Errorf("the neighbour reads %s", got)
	}
}

func TestSubscribeAgain(t *testing.T) {
	n := start(t, gateway.Options{})
	c := n.dial("u1@a", "/api/ws?channels=production:updates:a", "kentongan.v1")
	c.readKey("subscribed")
	n.publish("a", "production:updates", `1`)
	m := c.readKey("message")
	c.send(`{"id":1,"subscribe":{"channel":"production:updates:a"}}`)
	if got := c.readKey("subscribed"); got["offset"] != m["offset"] || got["epoch"] != m["epoch"] {
		t.Errorf("answered %v after %v, want that position", got, m)
	}
}
