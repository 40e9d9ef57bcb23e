package realtime

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// DeviceRecord is what is remembered of one device, and the rules by which it changes. They are pure: engines only store it. The zero
// value is a device of which nothing is known. It is not safe for concurrent use.
//
// Several tabs of a browser look alike. If two of them lose their line at 5 and at 8, nobody can know which of them comes back
// first. So each that comes goes on from the oldest position of all that are gone, until as many have come back as were gone. Nor
// can anybody know whether a connection that is said to live does: its line may be dead, or its node killed. Its position counts as
// well, which costs a second tab a few doubles.
type DeviceRecord struct {
	came        *[]int64 // when connections came, in ms, oldest first; only those that somebody may have come back by. nil: nearly always
	connections []deviceConnection
}

// arrivals returns when connections came.
func (r *DeviceRecord) arrivals() []int64 {
	if r.came == nil {
		return nil
	}
	return *r.came
}

// setArrivals replaces them.
func (r *DeviceRecord) setArrivals(at []int64) {
	switch {
	case len(at) == 0:
		r.came = nil // a device that is connected, and was never away
	case r.came == nil:
		kept := at // so that at itself stays off the heap, where there is nothing to keep
		r.came = &kept
	default:
		*r.came = at
	}
}

type deviceConnection struct {
	id       uint64
	seen     int64 // last sign of life, in ms
	lost     int64 // when it was told to be lost; 0: it is said to live
	position string
}

// Apply notes an event that happened at the time at. Times are those of one clock, or of clocks that agree within a second
// or so: where they do not, there are more doubles.
func (r *DeviceRecord) Apply(e DeviceEvent, at time.Time) {
	now := at.UnixMilli()
	if e.Kind == DeviceLeft {
		r.connections = slices.DeleteFunc(r.connections, func(c deviceConnection) bool { return c.id == e.Connection })
		r.prune(now)
		return
	}
	c, added := r.connection(e.Connection)
	c.position = e.Position
	// What is told late must not make a connection younger, or older, than it is known to be.
	c.seen = max(c.seen, now-e.Silent.Milliseconds())
	switch e.Kind {
	case DeviceArrived:
		// It is not told again, and there is one that it may have come back for.
		if alone := len(r.connections) == 1 && c.seen == now; added && !alone {
			r.arrive(now)
		}
	case DeviceLost:
		if c.lost == 0 {
			c.lost = now
		}
	case DeviceProved, DeviceLeft:
	}
	r.prune(now)
}

// connection returns the entry of id, a new one if there is none.
func (r *DeviceRecord) connection(id uint64) (c *deviceConnection, added bool) {
	at := slices.IndexFunc(r.connections, func(c deviceConnection) bool { return c.id == id })
	if at >= 0 {
		return &r.connections[at], false
	}
	if len(r.connections) >= maxDeviceConnections {
		r.makeRoom()
	}
	r.connections = append(r.connections, deviceConnection{id: id})
	return &r.connections[len(r.connections)-1], true
}

// makeRoom forgets the connection that was gone for the longest, or silent for the longest if all live.
func (r *DeviceRecord) makeRoom() {
	oldest := 0
	for i, c := range r.connections {
		o := r.connections[oldest]
		if (c.lost > 0) != (o.lost > 0) && c.lost > 0 || (c.lost > 0) == (o.lost > 0) && c.seen < o.seen {
			oldest = i
		}
	}
	r.connections = slices.Delete(r.connections, oldest, oldest+1)
}

func (r *DeviceRecord) arrive(now int64) {
	arrivals := r.arrivals()
	if len(arrivals) >= maxDeviceArrivals {
		arrivals = slices.Delete(arrivals, 1, 2) // the first says how long the others are waited for
	}
	at, _ := slices.BinarySearch(arrivals, now)
	r.setArrivals(slices.Insert(arrivals, at, now))
}

// prune forgets what nobody will come back for.
func (r *DeviceRecord) prune(now int64) {
	back := r.allBack(now - deviceGrace.Milliseconds())
	r.connections = slices.DeleteFunc(r.connections, func(c deviceConnection) bool {
		if now-c.seen > DeviceMemory.Milliseconds() || c.lost > 0 && c.seen < back {
			return true
		}
		if c.lost == 0 && now-c.seen <= deviceStale.Milliseconds() {
			return false // it lives
		}
		// Who came before the loss of c was known was perhaps its page, and perhaps another one. He makes the waiting end some time.
		perhaps := r.since(c.seen)
		return len(perhaps) > 0 && now-perhaps[0] > devicePatience.Milliseconds()
	})
	oldest := now
	for _, c := range r.connections {
		oldest = min(oldest, c.seen)
	}
	r.setArrivals(slices.DeleteFunc(r.arrivals(), func(at int64) bool { return at <= oldest }))
}

// allBack returns the last arrival, at limit or before, with which as many had come as may have been gone; 0 if there is none.
func (r *DeviceRecord) allBack(limit int64) int64 {
	arrivals := r.arrivals()
	for i, at := range slices.Backward(arrivals) {
		if at <= limit && r.complete(arrivals[:i+1]) {
			return at
		}
	}
	return 0
}

// complete reports whether each connection that was gone before the last of arrivals can have come back by another one of them. One
// whose loss was not known then has not.
func (r *DeviceRecord) complete(arrivals []int64) bool {
	var lost []int64
	for _, c := range r.connections {
		if c.seen < arrivals[len(arrivals)-1] {
			if c.lost == 0 {
				return false // nothing was heard of it since
			}
			lost = append(lost, c.lost)
		}
	}
	slices.Sort(lost)
	for _, at := range arrivals {
		if len(lost) > 0 && at > lost[0] {
			lost = lost[1:]
		}
	}
	return len(lost) == 0
}

// since returns the arrivals later than t.
func (r *DeviceRecord) since(t int64) []int64 {
	arrivals := r.arrivals()
	at, _ := slices.BinarySearch(arrivals, t+1)
	return arrivals[at:]
}

// Positions returns the positions of all connections that may come back, each once.
func (r *DeviceRecord) Positions(now time.Time) []string {
	r.prune(now.UnixMilli())
	var positions []string
	for _, c := range r.connections {
		if !slices.Contains(positions, c.position) {
			positions = append(positions, c.position)
		}
	}
	return positions
}

// deviceRecordVersion is the first byte of a stored record. Then come the arrivals and the connections, each with their number in
// front. Times are uvarints in ms, ids have 8 bytes, positions their length in front.
const deviceRecordVersion = 1

// ErrDeviceRecord says that what was stored is no record of a device.
var ErrDeviceRecord = errors.New("device record cannot be read")

// Append appends the record as Parse reads it, at least one byte.
func (r *DeviceRecord) Append(b []byte) []byte {
	b = append(b, deviceRecordVersion)
	b = binary.AppendUvarint(b, uint64(len(r.arrivals())))
	for _, at := range r.arrivals() {
		b = appendTime(b, at)
	}
	b = binary.AppendUvarint(b, uint64(len(r.connections)))
	for _, c := range r.connections {
		b = binary.BigEndian.AppendUint64(b, c.id)
		b = appendTime(appendTime(b, c.seen), c.lost)
		b = append(binary.AppendUvarint(b, uint64(len(c.position))), c.position...)
	}
	return b
}

func appendTime(b []byte, ms int64) []byte { return binary.AppendUvarint(b, uint64(max(ms, 0))) }

// Parse makes r what Append made stored of, in the memory that r has; its positions are pieces of stored. If it returns ErrDeviceRecord, r
// is a device of which nothing is known.
func (r *DeviceRecord) Parse(stored string) error {
	r.came, r.connections = nil, r.connections[:0]
	if stored == "" || stored[0] != deviceRecordVersion {
		return ErrDeviceRecord
	}
	p := recordReader{rest: stored[1:]}
	for n := p.number(maxDeviceArrivals); n > 0 && !p.bad; n-- {
		r.setArrivals(append(r.arrivals(), p.time()))
	}
	for n := p.number(maxDeviceConnections); n > 0 && !p.bad; n-- {
		id := p.take(8)
		c := deviceConnection{seen: p.time(), lost: p.time()}
		c.position = p.take(p.number(MaxDevicePosition))
		if p.bad {
			break
		}
		c.id = binary.BigEndian.Uint64([]byte(id))
		r.connections = append(r.connections, c)
	}
	if p.bad || p.rest != "" || !slices.IsSorted(r.arrivals()) {
		r.came, r.connections = nil, r.connections[:0]
		return ErrDeviceRecord
	}
	return nil
}

// recordReader reads from what is left, and remembers that something was wrong, so that its callers look once.
type recordReader struct {
	rest string
	bad  bool
}

func (p *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint([]byte(p.rest[:min(len(p.rest), binary.MaxVarintLen64)]))
	if n <= 0 {
		p.bad = true
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *recordReader) number(limit int) int {
	v := p.uvarint()
	if v > uint64(limit) { //nolint:gosec // not negative
		p.bad = true
		return 0
	}
	return int(v) //nolint:gosec // limit at most
}

// maxRecordTime is far in the future, and far from an overflow.
const maxRecordTime = 1 << 53

func (p *recordReader) time() int64 { return int64(p.number(maxRecordTime)) }

func (p *recordReader) take(n int) string {
	if n > len(p.rest) {
		p.bad = true
		return ""
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}
