package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kentongan/internal/tracing"
	"kentongan/internal/tracing/tracingtest"
	"kentongan/production"
	"kentongan/realtime"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

// TestOrigins has events found in the trace of the request that they come from, those of a request that is not recorded as well, and the
// oldest forgotten.
func TestOrigins(t *testing.T) {
	var o origins
	commit := func(id string) *production.Commit {
		return &production.Commit{Tenant: "k1", Events: []production.Event{{ID: id}}}
	}
	at := &tracing.Context{Trace: [16]byte{1}, Span: [8]byte{2}}
	o.remember(tracing.With(t.Context(), at), commit("recorded"))
	o.remember(tracing.With(t.Context(), nil), commit("not recorded"))
	o.remember(t.Context(), commit("without a request"))
	look := func(kitchen tenant.ID, id string) string {
		got, decided := tracing.From(o.adopt(t.Context(), kitchen, id))
		return fmt.Sprintf("recorded %v, decided %v", got != nil, decided)
	}
	for _, c := range []struct {
		kitchen  tenant.ID
		id, want string
	}{
		{"k1", "recorded", "recorded true, decided true"},
		{"k1", "not recorded", "recorded false, decided true"},
		{"k1", "without a request", "recorded false, decided false"},
		{"k2", "recorded", "recorded false, decided false"},
		{"k1", "recorded", "recorded true, decided true"}, // a relay that has to try again asks again
	} {
		if got := look(c.kitchen, c.id); got != c.want {
			t.Errorf("the event %q of %s: %s, want %s", c.id, c.kitchen, got, c.want)
		}
	}
	for i := range 2 * maxOrigins {
		o.remember(tracing.With(t.Context(), at), commit(fmt.Sprint("more", i)))
		if i == 0 {
			o.remember(tracing.With(t.Context(), nil), commit("more0")) // it was decided again
		}
	}
	if got := look("k1", "recorded"); got != "recorded false, decided false" {
		t.Errorf("the oldest is remembered: %s", got)
	}
	if len(o.at) != maxOrigins {
		t.Errorf("%d are remembered, want %d", len(o.at), maxOrigins)
	}
	if got := look("k1", fmt.Sprint("more", 2*maxOrigins-1)); got != "recorded true, decided true" {
		t.Errorf("the newest is not remembered: %s", got)
	}
}

// TestNotTracedCostsNothing: what is not recorded is published with as many allocations as without traces.
func TestNotTracedCostsNothing(t *testing.T) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	none, err := tracing.New(tracing.Options{Endpoint: "http://127.0.0.1:9/v1/traces", Service: "test", Sampling: tracing.Sampling{Parent: true}})
	if err != nil {
		t.Fatal(err)
	}
	ch, data := realtime.Channel{Tenant: "k1", Name: "production:updates"}, []byte(`1`)
	ctx := tracing.With(t.Context(), nil)
	count := func(traces *tracing.Tracer) (async, sync float64) {
		a := &App{names: names, traces: traces}
		door := a.traced(engineBroker{nothing{}, nothing{}}, "test")
		async = testing.AllocsPerRun(1000, func() { door.PublishAsync(ch, data, realtime.PublishOptions{}, nil) })
		sync = testing.AllocsPerRun(1000, func() { _, _ = door.Publish(ctx, ch, data, realtime.PublishOptions{}) })
		return async, sync
	}
	for name, traces := range map[string]*tracing.Tracer{"off": nil, "not recorded": none} {
		if async, sync := count(traces); async != 0 || sync != 0 {
			t.Errorf("%s: %v and %v allocations", name, async, sync)
		}
	}
}

// nothing is an engine that only says yes.
type nothing struct{ realtime.Broker }

func (nothing) Publish(context.Context, realtime.Channel, []byte, realtime.PublishOptions) (realtime.Published, error) {
	return realtime.Published{}, nil
}

func (nothing) PublishAsync(realtime.Channel, []byte, realtime.PublishOptions, func(realtime.Published, error)) {
}

// BenchmarkTraced publishes into the memory engine, with nobody who listens: without traces, with one of a hundred recorded, and with all.
func BenchmarkTraced(b *testing.B) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		on    bool
		ratio float64
	}{{"off", false, 0}, {"one in a hundred", true, 0.01}, {"all", true, 1}} {
		b.Run(c.name, func(b *testing.B) {
			engine, err := memory.New(memory.Options{Names: names})
			if err != nil {
				b.Fatal(err)
			}
			a := &App{names: names}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			if c.on {
				a.traces, err = tracing.New(tracing.Options{
					Endpoint: tracingtest.New(b).URL, Service: "bench", Sampling: tracing.Sampling{Ratio: c.ratio},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			go func() { defer close(ended); _ = a.traces.Run(ctx, ctx) }() // a nil Tracer returns at once
			defer func() { cancel(); <-ended }()
			door := a.traced(engineBroker{engine, engine}, "bench")
			ch, data := realtime.Channel{Tenant: "k1", Name: "production:updates"}, []byte(`{"type":"production_update"}`)
			b.ReportAllocs()
			for b.Loop() {
				door.PublishAsync(ch, data, realtime.PublishOptions{Arrived: time.Now()}, nil)
			}
		})
	}
}
