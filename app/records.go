package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/app/demo"
	"kentongan/config"
	"kentongan/internal/answer"
	"kentongan/production"
	"kentongan/production/observe"
	"kentongan/production/relay"
	"kentongan/production/rest"
	"kentongan/production/watch"
	"kentongan/production/webhook"
	"kentongan/realtime"
	"kentongan/realtime/intake"
)

// records is the production service of this server: its database, and all that works on it. The gateway does not need it: while the
// database is out, screens go on, and only what asks for records is refused.
type records struct {
	app      *App
	cfg      config.Production
	recorder *observe.Recorder // nil: what an app publishes by itself is not kept
	hook     []byte            // key of the webhook's signatures
	parts    atomic.Pointer[recordParts]
	fault    atomic.Pointer[string] // why the database is not open; nil: it is, or was not tried yet
	tried    chan struct{}          // closed when the database is open, or was found to be out
	opened   chan struct{}          // closed when parts are there
	ended    chan struct{}          // closed when Run has returned
}

// recordParts is what there is once the database is open.
type recordParts struct {
	store   store
	service *production.Service
	api     *rest.API
	relay   *relay.Relay
	watch   *watch.Engine
	webhook *webhook.Caller
}

// newRecords checks what can be checked before anything is opened.
func newRecords(a *App) (*records, error) {
	r := &records{app: a, cfg: a.cfg.Production, tried: make(chan struct{}), opened: make(chan struct{}), ended: make(chan struct{})}
	for _, name := range []string{production.UpdatesChannel, production.AlertsChannel} {
		if a.names.Spell(realtime.Channel{Tenant: "any", Name: name}) == "" {
			return nil, fmt.Errorf("production service: no channel pattern is called %s; add %s:{tenant} to channels.patterns", name, name)
		}
	}
	if r.cfg.WebhookSecret != "" {
		var err error
		if r.hook, err = webhook.ParseSecret(r.cfg.WebhookSecret.Reveal()); err != nil {
			return nil, fmt.Errorf("production service: the secret of the webhook %w", err)
		}
	}
	r.recorder = r.newRecorder()
	return r, nil
}

// Bounds of the wait for a database that is out when the server starts.
const (
	firstOpenWait = 500 * time.Millisecond
	lastOpenWait  = 10 * time.Second
)

// Run opens the database and works until ctx ends. A database that is out is waited for; one that will never do is an error.
func (r *records) Run(ctx context.Context) error {
	defer close(r.ended)
	log := r.app.log
	s, err := r.open(ctx)
	if err != nil || s == nil {
		return err
	}
	defer func() {
		if err := s.Close(); err != nil {
			log.Error("close database", "err", err)
		}
	}()
	p, err := r.build(s) //nolint:contextcheck // each request brings its own
	if err != nil {
		return err
	}
	r.parts.Store(p)
	close(r.opened)
	log.Info("production service started", "database", r.cfg.Database.String())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.relay.Run(ctx) })
	g.Go(func() error { return p.watch.Run(ctx) })
	g.Go(func() error { return p.webhook.Run(ctx) })
	if r.recorder != nil {
		g.Go(func() error { return r.recorder.Run(ctx) })
	}
	return g.Wait() //nolint:wrapcheck // each says what it is
}

// open returns nil if ctx ended before the database was there.
func (r *records) open(ctx context.Context) (store, error) {
	tried := sync.OnceFunc(func() { close(r.tried) })
	for wait := firstOpenWait; ; wait = min(2*wait, lastOpenWait) {
		s, err := openStore(ctx, r.cfg.Database, r.app.log)
		switch {
		case err == nil:
			r.fault.Store(nil)
			tried()
			return s, nil
		case ctx.Err() != nil:
			return nil, nil //nolint:nilnil,nilerr // this server stops
		case !errors.Is(err, production.ErrUnavailable):
			return nil, fmt.Errorf("production service: %w", err)
		}
		text := err.Error()
		if r.fault.Swap(&text) == nil {
			r.app.log.Warn("the database is out; everything else works, and it is tried again",
				"database", r.cfg.Database.String(), "err", err)
			tried()
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) //nolint:gosec // spread, not secrecy
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, nil //nolint:nilnil // as above
		}
	}
}

// startWait is how long the word that the server has started waits for what becomes of the database. One that does not even refuse
// is waited for no longer: screens do not need it.
const startWait = 2 * time.Second

// awaitFirstTry returns when the database was tried once, or ctx has ended because it will never do.
func (r *records) awaitFirstTry(ctx context.Context) {
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case <-r.tried:
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (r *records) build(s store) (*recordParts, error) {
	a := r.app
	p := &recordParts{store: s}
	p.service = production.New(a.tracedStore(s), production.Options{Log: a.log})
	p.api = rest.New(rest.Options{
		Auth: a.auth, Service: p.service, Store: s, Screens: a.screens, Version: a.opts.Version, Log: a.log, Audit: a.audit,
	})
	publisher := a.traced(a.checked(engineBroker{a.engine.broker, a.engine.acks}), relayDoor)
	door := intake.NewRelay(a.names, publisher, a.cfg.Limits.PublishBytes)
	opts := relay.Options{Log: a.log}
	if a.cache != nil { // and not an interface that holds nil
		opts.Listener = a.tracedListener(stateCache{a.cache})
	}
	p.relay = relay.New(s, door, a.engine.broker, opts)
	p.watch = watch.New(s, watch.Options{Log: a.log})
	var err error
	p.webhook, err = webhook.New(s, webhook.Options{
		URL: r.cfg.WebhookURL.Reveal(), Secret: r.hook, Private: r.cfg.WebhookPrivate, Traces: a.traces, Log: a.log,
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	return p, nil
}

// runDemo lets the kitchens of the demo cook as soon as there is a database, until ctx ends.
func (a *App) runDemo(ctx context.Context) error {
	select {
	case <-a.records.opened:
	case <-ctx.Done():
		return nil
	}
	p := a.records.parts.Load()
	publish := func(ctx context.Context, ch realtime.Channel, data []byte) error {
		_, err := a.engine.broker.Publish(ctx, ch, data, realtime.PublishOptions{Arrived: time.Now()})
		return err //nolint:wrapcheck // the demo logs it as it is
	}
	return demo.Run(ctx, p.service, p.store, publish, demo.Options{Log: a.log}) //nolint:wrapcheck // it says all
}

// register adds the routes of the production service to mux: all below /api/ that nobody else has.
func (r *records) register(mux *http.ServeMux) {
	for _, path := range []string{"/api/", "/openapi.json", "/docs", "/docs/"} {
		mux.Handle(path, r)
	}
}

// ServeHTTP answers the routes of the production service.
func (r *records) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p := r.parts.Load()
	if p == nil {
		answer.Later(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the database of the production service cannot be reached",
			lastOpenWait/2)
		return
	}
	p.api.ServeHTTP(w, req)
}

// Ready returns nil, or what is wrong with the database.
func (r *records) Ready() error {
	if text := r.fault.Load(); text != nil {
		return errors.New(*text)
	}
	p := r.parts.Load()
	if p == nil {
		return errors.New("the database is being opened")
	}
	return errors.Join(p.relay.Ready(), p.watch.Ready())
}

// servePoison lists the events that could not be published, newest first.
func (r *records) servePoison(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		Total  uint64         `json:"total"` // by this node since its start
		Events []relay.Poison `json:"events"`
	}{Events: []relay.Poison{}}
	if p := r.parts.Load(); p != nil {
		list, total := p.relay.Poisoned()
		out.Total = total
		out.Events = append(out.Events, list...)
	}
	answer.JSON(w, http.StatusOK, out)
}

// collectRecords tells of the production service.
func (m *metrics) collectRecords(counter counterFunc, gauge gaugeFunc) {
	if m.app.records == nil {
		return
	}
	up := 1.0
	if m.app.records.Ready() != nil {
		up = 0
	}
	gauge(descDatabaseUp, up)
	if rec := m.app.records.recorder; rec != nil {
		st := rec.Stats()
		counter(descRecorded, st.Recorded, "recorded")
		counter(descRecorded, st.Missed, "missed")
		counter(descFlagged, st.Flagged)
		gauge(descRecordWaits, float64(st.Waiting))
	}
	p := m.app.records.parts.Load()
	if p == nil {
		return
	}
	r := p.relay.Stats()
	counter(descRelayed, r.Published, "published")
	counter(descRelayed, r.Duplicates, "duplicate")
	counter(descRelayed, r.Poisoned, "set_aside")
	counter(descRelayRetries, r.Retries)
	gauge(descRelayBacklog, float64(r.Backlog))
	gauge(descRelayOldest, r.Oldest.Seconds())
	w := p.watch.Stats()
	counter(descWatchLooked, w.Looked)
	counter(descWatchCommitted, w.Committed)
	gauge(descWatchPass, w.LastPass.Seconds())
	h := p.webhook.Stats()
	counter(descWebhook, h.Delivered, "delivered")
	counter(descWebhook, h.Failed, "failed")
	counter(descWebhook, h.GivenUp, "given_up")
}
