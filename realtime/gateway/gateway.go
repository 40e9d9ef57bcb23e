package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/auth"
	"kentongan/internal/access"
	"kentongan/internal/clientip"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

// Authenticator says who a request comes from.
type Authenticator interface {
	// Admit returns the identity that the request proves, if the page that made it may connect here; else an error that
	// auth.Deny can answer with.
	Admit(ctx context.Context, r *http.Request) (*auth.Identity, error)
}

// Waiter is the extra ability of an Authenticator to tell whether it may have to wait for another server over r. Others never
// do.
type Waiter interface {
	MayWait(r *http.Request) bool
}

// Options are the knobs of a Gateway. The zero value is safe but for the parts, which are needed.
type Options struct {
	Auth     Authenticator
	Names    *realtime.Names
	Broker   realtime.Broker
	Presence realtime.Presence
	Hub      *hub.Hub

	// Ticket, if set, makes the one-use ticket that connection info hands out as its token.
	Ticket func(ctx context.Context, who *auth.Identity) (string, error)

	// Devices, if set, remembers what bare clients have, so that they are sent what they missed when they come back; nil: they
	// are not.
	Devices realtime.Devices

	// Fits, if set, says what does not fit in a publication of a server; nil lets it go on.
	Fits func(ch realtime.Channel, data []byte) *realtime.Mismatch

	// MayPublish, if set, counts a publication to a kitchen by the API key called name, and returns zero; or after how long there
	// may be one
	// again, and why in words.
	MayPublish func(name string, to tenant.ID) (wait time.Duration, why string)

	// PublicURL is the address that clients see, such as "https://app.example.com"; empty: what the request says.
	PublicURL string

	// PingInterval is the time between two pings to a client; a peer that is silent for two is taken for dead. Zero means 25 s:
	// below the 30 s after which the strictest proxies and mobile networks drop an idle connection.
	PingInterval time.Duration

	// MaxBacklogBytes is how much may wait for a reader that does not keep up; zero means 1 MiB, which is a minute
	// of the busiest kitchen.
	MaxBacklogBytes int

	// MaxMessageBytes is the largest message that is read from a client; zero means 64 KiB.
	MaxMessageBytes int

	// MaxChannels is how many channels one connection may follow; zero means 100.
	MaxChannels int

	// MaxConnections is how many connections are held at once; zero means no bound but that of the process.
	MaxConnections int

	// Quotas bound what one kitchen, one person and one address take of this node.
	Quotas Quotas

	// Weight is how large a kitchen's share is, compared with others, of what replays and snapshots take: at least 1. It may be called at
	// any time. Nil: all have the same.
	Weight func(t tenant.ID) int

	// Proxies are those that are believed when they say in a header whom a request came from; nil: nobody is.
	Proxies *clientip.Proxies

	// ProxyPeers are those whose connections begin with a header of the PROXY protocol, and must; nil: nobody's do.
	ProxyPeers []netip.Prefix

	// AnnounceExtension, if set, tells the other nodes that somebody has renewed a credential.
	AnnounceExtension func(ctx context.Context, e auth.Extension) error

	// Fault, if set, is asked four times a second whether clients may be seeing what is old; they are then told. It must not block.
	Fault Fault

	// Hidden are the fields that only those who may see money get, on whatever way; nil: all see everything. The Hub needs the same.
	Hidden *realtime.HiddenFields

	// Deflate offers permessage-deflate to WebSocket clients.
	Deflate bool

	// Sockets serves the connections; nil means portably.
	Sockets *socket.Engine

	// Access, if set, gets a line for each session when it ends, and for each handshake that is refused without net/http.
	Access *access.Log

	// CloseTimeout is how long a peer may take to answer a close frame; zero means 5 s.
	CloseTimeout time.Duration

	Log   *slog.Logger // nil discards
	Audit *slog.Logger // of looks of the platform into kitchens; nil: Log
}

// Gateway holds all sessions of this node. Its methods may be called concurrently.
type Gateway struct {
	opts     Options
	hub      *hub.Hub
	presence realtime.Presence
	sockets  *socket.Engine
	start    time.Time
	wheel    wheel
	fresh    freshness

	pace      pace      // of those who ask to connect
	questions questions // to bare clients: what do you have?
	stats     stats
	plain     protocol.ReaderOptions // for connections without compression
	deflated  protocol.ReaderOptions // for those with
	pages     *pages                 // of history, for replays
	snapshots *turns                 // of sessions that are sent a snapshot

	goroutines sync.WaitGroup // of commands, handshakes and replays; and the sessions, which have none
	ctx        context.Context
	cancel     context.CancelFunc
	draining   atomic.Bool

	// echo replaces the commands in tests that check the wire; nil otherwise.
	echo func(s *session, op protocol.Opcode, data []byte) error

	mu    sync.Mutex // guards the list, and who has which seats
	first *session
	count int
	seats seats
	ids   uint64

	// connections + the id of a session is the number of its connection, which no other process gives to one.
	connections uint64
}

// New returns a Gateway without sessions. It starts nothing.
func New(opts Options) *Gateway {
	set := func(p *int, value int) {
		if *p <= 0 {
			*p = value
		}
	}
	set(&opts.MaxBacklogBytes, 1<<20)
	set(&opts.MaxMessageBytes, protocol.DefaultMaxMessageBytes)
	set(&opts.MaxChannels, 100)
	if opts.PingInterval <= 0 {
		opts.PingInterval = 25 * time.Second
	}
	if opts.CloseTimeout <= 0 {
		opts.CloseTimeout = 5 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Audit == nil {
		opts.Audit = opts.Log
	}
	if opts.Sockets == nil {
		opts.Sockets = socket.NewPortable(opts.Log)
	}
	g := &Gateway{
		opts: opts, hub: opts.Hub, presence: opts.Presence, sockets: opts.Sockets, start: time.Now(),
		plain:    protocol.ReaderOptions{MaxMessageBytes: opts.MaxMessageBytes},
		deflated: protocol.ReaderOptions{MaxMessageBytes: opts.MaxMessageBytes, Deflate: true},
		pages:    newPages(opts.Broker, opts.Weight), snapshots: newTurns(maxSnapshots, kitchenSnapshots, opts.Weight),
		connections: randomID(),
		seats:       newSeats(),
	}
	if rate := opts.Quotas.UpgradeRate; rate > 0 {
		g.pace.every = max(1, time.Second/time.Duration(rate))
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Run keeps the time of all sessions until ctx ends; then it hangs up on those that are still there and waits until the last has
// left. Call Drain before, to let them go in peace. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	g.goroutines.Go(func() { g.watchFaults(ctx) })
	g.goroutines.Go(func() { g.questions.run(ctx) })
	g.wheel.run(ctx, g.clock)
	g.cancel() // first, so that who is too late for the list finds it
	sessions := g.leave()
	for _, s := range sessions {
		s.close(protocol.CloseGoingAway, "")
		s.conn.Abort()
	}
	g.goroutines.Wait()
	g.pages.close()
	return nil
}

// clock is the time since the gateway was made, on the monotonic clock.
func (g *Gateway) clock() time.Duration { return time.Since(g.start) }

// awake is the part of clock in which this process did not stand still.
func (g *Gateway) awake() time.Duration { return g.clock() - time.Duration(g.wheel.lost.Load()) }

func (g *Gateway) readerOptions(deflate bool) *protocol.ReaderOptions {
	if deflate {
		return &g.deflated
	}
	return &g.plain
}

// Drain sends all clients away, spread evenly over the given time: each is told when its turn is, is served until then,
// and closed; it may come back at once, to another node or to the one that starts here next. New ones are refused from
// the start. It returns when the last has been closed, or when ctx ends.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) {
	sessions := g.leave()
	if len(sessions) == 0 {
		return
	}
	g.opts.Log.Info("drain started", "connections", len(sessions), "over", over.String())
	slot := over / time.Duration(len(sessions))
	for i, s := range sessions {
		s.push(protocol.Goaway{ReconnectIn: time.Duration(i) * slot, Reason: protocol.CloseDrain.String()})
	}
	started := time.Now()
	for i, s := range sessions {
		if wait := time.Until(started.Add(time.Duration(i) * slot)); wait > time.Millisecond {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		s.close(protocol.CloseDrain, "")
	}
	g.awaitEmpty(ctx)
}

// awaitEmpty waits until the closed sessions have answered and left, but not longer than the close timeout.
func (g *Gateway) awaitEmpty(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.opts.CloseTimeout)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for g.Connections() > 0 {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// Revoke closes the sessions that r revokes, and returns how many those were.
func (g *Gateway) Revoke(revoked func(*auth.Identity) bool) int {
	n := 0
	for _, s := range g.list() {
		if revoked(s.who.Load()) {
			s.close(protocol.CloseRevoked, "")
			n++
		}
	}
	return n
}

// Drop breaks the connections of the sessions that which picks, as a line does that is cut: without a close code. It returns
// how many those
// were.
func (g *Gateway) Drop(which func(*auth.Identity) bool) int {
	n := 0
	for _, s := range g.list() {
		if which(s.who.Load()) {
			s.conn.Abort()
			n++
		}
	}
	return n
}
