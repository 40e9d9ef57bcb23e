//go:build !linux

package socket

import "time"

// GiveUpAfter makes the kernel give up a peer that acknowledges nothing for d, where it knows how; here it does not.
func (c *Conn) GiveUpAfter(time.Duration) {}
