package quickconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"kentongan/internal/quickconn"
)

// pair returns both ends of a connection over network, wrapped.
func pair(t *testing.T, network string) (net.Conn, net.Conn) {
	t.Helper()
	l, err := nettest.NewLocalListener(network)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	one, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = one.Close(), other.Close() })
	return quickconn.Wrap(one), quickconn.Wrap(other)
}

// hushing is a connection that is hushed before each read.
type hushing struct{ net.Conn }

func (c hushing) Read(p []byte) (int, error) {
	quickconn.Hush(c.Conn)
	return c.Conn.Read(p)
}

// TestAsNet runs the suite that net's own connections have to pass.
func TestAsNet(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for name, as := range map[string]func(net.Conn) net.Conn{
			"": func(c net.Conn) net.Conn { return c }, "Hushing": func(c net.Conn) net.Conn { return hushing{c} },
		} {
			t.Run(network+name, func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					one, other := pair(t, network)
					return as(one), as(other), func() { _, _ = one.Close(), other.Close() }, nil
				})
			})
		}
	}
}

// TestLargeWrites sends more than the kernel takes at once, from several goroutines: no write is mixed with another.
func TestLargeWrites(t *testing.T) {
	one, other := pair(t, "tcp")
	const writers, size = 4, 3 << 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			if n, err := one.Write(bytes.Repeat([]byte{byte('a' + w)}, size)); n != size || err != nil {
				t.Errorf("wrote %d, %v, want %d", n, err, size)
			}
		})
	}
	got := make([]byte, size)
	for range writers {
		if _, err := io.ReadFull(other, got); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(got, got[:1]); n != size {
			t.Fatalf("%d of %d bytes are of one write", n, size)
		}
	}
	wg.Wait()
}

func TestErrors(t *testing.T) {
	one, other := pair(t, "tcp")
	_ = one.SetReadDeadline(time.Now().Add(-time.Second))
	var timeout net.Error
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read after its deadline: got %v, want a time-out", err)
	}
	_ = one.SetReadDeadline(time.Time{})
	_ = other.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: got %v, want EOF", err)
	}
	_ = other.Close()
	var err error
	for range 1000 { // the first ones still go into the kernel
		if _, err = one.Write(make([]byte, 1<<16)); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write to a peer that has gone: got %v, want a broken pipe or a reset", err)
	}
	_ = one.Close()
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of a closed connection: got %v, want that it is closed", err)
	}
	if pipe, _ := net.Pipe(); quickconn.Wrap(pipe) != pipe {
		t.Error("a pipe is wrapped")
	}
}
