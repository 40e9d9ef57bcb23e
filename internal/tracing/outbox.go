package tracing

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"kentongan/internal/seldom"
)

const (
	// exportTime bounds one try to send spans, its repeats included.
	exportTime = 5 * time.Second

	// exportEvery is how long a span waits for others to be sent with, and exportMost how many those are at most.
	exportEvery = time.Second
	exportMost  = 512
)

// outbox holds spans that have ended, and sends them. It is a sdktrace.SpanProcessor that never blocks: what it has no room for is counted
// and gone.
type outbox struct {
	exporter *otlptrace.Exporter
	log      *slog.Logger
	said     seldom.Once[string]
	waiting  chan sdktrace.ReadOnlySpan

	sent, failed, dropped atomic.Uint64
}

func newOutbox(exporter *otlptrace.Exporter, most int, log *slog.Logger) *outbox {
	return &outbox{exporter: exporter, log: log, waiting: make(chan sdktrace.ReadOnlySpan, most)}
}

// OnStart implements sdktrace.SpanProcessor.
func (*outbox) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (o *outbox) OnEnd(s sdktrace.ReadOnlySpan) {
	select {
	case o.waiting <- s:
	default:
		o.dropped.Add(1)
	}
}

// Shutdown implements sdktrace.SpanProcessor. Run ends with its context.
func (*outbox) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*outbox) ForceFlush(context.Context) error { return nil }

func (o *outbox) stats() Stats {
	return Stats{Sent: o.sent.Load(), Failed: o.failed.Load(), Dropped: o.dropped.Load(), Waiting: len(o.waiting)}
}

// run sends what comes until ctx ends, and then what is left while last lasts.
func (o *outbox) run(ctx, last context.Context) error {
	if err := o.exporter.Start(last); err != nil {
		return err //nolint:wrapcheck // the caller says what it is about
	}
	tick := time.NewTicker(exportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			o.sendAll(last)
			_ = o.exporter.Shutdown(last) // what it says is that last has ended, which its owner knows
			return nil
		case <-tick.C:
			o.sendAll(last)
		}
	}
}

// sendAll sends what waits now, some at a time.
func (o *outbox) sendAll(ctx context.Context) {
	for left := len(o.waiting); left > 0; {
		batch := make([]sdktrace.ReadOnlySpan, 0, min(left, exportMost))
		for len(batch) < cap(batch) {
			batch = append(batch, <-o.waiting) // nobody else takes out
		}
		left -= len(batch)
		o.send(ctx, batch)
	}
}

func (o *outbox) send(ctx context.Context, batch []sdktrace.ReadOnlySpan) {
	n := uint64(len(batch))
	if ctx.Err() != nil {
		o.failed.Add(n)
		return
	}
	limited, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	if err := o.exporter.ExportSpans(limited, batch); err != nil {
		o.failed.Add(n)
		o.complain(err)
		return
	}
	o.sent.Add(n)
}

// complain tells of an error, once a minute. Nothing else suffers from it.
func (o *outbox) complain(err error) {
	if errors.Is(err, context.Canceled) || !o.said.First("", time.Now()) {
		return
	}
	st := o.stats()
	o.log.Warn("traces cannot be sent", "err", err, "failed", st.Failed, "dropped", st.Dropped)
}
