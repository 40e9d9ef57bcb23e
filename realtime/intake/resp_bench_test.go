package intake_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"kentongan/internal/testenv"
	"kentongan/realtime/intake"
	"kentongan/realtime/redis"
)

// BenchmarkRESPPublish publishes 300 bytes over one connection, a hundred at a time, and reads all answers.
func BenchmarkRESPPublish(b *testing.B) {
	b.Run("memory", func(b *testing.B) { benchmarkRESP(b, openDoor(b)) })
	b.Run("redis", func(b *testing.B) {
		broker, err := redis.New(redis.Options{Address: testenv.Redis(b)})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { _ = broker.Run(ctx, &listener{}) })
		b.Cleanup(func() { cancel(); wg.Wait() })
		benchmarkRESP(b, openDoor(b, func(o *intake.RESPOptions) { o.Publisher = broker }))
	})
}

func benchmarkRESP(b *testing.B, h *respHouse) {
	const pipelined = 100
	c := h.signedIn(b, keyOfAll)
	one := respArray("PUBLISH", "updates:k1", `"`+strings.Repeat("x", 298)+`"`)
	b.ReportAllocs()
	for left := b.N; left > 0; left -= pipelined {
		n := min(left, pipelined)
		if _, err := io.WriteString(c, strings.Repeat(one, n)); err != nil {
			b.Fatal(err)
		}
		for range n {
			c.want(":0")
		}
	}
}
