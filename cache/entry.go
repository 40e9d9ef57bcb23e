package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"kentongan/tenant"
)

// entry is what stands in Redis: the app's JSON, and two fields more that its reader passes over. Ours comes with version and epochs
// in front and the data last, so that the scripts see what they need without parsing it.
//
//	{"version":7,"epochs":{"*":1764136800000000},"createdAt":"…","expiresAt":"…","sppgId":"…","tags":["production"],"data":{…}}
//
// In the namespace that only Go writes, data stands behind the object, after a line feed and a letter: j for JSON, z for zstd.
type entry struct {
	version int64
	epochs  []epoch // nil: of another writer
	missing bool
	created time.Time
	expires time.Time
	took    time.Duration
	tenant  tenant.ID
	tags    []string
	data    []byte // JSON
}

// The formats of times: JavaScript's toISOString, which has milliseconds and Z.
const isoTime = "2006-01-02T15:04:05.000Z"

// encode returns the text for the app's namespace.
func (e *entry) encode() []byte {
	b := e.head(make([]byte, 0, len(e.data)+256))
	b = append(b, `,"data":`...)
	return append(append(b, e.data...), '}')
}

// encodeOwn returns the text for our own namespace; data of at least compressFrom bytes is compressed, zero: never.
func (e *entry) encodeOwn(compressFrom int, z *zipper) []byte {
	b := append(e.head(make([]byte, 0, len(e.data)+256)), '}', '\n')
	if compressFrom == 0 || len(e.data) < compressFrom {
		return append(append(b, 'j'), e.data...)
	}
	return z.encoder().EncodeAll(e.data, append(b, 'z'))
}

// head writes all but the data.
func (e *entry) head(b []byte) []byte {
	b = fmt.Appendf(b, `{"version":%d,"epochs":{`, e.version)
	for i, p := range e.epochs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, p.field), ':')
		b = fmt.Appendf(b, "%d", p.number)
	}
	b = append(b, '}')
	if e.missing {
		b = append(b, `,"missing":true`...)
	}
	if e.took > 0 {
		b = fmt.Appendf(b, `,"loadMs":%d`, e.took.Milliseconds())
	}
	b = append(b, `,"createdAt":"`...)
	b = e.created.UTC().AppendFormat(b, isoTime)
	b = append(b, `","expiresAt":"`...)
	b = append(e.expires.UTC().AppendFormat(b, isoTime), '"')
	if e.tenant != tenant.Global {
		b = append(b, `,"sppgId":"`...) // an id needs no escapes
		b = append(append(b, e.tenant...), '"')
	}
	b = append(b, `,"tags":[`...)
	for i, tag := range e.tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, tag)
	}
	return append(b, ']')
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("cache: " + err.Error()) // a string always marshals
	}
	return append(b, text...)
}

// errForeign says that a text is no entry: somebody else uses our names.
var errForeign = errors.New("no entry")

// wire is how an entry is read, of whoever wrote it.
type wire struct {
	Version   json.RawMessage  `json:"version"`
	Epochs    map[string]int64 `json:"epochs"`
	Missing   bool             `json:"missing"`
	CreatedAt string           `json:"createdAt"`
	ExpiresAt string           `json:"expiresAt"`
	LoadMs    int64            `json:"loadMs"`
	Tags      []string         `json:"tags"`
	Data      json.RawMessage  `json:"data"`
}

// decode reads a text that is neither empty nor a marker.
func decode(text string, own bool, z *zipper) (entry, error) {
	if e, ok := decodeOurs(text, own); ok {
		if own {
			_, rest, _ := strings.Cut(text, "\n")
			data, err := readOwn(rest, z)
			e.data = data
			return e, err
		}
		return e, nil
	}
	return decodeAny(text, own, z)
}

// decodeAny is decode for entries of any writer.
func decodeAny(text string, own bool, z *zipper) (entry, error) {
	head, rest := text, ""
	if own {
		var ok bool
		if head, rest, ok = strings.Cut(text, "\n"); !ok || rest == "" {
			return entry{}, errForeign
		}
	}
	var w wire
	if err := json.Unmarshal([]byte(head), &w); err != nil {
		return entry{}, errForeign
	}
	created, err := time.Parse(time.RFC3339, w.CreatedAt)
	if err != nil {
		return entry{}, errForeign
	}
	expires, err := time.Parse(time.RFC3339, w.ExpiresAt)
	if err != nil {
		return entry{}, errForeign
	}
	e := entry{
		version: readVersion(w.Version), missing: w.Missing, created: created, expires: expires, tags: w.Tags, data: w.Data,
		took: time.Duration(max(0, w.LoadMs)) * time.Millisecond,
	}
	for field, number := range w.Epochs {
		e.epochs = append(e.epochs, epoch{field, number})
	}
	if w.Epochs != nil && !hasStar(e.epochs) {
		return entry{}, errForeign // its epochs say nothing of a cleared tenant
	}
	if own {
		if e.data, err = readOwn(rest, z); err != nil {
			return entry{}, err
		}
	}
	if len(e.data) == 0 {
		return entry{}, errForeign // the app's JSON has no data if that was undefined
	}
	return e, nil
}

func hasStar(epochs []epoch) bool {
	for _, e := range epochs {
		if e.field == string(star) {
			return true
		}
	}
	return false
}

func readOwn(rest string, z *zipper) ([]byte, error) {
	switch rest[0] {
	case 'j':
		return []byte(rest[1:]), nil
	case 'z':
		data, err := z.decoder().DecodeAll([]byte(rest[1:]), nil)
		if err != nil {
			return nil, errForeign
		}
		return data, nil
	}
	return nil, errForeign
}

// readVersion reads a number, or a text with one; anything else is no version.
func readVersion(raw json.RawMessage) int64 {
	raw = bytes.Trim(raw, `"`)
	if len(raw) == 0 || len(raw) > 19 {
		return 0
	}
	var n int64
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0
		}
		if n = n*10 + int64(c-'0'); n < 0 {
			return 0
		}
	}
	return n
}

// maxDecompressed bounds what a few bytes may become: four times the largest value that can be configured.
const maxDecompressed = 1 << 30

// zipper compresses and decompresses; it is safe for concurrent use. Its two halves are made when they are first needed, for they
// take some memory and most caches compress nothing.
type zipper struct {
	makeEncoder, makeDecoder sync.Once
	enc                      *zstd.Encoder
	dec                      *zstd.Decoder
}

func (z *zipper) encoder() *zstd.Encoder {
	z.makeEncoder.Do(func() {
		z.enc = must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2)))
	})
	return z.enc
}

func (z *zipper) decoder() *zstd.Decoder {
	z.makeDecoder.Do(func() {
		z.dec = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxDecompressed)))
	})
	return z.dec
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("cache: " + err.Error()) // constant options
	}
	return v
}
