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

// served are the doors of Serve, by what the kernel tells with their events. Zero is for all others, and never served.
var served [maxServed]struct{ taken, now atomic.Bool }

// maxServed is more than a server has loops; who comes too late is as a door of Watch.
const maxServed = 65

func watch(fd int) { door(fd, 0) }

func door(fd int, number int32) {
	epfd, err := openDoors()
	if err == nil {
		err = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: number})
	}
	_ = err // then only the longer look sees who waits there
}

func serve(fd int) (number int32) {
	for i := range served[1:] {
		if served[i+1].taken.CompareAndSwap(false, true) {
			number = int32(i + 1)
			break
		}
	}
	door(fd, number)
	return number
}

func (d *Door) set(now bool) {
	if d.number > 0 {
		served[d.number].now.Store(now)
	}
}

func (d *Door) close() {
	d.set(false)
	if d.number > 0 {
		served[d.number].taken.Store(false)
		d.number = 0
	}
}

func openDoors() (int, error) {
	doors.mu.Lock()
	defer doors.mu.Unlock()
	if epfd := doors.epfd.Load(); epfd != 0 {
		return int(epfd), nil
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, err //nolint:wrapcheck // door drops it
	}
	doors.epfd.Store(int32(epfd)) //nolint:gosec // a descriptor
	return epfd, nil
}

// quiet reports whether nobody waits at the doors, but where he is being served. Where none are known it cannot tell.
func quiet() bool {
	epfd := doors.epfd.Load()
	if epfd == 0 {
		return false
	}
	var ready [maxServed]unix.EpollEvent // one of them is not served, if they are as many
	n, err := rawsys.EpollWait(int(epfd), ready[:])
	if err != 0 {
		return false
	}
	for _, ev := range ready[:n] {
		if !served[ev.Fd].now.Load() {
			return false
		}
	}
	return true
}
