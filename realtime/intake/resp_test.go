package intake_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

const (
	keyOfAll = "a-key-of-all-kitchens"
	keyOfK1  = "a-key-of-the-kitchen-k1"
)

// hubListeners is what the app makes of a hub for the door.
type hubListeners struct{ *hub.Hub }

type hubListening struct {
	hub *hub.Hub
	sub *hub.Subscription
}

type hearer func(string, *realtime.Publication)

func (h hearer) Offer(m *hub.Message) { h(m.Wire(), m.Publication) }
func (h hearer) OfferBatch(b *hub.Batch) {
	for _, m := range b.Messages {
		h.Offer(m)
	}
}

func (hearer) Near() uint64 { return 0 }

func (hearer) OfferGap(string, realtime.Gap) {}

func (l hubListeners) Listen(
	ctx context.Context, ch realtime.Channel, home tenant.ID, hear func(string, *realtime.Publication),
) (intake.Listening, error) {
	sub, err := l.Subscribe(ctx, hearer(hear), ch, home)
	return hubListening{l.Hub, sub}, err
}

func (l hubListening) Start(first func()) {
	l.hub.GoLive(l.sub, func(hub.Heads) bool { first(); return true })
}
func (l hubListening) Stop() { l.hub.Unsubscribe(l.sub) }

// respHouse is a Redis door in front of a memory engine.
type respHouse struct {
	door   *intake.RESP
	broker *memory.Broker
	addr   string
	stop   func() // ends Serve and waits for it
}

func openDoor(t testing.TB, change ...func(*intake.RESPOptions)) *respHouse {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openDoorAt(t, l, change...)
}

func openDoorAt(t testing.TB, l net.Listener, change ...func(*intake.RESPOptions)) *respHouse {
	t.Helper()
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.New(auth.Options{APIKeys: []auth.APIKey{{Name: "all", Key: keyOfAll}, {Name: "one", Key: keyOfK1, Tenant: "k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	broker, err := memory.New(memory.Options{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	h := hub.New(broker, hub.Options{Names: names})
	opts := intake.RESPOptions{Keys: keys, Names: names, Publisher: broker, Listeners: hubListeners{h}, MaxBytes: 64 << 10}
	for _, f := range change {
		f(&opts)
	}
	house := &respHouse{door: intake.NewRESP(opts), broker: broker}
	house.addr = l.Addr().String()
	parts, stopParts := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(parts) })
	wg.Go(func() { _ = broker.Run(parts, h) })
	go func() { served <- house.door.Serve(ctx, l) }()
	house.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() { house.stop(); stopParts(); wg.Wait() })
	return house
}

// respClient speaks the protocol by hand.
type respClient struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (h *respHouse) dial(t testing.TB) *respClient {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &respClient{t, c, bufio.NewReader(c)}
}

// signedIn is a connection with a key.
func (h *respHouse) signedIn(t testing.TB, key string) *respClient {
	t.Helper()
	c := h.dial(t)
	c.want("+OK", "AUTH", key)
	return c
}

func respArray(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func (c *respClient) send(args ...string) { c.raw(respArray(args...)) }

func (c *respClient) raw(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// value reads one value and spells it: bulks as they are, aggregates in brackets with their kind.
func (c *respClient) value() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	var n int
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(':
		return line, nil
	case '$', '=', '!':
		if _, err := fmt.Sscan(line[1:], &n); err != nil || n < 0 {
			return "null", err
		}
		b := make([]byte, n+2)
		_, err := io.ReadFull(c.r, b)
		return string(b[:n]), err
	case '*', '>', '%', '~':
		if line == "*-1" {
			return "null", nil
		}
		if _, err := fmt.Sscan(line[1:], &n); err != nil {
			return "", err
		}
		if line[0] == '%' {
			n *= 2
		}
		parts := make([]string, n)
		for i := range parts {
			if parts[i], err = c.value(); err != nil {
				return "", err
			}
		}
		return line[:1] + "[" + strings.Join(parts, " ") + "]", nil
	}
	return "", fmt.Errorf("%q is no value", line)
}

func (c *respClient) next() string {
	c.t.Helper()
	v, err := c.value()
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return v
}

// want sends a command, if there is one, and compares the answer; "…" at the end stands for anything.
func (c *respClient) want(answer string, args ...string) {
	c.t.Helper()
	if len(args) > 0 {
		c.send(args...)
	}
	got := c.next()
	if begin, open := strings.CutSuffix(answer, "…"); got != answer && (!open || !strings.HasPrefix(got, begin)) {
		c.t.Errorf("%.60q: got %.200q, want %q", args, got, answer)
	}
}

// ended checks that the server has closed.
func (c *respClient) ended() {
	c.t.Helper()
	if v, err := c.value(); err == nil {
		c.t.Errorf("got %q, want the end", v)
	} else if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		c.t.Error("the connection stays open")
	}
}

const badChannel = "-ERR bad channel…"

func TestRESPCommands(t *testing.T) {
	h := openDoor(t)
	c := h.dial(t)
	for _, command := range []string{"PING", "PUBLISH updates:k1 1", "SELECT 0", "INFO", "GET a", "SUBSCRIBE updates:k1", "HELLO 3"} {
		c.want("-NOAUTH …", strings.Fields(command)...)
	}
	c.want("-WRONGPASS …", "AUTH", "no-such-key-at-all")
	c.want("-WRONGPASS …", "AUTH", "one", keyOfAll)
	c.want("+OK", "AUTH", "all", keyOfAll)
	for _, row := range []struct {
		answer, command string
	}{
		{"+OK", "AUTH default " + keyOfAll},
		{"+PONG", "ping"},
		{"hey", "PING hey"},
		{"hey", "ECHO hey"},
		{"+OK", "SELECT 3"},
		{"-ERR DB index…", "SELECT -1"},
		{"# Server\r\nredis_version:…", "INFO"},
		{"+OK", "CLIENT SETINFO LIB-NAME ioredis"},
		{"null", "CLIENT GETNAME"},
		{"+OK", "CLIENT SETNAME kitchen"},
		{"kitchen", "CLIENT GETNAME"},
		{"-ERR Client names…", "CLIENT SETNAME a\x01"},
		{":1", "CLIENT ID"},
		{"id=1 addr=127…", "CLIENT LIST"},
		{"-ERR unknown subcommand 'REPLY'…", "CLIENT REPLY OFF"},
		{"*[]", "COMMAND"},
		{"*[]", "COMMAND DOCS"},
		{":19", "COMMAND COUNT"},
		{"-ERR unknown command 'GET': this door takes PUBLISH…", "GET a"},
		{"-ERR wrong number of arguments for 'publish' command", "PUBLISH updates:k1"},
		{"-NOPROTO …", "HELLO 4"},
		{"-ERR Syntax error in HELLO option 'X'", "HELLO 3 X"},
		{"*[server redis version 7.2.0 proto :2 id :1 mode standalone role master modules *[]]", "HELLO"},
		{"%[server redis version 7.2.0 proto :3 id :1 mode standalone role master modules *[]]", "HELLO 3 SETNAME other"},
		{"other", "CLIENT GETNAME"},
		{"+RESET", "RESET"},
		{"-NOAUTH …", "PING"},
		{"%[server…", "HELLO 3 AUTH default " + keyOfK1},
		{"+OK", "QUIT"},
	} {
		c.want(row.answer, strings.Fields(row.command)...)
	}
	c.ended()
}

func TestRESPPublish(t *testing.T) {
	h := openDoor(t)
	one, all := h.signedIn(t, keyOfK1), h.signedIn(t, keyOfAll)
	for _, row := range []struct {
		c                     *respClient
		answer, channel, data string
	}{
		{one, ":0", "production:updates:k1", `{"a":1}`},
		{all, ":0", "production:updates:k1", `{"a":2}`},
		{all, ":0", "system-alert", `{}`},
		{one, badChannel, "system-alert", `{}`}, // hears it, but does not speak there
		{one, badChannel, "production:updates:k2", `{}`},
		{one, badChannel, "nothing:k1", `{}`},
		{one, badChannel, "", `{}`},
		{one, badChannel, "production:updates:k1\n", `{}`},
		{one, "-ERR invalid JSON…", "production:updates:k1", `{`},
		{one, "-ERR invalid JSON…", "production:updates:k1", ""},
		{one, "-ERR invalid JSON…", "production:updates:k1", "\"\xff\""},
		{one, "-ERR too large…", "production:updates:k1", `"` + strings.Repeat("x", 64<<10) + `"`},
		{one, "-ERR too large…", "production:updates:k1", `"` + strings.Repeat("x", 5<<20) + `"`},
		{one, ":0", "production:updates:k1", `{"a":3}`},
	} {
		row.c.want(row.answer, "PUBLISH", row.channel, row.data)
	}
	one.want(":0", "SPUBLISH", "production:updates:k1", `{"a":4}`)
	page, err := h.broker.History(t.Context(), realtime.Channel{Tenant: "k1", Name: "production:updates"}, realtime.Position{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range page.Publications {
		if want := fmt.Sprintf(`{"a":%d}`, i+1); string(p.Data) != want {
			t.Errorf("publication %d is %s, want %s", i, p.Data, want)
		}
	}
	if st := h.door.Stats(); len(page.Publications) != 4 || st.Stamped != 5 || st.Refused != 10 {
		t.Errorf("%d are stored, and the door counts %+v; want 4, 5 stamped and 10 refused", len(page.Publications), st)
	}
}

func TestRESPSubscribe(t *testing.T) {
	h := openDoor(t)
	one, all := h.signedIn(t, keyOfK1), h.signedIn(t, keyOfAll)
	one.want("-ERR bad channel…", "SUBSCRIBE", "updates:k1", "updates:k2") // and none of both is followed
	one.want(`*[subscribe updates:k1 :1]`, "SUBSCRIBE", "updates:k1", "system-alert")
	one.want(`*[subscribe system-alert :2]`)
	one.want(`*[psubscribe *:k1 :3]`, "PSUBSCRIBE", "*:k1", "[u-z]*")
	one.want(`*[psubscribe [u-z]* :4]`)
	all.want("-ERR PSUBSCRIBE needs a key of one kitchen…", "PSUBSCRIBE", "*")
	all.want("*[subscribe updates:k2 :1]", "SUBSCRIBE", "updates:k2")
	one.want("-ERR Can't execute 'publish'…", "PUBLISH", "updates:k1", "1")
	one.want("*[pong ]", "PING")

	publisher := h.signedIn(t, keyOfAll)
	publisher.want(":2", "PUBLISH", "updates:k1", `{"n":1}`)
	publisher.want(":1", "PUBLISH", "menu:updates:k1", `{"n":2}`)
	publisher.want(":1", "PUBLISH", "updates:k2", `{"n":3}`) // of another kitchen: only the key of all hears it
	publisher.want(":2", "PUBLISH", "system-alert", `{"n":4}`)
	got := map[string]bool{}
	for range 5 {
		got[one.next()] = true
	}
	for _, want := range []string{
		`*[message updates:k1 {"n":1}]`, `*[pmessage *:k1 updates:k1 {"n":1}]`, `*[pmessage [u-z]* updates:k1 {"n":1}]`,
		`*[pmessage *:k1 menu:updates:k1 {"n":2}]`, `*[message system-alert {"n":4}]`,
	} {
		if !got[want] {
			t.Errorf("%s did not come; what came: %v", want, got)
		}
	}
	all.want(`*[message updates:k2 {"n":3}]`)

	one.want("*[unsubscribe updates:k1 :3]", "UNSUBSCRIBE", "updates:k1")
	one.want("*[punsubscribe *:k1 :2]", "PUNSUBSCRIBE")
	one.want("*[punsubscribe [u-z]* :1]")
	one.want("*[punsubscribe null :1]", "PUNSUBSCRIBE")
	publisher.want(":0", "PUBLISH", "updates:k1", `{"n":5}`)
	one.want("*[unsubscribe system-alert :0]", "UNSUBSCRIBE")
	one.want("*[unsubscribe null :0]", "UNSUBSCRIBE")
	one.want(":0", "PUBLISH", "updates:k1", `{"n":6}`)
}

// TestRESPThreeHearsAndSpeaks has one connection for both, as RESP3 allows.
func TestRESPThreeHearsAndSpeaks(t *testing.T) {
	h := openDoor(t)
	c := h.dial(t)
	c.want("%[server…", "HELLO", "3", "AUTH", "one", keyOfK1)
	c.want(">[subscribe updates:k1 :1]", "SUBSCRIBE", "updates:k1")
	c.send("PUBLISH", "updates:k1", `{"n":1}`)
	if a, b := c.next(), c.next(); a != ":1" && b != ":1" || a != `>[message updates:k1 {"n":1}]` && b != `>[message updates:k1 {"n":1}]` {
		t.Errorf("got %s and %s; want the answer and the message", a, b)
	}
	c.want("+PONG", "PING")
	c.want("_", "CLIENT", "GETNAME")
	c.want(">[unsubscribe updates:k1 :0]", "UNSUBSCRIBE")
}

// TestRESPOrder pipelines far more than may be in flight.
func TestRESPOrder(t *testing.T) {
	h := openDoor(t)
	const messages = 5000
	c, listener := h.signedIn(t, keyOfK1), h.signedIn(t, keyOfK1)
	listener.want("*[subscribe updates:k1 :1]", "SUBSCRIBE", "updates:k1")
	go func() {
		var b strings.Builder
		for i := range messages {
			b.WriteString(respArray("PUBLISH", "updates:k1", fmt.Sprint(i)))
			if i%100 == 0 {
				b.WriteString(respArray("ECHO", fmt.Sprint(i)))
			}
		}
		_, _ = io.WriteString(c, b.String()) // the answers tell
	}()
	for i := range messages {
		c.want(":1")
		if i%100 == 0 {
			c.want(fmt.Sprint(i))
		}
		listener.want(fmt.Sprintf("*[message updates:k1 %d]", i))
	}
}

// manual is an engine that stores when it is told to.
type manual struct {
	mu   sync.Mutex
	done []func(realtime.Published, error)
}

func (m *manual) PublishAsync(_ realtime.Channel, _ []byte, _ realtime.PublishOptions, done func(realtime.Published, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = append(m.done, done)
}

func (m *manual) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.done)
}

// finish answers publication i.
func (m *manual) finish(i int, err error) {
	m.mu.Lock()
	done := m.done[i]
	m.mu.Unlock()
	done(realtime.Published{}, err)
}

func TestRESPAnswersAfterItIsStored(t *testing.T) {
	engine := &manual{}
	h := openDoor(t, func(o *intake.RESPOptions) { o.Publisher = engine })
	c, other := h.signedIn(t, keyOfAll), h.signedIn(t, keyOfAll)
	for range 3 {
		c.send("PUBLISH", "updates:k1", "1")
	}
	c.send("PING")
	eventually(t, "all to be sent on", func() bool { return engine.waiting() == 3 })
	other.want("+PONG", "PING") // does not wait for the other connection
	engine.finish(2, fmt.Errorf("late: %w", realtime.ErrOverloaded))
	engine.finish(1, realtime.ErrUnavailable)
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if v, err := c.value(); err == nil {
		t.Errorf("%s came before the first publication was stored", v)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	engine.finish(0, nil)
	c.want(":0")
	c.want("-ERR not ready: the engine cannot be reached; it may or may not have been stored")
	c.want("-ERR not ready: too much at once; it was not stored, send it again")
	c.want("+PONG")
}

// TestRESPTooFast has two publications a second, and a time of its own.
func TestRESPTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		h := openDoorAt(t, l, func(o *intake.RESPOptions) { o.Rates = &intake.Publishing{Keys: intake.NewRates(2)} })
		c, again := l.dial(t), l.dial(t)
		c.want("-ERR bad channel…", "PUBLISH", "nothing", "1") // what is refused anyway costs nothing
		c.want(":0", "PUBLISH", "updates:k1", "1")
		again.want(":0", "PUBLISH", "updates:k2", "2")
		const refusal = "-ERR rate: this key publishes more than 2 a second; it was not stored, try again in 500 ms"
		c.want(refusal, "PUBLISH", "updates:k1", "3")
		again.want(refusal, "PUBLISH", "updates:k1", "3") // a key, and not a connection
		time.Sleep(500 * time.Millisecond)
		c.want(":0", "PUBLISH", "updates:k1", "3")
		if st := h.door.Stats(); st.Stamped != 3 || st.Limited != 2 || st.Refused != 1 {
			t.Errorf("the door counts %+v; want 3 stamped, 2 limited and 1 refused", st)
		}
	})
}

// TestRESPStopAnswersWhatItHasRead ends the door while a publication is under way.
func TestRESPStopAnswersWhatItHasRead(t *testing.T) {
	engine := &manual{}
	h := openDoor(t, func(o *intake.RESPOptions) { o.Publisher = engine })
	c := h.signedIn(t, keyOfAll)
	c.send("PUBLISH", "updates:k1", "1")
	eventually(t, "it to be sent on", func() bool { return engine.waiting() == 1 })
	stopped := make(chan struct{})
	go func() { h.stop(); close(stopped) }()
	time.AfterFunc(20*time.Millisecond, func() { engine.finish(0, nil) })
	c.want(":0")
	c.ended()
	<-stopped
}

func TestRESPLimits(t *testing.T) {
	t.Run("Silence", func(t *testing.T) {
		c := openDoor(t, func(o *intake.RESPOptions) { o.SignInWithin = 30 * time.Millisecond }).dial(t)
		c.want("-NOAUTH no key came in time")
		c.ended()
	})
	t.Run("Idle", func(t *testing.T) {
		h := openDoor(t, func(o *intake.RESPOptions) { o.IdleFor = 50 * time.Millisecond })
		listens := h.signedIn(t, keyOfAll)
		listens.want("*[subscribe updates:k1 :1]", "SUBSCRIBE", "updates:k1")
		h.signedIn(t, keyOfAll).ended()
		listens.want("*[pong still]", "PING", "still") // who listens may be silent
	})
	t.Run("WrongKeys", func(t *testing.T) {
		h := openDoor(t)
		c := h.dial(t)
		for range 3 {
			c.want("-WRONGPASS …", "AUTH", "no-such-key")
		}
		c.ended()
		if st := h.door.Stats(); st.Denied != 3 {
			t.Errorf("counts %+v, want 3 denied", st)
		}
	})
	t.Run("Connections", func(t *testing.T) {
		h := openDoor(t, func(o *intake.RESPOptions) { o.MaxConnections = 2 })
		first := h.signedIn(t, keyOfAll)
		h.signedIn(t, keyOfAll)
		h.dial(t).want("-ERR max number of clients reached")
		first.want("+OK", "QUIT")
		first.ended()
		eventually(t, "a free place", func() bool { return h.door.Stats().Connections == 1 })
		h.signedIn(t, keyOfAll)
	})
	t.Run("Channels", func(t *testing.T) {
		c := openDoor(t, func(o *intake.RESPOptions) { o.MaxChannels = 2 }).signedIn(t, keyOfAll)
		c.want("-ERR too many subscriptions…", "SUBSCRIBE", "updates:a", "updates:b", "updates:c")
	})
	t.Run("Slow", func(t *testing.T) {
		h := openDoor(t, func(o *intake.RESPOptions) { o.MaxBacklog = 256 << 10 })
		slow := h.signedIn(t, keyOfK1)
		slow.want("*[subscribe updates:k1 :1]", "SUBSCRIBE", "updates:k1")
		publisher := h.signedIn(t, keyOfK1)
		data := `"` + strings.Repeat("x", 60<<10) + `"`
		for h.door.Stats().Slow == 0 {
			publisher.want(":…", "PUBLISH", "updates:k1", data)
		}
		publisher.want("+PONG", "PING")
	})
}

// TestRESPBrokenProtocol sends what is no command: before signing in and after it.
func TestRESPBrokenProtocol(t *testing.T) {
	h := openDoor(t)
	for _, in := range []string{
		"*1\r\n$9223372036854775807\r\n", "*9223372036854775807\r\n", "*1\r\n$-5\r\nPING\r\n", "*x\r\n", "*1\r\n+PING\r\n",
		"*1\r\n$4\r\nPINGxx\r\n", "*\r\n", "*1\r\n$\r\n", "POST / HTTP/1.1\r\n", "host: a\r\n", strings.Repeat("x", 9<<10),
		"*" + strings.Repeat("1", 9<<10), "*100000\r\n", "*1\r\n$536870913\r\n",
		"*1\r\n$18446744073709551620\r\nPING\r\n", "*18446744073709551617\r\n$4\r\nPING\r\n", // 4 and 1, if they overflowed
	} {
		for _, c := range []*respClient{h.dial(t), h.signedIn(t, keyOfAll)} {
			c.raw(in)
			c.want("-ERR Protocol error…")
			c.ended()
		}
	}
	c := h.dial(t)
	c.raw("*1\r\n$10000\r\n") // more than a stranger may say
	c.want("-ERR Protocol error…")
	c = h.dial(t)
	c.raw("\r\n*0\r\n*-1\r\nauth " + keyOfAll + "\r\nping\r\n")
	c.want("+OK")
	c.want("+PONG")
}

// FuzzRESPCommand sends a command with random arguments on a connection that has signed in: whatever it is, the door answers,
// or ends that connection, and the next one is served. What a fuzzer makes up reaches no kitchen but that of the key.
func FuzzRESPCommand(f *testing.F) {
	for _, seed := range []string{
		"PUBLISH|updates:k1|1", "PUBLISH|updates:k2|1", "SUBSCRIBE|updates:k1|system-alert", "PSUBSCRIBE|[", "UNSUBSCRIBE", "PUNSUBSCRIBE|*",
		"HELLO|3|SETNAME|a", "HELLO|2|AUTH|default", "AUTH|a|b", "CLIENT|LIST", "COMMAND|DOCS", "SELECT|1", "RESET", "QUIT|now", "INFO|all", "\r\n",
	} {
		f.Add(seed)
	}
	h := openDoor(f)
	f.Fuzz(func(t *testing.T, words string) {
		c := h.signedIn(t, keyOfK1)
		c.raw(respArray(strings.Split(words, "|")...) + respArray("QUIT"))
		for {
			v, err := c.value()
			if err == nil {
				continue
			}
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || v != "" {
				t.Fatalf("%q: after %q %v", words, v, err)
			}
			break
		}
		page, err := h.broker.History(t.Context(), realtime.Channel{Tenant: "k2", Name: "updates"}, realtime.Position{}, 1)
		if err != nil || page.Head.Offset > 0 {
			t.Fatalf("%q reached another kitchen: %v, %v", words, page, err)
		}
		h.signedIn(t, keyOfK1).want("+PONG", "PING")
	})
}
