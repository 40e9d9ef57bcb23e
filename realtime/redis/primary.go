package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Primary is the Redis that may be written to: where it is now, and all connections to it. What is made with the same Options shares
// one, so that all of them leave a primary that was replaced in the same moment, and none goes on hearing what nobody says any more.
//
// Without sentinels it is always at one address. With them it is asked for before each connection, and followed while a Broker
// that has it runs.
type Primary struct {
	opts Options // addresses and credentials

	mu      sync.Mutex
	conns   map[*trackedConn]string // to which process; empty until that is known
	run     string                  // the process that answered last
	place   place                   // where the sentinels say that it is; its address is empty before the first answer
	changed chan struct{}           // closed when place changes or Redis is back, and made anew
	out     bool                    // somebody could not connect since somebody last did
	moves   uint64

	asking chan struct{} // has something while nobody asks the sentinels
	asked  time.Time     // when they answered last; of who asks
}

// NewPrimary returns a Primary that connects to nothing yet. The error is about options.
func NewPrimary(opts Options) (*Primary, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return opts.Primary, nil
}

func newPrimary(o Options) *Primary {
	p := &Primary{opts: o, conns: map[*trackedConn]string{}, changed: make(chan struct{}), asking: make(chan struct{}, 1)}
	p.asking <- struct{}{}
	return p
}

var errMoved = errors.New("the primary is another one now")

// changes returns a channel that is closed when the primary has moved, or answers again: who waits for that need not wait longer.
func (p *Primary) changes() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// pause waits for d at most, or until changes says so; false if ctx ended first.
func (p *Primary) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.changes():
		return true
	case <-ctx.Done():
		return false
	}
}

// locate returns the address to connect to.
func (p *Primary) locate(ctx context.Context) (string, error) {
	if len(p.opts.Sentinels) == 0 {
		return p.opts.Address, nil
	}
	err := p.look(ctx, lookReuse)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.place.address != "" {
		err = nil // sentinels that are out do not keep anybody from a primary that is not
	}
	return p.place.address, err
}

// add notes a connection that is being made, so that it ends when the primary moves.
func (p *Primary) add(c *trackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = ""
}

func (p *Primary) remove(c *trackedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// arrived notes who answers on a new connection. Those on which another process answers are ended: where an address leads to is
// known best by who came there last.
func (p *Primary) arrived(c *trackedConn) error {
	p.mu.Lock()
	if len(p.opts.Sentinels) > 0 && c.address != p.place.address {
		p.mu.Unlock()
		return errMoved
	}
	var others []*trackedConn
	if c.run != "" {
		for other, run := range p.conns {
			if run != "" && run != c.run {
				others = append(others, other)
			}
		}
		p.out = p.out || c.run != p.run
		p.run = c.run
		if _, open := p.conns[c]; open {
			p.conns[c] = c.run
		}
	}
	if p.out {
		p.out = false
		p.wake()
	}
	p.mu.Unlock()
	for _, other := range others {
		other.end(errMoved)
	}
	return nil
}

// missed notes that somebody could not connect.
func (p *Primary) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = true
}

// wake has all that wait for the primary try again. The lock is held.
func (p *Primary) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// move takes what the sentinels say.
func (p *Primary) move(to place) {
	p.mu.Lock()
	from := p.place
	p.place = to
	if from.address == to.address {
		p.mu.Unlock()
		return
	}
	p.wake()
	var stale []*trackedConn
	for c := range p.conns {
		if c.address != to.address {
			stale = append(stale, c)
		}
	}
	if from.address != "" {
		p.moves++
	}
	p.mu.Unlock()
	if from.address == "" {
		p.opts.Log.Info("primary found", "name", p.opts.SentinelName, "address", to.address)
	} else {
		p.opts.Log.Warn("primary moved", "name", p.opts.SentinelName, "from", from.address, "to", to.address, "connections", len(stale))
	}
	for _, c := range stale {
		c.end(errMoved)
	}
}

// checkRole returns an error if what answers at address must not be used. A server that does not say what it is may be.
func checkRole(role, replication reply, address string) error {
	is, of := replication.field("role"), net.JoinHostPort(replication.field("master_host"), replication.field("master_port"))
	if len(role.list) > 0 {
		if is = role.list[0].text; len(role.list) > 2 {
			of = net.JoinHostPort(role.list[1].text, role.list[2].text)
		}
	}
	switch is {
	case "slave", "replica":
		return fmt.Errorf("redis at %s is a replica of %s and takes no publications; the primary is needed", address, of)
	case "sentinel":
		return fmt.Errorf("at %s is a sentinel and no redis; list it in REDIS_SENTINELS", address)
	}
	return nil
}

// checkMode returns an error if what answers at address is a node of a Cluster, where a tenant's keys and those that all nodes share are in
// different places. A server that does not say what it is may be used.
func checkMode(server reply, address string) error {
	if server.field("redis_mode") == "cluster" {
		return fmt.Errorf("redis at %s is a node of a Cluster, which is not supported: use one Redis, or one with Sentinels "+
			"(REDIS_SENTINELS)", address)
	}
	return nil
}

func needsPassword(refusal string) bool { return strings.HasPrefix(refusal, "NOAUTH") }
