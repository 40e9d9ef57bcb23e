package memory_test

import (
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
