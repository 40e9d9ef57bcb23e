package giveway

import (
	"encoding/binary"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// place is an eventfd that Go's network poller watches.
type place struct {
	file  *os.File // nil: not opened, or it could not be
	raw   syscall.RawConn
	ready func(fd uintptr) bool // step, made once
	slept bool                  // in this sleep
}

// sleep returns when the network poller has been asked. Without a descriptor left it returns at once: to be less kind is all that this
// costs.
func (p *place) sleep() {
	if p.file == nil && !p.open() {
		return
	}
	p.slept = false
	_ = p.raw.Read(p.ready) // it is closed by nobody else
}

func (p *place) open() bool {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), "giveway")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return false
	}
	p.file, p.raw, p.ready = file, raw, p.step
	return true
}

// step is called by the network poller's loop. At first it makes the descriptor ready and says that it is not; when the poller has found
// that out it takes that back. Both calls are raw: they cannot block, and the scheduler need not hear of them.
func (p *place) step(fd uintptr) bool {
	var count [8]byte
	at := unsafe.Pointer(&count[0]) //nolint:gosec // it is kept alive by the call
	if p.slept {
		_, _, _ = unix.RawSyscall(unix.SYS_READ, fd, uintptr(at), uintptr(len(count)))
		return true
	}
	binary.NativeEndian.PutUint64(count[:], 1)
	_, _, err := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(at), uintptr(len(count)))
	p.slept = true
	return err != 0 // then nothing would ever come
}

func (p *place) close() {
	if p.file != nil {
		_ = p.file.Close()
		p.file = nil
	}
}
