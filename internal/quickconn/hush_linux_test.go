package quickconn_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kentongan/internal/quickconn"
)

// wakesUp reports whether the kernel would wake up who waits for conn.
func wakesUp(t *testing.T, conn net.Conn) bool {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	events := int16(0)
	if err := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, 0); err != nil {
			t.Error(err)
		}
		events = fds[0].Revents
	}); err != nil {
		t.Fatal(err)
	}
	return events != 0
}

// hushedPair is pair, with the connection below the first end.
func hushedPair(t *testing.T) (one, below, other net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if below, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if other, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = below.Close(), other.Close() })
	return quickconn.Wrap(below), below, other
}

// TestHush is about who is woken up: nobody while nothing is waited for, whoever waits by a single byte, and whoever rests by the end.
func TestHush(t *testing.T) {
	one, below, other := hushedPair(t)
	send := func(text string) {
		t.Helper()
		if _, err := io.WriteString(other, text); err != nil {
			t.Fatal(err)
		}
	}
	read := func(want string) {
		t.Helper()
		got := make([]byte, len(want)+1)
		if n, err := one.Read(got); err != nil || string(got[:n]) != want {
			t.Fatalf("read %q, %v, want %q", got[:n], err, want)
		}
	}
	arrive := func(n int) { // in the kernel, whose loopback has it here before a write returns or a little later
		t.Helper()
		for range 1_000_000 {
			if there := waiting(t, below); there >= n {
				return
			}
		}
		t.Fatalf("%d bytes do not arrive", n)
	}
	send("a")
	arrive(1)
	if !wakesUp(t, below) {
		t.Error("a byte wakes nobody up, though nothing is hushed")
	}
	read("a")
	quickconn.Hush(one)
	send("b")
	arrive(1)
	if wakesUp(t, below) {
		t.Error("a byte wakes up who rests")
	}
	read("b") // it need not wait: it stays hushed
	send("c")
	arrive(1)
	if wakesUp(t, below) {
		t.Error("a byte wakes up who rests behind a read")
	}
	read("c")
	got := make(chan error, 1)
	go func() {
		b := make([]byte, 2)
		n, err := one.Read(b)
		if err == nil && string(b[:n]) != "d" {
			err = errors.New("it reads " + string(b[:n]))
		}
		got <- err
	}()
	send("d") // before or after the read begins to wait
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	quickconn.Hush(one)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for range 1_000_000 {
		if wakesUp(t, below) {
			break
		}
	}
	if !wakesUp(t, below) {
		t.Error("the end of the connection wakes nobody up")
	}
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: got %v, want EOF", err)
	}
	_ = one.Close()
	quickconn.Hush(one) // does nothing
	pipe, _ := net.Pipe()
	quickconn.Hush(pipe)
}

// TestHushManyTimes reads what comes one byte at a time, hushed before each read: none is waited for in vain.
func TestHushManyTimes(t *testing.T) {
	one, _, other := hushedPair(t)
	const bytes = 20_000
	go func() {
		for range bytes {
			if _, err := other.Write([]byte{1}); err != nil {
				return // the other side complains
			}
		}
	}()
	b := make([]byte, 1)
	for i := range bytes {
		quickconn.Hush(one)
		if _, err := one.Read(b); err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

// waiting returns how many bytes are there to be read.
func waiting(t *testing.T, conn net.Conn) (n int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
