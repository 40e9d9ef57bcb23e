//go:build unix

package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/internal/testenv"
)

// BenchmarkHit is the way of a hit in memory; BenchmarkOtter what it is built on. make bench-cache compares more.
func BenchmarkHit(b *testing.B) {
	c, err := cache.New(cache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := cache.Set(b.Context(), c, kitchen, "hot:key", menu{Name: "soto"}, hour); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cache.Get[menu](ctx, c, kitchen, "hot:key", hour); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOtter is otter's own hit, for an entry with an end.
func BenchmarkOtter(b *testing.B) {
	o := otter.Must(&otter.Options[string, *menu]{MaximumSize: 1000, ExpiryCalculator: otter.ExpiryWriting[string, *menu](time.Hour)})
	defer o.StopAllGoroutines()
	o.Set("hot:key", &menu{Name: "soto"})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := o.GetIfPresent("hot:key"); !ok {
			b.Fatal("no hit")
		}
	}
}

// BenchmarkSharedHit reads from Redis.
func BenchmarkSharedHit(b *testing.B) {
	r, err := cache.OpenRedis(shared.Options{Address: testenv.Redis(b)})
	if err != nil {
		b.Fatal(err)
	}
	c, err := cache.New(cache.Options{Shared: r})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Run(ctx) }()
	defer func() { stop(); <-ended }()
	if err := cache.Set(ctx, c, kitchen, "hot:key", menu{Name: "soto"}, hour); err != nil {
		b.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		c.ForgetHere(kitchen, "hot:key")
		if _, err := cache.Get[menu](ctx, c, kitchen, "hot:key", hour); err != nil {
			b.Fatal(err)
		}
	}
}
