package memory

import (
	"container/list"
	"context"
	"time"

	"kentongan/realtime"
)

// snapshot is the newest publication of each key of one channel.
type snapshot struct {
	places map[string]*list.Element
	order  list.List // of *keyed, the one that was published first in front
	bytes  int       // data and keys
}

// keyed is a publication with its key. Its data is that of history, or what history has let go.
type keyed struct {
	key    string
	offset uint64
	entry
}

func keyedOf(place *list.Element) *keyed {
	k, ok := place.Value.(*keyed)
	if !ok {
		panic("memory: a snapshot holds something else")
	}
	return k
}

func (k *keyed) size() int { return len(k.key) + len(k.data) + entryBytes }

// put makes e the newest of key, and returns by how many bytes the snapshot grew.
func (s *snapshot) put(key string, offset uint64, e entry) int64 {
	before := s.bytes
	if s.places == nil {
		s.places = map[string]*list.Element{}
	}
	place := s.order.Back()
	if place == nil || keyedOf(place).key != key {
		place = s.places[key]
	}
	if place == nil {
		place = s.order.PushBack(&keyed{key: key})
		s.places[key] = place
	} else {
		s.order.MoveToBack(place)
		s.bytes -= keyedOf(place).size()
	}
	k := keyedOf(place)
	k.offset, k.entry = offset, e
	s.bytes += k.size()
	for s.order.Len() > realtime.MaxSnapshotKeys || s.bytes > realtime.MaxSnapshotBytes && s.order.Len() > 1 {
		s.remove(s.order.Front())
	}
	return int64(s.bytes - before)
}

func (s *snapshot) remove(place *list.Element) {
	k := keyedOf(place)
	s.order.Remove(place)
	delete(s.places, k.key)
	s.bytes -= k.size()
}

// expire lets go of what is older than age, and returns by how many bytes the snapshot grew: zero or less.
func (s *snapshot) expire(now, age time.Duration) int64 {
	before := s.bytes
	for first := s.order.Front(); first != nil; first = s.order.Front() {
		if now-keyedOf(first).at <= age {
			break
		}
		s.remove(first)
	}
	return int64(s.bytes - before)
}

// clear lets go of everything.
func (s *snapshot) clear() int64 {
	freed := s.bytes
	*s = snapshot{}
	return -int64(freed)
}

// Snapshot implements realtime.Snapshotter.
func (b *Broker) Snapshot(ctx context.Context, ch realtime.Channel) (realtime.Snapshot, error) {
	if err := b.check(ctx); err != nil {
		return realtime.Snapshot{}, err
	}
	k := b.lookup(ch.Tenant)
	if k == nil {
		return realtime.Snapshot{Head: realtime.Position{Epoch: *b.fresh.Load()}}, nil
	}
	defer k.mu.Unlock()
	s := k.streams[ch.Name]
	if s == nil {
		return realtime.Snapshot{Head: realtime.Position{Epoch: k.fresh}}, nil
	}
	k.account(b, s.newest.expire(time.Since(b.start), s.keep.Age))
	out := realtime.Snapshot{Head: s.head}
	for place := s.newest.order.Front(); place != nil; place = place.Next() {
		e := keyedOf(place)
		out.Publications = append(out.Publications, realtime.Publication{
			Channel:  realtime.Channel{Tenant: k.id, Name: s.name},
			Position: realtime.Position{Epoch: s.head.Epoch, Offset: e.offset}, Time: time.UnixMilli(e.ms), Data: e.data,
		})
	}
	return out, nil
}
