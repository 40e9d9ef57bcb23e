package process

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// maxReserved bounds the ports that one process keeps for itself: more than the servers that any test or trial has at one time, and few
// enough that a process which starts servers for hours leaves ports to others.
const maxReserved = 256

// reserved are sockets whose names say which ports this process has given out, the oldest first. The kernel lets a name be taken once
// in a network namespace, which is also what a port is of, and takes it back when the process ends, however it ends: nothing is left
// behind, as a file would be.
var reserved struct {
	sync.Mutex
	sockets []int
}

// reserve reports whether this process has the port to itself now, among those who ask here.
func reserve(port int) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // out of descriptors, say: whoever asked finds that out by itself
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@kentongan-port-" + strconv.Itoa(port)}); err != nil {
		_ = unix.Close(fd)
		return false
	}
	reserved.Lock()
	defer reserved.Unlock()
	reserved.sockets = append(reserved.sockets, fd)
	if len(reserved.sockets) > maxReserved {
		_ = unix.Close(reserved.sockets[0])
		reserved.sockets = reserved.sockets[1:]
	}
	return true
}
