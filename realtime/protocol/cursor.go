package protocol

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Cursor is the positions of several channels. It says where a reader was, not what it may read: look the channels that a
// session was granted up in it, and never grant those that it names.
type Cursor map[realtime.Channel]realtime.Position

// At returns the position of ch: that of the channels without a publication, if it has no entry of its own.
func (c Cursor) At(ch realtime.Channel) realtime.Position {
	if p, ok := c[ch]; ok {
		return p
	}
	return c[realtime.Channel{Tenant: ch.Tenant}]
}

// MaxCursorBytes is the longest cursor that is read.
const MaxCursorBytes = 8 << 10

// ErrCursor says that a text is no cursor of that tenant.
var ErrCursor = errors.New("bad cursor")

// cursorVersion is the first byte of a cursor.
//
// Then come groups of channels with the same epoch, by epoch: the epoch, how many channels, and for each, sorted, a key, what the
// key asks for, and the offset. All numbers are uvarints, all texts have their length in front. Four bytes of checksum over
// the tenant and all this are the end. The whole is base64url without padding.
const cursorVersion = 1

// The key of a channel is 3×word + kind. Word 0 means that the name is spelled out.
const (
	ofTenant = iota // the channel is the tenant's that the cursor is bound to
	ofAll           // global
	ofOther         // of the tenant that follows: a platform user looks into several kitchens
	kinds
)

// cursorWords are the names that need one byte in a cursor. Cursors live in browsers for days: only append to it.
var cursorWords = []string{
	"", "production:updates", "production:alerts", "menu:updates", "inventory:updates", "distribution:updates", "hrd:updates",
	"procurement:updates", "notifications", "updates", "sppg:production:created", "dashboard-update", "notification", "system-alert",
}

// EncodeCursor returns c as one opaque URL-safe word that only DecodeCursor with the same tenant reads. The same
// positions always give the same word. The Channel without a name stands for all channels of its tenant that have no entry:
// they had no publication yet. Positions without an epoch are left out.
func EncodeCursor(t tenant.ID, c Cursor) string {
	return string(NewCursorEncoder(t, c).Append(nil))
}

// CursorEncoder makes cursors one after the other without garbage: those of a tenant that differ in a position or two, or, after Reset,
// those of another. The zero value is to be Reset first. It is not safe for concurrent use.
type CursorEncoder struct {
	tenant  tenant.ID
	sum     uint32 // of what the checksum begins with
	entries []cursorEntry
	mixed   bool   // entries are not in their order
	binary  []byte // of the last cursor, to be written over
}

type cursorEntry struct {
	channel  realtime.Channel
	position realtime.Position
}

// NewCursorEncoder returns an encoder that begins with the positions of c, and keeps nothing of it.
func NewCursorEncoder(t tenant.ID, c Cursor) *CursorEncoder {
	e := &CursorEncoder{entries: make([]cursorEntry, 0, len(c))}
	e.Reset(t)
	for ch, p := range c {
		e.Add(ch, p)
	}
	return e
}

// Reset begins anew, for t and without a position.
func (e *CursorEncoder) Reset(t tenant.ID) {
	clear(e.entries)
	e.binary = appendSummed(e.binary[:0], t)
	e.tenant, e.sum, e.entries, e.mixed = t, crc32.Checksum(e.binary, castagnoli), e.entries[:0], false
}

// Add adds a channel that e does not have.
func (e *CursorEncoder) Add(ch realtime.Channel, p realtime.Position) {
	e.entries = append(e.entries, cursorEntry{ch, p})
	e.mixed = true
}

// compareEntries is the order of channels in a cursor.
func compareEntries(a, b cursorEntry) int {
	return cmp.Or(cmp.Compare(a.position.Epoch, b.position.Epoch), cmp.Compare(a.channel.Tenant, b.channel.Tenant),
		cmp.Compare(a.channel.Name, b.channel.Name))
}

// Set moves ch to p.
func (e *CursorEncoder) Set(ch realtime.Channel, p realtime.Position) {
	for i := range e.entries {
		if known := &e.entries[i]; known.channel == ch {
			e.mixed = e.mixed || known.position.Epoch != p.Epoch
			known.position = p
			return
		}
	}
	e.Add(ch, p)
}

// Append appends the cursor.
func (e *CursorEncoder) Append(dst []byte) []byte {
	if e.mixed {
		slices.SortFunc(e.entries, compareEntries)
		e.mixed = false
	}
	b := e.binary[:0]
	b = append(b, cursorVersion)
	for i := 0; i < len(e.entries); {
		epoch := e.entries[i].position.Epoch
		end, n := i, 0
		for ; end < len(e.entries) && e.entries[end].position.Epoch == epoch; end++ {
			if e.entries[end].encodable() {
				n++
			}
		}
		if n > 0 {
			b = binary.AppendUvarint(appendText(b, epoch), uint64(n))
		}
		for ; i < end; i++ {
			if entry := &e.entries[i]; entry.encodable() {
				b = binary.AppendUvarint(appendCursorChannel(b, e.tenant, entry.channel), entry.position.Offset)
			}
		}
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Update(e.sum, castagnoli, b))
	e.binary = b
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// encodable reports whether the entry may stand in a cursor.
func (e *cursorEntry) encodable() bool {
	return validEpoch(e.position.Epoch) && e.position.Offset <= MaxOffset && len(e.channel.Name) <= realtime.MaxNameBytes
}

func appendCursorChannel(b []byte, t tenant.ID, ch realtime.Channel) []byte {
	kind := ofTenant
	switch ch.Tenant {
	case t:
	case tenant.Global:
		kind = ofAll
	default:
		kind = ofOther
	}
	word := max(0, slices.Index(cursorWords, ch.Name))
	b = binary.AppendUvarint(b, uint64(word*kinds+kind))
	if kind == ofOther {
		b = appendText(b, string(ch.Tenant))
	}
	if word == 0 {
		b = appendText(b, ch.Name)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cursorSum finds typing mistakes and the positions of another tenant. It is no signature: a cursor grants nothing.
func cursorSum(t tenant.ID, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(appendSummed(nil, t), castagnoli), castagnoli, b)
}

// appendSummed appends what the sum of a cursor of t is of before the cursor itself.
func appendSummed(b []byte, t tenant.ID) []byte { return append(append(b, t...), 0) } // which stands in no tenant id

// DecodeCursor returns the positions in s, or ErrCursor if s is no cursor, longer than MaxCursorBytes, or was made for
// another tenant. A cursor is not secret and not signed: who holds positions may still not read the channels.
func DecodeCursor(t tenant.ID, s string) (Cursor, error) {
	if len(s) > MaxCursorBytes {
		return nil, ErrCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 1+4 || b[0] != cursorVersion {
		return nil, ErrCursor
	}
	end := len(b) - 4
	if binary.BigEndian.Uint32(b[end:]) != cursorSum(t, b[:end]) {
		return nil, ErrCursor
	}
	r := cursorReader{b: b[1:end]}
	c := Cursor{}
	for len(r.b) > 0 && !r.bad {
		epoch := r.text(maxEpochBytes)
		for n := r.number(); n > 0 && !r.bad; n-- {
			ch := r.channel(t)
			c[ch] = realtime.Position{Epoch: epoch, Offset: r.number()}
		}
	}
	// Only what EncodeCursor makes is a cursor: this refuses bad names and epochs, and channels that come twice.
	if r.bad || EncodeCursor(t, c) != s {
		return nil, ErrCursor
	}
	return c, nil
}

// cursorReader reads from b and remembers that something was wrong, so that its callers look once.
type cursorReader struct {
	b   []byte
	bad bool
}

func (r *cursorReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > MaxOffset {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *cursorReader) text(limit int) string {
	n := r.number()
	if n > uint64(min(limit, len(r.b))) { //nolint:gosec // neither is negative
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *cursorReader) channel(t tenant.ID) realtime.Channel {
	key := r.number()
	ch := realtime.Channel{Tenant: t}
	switch key % kinds {
	case ofAll:
		ch.Tenant = tenant.Global
	case ofOther:
		id, err := tenant.Parse(r.text(tenant.MaxBytes))
		r.bad = r.bad || err != nil
		ch.Tenant = id
	}
	switch word := key / kinds; {
	case word == 0:
		ch.Name = r.text(realtime.MaxNameBytes)
	case word < uint64(len(cursorWords)):
		ch.Name = cursorWords[word]
	default:
		r.bad = true
	}
	return ch
}
