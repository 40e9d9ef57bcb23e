package redis_test

import (
	"testing"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/redis"
)

func TestQuarantine(t *testing.T) {
	addr := testenv.Redis(t)
	brokertest.RunQuarantine(t, func(*testing.T) brokertest.QuarantineEngine {
		prefix := newPrefix()
		return brokertest.QuarantineEngine{Shared: true, Open: func(t *testing.T) realtime.Quarantine {
			b := open(t, patient(redis.Options{Address: addr, Prefix: prefix}))
			run(t, b, nothing{})
			return b.Quarantine()
		}}
	})
}
