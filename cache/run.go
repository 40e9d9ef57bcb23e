package cache

import (
	"context"
	"errors"
	"time"

	"kentongan/cache/shared"
	"kentongan/internal/nap"
)

// stopTime is how long Run waits at its end for loads that do not heed their context.
const stopTime = 5 * time.Second

// Run keeps what is in memory true, and does what is left over from invalidations, until ctx ends. It is called once. When it
// returns, no goroutine of the cache is left but those of loaders that do not heed their context.
func (c *Cache) Run(ctx context.Context) error {
	var loops []func(context.Context)
	loops = append(loops, c.sweep)
	if c.tier != nil {
		c.breaker.watch(true)
		loops = append(loops, c.keepFence, c.doChores)
	}
	done := make(chan struct{}, len(loops))
	for _, loop := range loops {
		go func() {
			loop(ctx)
			done <- struct{}{}
		}()
	}
	for range loops {
		<-done
	}
	c.breaker.watch(false)
	return c.Close()
}

// Close ends a cache. Run does so by itself; it is for those who do not run it.
func (c *Cache) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.mu.Lock()
	flights := len(c.flights) // who found the cache open has counted the load that it began, under this lock
	c.mu.Unlock()
	c.log.Debug("cache ends", "flights", flights)
	if c.tier != nil {
		c.newEra() // memory answers no more
	}
	c.cancel()
	idle := make(chan struct{})
	go func() {
		c.working.Wait()
		close(idle)
	}()
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
		c.log.Warn("loads go on after the cache has ended", "loads", len(c.loads))
	}
	if c.tier != nil {
		c.tier.Close()
	}
	return nil
}

// keepFence asks the connection that hears of changes for a sign of life, four times in the bound: one may come late, and one
// be lost.
func (c *Cache) keepFence(ctx context.Context) {
	connection := ""
	silent := 0
	for {
		sent, lost := c.now(), c.lost.Load()
		limit, cancel := context.WithTimeout(ctx, c.opts.Bound)
		passed, err := c.tier.Fence(limit)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errors.ErrUnsupported): // a tier that tells of no changes: memory answers for the bound after each read
			c.breaker.watch(false)
			return
		case err != nil:
			silent++
			if silent == 1 {
				c.log.Warn("cache does not hear of changes", "err", err)
			}
			switch {
			case silent < 2: // one may be lost
			case c.answers(ctx): // only changes are not told: entries in Redis can be used all the same
				c.breaker.reset()
			default:
				c.breaker.force() // whoever asks would wait as long
			}
		default:
			if connection == "" {
				c.lookAtRedis(ctx, true)
			}
			c.pass(&connection, passed, sent, lost)
			if open, _ := c.breaker.isOpen(); open && c.answers(ctx) {
				c.breaker.reset()
			}
			if silent > 0 {
				c.log.Info("cache hears of changes again", "after", silent)
				silent = 0
			}
		}
		if !nap.For(ctx, c.opts.Bound/4) {
			return
		}
	}
}

// lookAtRedis learns how large it is, and warns of settings that do not suit a cache, if that is wanted: each time that it is found again.
func (c *Cache) lookAtRedis(ctx context.Context, warn bool) {
	r, ok := c.tier.(interface {
		Look(ctx context.Context) (shared.Survey, error)
	})
	if !ok {
		return
	}
	limit, cancel := context.WithTimeout(ctx, c.opts.Bound)
	defer cancel()
	found, err := r.Look(limit)
	if err != nil {
		c.log.Debug("size and settings of redis not read", "err", err)
		return
	}
	c.redisBytes.Store(found.UsedBytes)
	c.redisNames.Store(found.Names)
	for _, w := range found.Warnings {
		if !warn {
			break
		}
		c.log.Warn("redis does not suit a cache", "why", w)
	}
}

// pass moves the fence. Over a new connection nothing was told of what happened before it listened, which it did before it answered.
func (c *Cache) pass(connection *string, passed shared.Passed, sent int64, lost uint64) {
	c.learnTime(passed.Now)
	if passed.Connection != *connection && !c.broken.noEra {
		*connection = passed.Connection
		c.newEra()
		return // what was read until now may be of before it listened: the next one counts
	}
	if c.lost.Load() != lost && !c.broken.noEra {
		*connection = ""
		return
	}
	c.fence.Store(sent)
}

// answers reports whether Redis answers commands.
func (c *Cache) answers(ctx context.Context) bool {
	limit, cancel := context.WithTimeout(ctx, c.opts.Bound/2)
	defer cancel()
	_, err := c.tier.DroppedAt(limit, "probe")
	return err == nil
}

// doChores does what invalidations have left to be done.
func (c *Cache) doChores(ctx context.Context) {
	for nap.For(ctx, time.Second) {
		for ctx.Err() == nil && c.breaker.allow() {
			more, err := c.tier.Chore(ctx)
			switch {
			case ctx.Err() != nil:
				c.breaker.undecided()
				return
			case err != nil:
				c.log.Warn("cache cannot clean up", "err", err)
				c.breaker.fail()
			default:
				c.breaker.succeed()
			}
			if err != nil || !more {
				break
			}
			c.counts.chores.Add(1)
		}
	}
}

// maxTouched bounds how many epochs are touched at once. Those of others are younger, as their tenants are busier, or idle.
const maxTouched = 2000

// sweep keeps the epochs of busy tenants from being evicted, and forgets those of idle ones.
func (c *Cache) sweep(ctx context.Context) {
	for nap.For(ctx, time.Minute) {
		c.sweepKitchens()
		if c.tier == nil {
			continue
		}
		since := c.now() - int64(time.Minute)
		var hashes []string
		c.eachKitchen(func(k *kitchen) {
			if k.used.Load() > since && len(hashes) < maxTouched {
				hashes = append(hashes, epochsOf(k.id))
			}
		})
		err := c.ask(ctx, "touch epochs", func(ctx context.Context) error { return c.tier.Touch(ctx, hashes) })
		if err != nil && ctx.Err() == nil {
			c.log.Debug("epochs not touched", "err", err)
			continue
		}
		c.lookAtRedis(ctx, false)
	}
}
