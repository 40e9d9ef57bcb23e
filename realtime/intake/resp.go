package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/internal/nap"
	"kentongan/internal/quickconn"
	"kentongan/internal/rediscmd"
	"kentongan/realtime"
	"kentongan/tenant"
)

// KeyChecker says who holds an API key; auth.Authenticator is one.
type KeyChecker interface {
	// APIKey returns auth.ErrBadCredential for a wrong key, and auth.ErrTooManyGuesses after too many of them from one address.
	APIKey(from netip.Addr, key string) (*auth.Identity, error)
}

// Listeners is what the Redis door needs of the hub, so that its clients can subscribe.
type Listeners interface {
	// Listen enters a listener for ch; without a name it is for all channels of its tenant and the global ones. home is the tenant of
	// the listener. hear must not block; it is called for one channel in the order of its publications. It may fail with
	// realtime.ErrUnavailable.
	Listen(ctx context.Context, ch realtime.Channel, home tenant.ID, hear func(wire string, p *realtime.Publication)) (Listening, error)

	// Followers returns how many sessions of this node follow ch.
	Followers(ch realtime.Channel) int
}

// Listening is one listener. It must be stopped.
type Listening interface {
	// Start calls first, which must not block, and after it hear for each publication.
	Start(first func())

	// Stop ends it: when it returns, hear is called no more.
	Stop()
}

// RESPOptions are the knobs of the Redis door. The parts are needed.
type RESPOptions struct {
	Keys      KeyChecker
	Names     *realtime.Names
	Publisher realtime.AsyncPublisher
	Listeners Listeners
	Pass      RESPPass    // what is passed on to a Redis; the zero value passes nothing on
	Rates     *Publishing // of publications; nil: as many as come

	MaxBytes       int           // of the data of one publication; zero means 1 MiB
	MaxBacklog     int           // bytes that wait for a subscriber which does not read; zero means 1 MiB. Past it, it is closed
	MaxChannels    int           // channels and patterns of one connection; zero means 1,000
	MaxConnections int           // zero means 1,000: an app holds a handful for each of its processes
	SignInWithin   time.Duration // zero means 5 s
	IdleFor        time.Duration // after which a connection without subscriptions is closed; zero means 1 h
	Log            *slog.Logger  // nil discards
}

// The limits that nobody needs to change.
const (
	// respInFlight and respInFlightBytes bound what one connection has sent and was not answered yet; past them its reading
	// waits. A thousand is what a pipeline of the app's clients holds at most in one turn of its loop.
	respInFlight      = 1024
	respInFlightBytes = 8 << 20

	respMaxPatterns = 32               // each is compared with every message of the kitchen
	respTries       = 3                // wrong keys, after which a connection is closed
	respStrangers   = 256              // connections that have not signed in
	respSilence     = 30 * time.Second // in the middle of a command, and of writing
	respFarewell    = 5 * time.Second  // at the end of Serve, for the answers that are under way

	// respListen is how long a subscription may take: an app's client waits for 5 s, and then knows nothing. It is the time of a
	// failover, for the client may not ask again.
	respListen = 4 * time.Second
)

// RESP is the door that speaks the Redis protocol, so that what the app publishes with its own Redis client comes here, unchanged,
// and PUBLISH is answered only once the publication is stored. It answers what clients need to connect, PUBLISH, and
// SUBSCRIBE for what their key may see. It keeps no keys, but may pass commands that do on to a Redis.
//
// A connection's publications keep their order, and so do the commands that it has passed on; a publication waits until what was
// changed before it is changed. Connections do not wait for each other.
type RESP struct {
	opts   RESPOptions
	burst  realtime.BurstPublisher // opts.Publisher, if it is one
	verbs  map[string]respVerb
	passes map[string]rediscmd.Command

	mu        sync.Mutex
	conns     map[*respConn]struct{}
	strangers int
	lastID    int64

	counts respCounts
}

type respCounts struct {
	opened, turnedAway, denied, stamped, refused, limited, failed, delivered, slow, passed, notPassed, passFailed atomic.Uint64
}

// RESPStats is a snapshot of what the Redis door has done.
type RESPStats struct {
	Connections int    // open now
	Opened      uint64 // connections so far
	TurnedAway  uint64 // of these, because there were too many
	Denied      uint64 // wrong keys
	Stamped     uint64 // publications stored
	Refused     uint64 // publications that can never be stored as they are
	Limited     uint64 // publications that came too fast
	Failed      uint64 // publications not stored because the engine was out or busy
	Delivered   uint64 // messages to subscribers
	Slow        uint64 // subscribers closed because they did not read
	Passed      uint64 // commands passed on, and answered by Redis
	NotPassed   uint64 // commands of Redis that are not passed on
	PassFailed  uint64 // commands that Redis could not be asked, or did not answer
}

// NewRESP returns a door that has not begun.
func NewRESP(opts RESPOptions) *RESP {
	for _, d := range []struct {
		value *int
		def   int
	}{{&opts.MaxBytes, 1 << 20}, {&opts.MaxBacklog, 1 << 20}, {&opts.MaxChannels, 1000}, {&opts.MaxConnections, 1000}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if opts.SignInWithin <= 0 {
		opts.SignInWithin = 5 * time.Second
	}
	if opts.IdleFor <= 0 {
		opts.IdleFor = time.Hour
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	burst, _ := opts.Publisher.(realtime.BurstPublisher)
	return &RESP{opts: opts, burst: burst, verbs: respVerbs(), passes: opts.Pass.commands(), conns: map[*respConn]struct{}{}}
}

// Stats returns the counters. They are read one by one, not at one moment.
func (d *RESP) Stats() RESPStats {
	d.mu.Lock()
	open := len(d.conns)
	d.mu.Unlock()
	c := &d.counts
	return RESPStats{
		Connections: open, Opened: c.opened.Load(), TurnedAway: c.turnedAway.Load(), Denied: c.denied.Load(), Stamped: c.stamped.Load(),
		Refused: c.refused.Load(), Limited: c.limited.Load(), Failed: c.failed.Load(), Delivered: c.delivered.Load(), Slow: c.slow.Load(),
		Passed: c.passed.Load(), NotPassed: c.notPassed.Load(), PassFailed: c.passFailed.Load(),
	}
}

// Serve accepts connections from l until ctx ends; then it reads no further, answers what it has read, closes l and all
// connections, and returns nil. An error means that l broke. It is called once.
func (d *RESP) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })() // Accept learns of it
	for fails := 0; ; fails++ {
		nc, err := l.Accept()
		switch {
		case err == nil:
			fails = -1
			if c := d.enter(nc); c != nil {
				wg.Go(func() { c.serve(ctx) })
			}
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("redis door: %w", err)
		default:
			d.opts.Log.Warn("redis door cannot accept", "err", err) // too many descriptors, mostly: it passes
			if !nap.For(ctx, backoff(max(fails, 0))) {
				return nil
			}
		}
	}
}

// enter makes a connection of nc, or turns it away and returns nil.
func (d *RESP) enter(nc net.Conn) *respConn {
	d.counts.opened.Add(1)
	d.mu.Lock()
	if len(d.conns) >= d.opts.MaxConnections || d.strangers >= respStrangers {
		d.mu.Unlock()
		d.counts.turnedAway.Add(1)
		// The buffer of a new socket takes a line; who does not get it sees the close.
		_ = nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = nc.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = nc.Close()
		return nil
	}
	d.lastID++
	c := newRESPConn(d, quickconn.Wrap(nc), d.lastID)
	d.conns[c] = struct{}{}
	d.strangers++
	d.mu.Unlock()
	return c
}

// known says that a connection has signed in.
func (d *RESP) known() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strangers--
}

// stranger says that a signed-in connection has given its identity back.
func (d *RESP) stranger() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strangers++
}

func (d *RESP) leave(c *respConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	if c.who == nil {
		d.strangers--
	}
}
