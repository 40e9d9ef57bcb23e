package memory_test

import (
	"context"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, opts memory.Options) *memory.Broker {
	t.Helper()
	b, err := memory.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBroker(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Engine {
		return brokertest.Engine{Open: func(t *testing.T, names *realtime.Names) realtime.Broker {
			return open(t, memory.Options{Names: names})
		}}
	})
}

func TestPresence(t *testing.T) {
	brokertest.RunPresence(t, func(*testing.T) brokertest.PresenceEngine {
		return brokertest.PresenceEngine{Open: func(*testing.T) (realtime.Presence, func()) { return &memory.Presence{}, func() {} }}
	})
}

// gathering is a sink that writes down how it was called.
type gathering struct{ calls []string }

func (g *gathering) Deliver(p *realtime.Publication) {
	g.calls = append(g.calls, "deliver "+string(p.Data))
}
func (g *gathering) Gather(p *realtime.Publication) {
	g.calls = append(g.calls, "gather "+string(p.Data))
}
func (g *gathering) Flush()         { g.calls = append(g.calls, "flush") }
func (*gathering) Gap(realtime.Gap) {}

// TestBurst has only what its caller will flush kept back.
func TestBurst(t *testing.T) {
	b := open(t, memory.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	sink, ended := &gathering{}, make(chan error)
	go func() { ended <- b.Run(ctx, sink) }()
	if _, err := b.Follow(ctx, chA.Tenant); err != nil {
		t.Fatal(err)
	}
	b.PublishAsync(chA, []byte(`1`), realtime.PublishOptions{More: true}, nil)
	b.PublishAsync(chA, []byte(`2`), realtime.PublishOptions{}, nil)
	b.PublishAsync(chA, []byte(`3`), realtime.PublishOptions{More: true}, nil)
	b.Flush()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.Flush() // nobody is there any more
	if want := []string{"gather 1", "deliver 2", "gather 3", "flush"}; !slices.Equal(sink.calls, want) {
		t.Errorf("the sink was called %q, want %q", sink.calls, want)
	}
}
