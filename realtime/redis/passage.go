package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Passage opens connections over which somebody else's commands are passed on to Redis, as they are. The Redis door drives it.
type Passage struct {
	opts   Options
	dialer *dialer
}

// NewPassage returns a Passage that connects when it is asked to. It is ended by Close.
func NewPassage(opts Options) (*Passage, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis passage: %w", err)
	}
	if len(opts.Cluster) > 0 {
		return nil, errors.New("redis passage: commands are not passed on to a Cluster: the right node is another one for each key")
	}
	p := &Passage{opts: opts}
	p.dialer = newDialer(&p.opts, "door", 0) // the door sees to silence: it knows when nothing is asked
	return p, nil
}

// Dial returns a new connection to the primary that has signed in, in database 0 and RESP2, as Redis begins. The caller closes it. While
// Redis is out it fails at once, but for one try now and then. It may be called by many at once.
func (p *Passage) Dial(ctx context.Context) (net.Conn, error) {
	c, err := p.dialer.dial(ctx)
	if err != nil {
		return nil, err // and no conn that is not nil
	}
	return c, nil
}

// Close ends all connections.
func (p *Passage) Close() { p.dialer.closeAll() }
