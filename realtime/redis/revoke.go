package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
	"kentongan/realtime"
)

// Revocations go to every node over a Pub/Sub channel, on which the app may publish too, and into a sorted set by time, out of which
// a node reads those that it missed. The same one may be told several times; it means the same.

const (
	maxRevocationBytes = 64 << 10
	// maxRevocations bounds the set. Past it the oldest is forgotten; a hundred thousand people who were logged out in 30
	// days would be news.
	maxRevocations = 100_000
)

// AnnounceRevocation tells payload to every node, this one included, and remembers it for RevocationAge.
func (b *Broker) AnnounceRevocation(ctx context.Context, payload []byte) error {
	doing := "announce revocation"
	if err := b.check(ctx, doing); err != nil {
		return err
	}
	if len(payload) == 0 || len(payload) > maxRevocationBytes {
		return fmt.Errorf("%s: %w: %d bytes", doing, realtime.ErrInvalid, len(payload))
	}
	if err := b.rememberRevocation(ctx, payload); err != nil {
		return unavailable(doing, err)
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	cmd := b.ask.B().Publish().Channel(b.keys.revoke()).Message(rueidis.BinaryString(payload)).Build()
	return unavailable(doing, b.ask.Do(ctx, cmd).Error())
}

func (b *Broker) rememberRevocation(ctx context.Context, payload []byte) error {
	ctx, cancel := b.within(ctx)
	defer cancel()
	c, key, now := b.ask.B(), b.keys.revoked(), time.Now()
	results := b.ask.DoMulti(ctx,
		// NX: the time is that of the first node that heard of it.
		c.Zadd().Key(key).Nx().ScoreMember().ScoreMember(float64(now.UnixMilli()), rueidis.BinaryString(payload)).Build(),
		c.Zremrangebyscore().Key(key).Min("-inf").Max(strconv.FormatInt(now.Add(-RevocationAge).UnixMilli(), 10)).Build(),
		c.Zremrangebyrank().Key(key).Start(0).Stop(-maxRevocations-1).Build(),
		c.Expire().Key(key).Seconds(int64(RevocationAge/time.Second)).Build(),
	)
	for _, r := range results {
		if err := r.Error(); err != nil {
			return err
		}
	}
	return nil
}

// heardRevocation is called by the reader. Whoever published it may not have remembered it (the app does not), so it is
// remembered here; on its own goroutine, for the reader must not wait.
func (b *Broker) heardRevocation(payload []byte) {
	if len(payload) == 0 || len(payload) > maxRevocationBytes {
		b.opts.Log.Warn("revocation ignored", "bytes", len(payload))
		return
	}
	if b.opts.OnRevocation != nil {
		b.opts.OnRevocation(payload)
	}
	select {
	case b.revocations <- payload:
	default:
		// The queue is full of others that are not remembered yet. Every node that runs has heard this one; a later one
		// may not: a person should know.
		b.opts.Log.Error("revocation not remembered: too many at once")
	}
}

// keepRevocations remembers what was heard until ctx ends.
func (b *Broker) keepRevocations(ctx context.Context) {
	for {
		select {
		case payload := <-b.revocations:
			for fails := 0; b.rememberRevocation(ctx, payload) != nil; fails++ {
				if !nap.For(ctx, backoff(fails)) {
					return
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// readRevocations tells all that are remembered: after each connect, for nobody knows which were missed.
func (b *Broker) readRevocations(ctx context.Context) {
	if b.opts.OnRevocation == nil {
		return
	}
	for fails := 0; ; fails++ {
		all, err := b.allRevocations(ctx)
		if err == nil {
			for _, payload := range all {
				b.opts.OnRevocation([]byte(payload))
			}
			return
		}
		if !nap.For(ctx, backoff(fails)) {
			return
		}
	}
}

func (b *Broker) allRevocations(ctx context.Context) ([]string, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	oldest := strconv.FormatInt(time.Now().Add(-RevocationAge).UnixMilli(), 10)
	return b.ask.Do(ctx, b.ask.B().Zrangebyscore().Key(b.keys.revoked()).Min(oldest).Max("+inf").Build()).AsStrSlice()
}

// Extensions go to every node over a Pub/Sub channel. They are not remembered: a session that was not extended ends with its old
// credential, and its client comes back with the new one.

// AnnounceExtension tells payload to every node, this one included.
func (b *Broker) AnnounceExtension(ctx context.Context, payload []byte) error {
	doing := "announce extension"
	if err := b.check(ctx, doing); err != nil {
		return err
	}
	if len(payload) == 0 || len(payload) > maxRevocationBytes {
		return fmt.Errorf("%s: %w: %d bytes", doing, realtime.ErrInvalid, len(payload))
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	cmd := b.ask.B().Publish().Channel(b.keys.extend()).Message(rueidis.BinaryString(payload)).Build()
	return unavailable(doing, b.ask.Do(ctx, cmd).Error())
}

// heardExtension is called by the reader.
func (b *Broker) heardExtension(payload []byte) {
	if b.opts.OnExtension != nil && len(payload) <= maxRevocationBytes {
		b.opts.OnExtension(payload)
	}
}
