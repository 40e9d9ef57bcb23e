package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/hub"
	"kentongan/realtime/memory"
	"kentongan/realtime/socket"
)

// pipes is a listener in memory: in a bubble of synctest, time passes only while all wait, which a real socket never does.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.close(); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// clocked is a node whose time is that of a bubble.
type clocked struct {
	*node
	listener *pipes
	begin    time.Time
	user     string     // who connects: "user@tenant"
	endsMu   sync.Mutex // guards ends
	ends     []net.Conn
}

// hangUp ends all connections. Over TLS a server says farewell, and would wait for those who do not read it.
func (n *clocked) hangUp() {
	for _, conn := range n.ends {
		_ = conn.Close()
	}
}

// inBubble runs test with a node that was made in a bubble and ends there: once over plain connections and once over TLS, which has to
// make no difference.
func inBubble(t *testing.T, opts gateway.Options, test func(t *testing.T, n *clocked)) {
	t.Helper()
	t.Run("Plain", func(t *testing.T) { inBubbleOver(t, false, opts, test) })
	t.Run("TLS", func(t *testing.T) { inBubbleOver(t, true, opts, test) })
}

func inBubbleOver(t *testing.T, secure bool, opts gateway.Options, test func(t *testing.T, n *clocked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		names := opts.Names
		if names == nil {
			names = namesOf(t, realtime.DefaultPatterns()...)
		}
		broker, err := memory.New(memory.Options{Names: names})
		if err != nil {
			t.Fatal(err)
		}
		n := &clocked{node: &node{t: t, broker: broker, door: &door{}}, listener: newPipes(), begin: time.Now(), user: "u1@a"}
		if late, ok := opts.Broker.(*latecomer); ok {
			late.Broker = broker
		} else {
			opts.Broker = broker
		}
		opts.Names, opts.Presence, opts.Auth = names, &memory.Presence{}, n.door
		opts.Hub = hub.New(broker, hub.Options{Names: names, Hidden: opts.Hidden})
		if opts.Devices != nil {
			opts.Devices = &memory.Devices{} // which remembers nothing of the other bubble
		}
		opts.Sockets = socket.NewPortable(nil)
		defer opts.Sockets.Close() // a farewell over TLS waits for its reader, but not for ever
		n.gateway = gateway.New(opts)
		mux := http.NewServeMux()
		n.gateway.Routes(mux, http.NotFoundHandler())
		server := gateway.NewServer(mux)
		var parts sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		parts.Go(func() { _ = broker.Run(ctx, opts.Hub) })
		parts.Go(func() { _ = opts.Hub.Run(ctx) })
		parts.Go(func() { _ = n.gateway.Run(ctx) })
		front := gateway.Listen(n.listener)
		if secure {
			n.client = clientTLS()
			server = gateway.NewTLSServer(mux)
			front = n.gateway.ListenTLS(n.listener, serverTLS("h2", "http/1.1"), 0) // a client that does not ask speaks HTTP/1.1
		}
		parts.Go(func() { _ = server.Serve(front) })
		defer parts.Wait()
		defer cancel()
		defer func() { _ = server.Close() }()
		defer n.hangUp()
		test(t, n)
	})
}

func namesOf(t testing.TB, patterns ...realtime.Pattern) *realtime.Names {
	t.Helper()
	names, err := realtime.NewNames(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// at is the time since the bubble began.
func (n *clocked) at() time.Duration { return time.Since(n.begin) }

// peer is a client that does only what the test says: it answers nothing by itself.
type peer struct {
	n    *clocked
	conn net.Conn
	r    *bufio.Reader
}

// request sends one by hand.
func (n *clocked) request(path, lines string) *peer {
	n.t.Helper()
	var ours net.Conn
	ours, theirs := net.Pipe()
	n.listener.conns <- theirs
	n.endsMu.Lock()
	n.ends = append(n.ends, ours)
	n.endsMu.Unlock()
	if n.client != nil {
		ours = tls.Client(ours, n.client)
	}
	if _, err := io.WriteString(ours, "GET "+path+" HTTP/1.1\r\nHost: test\r\nX-Test-User: "+n.user+"\r\n"+lines+"\r\n"); err != nil {
		n.t.Fatal(err)
	}
	return &peer{n, ours, bufio.NewReader(ours)}
}

func (p *peer) status(want int) http.Header {
	p.n.t.Helper()
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.n.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		p.n.t.Fatalf("answered %s, want %d", resp.Status, want)
	}
	return resp.Header
}

const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// dial opens a WebSocket; lines may ask for a subprotocol.
func (n *clocked) dial(lines string) *peer {
	n.t.Helper()
	p := n.request("/api/ws", handshake+lines)
	p.status(http.StatusSwitchingProtocols)
	return p
}

// heard is a frame and when it came.
type heard struct {
	op   ws.OpCode
	text string
	at   time.Duration
}

// code is that of a close frame; 0 if the connection ended without.
func (h heard) code() ws.StatusCode {
	code, _ := ws.ParseCloseFrameData([]byte(h.text))
	return code
}

// next reads one frame. The end of the connection is a close frame without a code.
func (p *peer) next() heard {
	p.n.t.Helper()
	head, err := ws.ReadHeader(p.r)
	if err != nil {
		return heard{op: ws.OpClose, at: p.n.at()}
	}
	payload := make([]byte, head.Length)
	if _, err := io.ReadFull(p.r, payload); err != nil {
		p.n.t.Fatalf("a frame breaks off: %v", err)
	}
	return heard{head.OpCode, string(payload), p.n.at()}
}

// until reads to the first frame with that opcode, and returns all that came.
func (p *peer) until(op ws.OpCode) (last heard, all []heard) {
	p.n.t.Helper()
	for {
		h := p.next()
		all = append(all, h)
		if h.op == op || h.op == ws.OpClose {
			return h, all
		}
	}
}

func (p *peer) send(f ws.Frame) {
	p.n.t.Helper()
	if err := ws.WriteFrame(p.conn, ws.MaskFrame(f)); err != nil {
		p.n.t.Fatal(err)
	}
}

// between checks that at is in a range, both ends included.
func between(t *testing.T, what string, at, earliest, latest time.Duration) {
	t.Helper()
	if at < earliest || at > latest {
		t.Errorf("%s came after %v, want between %v and %v", what, at, earliest, latest)
	}
}

const (
	interval = 25 * time.Second // of pings, the default
	oneTick  = time.Second
)

func TestPings(t *testing.T) {
	inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
		p := n.dial("")
		before := time.Duration(0)
		for i := range 100 {
			ping, _ := p.until(ws.OpPing)
			if ping.op != ws.OpPing {
				t.Fatalf("closed with %d instead of ping %d", ping.code(), i)
			}
			if i == 0 {
				between(t, "the first ping", ping.at, interval/2, interval+oneTick)
			} else {
				between(t, "a ping", ping.at-before, interval-oneTick, interval+oneTick)
			}
			before = ping.at
			p.send(ws.NewPongFrame([]byte(ping.text)))
		}
	})
}

func TestDeadPeersAreFound(t *testing.T) {
	for name, alive := range map[string]int{"AtOnce": 0, "AfterAPong": 1, "AfterManyPongs": 10} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
				p := n.dial("")
				last := n.at()
				for range alive {
					ping, _ := p.until(ws.OpPing)
					p.send(ws.NewPongFrame([]byte(ping.text)))
					last = n.at()
				}
				end, all := p.until(ws.OpClose)
				if end.code() != 4003 || len(all) < 2 {
					t.Errorf("closed with %d after %d pings without answer, want 4003 after 1 or 2", end.code(), len(all)-1)
				}
				between(t, "the end", end.at-last, interval+oneTick, 2*interval+oneTick)
			})
		})
	}
	t.Run("Dribbling", func(t *testing.T) {
		inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
			p := n.dial("")
			var writer sync.WaitGroup
			writer.Go(func() {
				frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(strings.Repeat(" ", 100)))))
				for _, b := range frame {
					if _, err := p.conn.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			end, _ := p.until(ws.OpClose)
			if end.code() != 4003 {
				t.Errorf("closed with %d, want 4003", end.code())
			}
			between(t, "the end", end.at, interval, 2*interval+oneTick)
			_ = p.conn.Close()
			writer.Wait()
		})
	})
}

func TestSessionsExpire(t *testing.T) {
	for _, life := range []time.Duration{time.Millisecond, 900 * time.Millisecond, 10*time.Second + 300*time.Millisecond, time.Hour + time.Millisecond} {
		t.Run(life.String(), func(t *testing.T) {
			inBubble(t, gateway.Options{PingInterval: 3 * time.Hour}, func(t *testing.T, n *clocked) {
				n.door.expires = time.Now().Add(life)
				p := n.dial("")
				end, _ := p.until(ws.OpClose)
				if end.code() != 4002 {
					t.Errorf("closed with %d, want 4002", end.code())
				}
				between(t, "the end", end.at, life, life+oneTick)
			})
		})
	}
	t.Run("AnyMixture", func(t *testing.T) {
		rapid.Check(t, func(draw *rapid.T) {
			lives := rapid.SliceOfN(rapid.Int64Range(1, int64(5*time.Minute)), 1, 8).Draw(draw, "lives")
			pauses := rapid.SliceOfN(rapid.Int64Range(0, int64(3*time.Second)), 8, 8).Draw(draw, "pauses")
			inBubble(t, gateway.Options{PingInterval: time.Hour}, func(t *testing.T, n *clocked) {
				var readers sync.WaitGroup
				for i, life := range lives {
					time.Sleep(time.Duration(pauses[i]))
					n.door.expires = time.Now().Add(time.Duration(life)).Truncate(time.Millisecond) // as an Identity has it
					ends, p := n.door.expires.Sub(n.begin), n.dial("")
					readers.Go(func() {
						end, _ := p.until(ws.OpClose)
						between(t, "the end", end.at, ends, ends+oneTick)
					})
				}
				readers.Wait()
			})
		})
	})
	t.Run("Extended", func(t *testing.T) {
		inBubble(t, gateway.Options{PingInterval: 3 * time.Hour}, func(t *testing.T, n *clocked) {
			n.door.expires = time.Now().Add(time.Minute)
			p := n.dial("")
			time.Sleep(59 * time.Second)
			longer := &auth.Identity{Kind: auth.KindSession, Subject: "u1", Tenant: "a", Expires: auth.At(n.begin.Add(2 * time.Minute))}
			if extended := n.gateway.Extend(longer, func(old *auth.Identity) bool { return old.Subject == "u1" }); extended != 1 {
				t.Errorf("%d sessions were extended, want 1", extended)
			}
			end, _ := p.until(ws.OpClose)
			between(t, "the end", end.at, 2*time.Minute, 2*time.Minute+oneTick)
		})
	})
}

func TestRevokedSessionsEndAtOnce(t *testing.T) {
	inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
		revoked := n.dial("")
		time.Sleep(5 * time.Second)
		if ended := n.gateway.Revoke(func(who *auth.Identity) bool { return who.Subject == "u1" }); ended == 0 {
			t.Error("no session was revoked")
		}
		n.publish("a", "updates", `"too late"`)
		end, all := revoked.until(ws.OpClose)
		if end.code() != 4500 || len(all) != 1 {
			t.Errorf("closed with %d after %d frames, want 4500 and nothing before", end.code(), len(all)-1)
		}
		between(t, "the end", end.at, 5*time.Second, 5*time.Second)
	})
}

// TestPeersThatDoNotAnswerACloseAreHungUp counts from the close, whenever the next ping would be.
func TestPeersThatDoNotAnswerACloseAreHungUp(t *testing.T) {
	for _, after := range []time.Duration{0, 300 * time.Millisecond, 13 * time.Second, 26 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			inBubble(t, gateway.Options{CloseTimeout: 5 * time.Second}, func(t *testing.T, n *clocked) {
				p := n.dial("")
				var frames []heard
				var reader sync.WaitGroup
				reader.Go(func() {
					for {
						h := p.next()
						if frames = append(frames, h); h.op == ws.OpClose && h.text == "" {
							return
						}
					}
				})
				time.Sleep(after)
				n.gateway.Revoke(func(*auth.Identity) bool { return true })
				reader.Wait()
				end := frames[len(frames)-1]
				between(t, "the end of the connection", end.at-after, 5*time.Second, 5*time.Second+oneTick)
				synctest.Wait()
				if left := n.gateway.Connections(); left != 0 {
					t.Errorf("%d sessions are left", left)
				}
			})
		})
	}
}

// TestThoseWhoDoNotReadAreNotGivenUpAllAtOnce: one publication closes all of them as slow, and they go one after the other.
func TestThoseWhoDoNotReadAreNotGivenUpAllAtOnce(t *testing.T) {
	const clients, limit, step = 60, 4 * time.Second, 100 * time.Millisecond
	inBubble(t, gateway.Options{CloseTimeout: limit, MaxBacklogBytes: 4 << 10}, func(t *testing.T, n *clocked) {
		for range clients {
			n.dial("")
		}
		n.publish("a", "updates", `"`+strings.Repeat("x", 3<<10)+`"`)
		n.publish("a", "updates", `"`+strings.Repeat("x", 3<<10)+`"`)
		synctest.Wait()
		left, most := clients, 0
		for waited := time.Duration(0); waited <= limit; waited += step {
			now := n.gateway.Connections()
			if waited < limit*3/4 && now < clients {
				t.Fatalf("after %v %d of %d are left", waited, now, clients)
			}
			left, most = now, max(most, left-now)
			time.Sleep(step)
			synctest.Wait()
		}
		if left > 0 || most > clients/2 {
			t.Errorf("%d are left after %v, and %d went in one moment", left, limit, most)
		}
	})
}

func TestDrainSpreadsTheEnds(t *testing.T) {
	const clients, over = 40, 20 * time.Second
	inBubble(t, gateway.Options{}, func(t *testing.T, n *clocked) {
		ends, told := make([]time.Duration, clients), make([]int, clients)
		var readers sync.WaitGroup
		for i := range clients {
			p := n.dial("Sec-WebSocket-Protocol: kentongan.v1\r\n")
			readers.Go(func() {
				for {
					h := p.next()
					if _, rest, ok := strings.Cut(h.text, `"reconnectInMs":`); ok {
						told[i], _ = strconv.Atoi(rest[:strings.IndexAny(rest, ",}")])
					}
					if h.op == ws.OpClose {
						ends[i] = h.at
						if h.code() != 4000 {
							t.Errorf("closed with %d, want 4000", h.code())
						}
						_ = ws.WriteFrame(p.conn, ws.MaskFrame(ws.NewCloseFrame([]byte(h.text))))
						return
					}
				}
			})
		}
		begin := n.at()
		var drain sync.WaitGroup
		drain.Go(func() { n.gateway.Drain(context.Background(), over) })
		time.Sleep(time.Second)
		if got := n.request("/api/ws", handshake).status(http.StatusServiceUnavailable); got.Get("Retry-After") == "" {
			t.Error("who comes during the drain is not told when to come back")
		}
		if denied := n.gateway.Stats().Denied; denied["draining"] != 1 || denied["full"] != 0 {
			t.Errorf("refused: %v, want one for the drain", denied)
		}
		drain.Wait()
		readers.Wait()
		if !slices.IsSorted(told) || len(slices.Compact(slices.Clone(told))) != clients || told[clients-1] > int(over.Milliseconds()) {
			t.Errorf("the clients were told to come back after %v ms, want rising times up to %v", told, over)
		}
		slot := over / clients
		for i, end := range ends {
			between(t, "end "+strconv.Itoa(i), end-begin, time.Duration(i)*slot, time.Duration(i+1)*slot)
		}
		between(t, "the end of the drain", n.at()-begin, over-slot, over+oneTick)
	})
}

func TestStreamsGetHeartbeats(t *testing.T) {
	inBubble(t, gateway.Options{PingInterval: time.Minute}, func(t *testing.T, n *clocked) {
		n.door.expires = time.Now().Add(10 * time.Minute)
		p := n.request("/api/sse?channels=production:updates:a", "")
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		lines, before, beats, counted := bufio.NewScanner(resp.Body), n.at(), 0, 0
		for lines.Scan() {
			between(t, "something on the stream", n.at()-before, 0, 15*time.Second+oneTick)
			before = n.at()
			if lines.Text() == "event: heartbeat" {
				beats++
			}
			if strings.HasSuffix(lines.Text(), `,"offsets":{"production:updates:a":0}}`) {
				counted++
			}
		}
		if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		between(t, "the end", n.at(), 10*time.Minute, 10*time.Minute+oneTick)
		if beats < 35 {
			t.Errorf("%d heartbeats in ten minutes, want one every 15 s", beats)
		}
		if counted != beats {
			t.Errorf("%d of %d heartbeats tell how far the channel is, want all", counted, beats)
		}
	})
}
