package stamping

import "kentongan/realtime"

// ring holds the messages that are not known to be stamped, oldest first. It is bounded by count and bytes. What comes when it is
// full is remembered as a hole: only the names of its channels, so that their readers can be told.
type ring struct {
	maxCount, maxBytes int

	entries []entry // from first on
	first   int
	bytes   int
	dropped uint64
}

type entry struct {
	number int64 // on the line; of a hole, the last one in it
	first  int64 // of a hole, the first one in it; else the number
	m      Message
	judged bool // m was found to be fit, or to be left out: then it has no channel
	hole   *Hole
}

// Hole is a run of messages that the ring had no room for.
type Hole struct {
	Channels map[realtime.Channel]struct{}
	All      bool // more channels than are worth remembering
}

// maxHoleChannels bounds a hole; past it, all channels are told.
const maxHoleChannels = 10_000

func (r *ring) len() int { return len(r.entries) - r.first }

func (r *ring) full(m *Message) bool {
	return r.len() >= r.maxCount || r.bytes+len(m.Data) > r.maxBytes && r.len() > 0
}

// add appends m. If there is no room, it becomes part of a hole if keep is set; else the oldest go, and it returns the number after the
// last one that went.
func (r *ring) add(number int64, m *Message, keep bool) (low int64) {
	if r.full(m) && keep {
		r.dropped++
		if last := len(r.entries) - 1; r.entries[last].hole == nil {
			r.push(entry{number: number, first: number, hole: &Hole{Channels: map[realtime.Channel]struct{}{}}})
		}
		e := &r.entries[len(r.entries)-1]
		e.number = number
		if h := e.hole; !h.All {
			if h.Channels[m.Channel] = struct{}{}; len(h.Channels) > maxHoleChannels {
				h.All, h.Channels = true, nil
			}
		}
		return 0
	}
	for r.full(m) {
		low = r.entries[r.first].number + 1
		r.drop()
	}
	r.push(entry{number: number, first: number, m: *m})
	r.bytes += len(m.Data)
	return low
}

func (r *ring) push(e entry) {
	if r.first > 0 && len(r.entries) == cap(r.entries) && r.first >= len(r.entries)/2 {
		n := copy(r.entries, r.entries[r.first:])
		clear(r.entries[n:])
		r.entries, r.first = r.entries[:n], 0
	}
	r.entries = append(r.entries, e)
}

// drop forgets the oldest.
func (r *ring) drop() {
	e := &r.entries[r.first]
	r.bytes -= len(e.m.Data)
	*e = entry{}
	r.first++
	if r.first == len(r.entries) {
		r.entries, r.first = r.entries[:0], 0
		if cap(r.entries) > 4096 {
			r.entries = nil // one burst does not keep its memory
		}
	}
}

// trim forgets everything up to number.
func (r *ring) trim(number int64) {
	for r.len() > 0 && r.entries[r.first].number <= number {
		r.drop()
	}
}

func (r *ring) clear() { r.entries, r.first, r.bytes = nil, 0, 0 }

// void leaves a message out; its number stays.
func (r *ring) void(e *entry) {
	r.bytes -= len(e.m.Data)
	e.m = Message{}
}
