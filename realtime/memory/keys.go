package memory

import (
	"crypto/sha256"
	"time"

	"kentongan/realtime"
)

type keyRef struct{ channel, key string }

type digest [16]byte

func digestOf(data []byte) digest {
	sum := sha256.Sum256(data)
	return digest(sum[:16])
}

type record struct {
	sum      digest
	position realtime.Position
	until    time.Duration // since Broker.start
}

// keyTable remembers the idempotency keys of one tenant. All keys live equally long, so the order in which they came is
// the order in which they expire.
type keyTable struct {
	records map[keyRef]record
	order   []keyRef
}

func (t *keyTable) expire(now time.Duration) {
	for len(t.order) > 0 && t.records[t.order[0]].until < now {
		t.dropOldest()
	}
}

func (t *keyTable) add(ref keyRef, r record, limit int) {
	if t.records == nil {
		t.records = map[keyRef]record{}
	}
	if len(t.order) >= limit {
		t.dropOldest()
	}
	t.records[ref] = r
	t.order = append(t.order, ref)
}

func (t *keyTable) dropOldest() {
	delete(t.records, t.order[0])
	t.order[0] = keyRef{}
	t.order = t.order[1:]
	if len(t.order) == 0 {
		*t = keyTable{} // a map never shrinks by itself
	}
}
