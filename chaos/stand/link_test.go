package stand_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/chaos/stand"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each byte with itself.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// dial connects over the link.
func dial(t *testing.T, l *stand.Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answers reports whether a byte comes back.
func answers(t *testing.T, conn net.Conn, patience time.Duration) bool {
	t.Helper()
	if _, err := conn.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := conn.Read(make([]byte, 1))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the link tells of its silence: %v", err)
	}
	return err == nil
}

const (
	long  = 20 * time.Second
	short = 50 * time.Millisecond // long enough for what should not come to come by mistake
)

func TestLinkFallsSilentInEitherDirection(t *testing.T) {
	for _, d := range []stand.Direction{stand.Up, stand.Down} {
		target := echo(t)
		l, err := stand.NewLink(t.Context(), func() string { return target })
		if err != nil {
			t.Fatal(err)
		}
		before := dial(t, l)
		if !answers(t, before, long) {
			t.Fatal("the link does not carry")
		}
		l.Silence(d, false)
		if answers(t, before, short) {
			t.Errorf("direction %d: a silent connection answers", d)
		}
		if !answers(t, dial(t, l), long) {
			t.Errorf("direction %d: new connections are silent, too", d)
		}
		l.Silence(d, true)
		fresh := dial(t, l)
		if answers(t, fresh, short) {
			t.Errorf("direction %d: a new connection answers", d)
		}
		l.Restore()
		if answers(t, before, short) || answers(t, fresh, short) {
			t.Errorf("direction %d: what was silent works again, with bytes of it lost", d)
		}
		if !answers(t, dial(t, l), long) {
			t.Errorf("direction %d: new connections stay silent", d)
		}
		l.Close()
	}
}

func TestLinkTellsTheEnd(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	l, err := stand.NewLink(t.Context(), func() string { return server.Addr().String() })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn := dial(t, l)
	far, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want the end of the other side", err)
	}
	_ = server.Close()
	conn = dial(t, l) // a link is there also when nobody is behind it
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, want the end", err)
	}
}
