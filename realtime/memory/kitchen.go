package memory

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// kitchen is everything of one tenant. It exists as long as it has a channel or a follower, and its lock is the only one that is held
// while the Sink is called.
type kitchen struct {
	id    tenant.ID
	bytes atomic.Int64 // of its history; written under mu, read by makeRoom without it

	mu       sync.Mutex
	gone     bool   // no longer in its shard: look it up again
	fresh    string // the epoch of channels that have no stream
	turned   bool   // fresh has changed while it was followed: followers hold positions of an older one
	followed bool
	streams  map[string]*stream
	last     *stream // that was published to; nil: none of streams was
	keys     keyTable
}

func (b *Broker) shard(t tenant.ID) *shard {
	return &b.shards[maphashOf(b.seed, t)%shardCount]
}

// lookup returns the locked kitchen of t, or nil if it has none.
func (b *Broker) lookup(t tenant.ID) *kitchen {
	s := b.shard(t)
	for {
		s.mu.RLock()
		k := s.kitchens[t]
		s.mu.RUnlock()
		if k == nil {
			return nil
		}
		k.mu.Lock()
		if !k.gone {
			return k
		}
		k.mu.Unlock()
	}
}

// kitchen returns the locked kitchen of t, a new one if it has none.
func (b *Broker) kitchen(t tenant.ID) *kitchen {
	s := b.shard(t)
	for {
		if k := b.lookup(t); k != nil {
			return k
		}
		s.mu.Lock()
		if s.kitchens[t] == nil {
			s.kitchens[t] = &kitchen{id: t, fresh: *b.fresh.Load(), streams: map[string]*stream{}}
		}
		s.mu.Unlock()
	}
}

// each calls f with every kitchen, locked, one after the other. Kitchens that come meanwhile may be left out.
func (b *Broker) each(f func(*kitchen)) {
	for i := range b.shards {
		b.shards[i].each(f)
	}
}

func (s *shard) each(f func(*kitchen)) {
	s.mu.RLock()
	kitchens := slices.Collect(maps.Values(s.kitchens))
	s.mu.RUnlock()
	for _, k := range kitchens {
		k.mu.Lock()
		if !k.gone {
			f(k)
		}
		k.mu.Unlock()
	}
}

// publish stamps, keeps and delivers. The lock is held.
func (k *kitchen) publish(b *Broker, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
	now := time.Now()
	age := now.Sub(b.start)
	ref := keyRef{ch.Name, opts.Key}
	var sum digest
	if opts.Key != "" {
		sum = digestOf(data)
		k.keys.expire(age)
		if r, ok := k.keys.records[ref]; ok {
			if r.sum != sum {
				return realtime.Published{}, realtime.ErrKeyReused
			}
			b.duplicates.Add(1)
			return realtime.Published{Position: r.position, Duplicate: true}, nil
		}
	}
	s := k.last
	if s == nil || s.name != ch.Name { // most follow one of their own channel, and each look into a map is a wait for memory
		if s = k.streams[ch.Name]; s == nil {
			s = k.open(b, ch)
		}
		k.last = s
	}
	s.head.Offset++
	s.lastAt = age
	e := entry{data: data, at: age, ms: now.UnixMilli()}
	if s.keep.Size > 0 {
		grown := s.push(e)
		if key, ok := b.opts.Names.SnapshotKey(ch, data); ok {
			grown += s.newest.put(key, s.head.Offset, e)
		}
		k.account(b, grown+s.expire(age))
		if most := b.opts.MaxTenantBytes; most > 0 && k.bytes.Load() > most {
			k.shrink(b, most-most/8) // an eighth below it, so that it is needed rarely
		}
	}
	if opts.Key != "" {
		k.keys.add(ref, record{sum: sum, position: s.head, until: age + realtime.IdempotencyWindow}, b.opts.MaxKeys)
	}
	b.published.Add(1)
	if sink := b.sink.Load(); k.followed && sink != nil {
		b.delivered.Add(1)
		sink.deliver(&realtime.Publication{
			Channel:  realtime.Channel{Tenant: k.id, Name: s.name},
			Position: s.head, Time: time.UnixMilli(e.ms), Data: data, Arrived: opts.Arrived, Trace: opts.Trace.HeardAt(now),
		}, opts.More)
	}
	return realtime.Published{Position: s.head}, nil
}

// open adds the stream of a channel that has none. Followers who were told another fresh epoch learn of the new one
// before its first publication.
func (k *kitchen) open(b *Broker, ch realtime.Channel) *stream {
	s := &stream{name: strings.Clone(ch.Name), keep: b.opts.Names.Retention(ch), head: realtime.Position{Epoch: k.fresh}}
	k.streams[s.name] = s
	b.channels.Add(1)
	if k.turned {
		k.tell(b, realtime.Gap{Channel: ch, Cause: realtime.GapEpoch, Position: s.head})
	}
	return s
}

func (k *kitchen) tell(b *Broker, g realtime.Gap) {
	if sink := b.sink.Load(); k.followed && sink != nil {
		b.gaps.Add(1)
		sink.Gap(g)
	}
}

func (k *kitchen) account(b *Broker, bytes int64) {
	k.bytes.Add(bytes)
	b.bytes.Add(bytes)
}

func (k *kitchen) heads() realtime.Heads {
	h := realtime.Heads{Channels: make(map[string]realtime.Position, len(k.streams)), Fresh: realtime.Position{Epoch: k.fresh}}
	for name, s := range k.streams {
		h.Channels[name] = s.head
	}
	return h
}

func (k *kitchen) history(b *Broker, ch realtime.Channel, since realtime.Position, limit int) realtime.Page {
	s := k.streams[ch.Name]
	if s == nil {
		return emptyPage(realtime.Position{Epoch: k.fresh}, since)
	}
	k.account(b, s.expire(time.Since(b.start)))
	page := realtime.Page{Head: s.head}
	from, cause := realtime.Resume(since, s.head, s.oldest(), s.keep.Size > 0)
	if cause != "" {
		page.Gap = cause
		return page
	}
	missed := int(s.head.Offset + 1 - from) //nolint:gosec // at most the ring
	n := min(missed, max(limit, 0))
	page.More = n < missed
	if n > 0 {
		page.Publications = make([]realtime.Publication, n)
	}
	for i := range page.Publications {
		offset := from + uint64(i)
		e := s.at(offset)
		page.Publications[i] = realtime.Publication{
			Channel:  realtime.Channel{Tenant: k.id, Name: s.name},
			Position: realtime.Position{Epoch: s.head.Epoch, Offset: offset}, Time: time.UnixMilli(e.ms), Data: e.data,
		}
	}
	return page
}

// emptyPage answers for a channel that never had a publication.
func emptyPage(head, since realtime.Position) realtime.Page {
	_, cause := realtime.Resume(since, head, 0, true)
	return realtime.Page{Head: head, Gap: cause}
}

// turn gives one channel a new epoch.
func (k *kitchen) turn(b *Broker, ch realtime.Channel, cause realtime.GapCause) {
	s := k.streams[ch.Name]
	if s == nil {
		s = &stream{name: strings.Clone(ch.Name), keep: b.opts.Names.Retention(ch)}
		k.streams[s.name] = s
		b.channels.Add(1)
	}
	k.account(b, s.letGo())
	s.head, s.lastAt = realtime.Position{Epoch: realtime.NewEpoch()}, time.Since(b.start)
	k.tell(b, realtime.Gap{Channel: ch, Cause: cause, Position: s.head})
}

// turnAll gives all channels a new epoch, those included that never had a publication. Of the latter, those are told to
// followers that the patterns can name.
func (k *kitchen) turnAll(b *Broker, cause realtime.GapCause) {
	told := map[string]bool{}
	for _, wire := range b.opts.Names.Of(k.id) {
		if ch, _, err := b.opts.Names.Parse(wire); err == nil {
			told[ch.Name] = true
		}
	}
	for name := range k.streams {
		told[name] = true
	}
	k.forget(b, slices.Collect(maps.Keys(k.streams)))
	for _, name := range slices.Sorted(maps.Keys(told)) {
		ch := realtime.Channel{Tenant: k.id, Name: name}
		k.tell(b, realtime.Gap{Channel: ch, Cause: cause, Position: realtime.Position{Epoch: k.fresh}})
	}
}

// forget drops streams. Their channels go on in the fresh epoch, which has to be another one than they ever had.
func (k *kitchen) forget(b *Broker, names []string) {
	for _, name := range names {
		k.account(b, k.streams[name].letGo())
		delete(k.streams, name)
		k.last = nil
	}
	b.channels.Add(-int64(len(names)))
	k.fresh, k.turned = realtime.NewEpoch(), true
}
