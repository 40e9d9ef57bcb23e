package socket

import (
	"time"

	"golang.org/x/sys/unix"
)

// GiveUpAfter makes the kernel give up a peer that acknowledges nothing for d. Without it a dead peer that is only written to is noticed
// after some 15 minutes of retransmissions. It does nothing where the kernel does not know how.
func (c *Conn) GiveUpAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is(over) {
		c.driver.socket(c, func(fd int) {
			// An old kernel or a pipe may not know the option: then its own time-out holds.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
	}
}
