package redis

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// A copy is what travels on a live channel, written by the scripts:
//
//	1 byte   version, 1
//	1 byte   kind
//	8 bytes  offset, big endian
//	8 bytes  time in ms, big endian
//	16 bytes token
//	1 byte   length of the epoch, and the epoch
//	1 byte   length of the channel's name, and the name
//	the rest data; for a turned epoch the cause, a space, and the epoch before ("" if there was none); for a trace where the
//	         publication stands in it, whose copy is the next one
//
// Nodes pass over kinds that they do not know.
type stampedCopy struct {
	kind     copyKind
	position realtime.Position
	ms       int64
	token    token
	name     []byte // of the bytes that it was parsed from, as data
	data     []byte
	trace    *tracing.Context // of the copy of a publication that a trace came before; else nil

	blank *realtime.Publication // for what the copy becomes when it is delivered; nil: there is none
}

type copyKind byte

const (
	copyPublication  copyKind = 1
	copyTurned       copyKind = 2 // the channel has a new epoch
	copyTenantTurned copyKind = 3 // all channels of the tenant have
	copyTrace        copyKind = 4 // the next copy belongs to a trace
)

const (
	copyVersion    = 1
	copyFixedBytes = 2 + 8 + 8 + tokenBytes
)

// token tells apart every try of every node to publish: 8 random bytes of the node and a number.
type token [tokenBytes]byte

const tokenBytes = 16

func (t *token) number() uint64 { return binary.BigEndian.Uint64(t[8:]) }

var errCopy = errors.New("no stamped copy of ours")

// parseCopy reads a copy. epochs interns epoch words, of which there are few.
func parseCopy(b []byte, epochs *interner) (stampedCopy, error) {
	if len(b) < copyFixedBytes+2 || b[0] != copyVersion || b[1] < byte(copyPublication) || b[1] > byte(copyTrace) {
		return stampedCopy{}, errCopy
	}
	c := stampedCopy{kind: copyKind(b[1]), ms: int64(binary.BigEndian.Uint64(b[10:])), token: token(b[18:])} //nolint:gosec // a time
	c.position.Offset = binary.BigEndian.Uint64(b[2:])
	rest := b[copyFixedBytes:]
	epoch, rest, ok := cutField(rest)
	if !ok || len(epoch) == 0 || len(epoch) > 32 {
		return stampedCopy{}, errCopy
	}
	c.name, c.data, ok = cutField(rest)
	numbered := c.kind == copyPublication || c.kind == copyTrace
	if !ok || (len(c.name) == 0) != (c.kind == copyTenantTurned) || (c.position.Offset > 0) != numbered {
		return stampedCopy{}, errCopy
	}
	c.position.Epoch = epochs.intern(epoch)
	return c, nil
}

// turn returns why an epoch was turned, and which one it follows. Turns whose predecessor is the known epoch can be taken one
// after the other; after any other one something was not heard.
func (c *stampedCopy) turn() (cause realtime.GapCause, before string) {
	why, before, _ := strings.Cut(string(c.data), " ")
	return realtime.GapCause(why), before
}

func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

func (c *stampedCopy) time() time.Time { return time.UnixMilli(c.ms) }

// interner returns one string for equal bytes, so that a word that comes with every message is allocated once. It is for
// one goroutine.
type interner struct{ words map[string]string }

// maxInterned bounds it: more words than tenants means that somebody turns epochs all the time.
const maxInterned = 100_000

func (in *interner) intern(b []byte) string {
	if s, ok := in.words[string(b)]; ok {
		return s
	}
	if in.words == nil || len(in.words) >= maxInterned {
		in.words = map[string]string{}
	}
	s := string(b)
	in.words[s] = s
	return s
}
