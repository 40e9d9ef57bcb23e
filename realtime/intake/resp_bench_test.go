package intake_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

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

// BenchmarkRESPPass asks for 300 bytes over one connection, a hundred at a time: through the door, and of the Redis behind it.
func BenchmarkRESPPass(b *testing.B) {
	addr := testenv.Redis(b)
	value := strings.Repeat("x", 300)
	dialRedis(b, addr).want("+OK", "SET", "a", value)
	for name, c := range map[string]*respClient{
		"door": openDoor(b, passTo(b, addr)).signedIn(b, keyOfAll), "redis": dialRedis(b, addr),
	} {
		b.Run(name, func(b *testing.B) {
			const pipelined = 100
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			for left := b.N; left > 0; left -= pipelined {
				n := min(left, pipelined)
				c.raw(strings.Repeat(respArray("GET", "a"), n))
				for range n {
					c.want(value)
				}
			}
		})
	}
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
