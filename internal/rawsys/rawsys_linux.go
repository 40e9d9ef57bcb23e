// Package rawsys makes system calls that cannot block, on non-blocking sockets and on epoll without waiting, and does not tell Go's
// scheduler of them. A call that the scheduler knows of wakes the runtime's monitor, which then looks every 20 µs whether a
// processor has to be taken away from the call, and hands it over if that took longer. In a server whose every message costs a handful
// of calls this was a quarter of its CPU time (2,000 rooms of 5, 4,000 messages a second).
//
// Each function returns the plain errno, 0 for none: an error made of it would be looked at once for every call.
package rawsys

import (
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads from the socket fd into p.
func Read(fd int, p []byte) (int, syscall.Errno) {
	at := unsafe.Pointer(unsafe.SliceData(p)) //nolint:gosec // it is kept alive by the call
	n, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(at), uintptr(len(p)), 0, 0, 0)
	return int(n), err
}

// Write writes p to the socket fd, or a part of it. It is a send, because write(2) locks the position of a file that has none, and
// looks at its inode: cold memory for each of very many sockets.
func Write(fd int, p []byte) (int, syscall.Errno) {
	at := unsafe.Pointer(unsafe.SliceData(p)) //nolint:gosec // it is kept alive by the call
	n, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(at), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), err
}

// MaxFrames is how many frames Writev takes.
const MaxFrames = 64

// Writev writes at most MaxFrames frames, of which none is empty, or a part of them.
func Writev(fd int, frames [][]byte) (int, syscall.Errno) {
	vectors := pool.Get().(*[MaxFrames]unix.Iovec) //nolint:forcetypeassert,errcheck // the pool makes nothing else
	defer pool.Put(vectors)
	vector := vectors[:len(frames)]
	for i, f := range frames {
		vector[i].Base = unsafe.SliceData(f) //nolint:gosec // a pointer into f
		vector[i].SetLen(len(f))
	}
	at := unsafe.Pointer(unsafe.SliceData(vector)) //nolint:gosec // it is kept alive by the call
	n, _, err := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(at), uintptr(len(vector)))
	clear(vector) // it must not keep the frames alive
	return int(n), err
}

var pool = sync.Pool{New: func() any { return new([MaxFrames]unix.Iovec) }}

// Accept takes a connection, non-blocking, and says whom it is from: asked for later, that would be two calls more. The address is not
// valid if the peer has none, as at a Unix socket.
func Accept(listener int) (int, netip.Addr, syscall.Errno) {
	var peer unix.RawSockaddrInet6 // the longest that is looked at; the kernel cuts off what is longer
	size := uint32(unsafe.Sizeof(peer))
	at, sizeAt := unsafe.Pointer(&peer), unsafe.Pointer(&size) //nolint:gosec // they are kept alive by the call
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	n, _, err := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(at), uintptr(sizeAt), flags, 0, 0)
	if err != 0 {
		return -1, netip.Addr{}, err
	}
	switch peer.Family {
	case unix.AF_INET:
		return int(n), netip.AddrFrom4((*unix.RawSockaddrInet4)(at).Addr), 0
	case unix.AF_INET6:
		return int(n), netip.AddrFrom16(peer.Addr).Unmap(), 0
	}
	return int(n), netip.Addr{}, 0
}

// EpollWait returns what has happened, without waiting.
func EpollWait(epfd int, events []unix.EpollEvent) (int, syscall.Errno) {
	at := unsafe.Pointer(unsafe.SliceData(events)) //nolint:gosec // it is kept alive by the call
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(at), uintptr(len(events)), 0, 0, 0)
	return int(n), err
}

// SetLowWater sets how many bytes have to arrive on the TCP socket fd before who waits for it is woken up. If as many are there already,
// it is woken up now. A read takes what there is, however little.
func SetLowWater(fd, bytes int) syscall.Errno {
	value := int32(bytes)        //nolint:gosec // a few kilobytes
	at := unsafe.Pointer(&value) //nolint:gosec // it is kept alive by the call
	size := unsafe.Sizeof(value) // of what the kernel reads
	_, _, err := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, uintptr(at), size, 0)
	return err
}

// Close closes fd.
func Close(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) } // it is gone either way
