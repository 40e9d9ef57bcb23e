package intake

import (
	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
	"kentongan/tenant"
)

// What a publication tells of itself in a trace. Neither its data nor the name of its channel, which may hold an id of anything, is among
// it: the pattern is.
const (
	attrTenant  = "kentongan.tenant"
	attrPattern = "messaging.destination.template"
	attrDoor    = "kentongan.door"
)

// batchTraces are the spans of a batch of plain PUBLISH. Nil: none of its messages is traced.
type batchTraces []*tracing.Span

// trace begins a trace for those messages of b that get one. A batch that comes again begins others.
func (s *stamper) trace(b *stamping.Batch) (spans batchTraces) {
	t := s.p.opts.Traces
	if t == nil {
		return nil
	}
	for i := range b.Messages {
		m := &b.Messages[i]
		if span := t.Root("publish", tracing.Producer, m.Arrived); span != nil {
			DescribeTrace(span, s.p.opts.Names, m.Channel, DoorPubSub)
			m.Trace = span.Context()
			spans = append(spans, span)
		}
	}
	return spans
}

func (t batchTraces) end(err error) {
	for _, span := range t {
		if err != nil {
			span.Fail("not stamped")
		}
		span.End()
	}
}

// DescribeTrace says what a publication in ch is, to the span of its publishing, which is then called after its pattern.
func DescribeTrace(span *tracing.Span, names *realtime.Names, ch realtime.Channel, door string) {
	pattern, _ := names.PatternOf(ch) // none: it is refused
	span.Rename("publish " + pattern.Spelling)
	span.Text(attrPattern, pattern.Spelling)
	if ch.Tenant != tenant.Global {
		span.Text(attrTenant, string(ch.Tenant))
	}
	span.Text(attrDoor, door)
}
