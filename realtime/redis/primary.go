package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"kentongan/internal/nap"
)

// Primary is the Redis that may be written to: where it is now, and all connections to it. What is made with the same Options shares
// one, so that all of them leave a primary that was replaced in the same moment, and none goes on hearing what nobody says any more.
//
// Without a finder it is always at one address. With one it is asked for before each connection, and followed while a Broker that
// has it runs.
type Primary struct {
	opts   Options // addresses and credentials
	finder finder  // nil: it is always at one address

	mu      sync.Mutex
	conns   map[*trackedConn]string // to which process; empty until that is known
	run     string                  // the process that answered last
	place   place                   // where the finder says that it is; its address is empty before the first answer
	changed chan struct{}           // closed when place changes or Redis is back, and made anew
	out     bool                    // somebody could not connect since somebody last did
	moves   uint64

	news   chan struct{} // has something when follow should look
	asking chan struct{} // has something while nobody asks the finder
	asked  time.Time     // when it answered last; of who asks
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
	p := &Primary{opts: o, conns: map[*trackedConn]string{}, changed: make(chan struct{}), news: make(chan struct{}, 1),
		asking: make(chan struct{}, 1)}
	p.finder = finderOf(&p.opts)
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
	if p.finder == nil {
		return p.opts.Address, nil
	}
	err := p.look(ctx, lookReuse)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.place.address != "" {
		err = nil // those who are asked and are out do not keep anybody from a primary that is not
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
	if p.finder != nil && c.address != p.place.address {
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

// look asks the finder where the primary is, unless it answered within reuse, and moves there.
func (p *Primary) look(ctx context.Context, reuse time.Duration) error {
	select {
	case <-p.asking:
		defer func() { p.asking <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if time.Since(p.asked) < reuse {
		return nil
	}
	p.mu.Lock()
	known := p.place
	p.mu.Unlock()
	found, err := p.finder.find(ctx, known)
	if err != nil {
		return err
	}
	p.asked = time.Now()
	p.move(found)
	return nil
}

// follow hears what the finder says until ctx ends, and moves when the primary does.
func (p *Primary) follow(ctx context.Context) {
	if p.finder == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.finder.hear(ctx, p.isOut, p.seek) })
	for fails := 0; ; {
		select {
		case <-p.news:
		case <-ctx.Done():
			return
		}
		if p.look(ctx, 0) == nil {
			fails = 0
			continue
		}
		if !nap.For(ctx, min(backoff(fails), time.Second)) {
			return
		}
		fails++
		p.seek()
	}
}

// seek has follow look where the primary is.
func (p *Primary) seek() {
	select {
	case p.news <- struct{}{}:
	default: // it is looked at anyway
	}
}

// isOut reports whether somebody could not connect since somebody last did.
func (p *Primary) isOut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

// move takes what the finder says.
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
		p.opts.Log.Info("primary found", "name", p.finder.name(), "address", to.address)
	} else {
		p.opts.Log.Warn("primary moved", "name", p.finder.name(), "from", from.address, "to", to.address, "connections", len(stale))
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

// checkMode returns an error if what answers at address is a node of a Cluster though it should be none, or the other way round, or one
// that does not have our slot. A server that does not say what it is may be used. looked is the answer to a question for a key of ours.
func checkMode(server, looked reply, clustered bool, address string) error {
	mode := server.field("redis_mode")
	switch {
	case mode == "cluster" && !clustered:
		return fmt.Errorf("redis at %s is a node of a Cluster: list some nodes of that in REDIS_CLUSTER, and leave REDIS_URL and "+
			"REDIS_HOST to a single Redis", address)
	case mode != "" && mode != "cluster" && clustered:
		return fmt.Errorf("redis at %s: %w", address, errNoCluster)
	}
	if _, why := refusedBySlot(looked.refusal); why != nil && clustered {
		return fmt.Errorf("redis at %s: %w", address, why)
	}
	return nil
}

func needsPassword(refusal string) bool { return strings.HasPrefix(refusal, "NOAUTH") }
