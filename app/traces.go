package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"kentongan/config"
	"kentongan/internal/tracing"
	"kentongan/production"
	"kentongan/production/relay"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// newTraces makes what records traces; nil: nothing does.
func newTraces(cfg config.Config, opts Options) (*tracing.Tracer, error) {
	c := cfg.Traces
	if !c.On {
		return nil, nil //nolint:nilnil // a nil Tracer is one that is off
	}
	host, _ := os.Hostname() // empty: it is not told
	headers := make(map[string]string, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	t, err := tracing.New(tracing.Options{
		Endpoint: c.URL, Headers: headers, Service: c.Service, Version: opts.Version, Instance: host, Attributes: c.Attributes,
		Sampling: tracing.Sampling{Ratio: c.Ratio, Parent: c.Parent}, Log: opts.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return t, nil
}

// The bounds of the time for what is left of traces when everything else has ended: the rest of the drain time, between these.
const (
	shortestFlush = 500 * time.Millisecond
	longestFlush  = 5 * time.Second
)

// startTraces has traces sent, until the function that it returns is called, after everything else has ended.
func (a *App) startTraces(ctx context.Context) (end func()) {
	if a.traces == nil {
		return func() {}
	}
	last, give := context.WithCancel(context.WithoutCancel(ctx))
	running, stop := context.WithCancel(last)
	done := make(chan error, 1)
	go func() { done <- a.traces.Run(running, last) }()
	return func() {
		left := time.AfterFunc(max(shortestFlush, min(longestFlush, time.Until(a.stopBy))), give)
		defer left.Stop()
		defer give()
		stop()
		if err := <-done; err != nil {
			a.log.Error("traces were not sent", "err", err)
		}
	}
}

// tracedPath reports whether requests for path are traced: those that are answered at once, and not the connections that last.
func tracedPath(path string) bool {
	return strings.HasPrefix(path, "/api/") && path != "/api/ws" && path != "/api/sse"
}

// fannedOut records how a publication went out on this node.
func (a *App) fannedOut() func(*realtime.Publication, *hub.FanOut) {
	if a.traces == nil {
		return nil
	}
	return func(p *realtime.Publication, how *hub.FanOut) {
		pattern, _ := a.names.PatternOf(p.Channel)
		heard := p.Trace.Heard
		span := a.traces.Child(p.Trace, "deliver "+pattern.Spelling, tracing.Consumer, heard)
		span.Text("messaging.destination.template", pattern.Spelling)
		if p.Channel.Tenant != tenant.Global {
			span.Text("kentongan.tenant", string(p.Channel.Tenant))
		}
		span.Number("kentongan.sessions", how.Sessions)
		span.Texts("kentongan.dialects", how.Dialects)
		if !how.First.IsZero() {
			span.Millis("kentongan.first_write_ms", how.First.Sub(heard))
			span.Millis("kentongan.last_write_ms", how.Last.Sub(heard))
		}
		span.EndAt(how.Last)
	}
}

// traced returns b so that what is published through it, at the door of that name, is a span; b itself if nothing is traced, which then
// costs nothing.
func (a *App) traced(b broker, door string) broker {
	if a.traces == nil {
		return b
	}
	return tracedBroker{broker: b, app: a, door: door}
}

// sessionBroker returns the engine as sessions use it: what servers publish over a WebSocket is traced, too.
func (a *App) sessionBroker() realtime.Broker {
	keeper, can := a.engine.broker.(realtime.Snapshotter)
	if a.traces == nil || !can {
		return a.engine.broker
	}
	return struct {
		realtime.Broker
		realtime.Snapshotter
	}{a.traced(engineBroker{a.engine.broker, a.engine.acks}, "session"), keeper}
}

// adopt is how the durable stream finds the place of its entries in traces; nil: nothing is traced.
func (a *App) adopt() func(context.Context, string) context.Context {
	if a.traces == nil {
		return nil
	}
	return a.traces.Adopt
}

// tracedBroker is a broker whose publications are spans: below the request that they come from, or else of a trace that begins here.
type tracedBroker struct {
	broker
	app  *App
	door string
}

// Publish implements realtime.Broker.
func (b tracedBroker) Publish(
	ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions,
) (realtime.Published, error) {
	if b.door == relayDoor {
		ctx = b.app.origins.adopt(ctx, ch.Tenant, opts.Key)
	}
	ctx, span := b.app.traces.Begin(ctx, "publish", tracing.Producer, opts.Arrived)
	if span == nil {
		return b.broker.Publish(ctx, ch, data, opts) //nolint:wrapcheck // it stands for the engine
	}
	intake.DescribeTrace(span, b.app.names, ch, b.door)
	opts.Trace = span.Context()
	p, err := b.broker.Publish(ctx, ch, data, opts)
	endPublish(span, p, err)
	return p, err //nolint:wrapcheck // as above
}

// PublishAsync implements realtime.AsyncPublisher. Whoever publishes so comes without a trace.
func (b tracedBroker) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	span := b.app.traces.Root("publish", tracing.Producer, opts.Arrived)
	if span == nil {
		b.broker.PublishAsync(ch, data, opts, done)
		return
	}
	intake.DescribeTrace(span, b.app.names, ch, b.door)
	opts.Trace = span.Context()
	b.broker.PublishAsync(ch, data, opts, func(p realtime.Published, err error) {
		endPublish(span, p, err)
		if done != nil {
			done(p, err)
		}
	})
}

// endPublish ends the span of a publication. Of an error only its sort is told: its text may hold what was published.
func endPublish(span *tracing.Span, p realtime.Published, err error) {
	switch {
	case err == nil:
		if p.Duplicate {
			span.Text("kentongan.outcome", "duplicate")
		}
	case errors.Is(err, realtime.ErrOverloaded):
		span.Fail("overloaded")
	case errors.Is(err, realtime.ErrUnavailable):
		span.Fail("engine unavailable")
	case errors.Is(err, realtime.ErrInvalid), errors.Is(err, realtime.ErrKeyReused), errors.Is(err, realtime.ErrNoChannel):
		span.Fail("refused")
	default:
		span.Fail("failed")
	}
	span.End()
}

// relayDoor is what the relay of the production service publishes through.
const relayDoor = "relay"

// origins remembers of which trace the request was that an event of the production service comes from, until the relay has published it.
// It is of this process: an event that another node publishes, or this one after a restart, begins a trace of its own. A trace is for
// finding out, not for the record.
type origins struct {
	mu    sync.Mutex
	order []origin // ring of the last maxOrigins
	next  int
	at    map[origin]*tracing.Context // nil: of a trace that is not recorded
}

type origin struct {
	tenant tenant.ID
	event  string
}

// maxOrigins bounds them: while the engine is out, traces of more events than these are not worth the memory.
const maxOrigins = 4096

// remember is told of a commit before it is done, for its events may be published before it returns.
func (o *origins) remember(ctx context.Context, c *production.Commit) {
	at, decided := tracing.From(ctx)
	if !decided {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == nil {
		o.at, o.order = map[origin]*tracing.Context{}, make([]origin, maxOrigins)
	}
	for i := range c.Events {
		key := origin{c.Tenant, c.Events[i].ID}
		if _, known := o.at[key]; !known {
			delete(o.at, o.order[o.next])
			o.order[o.next] = key
			o.next = (o.next + 1) % maxOrigins
		}
		o.at[key] = at
	}
}

// adopt returns ctx at the place of the request that an event comes from, if that is known.
func (o *origins) adopt(ctx context.Context, t tenant.ID, event string) context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, known := o.at[origin{t, event}]
	if !known {
		return ctx
	}
	return tracing.With(ctx, at)
}

// tracedListener returns l so that what it does before an event goes out is a span, in the trace of the request that the event comes from;
// l itself if nothing is traced.
func (a *App) tracedListener(l relay.Listener) relay.Listener {
	if a.traces == nil {
		return l
	}
	return forgetting{l, a}
}

type forgetting struct {
	relay.Listener
	app *App
}

// Forget implements relay.Listener.
func (f forgetting) Forget(ctx context.Context, e *production.Event) error {
	at, _ := tracing.From(f.app.origins.adopt(ctx, e.Tenant, e.ID))
	// It is nil if the trace is not recorded, or not known any more.
	span := f.app.traces.Child(at, "forget", tracing.Client, time.Time{}) //nolint:contextcheck // it has all that it needs of one
	err := f.Listener.Forget(ctx, e)
	span.Text("kentongan.tenant", string(e.Tenant))
	if err != nil {
		span.Fail("failed")
	}
	span.End()
	return err //nolint:wrapcheck // it stands for the listener
}

// tracedChanges is a store whose reads and commits, for changes, are spans.
type tracedChanges struct {
	production.Changes
	app    *App
	system string // "postgresql" or "sqlite"
}

// tracedStore returns s as the service uses it.
func (a *App) tracedStore(s store) production.Changes {
	if a.traces == nil {
		return s
	}
	system := "postgresql"
	if a.cfg.Production.Database.Path != "" {
		system = "sqlite"
	}
	return tracedChanges{s, a, system}
}

// Load implements production.Changes.
func (s tracedChanges) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	ctx, span := s.begin(ctx, "load")
	in, err := s.Changes.Load(ctx, t, w)
	s.end(span, t, err)
	return in, err //nolint:wrapcheck // it stands for the store
}

// Commit implements production.Changes.
func (s tracedChanges) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	ctx, span := s.begin(ctx, "commit")
	s.app.origins.remember(ctx, &c)
	events, err := s.Changes.Commit(ctx, c)
	span.Number("kentongan.events", len(c.Events))
	s.end(span, c.Tenant, err)
	return events, err //nolint:wrapcheck // as above
}

// begin begins a span, but no trace: what is done without a request is not worth one for each look.
func (s tracedChanges) begin(ctx context.Context, name string) (context.Context, *tracing.Span) {
	if _, decided := tracing.From(ctx); !decided {
		return ctx, nil
	}
	return s.app.traces.Begin(ctx, name, tracing.Client, time.Time{})
}

func (s tracedChanges) end(span *tracing.Span, t tenant.ID, err error) {
	if span == nil {
		return
	}
	span.Text("db.system.name", s.system)
	span.Text("kentongan.tenant", string(t))
	switch {
	case err == nil:
	case errors.Is(err, production.ErrConflict):
		span.Text("kentongan.outcome", "conflict") // and it is decided again
	case errors.Is(err, production.ErrNotFound):
		span.Text("kentongan.outcome", "not_found")
	default:
		span.Fail("failed")
	}
	span.End()
}
