package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below cannot block: their sockets are non-blocking, and epoll is asked without waiting. So the scheduler need not
// be told of them, which saves the hand-over of a processor whenever one takes longer than 20 µs. Each returns the
// plain errno, for an error made of it would be looked at once for every call.

func read(fd int32, p []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err //nolint:gosec // at most len(p), or -1
}

func write(fd int32, p []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), err //nolint:gosec // as above
}

type iovec = unix.Iovec

// writev writes frames, of which none is empty, with the memory of vector.
func writev(fd int32, vector []iovec, frames [][]byte) (int, syscall.Errno) {
	for _, f := range frames {
		v := iovec{Base: unsafe.SliceData(f)}
		v.SetLen(len(f))
		vector = append(vector, v)
	}
	n, _, err := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(vector))), uintptr(len(vector)))
	clear(vector)      // it must not keep the frames alive
	return int(n), err //nolint:gosec // as above
}

// accept takes a connection, non-blocking.
func accept(listener uintptr) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), err //nolint:gosec // a descriptor, or -1
}

// epollWait returns what has happened, without waiting.
func epollWait(epfd int, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	return int(n), err //nolint:gosec // at most len(events), or -1
}

func closeFD(fd int32) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) } // it is gone either way
