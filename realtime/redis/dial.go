package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// backoff is how long to wait before try n (0 is the first repeat): anything up to 50 ms, 100 ms … 2 s. Full jitter
// keeps many nodes from knocking at the same moment; 2 s is short, for the screens of all kitchens stand still meanwhile.
func backoff(n int) time.Duration {
	limit := min(50*time.Millisecond<<min(n, 10), 2*time.Second)
	return rand.N(limit) + time.Millisecond //nolint:gosec // spread, not secrecy
}

var (
	errStopped = errors.New("stopped")
	errSurplus = errors.New("another try was faster")

	// errNoConnection is in the error of every dial: whatever waited for the connection was not sent.
	errNoConnection = errors.New("connect to redis")
)

// dialer opens the connections of one job to the primary and knows all that are open, so that an end is an end: closeAll ends
// also what waits for an answer inside of a library.
//
// After a failed try the next ones are refused at once until the backoff is over, with the error of the try. So callers get
// their answer soon and Redis is not stormed by them while it comes up. Once it has answered one dialer, the others try at once too.
type dialer struct {
	opts   *Options
	name   string        // of the connections, in CLIENT LIST
	answer time.Duration // after how long without an answer a connection is given up; zero: its job sees to that

	mu      sync.Mutex
	conns   map[*trackedConn]struct{}
	dead    []deadConn // to be ended on the side of Redis too
	closed  bool
	fails   int
	next    time.Time
	failed  <-chan struct{} // closed once the primary has moved or answered somebody since the last failure
	lastErr error
	opened  uint64 // connections so far
	lineage string // of the data behind the last one, or a word of its own if Redis does not say
	reign   string // of the last one

	loads    bool // its job gives offsets out
	named    scripts
	namedFor string
}

// deadConn is a connection that we have given up, as Redis knows it.
type deadConn struct{ run, id string }

// maxDead bounds the list; more than a few can only be when Redis cannot be reached for long, and then they are dead there too.
const maxDead = 16

func newDialer(o *Options, name string, answer time.Duration) *dialer {
	return &dialer{opts: o, name: name, answer: answer, conns: map[*trackedConn]struct{}{}}
}

func (d *dialer) dial(ctx context.Context) (*trackedConn, error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, errStopped
	}
	if time.Now().Before(d.next) && !isClosed(d.failed) { // what failed elsewhere or before says nothing of here and now
		defer d.mu.Unlock()
		return nil, d.lastErr
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, d.opts.ConnectTimeout)
	defer cancel()
	began, changed := time.Now(), d.opts.Primary.changes()
	c, err := d.openSoon(ctx)
	if err != nil {
		d.opts.Primary.missed()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.lastErr = fmt.Errorf("%w: %w", errNoConnection, err)
		// A try that took long by itself has stormed nobody.
		d.next, d.failed = began.Add(backoff(d.fails)), changed
		d.fails++
		return nil, d.lastErr
	}
	if d.closed {
		return nil, errStopped // closeAll ends it, for it is in the list
	}
	d.fails, d.next, c.ready = 0, time.Time{}, true
	d.opened++
	d.reign = c.reign
	if d.lineage = c.lineage; d.lineage == "" {
		d.lineage = "connection " + strconv.FormatUint(d.opened, 10)
	}
	return c, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// openTries bounds how many connections are tried at the same time.
const openTries = 4

// openSoon is open that tries again beside the first try while that has no answer. What was sent into a line that was dead then is never
// answered, and what is sent now may be at once: without this, the end of a break is found as late as the try that began in it gives up.
// It ends with the first that succeeds, and fails when the first one does.
func (d *dialer) openSoon(ctx context.Context) (*trackedConn, error) {
	type result struct {
		c     *trackedConn
		err   error
		first bool
	}
	ctx, cancel := context.WithCancel(ctx)
	results, under := make(chan result, openTries), 0
	try := func(first bool) {
		under++
		go func() {
			c, err := d.open(ctx)
			results <- result{c, err, first}
		}()
	}
	defer func() {
		cancel() // ends the others
		for ; under > 0; under-- {
			if r := <-results; r.err == nil {
				r.c.end(errSurplus)
			}
		}
	}()
	try(true)
	again := time.NewTicker(d.opts.AnswerLimit / openTries)
	defer again.Stop()
	for {
		select {
		case r := <-results:
			under--
			if r.err == nil || r.first {
				return r.c, r.err
			}
		case <-again.C:
			if under < openTries {
				try(false)
			}
		}
	}
}

// open connects to where the primary is and makes sure that it is one.
func (d *dialer) open(ctx context.Context) (*trackedConn, error) {
	home := d.opts.Primary
	address, err := home.locate(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, d.opts.Network, address)
	if err != nil {
		return nil, err
	}
	c := newTracked(raw, d, address)
	if !d.add(c) {
		_ = c.Close()
		return nil, errStopped
	}
	home.add(c)
	defer context.AfterFunc(ctx, func() { c.end(ctx.Err()) })()
	if err = c.secure(ctx, d.opts.TLS); err == nil {
		err = d.greet(c)
	}
	if err == nil {
		err = home.arrived(c)
	}
	if err != nil {
		_ = c.Close()
		return nil, c.reason(err)
	}
	c.limit = d.answer
	return c, nil
}

// greet signs in, says who is calling, and asks who answers.
func (d *dialer) greet(c *trackedConn) error {
	a := newAsker(c, d.opts.AnswerLimit)
	if err := a.signIn(d.opts.Username, d.opts.Password); err != nil {
		return fmt.Errorf("sign in to redis: %w", err)
	}
	// The database matters to the schema only: who sends commands selects it again, and Pub/Sub knows none.
	replies, err := a.ask([]string{"ROLE"}, []string{"INFO", "server"}, []string{"INFO", "replication"}, []string{"CLIENT", "ID"},
		[]string{"CLIENT", "SETNAME", "kentongan-" + d.name}, []string{"SELECT", strconv.Itoa(d.opts.DB)},
		[]string{"GET", d.opts.keys().schema()})
	if err != nil {
		return err
	}
	role, server, replication, id, selected, schema := replies[0], replies[1], replies[2], replies[3], replies[5], replies[6]
	if needsPassword(role.refusal) {
		return fmt.Errorf("sign in to redis: %s", role.refusal)
	}
	if err := checkRole(role, replication, c.address); err != nil {
		return err
	}
	if err := checkMode(server, schema, len(d.opts.Cluster) > 0, c.address); err != nil {
		return err
	}
	if selected.refusal == "" || d.opts.DB == 0 {
		if err := checkSchema(schema.text); err != nil {
			return fmt.Errorf("redis at %s: %w", c.address, err)
		}
	}
	reign := reignOf(server.field("run_id"), replication)
	if d.loads {
		if err := a.load(reign); err != nil {
			return err
		}
	}
	d.mu.Lock()
	c.reign = reign
	c.run, c.id = server.field("run_id"), id.text
	if c.run != "" {
		c.lineage = c.run + " " + replication.field("master_replid")
	}
	d.mu.Unlock()
	if err := d.bury(a, c.run); err != nil {
		return err
	}
	return a.finish()
}

// bury ends the connections that this job has given up on the side of Redis too. What was written to them and is not read yet must not
// be carried out behind the back of a repeat; and a subscriber that is gone need not be written to.
func (d *dialer) bury(a *asker, run string) error {
	d.mu.Lock()
	var commands [][]string
	for _, dead := range d.dead {
		if dead.run == run && dead.id != "" {
			commands = append(commands, []string{"CLIENT", "KILL", "ID", dead.id})
		}
	}
	d.dead = nil
	d.mu.Unlock()
	if len(commands) == 0 {
		return nil
	}
	_, err := a.ask(commands...) // that it is gone already is no error, and neither is an ACL that forbids it
	return err
}

func (d *dialer) add(c *trackedConn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.conns[c] = struct{}{}
	return true
}

func (d *dialer) remove(c *trackedConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	if c.id != "" {
		d.dead = append(d.dead, deadConn{c.run, c.id})
		d.dead = slices.Delete(d.dead, 0, max(0, len(d.dead)-maxDead))
	}
}

// generation changes with each new connection.
func (d *dialer) generation() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened
}

// drop gives up the connections that are open; the next dial makes a new one at once.
func (d *dialer) drop(why error) {
	d.mu.Lock()
	d.fails, d.next = 0, time.Time{}
	conns := make([]*trackedConn, 0, len(d.conns))
	for c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		c.end(why)
	}
}

// connected reports whether there is a connection that can be used.
func (d *dialer) connected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.ready {
			return true
		}
	}
	return false
}

// origin names the data behind the last connection: while it stays the same, what was stored is.
func (d *dialer) origin() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lineage
}

// reigns returns the word of the reign in which the last connection was made; empty if it has none.
func (d *dialer) reigns() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reign
}

func (d *dialer) closeAll() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.drop(net.ErrClosed)
}

// secure puts TLS on the connection if it is configured.
func (c *trackedConn) secure(ctx context.Context, config *tls.Config) error {
	if config == nil {
		return nil
	}
	conn, err := handshake(ctx, c.raw, config, c.address)
	if err == nil {
		c.Conn = conn
	}
	return err
}

// handshake speaks TLS over raw with the server at address, whose name is in its certificate unless config has another.
func handshake(ctx context.Context, raw net.Conn, config *tls.Config, address string) (net.Conn, error) {
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return conn, nil
}
