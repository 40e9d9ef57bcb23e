package protocol

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// maxHead is the longest header of an unmasked frame.
const maxHead = 10

// AppendFrame appends one unmasked frame with FIN, as a server sends it.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	dst = slices.Grow(dst, maxHead+len(payload))
	dst = appendHead(dst, bitFIN|byte(op), 0, len(payload))
	return append(dst, payload...)
}

// appendHead appends a frame header with the length in its shortest form.
func appendHead(dst []byte, b0, mask byte, length int) []byte {
	switch {
	case length < 126:
		return append(dst, b0, mask|byte(length)) //nolint:gosec // below 126
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, b0, mask|126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, b0, mask|127), uint64(length))
}

// frameGuess is the header that beginFrame leaves room for: that of 126 to 65,535 bytes, which nearly all publications have.
const frameGuess = 4

// beginFrame appends room for a header; the payload is then appended, and endFrame fills the header in. So a payload is
// built where it will stay, without a second buffer.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, frameGuess)...) }

// endFrame completes the frame that begins at start, with everything behind it as payload.
func endFrame(dst []byte, start int, op Opcode) []byte {
	var head [maxHead]byte
	h := appendHead(head[:0], bitFIN|byte(op), 0, len(dst)-start-frameGuess)
	switch d := len(h) - frameGuess; {
	case d < 0:
		copy(dst[start+len(h):], dst[start+frameGuess:])
		dst = dst[:len(dst)+d]
	case d > 0:
		dst = append(dst, head[:d]...) // any bytes: room at the end
		copy(dst[start+len(h):], dst[start+frameGuess:])
	}
	copy(dst[start:], h)
	return dst
}

// FramePayload returns the payload inside of one unmasked frame that an Append function made, without a copy: what
// AppendDeflated needs of a publication that is encoded already.
func FramePayload(frame []byte) []byte { return frame[headSize(frame[1]):] }

// appender is a slice as an io.Writer. It is pooled because it escapes into the compressor.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

var appenders = pool[appender]{fresh: func() *appender { return new(appender) }}

// AppendDeflated appends payload as one compressed frame (RFC 7692, no context takeover), so that one frame suits every
// connection that negotiated it. If that would not be smaller than the plain frame it returns dst as it was, and false.
// Safe for concurrent use.
//
// The compressor keeps nothing between messages: measured on messages of 0.3 to 30 KB, it makes the same size in less time
// than levels 1 to 6 with their tables of some 100 KB.
func AppendDeflated(dst []byte, op Opcode, payload []byte) ([]byte, bool) {
	start := len(dst)
	a := appenders.take()
	a.b = beginFrame(dst)
	err := flate.StatelessDeflate(a, payload, false, nil)
	out := a.b
	a.b = nil
	appenders.put(a)
	if err != nil {
		panic("protocol: compress into memory: " + err.Error())
	}
	n := len(out) - start - frameGuess - len(deflateTail)
	if n < 0 || n >= len(payload) {
		return dst, false
	}
	out = endFrame(out[:len(out)-len(deflateTail)], start, op)
	out[start] |= bitRSV1
	return out, true
}

// maxReason is how long the reason of a close frame may be: a control frame without the two bytes of its code.
const maxReason = maxControl - 2

// AppendClose appends a close frame. The reason is cut at 123 bytes, on the border of a rune; an empty one becomes the
// text of the table, see [Code.Reason]. CloseNoStatus gives a close frame without payload.
func AppendClose(dst []byte, code Code, reason string) []byte {
	if code == CloseNoStatus {
		return appendHead(dst, bitFIN|byte(OpClose), 0, 0)
	}
	if reason == "" {
		reason = code.Reason()
	}
	reason = cut(reason, maxReason)
	dst = appendHead(dst, bitFIN|byte(OpClose), 0, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// cut returns the longest beginning of s that is at most limit bytes and does not end inside of a rune.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// AppendMasked appends one frame with FIN masked with key, as a client sends it.
func AppendMasked(dst []byte, op Opcode, payload []byte, key [4]byte) []byte {
	dst = slices.Grow(dst, maxHead+len(key)+len(payload))
	dst = appendHead(dst, bitFIN|byte(op), bitMask, len(payload))
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	xor(dst[start:], binary.LittleEndian.Uint32(key[:]))
	return dst
}
