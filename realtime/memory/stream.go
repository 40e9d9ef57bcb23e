package memory

import (
	"hash/maphash"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

func maphashOf(seed maphash.Seed, t tenant.ID) uint64 { return maphash.String(seed, string(t)) }

// stream is one channel: its head, and its history as a ring that grows up to the retention's size.
type stream struct {
	name   string
	keep   realtime.Retention
	head   realtime.Position
	lastAt time.Duration // when the last publication came
	ring   []entry
	first  int // index of the oldest entry
	count  int
	newest snapshot // empty if the pattern asks for none
}

// entry is one publication in history; its offset follows from its place. Times are since Broker.start, by the monotonic
// clock; ms is the wall clock's, which the publication shows.
type entry struct {
	data []byte
	at   time.Duration
	ms   int64
}

// entryBytes is what an entry takes beside its data.
const entryBytes = 48

func (e *entry) size() int64 { return int64(len(e.data)) + entryBytes }

// oldest returns the offset of the oldest entry, 0 if there is none.
func (s *stream) oldest() uint64 {
	if s.count == 0 {
		return 0
	}
	return s.head.Offset + 1 - uint64(s.count) //nolint:gosec // not negative
}

// at returns the entry at offset, which must be held.
func (s *stream) at(offset uint64) *entry {
	return &s.ring[(s.first+int(offset-s.oldest()))%len(s.ring)] //nolint:gosec // less than count
}

// push adds the entry of the head and returns by how many bytes the history grew.
func (s *stream) push(e entry) int64 {
	var grown int64
	if s.count == s.keep.Size {
		grown -= s.drop(1)
	}
	if s.count == len(s.ring) {
		ring := make([]entry, min(max(4, 2*len(s.ring)), s.keep.Size))
		for i := range s.count {
			ring[i] = s.ring[(s.first+i)%len(s.ring)]
		}
		s.ring, s.first = ring, 0
	}
	s.ring[(s.first+s.count)%len(s.ring)] = e
	s.count++
	return grown + e.size()
}

// drop lets go of the n oldest entries and returns how many bytes they held.
func (s *stream) drop(n int) int64 {
	var freed int64
	for range n {
		e := &s.ring[s.first]
		freed += e.size()
		*e = entry{}
		s.first = (s.first + 1) % len(s.ring)
		s.count--
	}
	if s.count == 0 {
		s.ring, s.first = nil, 0
	}
	return freed
}

// letGo drops everything that is kept and returns by how many bytes that grew.
func (s *stream) letGo() int64 { return -s.drop(s.count) + s.newest.clear() }

// expire drops what is older than the retention's age and returns by how many bytes the history grew: zero or less.
func (s *stream) expire(now time.Duration) int64 {
	n := 0
	for n < s.count && now-s.ring[(s.first+n)%len(s.ring)].at > s.keep.Age {
		n++
	}
	return -s.drop(n) + s.newest.expire(now, s.keep.Age)
}
