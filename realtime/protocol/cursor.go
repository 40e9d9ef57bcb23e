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
	type entry struct {
		ch realtime.Channel
		p  realtime.Position
	}
	entries := make([]entry, 0, len(c))
	for ch, p := range c {
		if validEpoch(p.Epoch) && p.Offset <= MaxOffset && len(ch.Name) <= realtime.MaxNameBytes {
			entries = append(entries, entry{ch, p})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.p.Epoch, b.p.Epoch), cmp.Compare(a.ch.Tenant, b.ch.Tenant), cmp.Compare(a.ch.Name, b.ch.Name))
	})
	b := make([]byte, 0, 64+8*len(entries))
	b = append(b, cursorVersion)
	for i, e := range entries {
		if i == 0 || e.p.Epoch != entries[i-1].p.Epoch {
			n := 1
			for i+n < len(entries) && entries[i+n].p.Epoch == e.p.Epoch {
				n++
			}
			b = appendText(b, e.p.Epoch)
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = appendCursorChannel(b, t, e.ch)
		b = binary.AppendUvarint(b, e.p.Offset)
	}
	b = binary.BigEndian.AppendUint32(b, cursorSum(t, b))
	return base64.RawURLEncoding.EncodeToString(b)
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
	sum := crc32.Update(0, castagnoli, append([]byte(t), 0)) // 0 stands in no tenant id
	return crc32.Update(sum, castagnoli, b)
}

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
