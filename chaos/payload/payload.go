// Package payload makes and reads the messages of the chaos runs. Each says to which channel it was sent, by which
// publisher, and as which of that publisher's messages, under a keyed digest of the whole text: so that whoever receives it can
// tell by itself whether it came to the right place, and whether a byte of it was changed.
package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Mark is what a message says about itself. Channel and Publisher are numbers of the run; Seq counts from 1 in each publisher.
type Mark struct {
	Channel   int
	Publisher int
	Seq       int
}

// Key is the secret of a run. A message of another run, or one that a gateway makes up, has a wrong digest.
type Key [16]byte

const (
	head   = `{"type":"production_update","productionId":"kp_`
	open   = `","data":{"status":"COOKING","mark":"`
	shut   = `","portions":`
	end    = `},"updatedBy":"chaos"}`
	bytes8 = 8 // of the digest: enough against chance, and nobody here attacks it
)

// Append appends the message with mark m to dst, with pad bytes more than it needs. It has the shape of the app's own
// production updates.
func Append(dst []byte, key Key, m Mark, pad int) []byte {
	start := len(dst)
	dst = append(dst, head...)
	dst = strconv.AppendInt(dst, int64(m.Publisher), 10)
	dst = append(dst, open...)
	dst = strconv.AppendInt(dst, int64(m.Channel), 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(m.Publisher), 10)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(m.Seq), 10)
	dst = append(dst, '/')
	at := len(dst)
	dst = append(dst, shut...)
	dst = strconv.AppendInt(dst, int64(m.Seq%3000), 10)
	if pad > 0 {
		dst = append(dst, `,"note":"`...)
		dst = append(dst, bytes.Repeat([]byte{'.'}, pad)...)
		dst = append(dst, '"')
	}
	dst = append(dst, end...)
	digest := digestOf(key, dst[start:at], dst[at:])
	var text [2 * bytes8]byte
	hex.Encode(text[:], digest[:bytes8])
	rest := string(dst[at:])
	return append(append(dst[:at], text[:]...), rest...)
}

// digestOf is over the text around the place of the digest.
func digestOf(key Key, before, after []byte) [sha256.Size]byte {
	h := sha256.New()
	_, _ = h.Write(key[:]) // a hash never fails
	_, _ = h.Write(before)
	_, _ = h.Write(after)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// Read returns the mark of a message. It returns false if text is no message of this run or was changed.
func Read(key Key, text []byte) (Mark, bool) {
	_, rest, ok := bytes.Cut(text, []byte(open))
	if !ok {
		return Mark{}, false
	}
	fields, _, ok := bytes.Cut(rest, []byte(shut))
	if !ok {
		return Mark{}, false
	}
	parts := bytes.Split(fields, []byte("/"))
	if len(parts) != 4 || len(parts[3]) != 2*bytes8 {
		return Mark{}, false
	}
	var m Mark
	for i, to := range []*int{&m.Channel, &m.Publisher, &m.Seq} {
		n, err := strconv.Atoi(string(parts[i]))
		if err != nil {
			return Mark{}, false
		}
		*to = n
	}
	at := len(text) - len(rest) + len(fields) - 2*bytes8
	digest := digestOf(key, text[:at], text[at+2*bytes8:])
	return m, hex.EncodeToString(digest[:bytes8]) == string(parts[3])
}
