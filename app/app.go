package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/auth"
	"kentongan/cache"
	"kentongan/config"
	"kentongan/internal/certs"
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/hub"
	"kentongan/realtime/intake"
	"kentongan/realtime/schema"
	"kentongan/realtime/socket"
)

// Options are what the command adds to the configuration.
type Options struct {
	Log     *slog.Logger   // nil discards
	Level   *slog.LevelVar // of Log, for the admin listener to change; nil: it cannot
	Version string         // what /healthz shows

	// Demo lets the kitchens of the demo cook, and people sign in by link. It needs a session secret and the production service, in a
	// database of its own.
	Demo bool

	// ShareEvery is how often nodes tell each other what they give to whom, and so how late a limit is known to be reached elsewhere; zero
	// means 2 s. Nodes with different times get along.
	ShareEvery time.Duration

	// Ready, if set, is called once, when both listeners accept connections.
	Ready func(Addresses)
}

// Addresses are where the server listens, and how to get in.
type Addresses struct {
	Public   string // host:port
	Admin    string // host:port; empty: off
	Redis    string // host:port of the Redis door; empty: off
	Redirect string // host:port of the listener that sends http to https; empty: off

	// SignIn returns the path and query of a link that signs in with these claims; nil unless Options.Demo is set.
	SignIn func(claims map[string]any) (string, error)
}

// App is a server that has been put together and not yet started.
type App struct {
	cfg     config.Config
	opts    Options
	log     *slog.Logger
	audit   *slog.Logger // the same, for who did what: at every level
	names   *realtime.Names
	hidden  *realtime.HiddenFields // what roles without money rights do not get; nil: nothing
	schemas *schema.Set            // by which publications are checked; nil: they are not
	engine  engine
	auth    *auth.Authenticator
	signIn  *auth.SignIn // nil without production service, or without a session secret
	line    *demoLine    // nil without Options.Demo
	hub     *hub.Hub
	sockets *socket.Engine
	gateway *gateway.Gateway
	http    *intake.HTTP
	rates   *intake.Publishing
	pubsub  *intake.PubSub // nil with the memory engine
	aside   *intake.Aside  // nil with the memory engine
	stream  *intake.Stream // nil with the memory engine
	resp    *intake.RESP   // nil: the Redis door is off
	cache   *cache.Cache   // nil: it is off
	records *records       // nil: the production service is off
	certs   certificates   // nil: no TLS; set before anything runs
	acme    *certs.ACME    // the same, if they come from an authority
	metrics *metrics
	traces  *tracing.Tracer // nil: off
	origins origins         // of events, for traces
	ready   readiness
	stopBy  time.Time // when the drain time is over; zero before a stop

	doorsClosed chan struct{} // closed when the doors other than HTTP have ended
}

// Run builds the server, serves until ctx ends, and stops in order. It returns nil after a clean stop, and an error if
// something could not be built, or broke.
func Run(ctx context.Context, cfg config.Config, opts Options) error {
	sockets, err := socket.Open(socket.Options{Kind: socket.Kind(cfg.Connections.Sockets), Log: opts.Log})
	if err != nil {
		return err //nolint:wrapcheck // it says all
	}
	defer sockets.Close()               // when the gateway's last connection has ended
	a, err := build(cfg, opts, sockets) //nolint:contextcheck // spans have nothing of a context but their place in a trace
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// build makes all parts. It opens nothing.
func build(cfg config.Config, opts Options, sockets *socket.Engine) (*App, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{doorsClosed: make(chan struct{}), cfg: cfg, opts: opts, log: opts.Log, audit: audited(opts.Log), sockets: sockets}
	err := a.buildChannels()
	if err == nil {
		a.traces, err = newTraces(cfg, opts)
	}
	if err != nil {
		return nil, err
	}
	a.metrics = newMetrics(a)
	revocations := auth.NewRevocations(auth.RevocationOptions{})
	if a.engine, err = openEngine(cfg, a.names, engineNews{a.onRevocation, a.onExtension}, a.traces, a.log); err != nil {
		return nil, err
	}
	if a.auth, err = newAuthenticator(cfg, a.engine, revocations, a.log, a.audit); err != nil {
		return nil, err
	}
	if cfg.Production.On && len(cfg.Auth.SessionSecrets) > 0 { // otherwise people sign in at their app
		if a.signIn, err = newSignIn(cfg, a.log, a.audit); err != nil {
			return nil, err
		}
	}
	if opts.Demo {
		if err := a.buildDemo(); err != nil {
			return nil, err
		}
	}
	if a.cache, err = openCache(cfg, a.log); err != nil {
		return nil, err
	}
	a.hub = a.newHub()
	a.rates = publishRates(cfg)
	a.gateway = gateway.New(gateway.Options{
		Auth: a.admission(), Names: a.names, Broker: a.sessionBroker(), Presence: a.engine.presence, Devices: a.devices(), Hub: a.hub,
		Sockets: a.sockets, Ticket: a.auth.SellTicket, MayPublish: a.rates.Allow, Fits: a.fits(), PublicURL: cfg.Server.PublicURL,
		Fault:             a.fault,
		AnnounceExtension: a.announceExtension(),
		Hidden:            a.hidden,
		PingInterval:      cfg.Connections.PingInterval, Deflate: cfg.Connections.Deflate,
		MaxBacklogBytes: cfg.Limits.BacklogBytes, MaxMessageBytes: cfg.Limits.MessageBytes,
		MaxChannels: cfg.Limits.Subscriptions, MaxConnections: cfg.Limits.Connections, Quotas: quotas(cfg), Weight: cfg.Edge.WeightOf,
		Access: a.accessLog(), Proxies: proxies(cfg), ProxyPeers: config.Prefixes(cfg.Edge.ProxyPeers), Log: a.log, Audit: a.audit,
	})
	revocations.OnAdd(func(r auth.Revocation) {
		if n := a.gateway.Revoke(r.Covers); n > 0 {
			a.audit.Info("sessions revoked", "sub", r.Subject, "tenant", r.Tenant, "connections", n)
		}
	})
	if cfg.Production.On {
		if a.records, err = newRecords(a); err != nil {
			return nil, err
		}
	}
	publisher, _ := a.publishers("http")
	a.http = intake.NewHTTP(intake.HTTPOptions{
		Auth: a.auth, Names: a.names, Publisher: publisher, Rates: a.rates, MaxBytes: cfg.Limits.PublishBytes,
		Count: a.metrics.published, Log: a.log,
	})
	return a, a.buildDoors() //nolint:gocritic // on an error nobody looks at a
}

// buildDemo makes what only a demo has: a line that its visitors can cut.
func (a *App) buildDemo() error {
	if !a.cfg.Production.On {
		return errNoProduction
	}
	if a.signIn == nil {
		return errNoSecret
	}
	a.line = newDemoLine(a.auth, func(which func(*auth.Identity) bool) int { return a.gateway.Drop(which) })
	return nil
}

// devices remembers what bare clients have; nil: nobody does.
func (a *App) devices() realtime.Devices {
	if !a.cfg.Connections.BareResume {
		return nil
	}
	return a.engine.devices
}

// admission says who comes in at the gateway.
func (a *App) admission() gateway.Authenticator {
	if a.line != nil {
		return a.line
	}
	return a.auth
}

// buildChannels makes what is known of channels: their names, who sees what in them, and what fits.
func (a *App) buildChannels() (err error) {
	if a.names, err = realtime.NewNames(a.cfg.Channels.Patterns); err != nil {
		return fmt.Errorf("channel patterns: %w", err)
	}
	if a.hidden, err = moneyFields(a.cfg.Channels.MoneyFields); err != nil {
		return err
	}
	a.schemas, err = a.newSchemas()
	return err
}

// buildDoors makes the doors that not every configuration has.
func (a *App) buildDoors() (err error) {
	if a.engine.source != nil {
		if a.pubsub, err = a.newPubSub(); err != nil {
			return err
		}
		a.engine.holdWhile(a.pubsub.Owes)
		a.stream = a.newStream()
	}
	if a.cfg.Server.RedisDoor != "" {
		a.resp = a.newRESP()
	}
	return nil
}

// onRevocation takes a revocation that came over the engine, from another node or from the app itself.
func (a *App) onRevocation(payload []byte) {
	r, err := auth.ParseRevocation(payload)
	if err == nil {
		err = a.auth.Revocations().Add(r)
	}
	if err != nil {
		a.log.Error("revocation refused: sessions that should end go on", "err", err)
	}
}

// onExtension takes an extension that came over the engine. A credential that was revoked meanwhile extends nothing.
func (a *App) onExtension(payload []byte) {
	e, err := auth.ParseExtension(payload, time.Now())
	if err != nil {
		a.log.Error("extension refused: sessions end with their old credential", "err", err)
		return
	}
	if a.auth.Revocations().Revoked(e.Identity()) {
		return
	}
	if n := a.gateway.ExtendBy(e); n > 0 {
		a.log.Debug("sessions extended", "sub", e.Subject, "tenant", e.Tenant, "connections", n)
	}
}

// run serves until ctx ends or a part breaks.
func (a *App) run(ctx context.Context) error {
	public, err := listen(ctx, a.cfg.Server.Listen)
	if err != nil {
		return fmt.Errorf("public listener: %w", err)
	}
	defer func() { _ = public.Close() }() // closed by its server; this is for the ways out before that
	var redirect net.Listener
	if a.cfg.Edge.RedirectListen != "" {
		if redirect, err = listen(ctx, a.cfg.Edge.RedirectListen); err != nil {
			return fmt.Errorf("redirect listener: %w", err)
		}
		defer func() { _ = redirect.Close() }() // as above
	}
	if err := a.openCertificates(public, redirect); err != nil {
		return err
	}
	var admin net.Listener
	if a.cfg.Server.AdminListen != "" {
		if admin, err = listen(ctx, a.cfg.Server.AdminListen); err != nil {
			return fmt.Errorf("admin listener: %w", err)
		}
		defer func() { _ = admin.Close() }() // as above
	}
	var door net.Listener
	if a.resp != nil {
		if door, err = listenDoor(ctx, a.cfg.Server.RedisDoor); err != nil {
			return fmt.Errorf("redis door: %w", err)
		}
		defer func() { _ = door.Close() }() // as above
	}

	// The parts outlive ctx by the drain: they have a context of their own.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer a.startTraces(parts)()
	defer stopParts()
	g, broken := errgroup.WithContext(parts)
	a.startParts(broken, g)
	a.startDoors(broken, g, door)
	servers := a.startServers(g, public, admin, redirect) //nolint:contextcheck // it ends with Close, and at the latest with the gateway
	if a.records != nil {
		g.Go(func() error { return a.records.Run(broken) })
	}
	if a.certs != nil {
		g.Go(func() error { return a.certs.Run(broken) })
	}
	if a.opts.Demo {
		g.Go(func() error { return a.runDemo(broken) })
	}
	if a.records != nil {
		a.records.awaitFirstTry(broken)
	}
	if broken.Err() == nil { // else there is an error to tell instead
		a.started(public, admin, door, redirect)
	}

	select {
	case <-ctx.Done():
		a.stop(ctx, servers)
	case <-broken.Done(): // a part has returned an error: the others cannot go on without it
	}
	stopParts()
	for _, s := range servers {
		_ = s.Close() // what Shutdown left; there is nobody to tell
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	a.log.Info("server stopped")
	return nil
}

// startParts runs everything that has a loop, the engine first.
func (a *App) startParts(ctx context.Context, g *errgroup.Group) {
	// The order of stopping is that of the contexts: doors and gateway end with ctx, the hub after them, the engine last.
	hubCtx, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return a.engine.broker.Run(engineCtx, a.hub) })
	g.Go(func() error {
		defer stopEngine()
		defer func() { <-a.doorsClosed }() // what they have taken in is stored, and stamping handed over, with an engine that answers
		defer a.awaitRecords()             // what they have published is to be marked, with an engine that answers
		return a.hub.Run(hubCtx)
	})
	g.Go(func() error {
		defer stopHub()
		return a.gateway.Run(ctx)
	})
	if a.engine.exchange != nil {
		g.Go(func() error { a.shareLimits(ctx); return nil })
	}
	if a.cache != nil {
		g.Go(func() error { return a.cache.Run(hubCtx) }) // as long as publications are delivered
	}
	g.Go(func() error { keepMemory(ctx, a.gateway.Opened); return nil })
	if cpuTime() > 0 { // where it is known
		g.Go(func() error { followLoad(ctx, a.log, a.gateway.Replaying); return nil })
	}
}

// awaitRecords returns when the production service has ended, if there is one.
func (a *App) awaitRecords() {
	if a.records != nil {
		<-a.records.ended
	}
}

func (a *App) startServers(g *errgroup.Group, public, admin, redirect net.Listener) []*http.Server {
	server := gateway.NewServer(a.publicRoutes())
	if a.certs != nil {
		server = gateway.NewTLSServer(a.publicRoutes())
	}
	server.Handler = a.logged(a.traces.Handler(tracedPath, server.Handler))
	server.ReadHeaderTimeout, server.IdleTimeout = a.cfg.Server.HeaderTimeout, a.cfg.Server.IdleTimeout
	server.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug) // bad requests are counted, not logged one by one
	servers := []*http.Server{server}
	front := a.front(public)
	g.Go(func() error { return ignoreClosed(server.Serve(front)) })
	if redirect != nil {
		other := a.redirectServer()
		other.ErrorLog = server.ErrorLog
		servers = append(servers, other)
		g.Go(func() error { return ignoreClosed(other.Serve(redirect)) })
	}
	if admin != nil {
		// Profiles take as long as they are asked to, so only the head of a request has a time limit.
		adminServer := &http.Server{Handler: a.adminRoutes(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: server.ErrorLog}
		servers = append(servers, adminServer)
		g.Go(func() error { return ignoreClosed(adminServer.Serve(admin)) })
	}
	return servers
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// stop sends the clients away and ends what is still being answered.
func (a *App) stop(ctx context.Context, servers []*http.Server) {
	a.log.Info("server stops", "connections", a.gateway.Connections(), "drain", a.cfg.Server.DrainTime.String())
	a.ready.drain()
	a.stopBy = time.Now().Add(a.cfg.Server.DrainTime)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Server.DrainTime) // ctx is over: that is why we stop
	defer cancel()
	// The spread leaves the last client a few seconds to answer its close frame.
	a.gateway.Drain(limit, a.cfg.Server.DrainTime*4/5)
	for _, s := range servers {
		if err := s.Shutdown(limit); err != nil {
			a.log.Warn("requests broken off at the stop", "err", err)
		}
	}
}

// started says that the server has started.
func (a *App) started(public, admin, door, redirect net.Listener) {
	a.log.Info("server started", "listen", public.Addr().String(), "redis_door", addressOf(door), "engine", a.engine.name,
		"sockets", a.cfg.SocketsInUse(), "version", a.opts.Version)
	if !a.opts.Demo { // whose limit of connections nobody has chosen, and nobody reaches
		readResources().tell(a.log, a.cfg.Limits.Connections)
	}
	a.announce(public, admin, door, redirect)
}

// announce tells the command that the server can be reached.
func (a *App) announce(public, admin, door, redirect net.Listener) {
	if a.opts.Ready == nil {
		return
	}
	addresses := Addresses{Public: addressOf(public), Admin: addressOf(admin), Redis: addressOf(door), Redirect: addressOf(redirect)}
	if a.signIn != nil {
		addresses.SignIn = a.signIn.Link
	}
	a.opts.Ready(addresses)
}

// addressOf is where l listens; empty: nowhere.
func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	// Pings find dead sessions, and net/http's time-outs all others; keep-alives of the kernel would cost four system calls
	// for each connection, and find nothing that those do not.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}
