package socket_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/realtime/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come; nothing is measured with it.
const patience = 30 * time.Second

// served is one connection as its handler sees it.
type served struct {
	peer  netip.Addr
	t     *testing.T
	conn  *socket.Conn
	bytes chan []byte
	room  chan struct{}
	end   chan bool // unsent
	ended atomic.Int32
	busy  atomic.Int32 // callbacks under way
	do    action
}

func (s *served) enter() func() {
	if s.busy.Add(1) != 1 {
		s.t.Error("callbacks of one connection overlap")
	}
	return func() { s.busy.Add(-1) }
}

func (s *served) OnBytes(p []byte) {
	defer s.enter()()
	if s.ended.Load() > 0 {
		s.t.Error("bytes after the end")
	}
	if s.do != nil {
		s.do(s, p)
		return
	}
	s.bytes <- bytes.Clone(p)
}

func (s *served) OnRoom() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

func (s *served) OnEnd(unsent bool) {
	defer s.enter()()
	if s.ended.Add(1) != 1 {
		s.t.Error("the end came twice")
	}
	s.end <- unsent
}

// server accepts on one kind of engine.
type server struct {
	t      *testing.T
	engine *socket.Engine
	addr   net.Addr
	conns  chan *served
	do     atomic.Pointer[action] // of the handlers of new connections; nil: they note what they hear
}

type action func(s *served, p []byte)

// onEach runs test over both engines, on TCP and on a Unix socket.
func onEach(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	for _, kind := range []socket.Kind{socket.Epoll, socket.Portable} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(string(kind)+"/"+network, func(t *testing.T) { test(t, listen(t, kind, network)) })
		}
	}
}

func listen(t *testing.T, kind socket.Kind, network string) *server {
	t.Helper()
	if network == "unix" {
		return listenAt(t, kind, network, filepath.Join(t.TempDir(), "s"))
	}
	return listenAt(t, kind, network, "127.0.0.1:0")
}

func listenAt(t *testing.T, kind socket.Kind, network, address string) *server {
	t.Helper()
	engine, err := socket.Open(socket.Options{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, engine: engine, addr: l.Addr(), conns: make(chan *served, 4096)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.Map
	done := make(chan error, 1)
	go func() {
		done <- engine.Accept(ctx, l, func(c *socket.Conn, peer netip.Addr) socket.Handler {
			h := s.handler(c)
			h.peer = peer
			all.Store(h, true)
			s.conns <- h
			return h
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Accept: got %v, want nil after its context ended", err)
		}
		all.Range(func(h, _ any) bool { h.(*served).conn.Abort(); return true })
		engine.Close()
	})
	return s
}

func (s *server) handler(c *socket.Conn) *served {
	h := &served{t: s.t, conn: c, bytes: make(chan []byte, 4096), room: make(chan struct{}, 1), end: make(chan bool, 2)}
	if do := s.do.Load(); do != nil {
		h.do = *do
	}
	return h
}

// acts says what the handlers of new connections do.
func (s *server) acts(do action) { s.do.Store(&do) }

// connect returns both ends of a new connection.
func (s *server) connect() (net.Conn, *served) {
	s.t.Helper()
	client, err := net.Dial(s.addr.Network(), s.addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(patience))
	return client, receive(s.t, s.conns, "a connection")
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func (s *served) hears(want string) {
	s.t.Helper()
	var got []byte
	for len(got) < len(want) {
		got = append(got, receive(s.t, s.bytes, fmt.Sprintf("%q", want))...)
	}
	if string(got) != want {
		s.t.Fatalf("heard %q, want %q", got, want)
	}
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestBothWays(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		client, c := s.connect()
		send(t, client, "hello")
		c.hears("hello")
		if queued := c.conn.Send([]byte("good ")); queued != 0 && s.engine.Kind() == socket.Epoll {
			t.Errorf("%d bytes queued on an empty socket", queued)
		}
		c.conn.Send([]byte("day"))
		got := make([]byte, 8)
		if _, err := io.ReadFull(client, got); err != nil || string(got) != "good day" {
			t.Fatalf("got %q, %v", got, err)
		}
		_ = client.Close()
		if receive(t, c.end, "the end") {
			t.Error("something is unsent, want nothing")
		}
		if n := c.conn.Send([]byte("too late")); n != 0 {
			t.Errorf("Send after the end queues %d bytes", n)
		}
	})
}

// TestSlowReader queues far more than the kernel takes. All of it arrives, in order, and room is told.
func TestSlowReader(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		client, c := s.connect()
		sent := sha256.New()
		random := rand.New(rand.NewPCG(1, 2))
		total, queued := 0, 0
		for queued < 8<<20 {
			frame := make([]byte, 1+random.IntN(40_000))
			for i := range frame {
				frame[i] = byte(random.Uint32())
			}
			sent.Write(frame)
			total += len(frame)
			queued = c.conn.Send(frame)
		}
		if got := c.conn.Queued(); got < 1<<20 {
			t.Errorf("%d bytes queued, want most of 8 MiB", got)
		}
		read := sha256.New()
		if _, err := io.CopyN(read, client, int64(total)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(read.Sum(nil), sent.Sum(nil)) {
			t.Error("what arrived is not what was sent")
		}
		for c.conn.Queued() > 0 {
			receive(t, c.room, "room")
		}
	})
}

// TestManySenders checks that frames of concurrent senders are not mixed, and keep the order of each.
func TestManySenders(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		client, c := s.connect()
		const senders, each, size = 8, 400, 3000
		var wg sync.WaitGroup
		for who := range senders {
			wg.Go(func() {
				for n := range each {
					frame := bytes.Repeat([]byte{byte(who)}, size)
					frame[0], frame[1] = byte(n>>8), byte(n)
					c.conn.Send(frame)
				}
			})
		}
		var next [senders]int
		frame := make([]byte, size)
		for range senders * each {
			if _, err := io.ReadFull(client, frame); err != nil {
				t.Fatal(err)
			}
			who := int(frame[2])
			if n := int(frame[0])<<8 | int(frame[1]); n != next[who] {
				t.Fatalf("frame %d of sender %d, want %d", n, who, next[who])
			}
			next[who]++
			if !bytes.Equal(frame[2:], bytes.Repeat([]byte{byte(who)}, size-2)) {
				t.Fatal("a frame is mixed with another")
			}
		}
		wg.Wait()
	})
}

func TestFinish(t *testing.T) {
	t.Run("SendsWhatIsQueuedAndWaitsForThePeer", func(t *testing.T) {
		onEach(t, func(t *testing.T, s *server) {
			client, c := s.connect()
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
			c.conn.Send(data)
			c.conn.Finish(true, patience)
			if c.conn.Send([]byte("more")) != 0 {
				t.Error("something was queued after Finish")
			}
			send(t, client, "unheard")
			got, err := io.ReadAll(client)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("got %d bytes and %v, want %d and the end", len(got), err, len(data))
			}
			select {
			case <-c.end:
				t.Error("it ended before the peer did")
			default:
			}
			_ = client.Close()
			receive(t, c.end, "the end")
			if len(c.bytes) > 0 {
				t.Error("the handler heard something after Finish")
			}
		})
	})
	t.Run("WithoutWaitingForThePeer", func(t *testing.T) {
		onEach(t, func(t *testing.T, s *server) {
			client, c := s.connect()
			c.conn.Send([]byte("bye"))
			c.conn.Finish(false, patience)
			if got, err := io.ReadAll(client); err != nil || string(got) != "bye" {
				t.Fatalf("got %q, %v", got, err)
			}
			receive(t, c.end, "the end")
		})
	})
	t.Run("GivesUpAtItsLimit", func(t *testing.T) {
		onEach(t, func(t *testing.T, s *server) {
			_, c := s.connect()
			c.conn.Send(make([]byte, 32<<20)) // nobody reads it
			c.conn.Finish(true, 50*time.Millisecond)
			if !receive(t, c.end, "the end") {
				t.Error("nothing is unsent, want most of 32 MiB")
			}
		})
	})
}

func TestAbort(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		client, c := s.connect()
		c.conn.Send(make([]byte, 32<<20))
		c.conn.Abort()
		if !receive(t, c.end, "the end") {
			t.Error("nothing is unsent, want most of 32 MiB")
		}
		_, err := io.Copy(io.Discard, client)
		if s.addr.Network() == "tcp" && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer sees %v, want a reset", err)
		}
	})
}

// TestSealKeepsWhatHasBegun drops the queue for a last frame, but not the rest of a frame that the peer has a part of.
func TestSealKeepsWhatHasBegun(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		client, c := s.connect()
		first := bytes.Repeat([]byte("a"), 16<<20)
		c.conn.Send(first)
		for range 100 {
			c.conn.Send(bytes.Repeat([]byte("b"), 1000))
		}
		c.conn.Seal([]byte("last"), true)
		c.conn.Send([]byte("never"))
		c.conn.Finish(false, patience)
		got, err := io.ReadAll(client)
		if err != nil {
			t.Fatal(err)
		}
		got = bytes.TrimLeft(got, "a")
		if s.engine.Kind() == socket.Portable { // which may have taken some of the others already, whole
			got = bytes.TrimLeft(got, "b")
		}
		if string(got) != "last" {
			t.Errorf("behind the first frame comes %.20q, want only the last", got)
		}
	})
}

func TestPause(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		waiting := make(chan struct{})
		s.acts(func(c *served, p []byte) {
			if string(p) == "wait" {
				c.conn.Pause()
				c.conn.Pause()
				close(waiting)
				return
			}
			c.bytes <- bytes.Clone(p)
		})
		client, c := s.connect()
		send(t, client, "wait")
		receive(t, waiting, "the pause")
		send(t, client, "later")
		_ = client.Close()
		c.conn.Resume()
		select {
		case p := <-c.bytes:
			t.Fatalf("heard %q in the pause", p)
		case <-c.end:
			t.Fatal("it ended in the pause")
		case <-time.After(20 * time.Millisecond): // what would be wrong comes at once
		}
		c.conn.Resume()
		c.hears("later")
		receive(t, c.end, "the end")
	})
}

func TestAdoptAndDetach(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		handed := make(chan net.Conn, 1)
		s.acts(func(c *served, p []byte) {
			if string(p) != "pass on" {
				t.Errorf("heard %q after Detach", p)
				return
			}
			conn, err := c.conn.Detach()
			if err != nil {
				t.Error(err)
			}
			handed <- conn
		})
		client, _ := s.connect()
		send(t, client, "pass on")
		conn := receive(t, handed, "the connection")
		send(t, client, "to the next")
		_ = conn.SetDeadline(time.Now().Add(patience))
		got := make([]byte, 11)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "to the next" {
			t.Fatalf("got %q, %v", got, err)
		}
		h := s.handler(nil)
		h.do = nil
		c, err := s.engine.Adopt(conn, h)
		if err != nil {
			t.Fatal(err)
		}
		h.conn = c
		send(t, client, "adopted")
		c.Send([]byte("welcome"))
		got = make([]byte, 7)
		if _, err := io.ReadFull(client, got); err != nil || string(got) != "welcome" {
			t.Fatalf("got %q, %v", got, err)
		}
		if len(h.bytes) > 0 {
			t.Error("an adopted connection is heard before Resume")
		}
		c.Resume()
		h.hears("adopted")
		c.Abort()
		receive(t, h.end, "the end")
	})
}

// TestMistake has a handler panic over one connection: that one ends, the others go on.
func TestMistake(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.acts(func(c *served, p []byte) {
			if string(p) == "panic" {
				panic("a mistake of ours")
			}
			c.bytes <- bytes.Clone(p)
		})
		other, neighbour := s.connect()
		client, c := s.connect()
		send(t, client, "panic")
		receive(t, c.end, "the end")
		send(t, other, "still here")
		neighbour.hears("still here")
	})
}

// TestChurn opens and closes many connections at once, so that descriptors are used again all the time. Each handler hears only its own
// peer.
func TestChurn(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.acts(func(c *served, p []byte) {
			select { // each peer says one byte, over and over

			case first := <-c.bytes:
				if first[0] != p[0] {
					t.Errorf("heard %d from a peer that is %d", p[0], first[0])
				}
				c.bytes <- first
			default:
				c.bytes <- []byte{p[0]}
			}
			for _, b := range p {
				if b != p[0] {
					t.Errorf("heard %v", p)
				}
			}
			c.conn.Send(bytes.Clone(p))
			if rand.IntN(20) == 0 {
				c.conn.Abort()
			}
		})
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for round := range 60 {
					conn, err := net.Dial(s.addr.Network(), s.addr.String())
					if err != nil {
						t.Error(err)
						return
					}
					_ = conn.SetDeadline(time.Now().Add(patience))
					me := byte(worker*60 + round)
					for range 10 {
						if _, err := conn.Write([]byte{me, me, me}); err != nil {
							break
						}
						got := make([]byte, 3)
						if _, err := io.ReadFull(conn, got); err != nil {
							break
						}
						if !bytes.Equal(got, []byte{me, me, me}) {
							t.Errorf("peer %d hears %v", me, got)
						}
					}
					_ = conn.Close()
				}
			})
		}
		wg.Wait()
		for len(s.conns) > 0 {
			receive(t, (<-s.conns).end, "the end")
		}
	})
}

// TestFlood has one peer send without a pause. Its neighbour on the same loop is heard meanwhile.
func TestFlood(t *testing.T) {
	engine, err := socket.Open(socket.Options{Kind: socket.Epoll, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	adopt := func() (net.Conn, *served) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ours, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		h := (&server{t: t}).handler(nil)
		if h.conn, err = engine.Adopt(ours, h); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return client, h
	}
	flood, flooded := adopt()
	flowing := make(chan struct{})
	flows := sync.OnceFunc(func() { close(flowing) })
	flooded.do = func(*served, []byte) { flows() }
	flooded.conn.Resume()
	calm, heard := adopt()
	heard.conn.Resume()
	var wg sync.WaitGroup
	wg.Go(func() {
		chunk := make([]byte, 1<<20)
		for {
			if _, err := flood.Write(chunk); err != nil {
				return
			}
		}
	})
	receive(t, flowing, "the flood")
	for range 50 {
		send(t, calm, "ping")
		heard.hears("ping")
	}
	_ = flood.Close()
	wg.Wait()
	receive(t, flooded.end, "the end of the flood")
	heard.conn.Abort()
	receive(t, heard.end, "the end")
}

func TestUnknownKind(t *testing.T) {
	if _, err := socket.Open(socket.Options{Kind: "iocp"}); err == nil {
		t.Error("an unknown kind is accepted")
	}
}

// TestEndBehindAFlood has peers send more than their share of a loop's reads, and end: however much is still to be read when the kernel
// tells of the end, all of it is heard, and then the end.
func TestEndBehindAFlood(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for round := range 100 {
			heard := 0
			s.acts(func(_ *served, p []byte) { heard += len(p) })
			client, h := s.connect()
			sent := 256<<10 + round*30_000
			if n, err := client.Write(make([]byte, sent)); err != nil {
				t.Fatalf("wrote %d of %d bytes: %v", n, sent, err)
			}
			_ = client.Close()
			receive(t, h.end, "the end")
			if heard != sent {
				t.Fatalf("%d of %d bytes were heard", heard, sent)
			}
		}
	})
}

// TestPeer: whom a connection is from is told with it, as the client sees itself.
func TestPeer(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	for _, kind := range []socket.Kind{socket.Epoll, socket.Portable} {
		for _, c := range []struct {
			network, listen, dial string
			want                  netip.Addr
		}{
			{"tcp", "127.0.0.1:0", "127.0.0.1", v4},
			{"tcp", "[::]:0", "127.0.0.1", v4}, // the kernel tells ::ffff:127.0.0.1
			{"tcp", "[::1]:0", "::1", v6},
			{"unix", filepath.Join(t.TempDir(), "s"), "", netip.Addr{}},
		} {
			t.Run(string(kind)+"/"+c.listen, func(t *testing.T) {
				s := listenAt(t, kind, c.network, c.listen)
				address := s.addr.String()
				if tcp, ok := s.addr.(*net.TCPAddr); ok {
					address = net.JoinHostPort(c.dial, strconv.Itoa(tcp.Port))
				}
				conn, err := net.Dial(c.network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				if h := <-s.conns; h.peer != c.want {
					t.Errorf("the peer is told as %v, want %v", h.peer, c.want)
				}
			})
		}
	}
}

// TestGather: what is gathered comes out whole and in order, before the connection ends in peace, and who sends nothing after it, or from
// elsewhere, goes on as ever.
func TestGather(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(c *socket.Conn)
		want string
		ends bool
	}{
		{"First", func(c *socket.Conn) {
			head := []byte("head ")
			c.SendFirst(head)
			clear(head)
			c.Send([]byte("more"))
		}, "head more", false},
		{"Twice", func(c *socket.Conn) {
			c.Send([]byte("a"))
			c.Gather()
			c.Send([]byte("b"))
		}, "ab", false},
		{"Nothing", func(*socket.Conn) {}, "", false},
		{"Finish", func(c *socket.Conn) {
			c.Send([]byte("bye"))
			c.Finish(false, patience)
		}, "bye", true},
		{"FinishWithNothing", func(c *socket.Conn) { c.Finish(false, patience) }, "", true},
		{"AbortWithNothing", func(c *socket.Conn) { c.Abort() }, "", true},
		{"Seal", func(c *socket.Conn) {
			c.SendFirst([]byte("head "))
			c.Send([]byte("dropped"))
			c.Seal([]byte("last"), true)
			c.Finish(false, patience)
		}, "head last", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, s *server) {
				want := test.want
				if s.engine.Kind() == socket.Portable { // which writes at once
					want = strings.Replace(want, "last", "droppedlast", 1)
				}
				asked := make(chan int, 1) // how much is queued then
				s.acts(func(c *served, p []byte) {
					if string(p) != "ask" {
						c.bytes <- bytes.Clone(p)
						return
					}
					c.conn.Gather()
					test.do(c.conn)
					asked <- c.conn.Queued()
				})
				client, c := s.connect()
				send(t, client, "ask")
				queued := receive(t, asked, "the question")
				if gathered := len(want); test.name == "First" && s.engine.Kind() == socket.Epoll && queued != gathered {
					t.Errorf("%d bytes are gathered, want %d", queued, gathered)
				}
				if !test.ends {
					send(t, client, "and")
					c.hears("and")
					c.conn.Send([]byte("!"))
					want += "!"
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(client, got); err != nil || string(got) != want {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
				if test.ends {
					if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
						t.Errorf("then %d bytes and %v, want the end", n, err)
					}
					receive(t, c.end, "the end")
				}
			})
		})
	}
}
