package socket_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"

	"kentongan/realtime/socket"
)

// TestWhatIsNotQueuedIsNotKept: a frame after which nothing is queued is its sender's again. It is written over here, and the peer, who reads
// only now and then, has all frames as they were.
func TestWhatIsNotQueuedIsNotKept(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		peer, at := s.connect()
		const (
			frames = 2000
			words  = 1024
		)
		done := make(chan error, 1)
		go func() {
			got := make([]byte, 8*words)
			for n := range uint64(frames) {
				if _, err := io.ReadFull(peer, got); err != nil {
					done <- err
					return
				}
				for i := range words {
					if word := binary.NativeEndian.Uint64(got[8*i:]); word != n {
						t.Errorf("in frame %d stands %d", n, word)
						done <- nil
						return
					}
				}
			}
			done <- nil
		}()
		frame, again := make([]byte, 8*words), 0
		for n := range uint64(frames) {
			for i := range words {
				binary.NativeEndian.PutUint64(frame[8*i:], n)
			}
			switch queued := at.conn.Send(frame); {
			case queued == 0:
				again++
			case queued > socket.LowWater:
				receive(t, at.room, "room")
				fallthrough
			default:
				frame = make([]byte, len(frame))
			}
		}
		if err := receive(t, done, "the peer's last frame"); err != nil {
			t.Error(err)
		}
		if again == 0 {
			t.Error("no frame was its sender's again")
		}
	})
}

// TestWhoComesIsSentMuchAtOnce: a handler that is being made may send more than the kernel takes, before anything is heard of its connection.
func TestWhoComesIsSentMuchAtOnce(t *testing.T) {
	for _, kind := range []socket.Kind{socket.Epoll, socket.Portable} {
		t.Run(string(kind), func(t *testing.T) {
			engine, err := socket.Open(socket.Options{Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			const much = 8 << 20
			ctx, cancel := context.WithCancel(t.Context())
			done, conns := make(chan error, 1), make(chan *socket.Conn, 1)
			go func() {
				done <- engine.Accept(ctx, l, func(c *socket.Conn, _ netip.Addr) socket.Handler {
					c.Send(make([]byte, much))
					conns <- c
					return &served{t: t, conn: c, room: make(chan struct{}, 1), end: make(chan bool, 1)}
				})
			}()
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, client, much); err != nil {
				t.Errorf("%d bytes of %d came: %v", n, much, err)
			}
			receive(t, conns, "the connection").Abort()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			_ = client.Close()
		})
	}
}
