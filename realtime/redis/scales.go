package redis

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"kentongan/tenant"
)

// scales keep the history of each kitchen within Options.MaxTenantBytes. What it takes is asked of Redis, and only of a kitchen to which
// this node has published a lot since: counting in the script, with each publication and each that leaves the history for it, would cost
// every kitchen what only a noisy one is to be kept from. So a kitchen may take a little more for a moment.
type scales struct {
	broker *Broker
	wake   chan struct{} // some kitchen is due

	mu    sync.Mutex // guards grown
	grown map[tenant.ID]int64
}

const (
	// weighPart is which part of its bound a kitchen may grow by before it is weighed again, one of so many.
	weighPart = 16

	// weighPause is the shortest time between two times that kitchens are weighed: each read of its size keeps Redis busy for some
	// microseconds a channel, and up to milliseconds where there is a lot.
	weighPause = time.Second

	// weighDown is what is left to a kitchen that is over its bound, so that it is not over it again at once.
	weighDown = 0.9

	// maxGrown bounds the memory of grown. Beyond it all begin anew: whoever has a lot to say is soon there again.
	maxGrown = 100_000
)

func newScales(b *Broker) *scales {
	return &scales{broker: b, wake: make(chan struct{}, 1), grown: map[tenant.ID]int64{}}
}

// step is how many bytes it is enough to tell add together.
func (s *scales) step() int { return int(s.broker.opts.MaxTenantBytes / (weighPart * weighPart)) }

// add notes data that is published to a kitchen.
func (s *scales) add(t tenant.ID, bytes int) {
	most := s.broker.opts.MaxTenantBytes
	if most <= 0 {
		return
	}
	s.mu.Lock()
	if len(s.grown) >= maxGrown {
		clear(s.grown)
	}
	grown := s.grown[t] + int64(bytes)
	s.grown[t] = grown
	s.mu.Unlock()
	if grown >= most/weighPart {
		s.call()
	}
}

func (s *scales) call() {
	select {
	case s.wake <- struct{}{}:
	default: // it was called already
	}
}

// due takes out those that have to be weighed.
func (s *scales) due() (due map[tenant.ID]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due = map[tenant.ID]int64{}
	for t, grown := range s.grown {
		if grown >= s.broker.opts.MaxTenantBytes/weighPart {
			due[t] = grown
			delete(s.grown, t)
		}
	}
	return due
}

// run weighs until ctx ends.
func (s *scales) run(ctx context.Context) {
	fails := 0
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		failed := false
		for t, grown := range s.due() {
			err := s.weigh(ctx, t)
			if err == nil || ctx.Err() != nil {
				continue
			}
			if fails == 0 && !failed {
				s.broker.opts.Log.Warn("history of a kitchen cannot be weighed", "tenant", t, "err", err)
			}
			failed = true
			s.mu.Lock()
			s.grown[t] += grown
			s.mu.Unlock()
		}
		wait := weighPause
		if failed {
			s.call()
			wait += backoff(fails)
			fails++
		} else {
			fails = 0
		}
		if !s.broker.opts.Primary.pause(ctx, wait) {
			return
		}
	}
}

// load is what the history of one channel takes.
type load struct {
	stream         string
	bytes, entries int64
}

// weigh looks at what t keeps, and takes from its largest channels what is too much, the oldest first.
func (s *scales) weigh(ctx context.Context, t tenant.ID) error {
	ctx, cancel := s.broker.within(ctx)
	defer cancel()
	loads, err := s.loads(ctx, t)
	if err != nil {
		return err
	}
	sum, sizes := int64(0), make([]int64, len(loads))
	for i, l := range loads {
		sum, sizes[i] = sum+l.bytes, l.bytes
	}
	most := s.broker.opts.MaxTenantBytes
	if sum <= most {
		return nil
	}
	allowed := level(sizes, int64(weighDown*float64(most)))
	ask := s.broker.ask
	var trims rueidis.Commands
	for _, l := range loads {
		if l.bytes > allowed {
			keep := max(1, int64(float64(l.entries)*float64(allowed)/float64(l.bytes)))
			trims = append(trims, ask.B().Xtrim().Key(l.stream).Maxlen().Threshold(strconv.FormatInt(keep, 10)).Build())
		}
	}
	for _, answer := range ask.DoMulti(ctx, trims...) {
		gone, err := answer.AsInt64()
		if err != nil {
			return unavailable("trim history", err)
		}
		s.broker.counts.evicted.Add(uint64(max(gone, 0)))
	}
	return nil
}

// loads asks what each channel of t takes.
func (s *scales) loads(ctx context.Context, t tenant.ID) ([]load, error) {
	const doing = "weigh history"
	k, ask := s.broker.keys, s.broker.ask
	fields, err := ask.Do(ctx, ask.B().Hgetall().Key(k.head(t)).Build()).AsStrMap()
	if err != nil {
		return nil, unavailable(doing, err)
	}
	heads, err := parseHeads(fields)
	if err != nil {
		return nil, nil //nolint:nilerr // it expired meanwhile, or somebody else wrote there: it has no history
	}
	var loads []load
	var asks rueidis.Commands
	for name := range heads.Channels {
		stream := k.streamOf(t, name)
		loads = append(loads, load{stream: stream})
		// All of its nodes are looked at: entries differ in size, and a sample of the oldest says nothing of the newest.
		asks = append(asks, ask.B().MemoryUsage().Key(stream).Samples(0).Build(), ask.B().Xlen().Key(stream).Build())
	}
	answers := ask.DoMulti(ctx, asks...)
	for i := range loads {
		if loads[i].bytes, err = answers[2*i].AsInt64(); err != nil && !rueidis.IsRedisNil(err) {
			return nil, unavailable(doing, err)
		}
		if loads[i].entries, err = answers[2*i+1].AsInt64(); err != nil {
			return nil, unavailable(doing, err)
		}
	}
	return loads, nil
}

// level returns how much each may keep at most, so that all together keep no more than total: who has less than that keeps all.
func level(sizes []int64, total int64) int64 {
	sizes = slices.Sorted(slices.Values(sizes))
	for i, size := range sizes {
		if share := max(total, 0) / int64(len(sizes)-i); size > share {
			return share
		}
		total -= size
	}
	return math.MaxInt64
}
