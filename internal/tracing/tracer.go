package tracing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options are the knobs of a Tracer.
type Options struct {
	// Endpoint is the URL that spans are sent to, with its path: http://localhost:4318/v1/traces. It is needed.
	Endpoint string
	Headers  map[string]string // of each request to it

	Service    string            // service.name
	Version    string            // service.version; empty: it is not told
	Instance   string            // service.instance.id; empty: it is not told
	Attributes map[string]string // of the resource, beside these

	Sampling Sampling

	// Queue bounds the spans that wait to be sent; zero means 4,096: they are sent once a second, and with about 2 KB each that is 8 MB
	// while nobody takes them.
	Queue int

	Log *slog.Logger // nil discards
}

// Sampling says which traces are recorded.
type Sampling struct {
	Ratio  float64 // of those that begin here, 0 to 1
	Parent bool    // what a request comes with is recorded if who sent it records it; else Ratio decides by its number
}

// Tracer makes spans, and sends them. Its methods may be called concurrently; those of a nil Tracer do nothing.
type Tracer struct {
	opts   Options
	bound  uint64 // a trace is recorded if half of the second part of its number is below this
	tracer trace.Tracer
	out    *outbox
}

// New returns a Tracer, which sends nothing before Run. The error says that the exporter does not like its options.
func New(opts Options) (*Tracer, error) {
	if opts.Endpoint == "" {
		return nil, errors.New("tracing: no endpoint")
	}
	if opts.Queue <= 0 {
		opts.Queue = 4096
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	exporter := otlptrace.NewUnstarted(otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(opts.Endpoint), otlptracehttp.WithHeaders(opts.Headers), otlptracehttp.WithTimeout(exportTime),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: exportTime,
		}),
	))
	out := newOutbox(exporter, opts.Queue, opts.Log)
	// The library tells of what is wrong to one place in the process, and would write it to standard error.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(out.complain))
	attrs := []attribute.KeyValue{attribute.String("service.name", opts.Service)}
	for key, value := range opts.Attributes {
		attrs = append(attrs, attribute.String(key, value))
	}
	for key, value := range map[string]string{"service.version": opts.Version, "service.instance.id": opts.Instance} {
		if value != "" && opts.Attributes[key] == "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // what comes here was decided on
		sdktrace.WithIDGenerator(numbers{}),
		sdktrace.WithResource(resource.NewSchemaless(attrs...)),
		sdktrace.WithSpanProcessor(out),
	)
	return &Tracer{opts: opts, bound: boundOf(opts.Sampling.Ratio), tracer: provider.Tracer("kentongan"), out: out}, nil
}

// boundOf is the bound of the sampler traceidratio of OpenTelemetry, so that all services with one ratio decide alike.
func boundOf(ratio float64) uint64 {
	switch {
	case ratio >= 1:
		return math.MaxUint64
	case !(ratio > 0):
		return 0
	}
	return uint64(ratio * (1 << 63))
}

// Run sends spans until ctx ends, and then what is left, for as long as last lasts. It is called once.
func (t *Tracer) Run(ctx, last context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.out.run(ctx, last); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// Stats are the figures of a Tracer.
type Stats struct {
	Sent    uint64 // spans that the collector took
	Failed  uint64 // that it did not take
	Dropped uint64 // for which there was no room
	Waiting int
}

// Stats returns the figures.
func (t *Tracer) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	return t.out.stats()
}

// Kind says what a span is to the one that it is a child of.
type Kind trace.SpanKind

// The kinds of spans.
const (
	Internal = Kind(trace.SpanKindInternal)
	Server   = Kind(trace.SpanKindServer)   // a request is answered
	Client   = Kind(trace.SpanKindClient)   // another process is asked
	Producer = Kind(trace.SpanKindProducer) // a publication is stored, for others to take
	Consumer = Kind(trace.SpanKindConsumer) // it is taken
)

// Adopt returns ctx at the place that a request came with, as its traceparent says, if that counts. What is none changes nothing: then
// Begin decides.
func (t *Tracer) Adopt(ctx context.Context, traceparent string) context.Context {
	if t == nil || traceparent == "" {
		return ctx
	}
	c, sampled, ok := Parse(traceparent)
	if !ok {
		return ctx
	}
	if !t.opts.Sampling.Parent {
		sampled = t.wants(binary.BigEndian.Uint64(c.Trace[8:]))
	}
	if !sampled {
		return With(ctx, nil)
	}
	return With(ctx, &c)
}

// Begin begins a span where ctx is, at a moment (zero: now), and returns a context that is in it. In a trace that is not recorded the span
// is nil. If nobody has decided yet whether it is, Begin does.
func (t *Tracer) Begin(ctx context.Context, name string, kind Kind, at time.Time) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	parent, decided := From(ctx)
	if !decided {
		s := t.Root(name, kind, at)
		return With(ctx, s.Context()), s
	}
	s := t.Child(parent, name, kind, at)
	if s == nil {
		return ctx, nil
	}
	return With(ctx, s.Context()), s
}

// nowhere is the context that spans begin in: what is handed to the library has to have nothing of a request but its place in a trace.
var nowhere = context.Background()

// Root begins a trace, if it is to be recorded; else it returns nil, after some nanoseconds and without having allocated anything.
func (t *Tracer) Root(name string, kind Kind, at time.Time) *Span {
	if t == nil {
		return nil
	}
	low := rand.Uint64() //nolint:gosec // numbers of traces need to be different, not secret
	if !t.wants(low) {
		return nil
	}
	return t.begin(context.WithValue(nowhere, lowKey{}, low), name, kind, at, nil)
}

func (t *Tracer) wants(low uint64) bool { return low>>1 < t.bound }

// Child begins a span below parent; nil for none. Others that it belongs to as well are linked.
func (t *Tracer) Child(parent *Context, name string, kind Kind, at time.Time, others ...*Context) *Span {
	if t == nil || parent == nil {
		return nil
	}
	return t.begin(trace.ContextWithRemoteSpanContext(nowhere, parent.span()), name, kind, at, others)
}

func (c *Context) span() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: c.Trace, SpanID: c.Span, TraceFlags: trace.FlagsSampled, Remote: true})
}

func (t *Tracer) begin(ctx context.Context, name string, kind Kind, at time.Time, others []*Context) *Span {
	if at.IsZero() {
		at = time.Now()
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKind(kind)), trace.WithTimestamp(at)}
	if len(others) > 0 {
		links := make([]trace.Link, len(others))
		for i, o := range others {
			links[i].SpanContext = o.span()
		}
		opts = append(opts, trace.WithLinks(links...))
	}
	_, span := t.tracer.Start(ctx, name, opts...)
	sc := span.SpanContext()
	return &Span{span: span, at: Context{Trace: sc.TraceID(), Span: sc.SpanID(), Heard: at}}
}

// lowKey is where the number is by which a trace that begins was chosen.
type lowKey struct{}

// numbers makes the numbers of traces and spans.
type numbers struct{}

// NewIDs implements sdktrace.IDGenerator.
func (n numbers) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	low, ok := ctx.Value(lowKey{}).(uint64)
	if !ok {
		low = rand.Uint64() //nolint:gosec // as above
	}
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) //nolint:gosec // as above; and it is never all zeros
	binary.BigEndian.PutUint64(id[8:], low)
	return id, n.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (numbers) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) //nolint:gosec // as above
	return id
}

// Span is one thing that took time. The methods of a nil Span do nothing. It is for one goroutine at a time.
type Span struct {
	span trace.Span
	at   Context
}

// Context returns where s is; nil for a nil Span.
func (s *Span) Context() *Context {
	if s == nil {
		return nil
	}
	return &s.at
}

// Rename gives s another name.
func (s *Span) Rename(name string) {
	if s != nil {
		s.span.SetName(name)
	}
}

// Text says something about s.
func (s *Span) Text(key, value string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Number is Text for a number.
func (s *Span) Number(key string, value int) {
	if s != nil {
		s.span.SetAttributes(attribute.Int(key, value))
	}
}

// Texts is Text for a list.
func (s *Span) Texts(key string, values []string) {
	if s != nil {
		s.span.SetAttributes(attribute.StringSlice(key, values))
	}
}

// Millis is Text for a time, in milliseconds with a fraction.
func (s *Span) Millis(key string, d time.Duration) {
	if s != nil {
		s.span.SetAttributes(attribute.Float64(key, float64(d.Microseconds())/1e3))
	}
}

// Fail says that what s tells of did not work. why is one of a few words: texts of errors may hold what is nobody's business.
func (s *Span) Fail(why string) {
	if s != nil {
		s.span.SetStatus(codes.Error, why)
	}
}

// End ends s now, and has it sent.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// EndAt ends s at a moment.
func (s *Span) EndAt(at time.Time) {
	if s != nil {
		s.span.End(trace.WithTimestamp(at))
	}
}
