package memory

import (
	"cmp"
	"slices"
	"time"

	"kentongan/tenant"
)

// sweep lets go of expired history and keys of channels that nobody writes to or reads.
func (b *Broker) sweep() {
	now := time.Since(b.start)
	b.each(func(k *kitchen) {
		k.keys.expire(now)
		for _, s := range k.streams {
			k.account(b, s.expire(now))
		}
	})
}

// makeRoom brings history and channels an eighth below their bounds, so that it is needed rarely. One goroutine does it; the
// others publish on, which overshoots a bound by what they publish meanwhile.
func (b *Broker) makeRoom() {
	if !b.reclaim.TryLock() {
		return
	}
	defer b.reclaim.Unlock()
	if b.channels.Load() > int64(b.opts.MaxChannels) {
		b.forgetSilent(b.channels.Load() - int64(b.opts.MaxChannels)*7/8)
	}
	if b.bytes.Load() > b.opts.MaxHistoryBytes {
		b.evict(b.opts.MaxHistoryBytes - b.opts.MaxHistoryBytes/8)
	}
}

// evict drops the oldest publications of the kitchens that hold the most, until all hold at most target together.
func (b *Broker) evict(target int64) {
	b.sweep()
	type holding struct {
		k     *kitchen
		bytes int64
	}
	var holdings []holding
	b.each(func(k *kitchen) { holdings = append(holdings, holding{k, k.bytes.Load()}) })
	slices.SortFunc(holdings, func(x, y holding) int { return cmp.Compare(y.bytes, x.bytes) })
	// Cutting the largest down to the size of the next one, and so on, ends at the level that all may hold at most. The
	// level is computed from what they hold in sum.
	level, sum := int64(0), int64(0)
	for _, h := range holdings {
		sum += h.bytes
	}
	for i, h := range holdings {
		sum -= h.bytes // what the smaller ones hold
		next := int64(0)
		if i+1 < len(holdings) {
			next = holdings[i+1].bytes
		}
		level = max(0, (target-sum)/int64(i+1))
		if level >= next {
			break
		}
	}
	for _, h := range holdings {
		if h.bytes <= level {
			break
		}
		h.k.mu.Lock()
		h.k.shrink(b, level)
		h.k.mu.Unlock()
	}
}

// shrink drops the oldest publications of the largest streams until the kitchen holds at most limit bytes.
func (k *kitchen) shrink(b *Broker, limit int64) {
	for k.bytes.Load() > limit {
		var largest *stream
		for _, s := range k.streams {
			if largest == nil || s.count > largest.count {
				largest = s
			}
		}
		if largest == nil || largest.count == 0 {
			for _, s := range k.streams { // what is newest of each key is the last to go
				k.account(b, s.newest.clear())
			}
			return
		}
		n := max(1, largest.count/8)
		k.account(b, -largest.drop(n))
		b.evicted.Add(uint64(n))
	}
}

// forgetSilent drops the n channels whose last publication is the oldest. A kitchen that nobody follows goes with its
// last channel.
func (b *Broker) forgetSilent(n int64) {
	type silent struct {
		tenant tenant.ID
		name   string
		since  time.Duration
	}
	var all []silent
	b.each(func(k *kitchen) {
		for name, s := range k.streams {
			all = append(all, silent{k.id, name, s.lastAt})
		}
	})
	slices.SortFunc(all, func(x, y silent) int { return cmp.Compare(x.since, y.since) })
	names := map[tenant.ID][]silent{}
	for _, s := range all[:min(int(n), len(all))] {
		names[s.tenant] = append(names[s.tenant], s)
	}
	for t, silents := range names {
		k := b.lookup(t)
		if k == nil {
			continue
		}
		var still []string
		for _, s := range silents {
			if known := k.streams[s.name]; known != nil && known.lastAt == s.since {
				still = append(still, s.name)
			}
		}
		k.forget(b, still)
		b.forgotten.Add(uint64(len(still)))
		empty := len(k.streams) == 0 && !k.followed
		k.mu.Unlock()
		if empty {
			b.remove(t)
		}
	}
	b.opts.Log.Warn("channels forgotten: more than can be remembered", "limit", b.opts.MaxChannels, "forgotten", b.forgotten.Load())
}

// remove takes the kitchen of t out if it is empty still. The next kitchen of t then starts in another fresh epoch than this one.
func (b *Broker) remove(t tenant.ID) {
	s := b.shard(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kitchens[t]
	if k == nil {
		return
	}
	k.mu.Lock() // the one place where a shard's lock is held too; nobody takes them the other way round
	defer k.mu.Unlock()
	if len(k.streams) == 0 && !k.followed {
		k.gone = true
		delete(s.kitchens, t)
		b.turnFresh()
	}
}
