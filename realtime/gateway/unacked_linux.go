package gateway

import (
	"net"

	"golang.org/x/sys/unix"
)

// setUnackedTimeout makes the kernel give up a peer that acknowledges nothing for unackedTimeout. Without it a dead peer is noticed
// after some 15 minutes of retransmissions.
func setUnackedTimeout(conn net.Conn) {
	tcp, ok := belowTLS(conn).(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return // closed already; the first read says so
	}
	_ = raw.Control(func(fd uintptr) {
		// An old kernel may not know the option: then its own time-out holds.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedTimeout.Milliseconds()))
	})
}
