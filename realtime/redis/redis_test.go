package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/redis"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prefixes atomic.Int64

// newPrefix is a namespace of its own, so that tests share a server.
func newPrefix() string { return fmt.Sprintf("test-%d:", prefixes.Add(1)) }

func open(t testing.TB, opts redis.Options) *redis.Broker {
	t.Helper()
	b, err := redis.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// patient has a busy machine take its time, where that is not what is tried.
func patient(o redis.Options) redis.Options {
	o.AnswerLimit, o.CommandTimeout = 20*time.Second, 30*time.Second
	return o
}

// nothing is a Sink.
type nothing struct{}

func (nothing) Deliver(*realtime.Publication) {}
func (nothing) Gap(realtime.Gap)              {}

// run runs b until the test ends, or stop is called.
func run(t testing.TB, b *redis.Broker, sink realtime.Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, sink) }()
	var once atomic.Bool
	stop = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestBroker(t *testing.T) {
	addr := testenv.Redis(t)
	brokertest.Run(t, func(*testing.T) brokertest.Engine {
		prefix := newPrefix()
		return brokertest.Engine{Shared: true, Open: func(t *testing.T, names *realtime.Names) realtime.Broker {
			return open(t, patient(redis.Options{Address: addr, Prefix: prefix, Names: names}))
		}}
	})
}

func TestPresence(t *testing.T) {
	addr := testenv.Redis(t)
	brokertest.RunPresence(t, func(*testing.T) brokertest.PresenceEngine {
		prefix := newPrefix()
		return brokertest.PresenceEngine{Shared: true, Open: func(t *testing.T) (realtime.Presence, func()) {
			b := open(t, patient(redis.Options{Address: addr, Prefix: prefix}))
			stop := run(t, b, nothing{})
			if _, err := b.Follow(t.Context(), tenant.ID("k1")); err != nil {
				t.Fatal(err)
			}
			return b.Presence(), stop
		}}
	})
}
