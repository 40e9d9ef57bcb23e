package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/chaos/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	long  = 30 * time.Second
	short = 50 * time.Millisecond // long enough for what should not come to come by mistake
)

// pair returns both ends of a connection over a line.
func pair(t *testing.T, l *client.Line) (device, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	device, err = l.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = device.Close()
		_ = server.Close()
		l.Close()
	})
	return device, server
}

// read returns what arrives at the device, or an error.
func read(conn net.Conn) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(conn, make([]byte, 1))
		done <- err
	}()
	return done
}

func within(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(long):
		t.Fatal("nothing happens")
		return nil
	}
}

func TestLineHoldsAndReleases(t *testing.T) {
	l := client.NewLine()
	device, server := pair(t, l)
	l.Hold()
	_, _ = server.Write([]byte{1})
	done := read(device)
	select {
	case err := <-done:
		t.Fatalf("a line that is down carries: %v", err)
	case <-time.After(short):
	}
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if _, err := l.DialContext(ctx, "tcp", server.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("dial over a line that is down: %v", err)
	}
	l.Release()
	if err := within(t, done); err != nil {
		t.Fatalf("what was on its way does not come: %v", err)
	}
}

func TestLineCutsForBothSides(t *testing.T) {
	l := client.NewLine()
	device, server := pair(t, l)
	l.Hold()
	done := read(device)
	l.Cut()
	if err := within(t, done); err == nil {
		t.Fatal("the device reads on")
	}
	_ = server.SetReadDeadline(time.Now().Add(long))
	if _, err := server.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server is not told: %v", err)
	}
	if n := l.Connections(); n != 0 {
		t.Fatalf("%d connections left", n)
	}
}

func TestLineForgetsWithoutTellingTheServer(t *testing.T) {
	l := client.NewLine()
	device, server := pair(t, l)
	done := read(device)
	_, _ = server.Write([]byte{1})
	if err := within(t, done); err != nil {
		t.Fatal(err)
	}
	l.Forget()
	if _, err := device.Write([]byte{1}); err == nil {
		t.Fatal("the device writes on")
	}
	_ = server.SetReadDeadline(time.Now().Add(short))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server is told: %v", err)
	}
	l.Close()
	_ = server.SetReadDeadline(time.Now().Add(long))
	if _, err := server.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("what was forgotten outlives its line")
	}
}

func TestLineIsSlow(t *testing.T) {
	l := client.NewLine()
	device, server := pair(t, l)
	_, _ = server.Write(make([]byte, 1000))
	l.Slow(100)
	n, err := device.Read(make([]byte, 1000))
	if err != nil || n > 10 {
		t.Fatalf("read %d bytes at once, %v; want a tenth of a second's at most", n, err)
	}
	l.Slow(0)
	if _, err := io.ReadFull(device, make([]byte, 990)); err != nil {
		t.Fatal(err)
	}
}
