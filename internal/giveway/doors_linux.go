package giveway

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"kentongan/internal/rawsys"
)

// doors are the descriptors that Watch was told of, in an epoll instance of their own: one call tells whether somebody waits at any of
// them, and takes nothing away from Go's network poller. The kernel forgets one that is closed.
var doors struct {
	mu   sync.Mutex   // guards the opening
	epfd atomic.Int32 // zero: not opened
}

func watch(fd int) {
	epfd, err := openDoors()
	if err == nil {
		err = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	}
	_ = err // then only the longer look sees who waits there
}

func openDoors() (int, error) {
	doors.mu.Lock()
	defer doors.mu.Unlock()
	if epfd := doors.epfd.Load(); epfd != 0 {
		return int(epfd), nil
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, err //nolint:wrapcheck // watch drops it
	}
	doors.epfd.Store(int32(epfd)) //nolint:gosec // a descriptor
	return epfd, nil
}

// quiet reports whether nobody waits at the doors. Where none are known it cannot tell.
func quiet() bool {
	epfd := doors.epfd.Load()
	if epfd == 0 {
		return false
	}
	var first [1]unix.EpollEvent
	n, err := rawsys.EpollWait(int(epfd), first[:])
	return n == 0 && err == 0
}
