package realtime

import (
	"crypto/rand"
	"fmt"
	"slices"
)

// Resume decides whether a reader at since can be brought to head without a hole, for a channel of which the
// publications from oldest to head are held (oldest 0: none is). It returns the offset of the first publication to hand out, which is
// head.Offset+1 when there is none, or the cause of the gap. Both engines ask it, so that they cannot differ.
//
// A zero since starts at the oldest that is held. An epoch is compared even if it is empty: a reader that lost its epoch
// must not be given another history's publications.
func Resume(since, head Position, oldest uint64, keeps bool) (from uint64, cause GapCause) {
	end := head.Offset + 1
	switch {
	case since == Position{}:
		if oldest == 0 {
			return end, ""
		}
		return oldest, ""
	case since.Epoch != head.Epoch:
		return 0, GapEpoch
	case since.Offset > head.Offset:
		return 0, GapAhead
	case since.Offset == head.Offset:
		return end, ""
	case !keeps:
		return 0, GapNoHistory
	case oldest == 0 || since.Offset+1 < oldest:
		return 0, GapExpired
	}
	return since.Offset + 1, ""
}

// epochBytes letters are 60 bits of chance: an epoch is like the one before it once in 10^18 times.
const epochBytes = 12

// epochAlphabet has 32 letters, so that each random byte gives one without a bias. It leaves out what people misread.
const epochAlphabet = "abcdefghjkmnpqrstuvwxyz023456789"

// NewEpoch returns a new random epoch of 12 letters and digits.
func NewEpoch() string { return string(AppendEpoch(nil)) }

// AppendEpoch appends a new epoch to b.
func AppendEpoch(b []byte) []byte {
	start := len(b)
	b = slices.Grow(b, epochBytes)[:start+epochBytes]
	_, _ = rand.Read(b[start:]) // never fails: crypto/rand ends the process instead
	for i := start; i < len(b); i++ {
		b[i] = epochAlphabet[b[i]%32]
	}
	return b
}

// MaxKeyBytes is the longest idempotency key.
const MaxKeyBytes = 255

// CheckPublish returns an ErrInvalid if a Broker cannot take the publication. It is cheap: whether data is JSON is for
// the door to check, once, where the message comes in.
func CheckPublish(ch Channel, data []byte, opts PublishOptions, maxBytes int) error {
	switch {
	case ch.Name == "" || len(ch.Name) > MaxNameBytes:
		return fmt.Errorf("%w: channel name of %d bytes", ErrInvalid, len(ch.Name))
	case len(data) == 0:
		return fmt.Errorf("%w: no data", ErrInvalid)
	case len(data) > maxBytes:
		return fmt.Errorf("%w: %d bytes of data, at most %d are taken", ErrInvalid, len(data), maxBytes)
	case len(opts.Key) > MaxKeyBytes:
		return fmt.Errorf("%w: idempotency key of %d bytes, at most %d are taken", ErrInvalid, len(opts.Key), MaxKeyBytes)
	}
	return nil
}

// DefaultMaxDataBytes is the largest data that a Broker takes if its options do not say otherwise. It lies above what any door
// lets in (1 MiB), so that the door's answer is the one that is seen.
const DefaultMaxDataBytes = 8 << 20
