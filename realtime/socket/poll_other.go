//go:build !linux

package socket

import (
	"context"
	"net"
	"time"
)

// poll is not there: all connections are served portably.
type poll struct{}

func openPoll(int, *Engine) (*poll, error) { return nil, ErrUnsupported }

func (p *poll) close() {}

func (p *poll) adopt(net.Conn, Handler) (*Conn, error) { return nil, nil } //nolint:nilnil // never called

func (p *poll) listens(net.Listener) bool { return false }

func (p *poll) accept(context.Context, net.Listener, Fresh) error {
	return ErrUnsupported
}

// GiveUpAfter makes the kernel give up a peer that acknowledges nothing for d, where it knows how; here it does not.
func (c *Conn) GiveUpAfter(time.Duration) {}
