// Package descriptor takes the descriptors of plain sockets out of package net, and gives them back to it. It is there on Linux only,
// whose epoll serves them.
package descriptor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of returns a non-blocking descriptor of the socket of a connection, which the caller closes; false: it is no plain socket. The
// connection stays as it is: once it is closed, the descriptor keeps the socket open.
func Of(conn net.Conn) (fd int, ok bool, err error) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		fd, err = duplicate(conn)
	case *net.UnixConn:
		fd, err = duplicate(conn)
	default:
		return -1, false, nil
	}
	return fd, true, err
}

// duplicate shares the flag of not blocking with the original.
func duplicate(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("take a socket: %w", err)
	}
	controlErr := raw.Control(func(theirs uintptr) {
		fd, err = unix.FcntlInt(theirs, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(controlErr, err); err != nil {
		return -1, fmt.Errorf("take a socket: %w", err)
	}
	return fd, nil
}

// IsPlain reports whether OfListener takes l.
func IsPlain(l net.Listener) bool {
	switch l.(type) {
	case *net.TCPListener, *net.UnixListener:
		return true
	}
	return false
}

// OfListener returns a non-blocking descriptor of the socket of a plain listener, which the caller closes: net's own listener lets nobody
// wait for its descriptor. Connections that it accepts send without delay, as those of net do.
func OfListener(l net.Listener) (int, error) {
	f, err := l.(interface{ File() (*os.File, error) }).File() //nolint:forcetypeassert,errcheck // IsPlain says so
	if err != nil {
		return -1, fmt.Errorf("take a listener: %w", err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	_ = f.Close() // only the duplicate is used
	if err != nil {
		return -1, fmt.Errorf("take a listener: %w", err)
	}
	_ = unix.SetNonblock(fd, true) // else the next call says so
	// Connections inherit it from the listener; net would set it on each. Not all sockets know the option.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return fd, nil
}

// Conn makes a connection of fd, which it closes.
func Conn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "")
	conn, err := net.FileConn(f) // duplicates it
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("hand a connection over: %w", err)
	}
	return conn, nil
}
