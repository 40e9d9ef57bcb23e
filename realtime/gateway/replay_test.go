//go:build unix

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
)

// deepNames keep more history than the default.
func deepNames(t testing.TB) *realtime.Names {
	t.Helper()
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "production:updates:{tenant}", Retention: realtime.Retention{Size: 20_000, Age: time.Hour}},
		{Spelling: "menu:updates:{tenant}", Retention: realtime.DefaultRetention},
		{Spelling: "system-alert", Retention: realtime.DefaultRetention},
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var replayData = `{"type":"production_update","n":"` + strings.Repeat("x", 220) + `"}`

// fill publishes n messages and one that says "last", and returns the position before them.
func (n *node) fill(count int) realtime.Position {
	n.t.Helper()
	for range count - 1 {
		n.publish("a", "production:updates", replayData)
	}
	n.publish("a", "production:updates", `"last"`)
	page, err := n.broker.History(context.Background(), realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Position{}, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	return realtime.Position{Epoch: page.Head.Epoch}
}

// resume opens a connection that asks for everything after from, in the dialect. Its kernel takes window bytes or so that are not
// read; 0: as many as it likes.
func (n *node) resume(dialect protocol.Dialect, from realtime.Position, window int) net.Conn {
	n.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		if window == 0 {
			return nil
		}
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window) })
	}}
	conn, err := dialer.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	since := fmt.Sprintf("?channels=production:updates:a@%s/%d", from.Epoch, from.Offset)
	request := "GET /api/ws" + since + " HTTP/1.1\r\n" + handshake + "Sec-WebSocket-Protocol: kentongan.v1\r\n"
	if dialect == protocol.SSE {
		cursor := protocol.EncodeCursor("a", protocol.Cursor{
			{Tenant: "a", Name: "production:updates"}: from, {Tenant: "a"}: {Epoch: from.Epoch}, {}: from,
		})
		request = "GET /api/sse HTTP/1.1\r\nLast-Event-ID: " + cursor + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"Host: test\r\nX-Test-User: u1@a\r\n\r\n"); err != nil {
		n.t.Fatal(err)
	}
	return conn
}

// drain reads until the last message has come, into buf, and returns how many bytes that were.
func drain(t testing.TB, conn net.Conn, buf []byte) (total int) {
	t.Helper()
	kept := 0
	for {
		m, err := conn.Read(buf[kept:])
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		total += m
		if bytes.Contains(buf[:kept+m], []byte(`"last"`)) {
			return total
		}
		kept = copy(buf, buf[max(0, kept+m-len(`"last"`)):kept+m]) // it may come in two parts
	}
}

func replayThousand(t testing.TB, n *node, dialect protocol.Dialect, from realtime.Position, buf []byte) {
	conn := n.resume(dialect, from, 0)
	drain(t, conn, buf)
	_ = conn.Close()
}

// TestReplayIsNoGarbage replays with less than one allocation for each message, that of the client and of the connection included.
func TestReplayIsNoGarbage(t *testing.T) {
	n := start(t, gateway.Options{Names: deepNames(t)})
	from, buf := n.fill(1000), make([]byte, 64<<10)
	for _, dialect := range []protocol.Dialect{protocol.V1, protocol.SSE} {
		if got := testing.AllocsPerRun(5, func() { replayThousand(t, n, dialect, from, buf) }); got > 1000 {
			t.Errorf("%s: %.0f allocations for 1,000 messages, want one for each at most", dialect, got)
		}
	}
}

// BenchmarkReplay resumes after 1,000 messages.
func BenchmarkReplay(b *testing.B) {
	n := start(b, gateway.Options{Names: deepNames(b)})
	from, buf := n.fill(1000), make([]byte, 64<<10)
	for _, dialect := range []protocol.Dialect{protocol.V1, protocol.SSE} {
		b.Run(dialect.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				replayThousand(b, n, dialect, from, buf)
			}
		})
	}
}

// TestManyReplaysAreBounded has 150 clients ask for ten thousand messages each and read none of them. What waits for each is
// bounded, they hold up nobody who reads, and live messages come as ever.
func TestManyReplaysAreBounded(t *testing.T) {
	const clients, messages = 150, 10_000
	n := start(t, gateway.Options{Names: deepNames(t), PingInterval: time.Hour}) // nobody here answers pings
	from := n.fill(messages)
	live := n.dial("u2@a", "/api/ws")
	sleepers := make([]net.Conn, clients)
	for i := range sleepers {
		sleepers[i] = n.resume(protocol.V1, from, 4<<10)
		defer func() { _ = sleepers[i].Close() }()
	}
	reader := n.resume(protocol.V1, from, 0) // who reads gets all of it though 150 others came before
	defer func() { _ = reader.Close() }()
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		defer close(done)
		drain(t, reader, make([]byte, 64<<10))
	})
	waited := false
	for i := 0; ; i++ {
		n.publish("a", "menu:updates", fmt.Sprint(i))
		if got := live.read(); got != fmt.Sprint(i) {
			t.Errorf("live message %d is %s", i, got)
		}
		// 64 KiB ahead of the reader, and one piece.
		st := n.gateway.Stats()
		if st.QueuedBytes > clients*(64<<10+17<<10) {
			t.Fatalf("%d bytes wait for %d clients", st.QueuedBytes, clients)
		}
		waited = waited || st.QueuedBytes > 0
		select {
		case <-done:
		default:
			continue
		}
		if waited {
			break
		}
	}
	work.Wait()
	if st := n.gateway.Stats(); st.Slow > 0 {
		t.Errorf("%d clients were closed as slow by their own replays", st.Slow)
	}
	// The sleepers wake up, and have lost nothing.
	r := bufio.NewReader(sleepers[clients/2])
	head, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = head.Body.Close() // it has none
	drain(t, sleepers[clients/2], make([]byte, 64<<10))
}
