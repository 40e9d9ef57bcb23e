package wstest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"strings"
)

const (
	fin      = 0x80
	rsv1     = 0x40
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame makes one masked frame with the length in its shortest form.
func frame(b0 byte, payload string) string {
	return head(b0, 0x80, len(payload)) + masked(payload, maskKey)
}

// head makes the header of a frame; mask is 0x80 or 0.
func head(b0, mask byte, n int) string {
	h := []byte{b0}
	switch {
	case n < 126:
		h = append(h, mask|byte(n))
	case n <= 0xffff:
		h = binary.BigEndian.AppendUint16(append(h, mask|126), uint16(n))
	default:
		h = binary.BigEndian.AppendUint64(append(h, mask|127), uint64(n))
	}
	if mask != 0 {
		h = append(h, maskKey[:]...)
	}
	return string(h)
}

// head16 and head64 make headers whose length is written in 2 and 8 bytes, whatever it is.
func head16(b0 byte, n uint16) string {
	return string(append(binary.BigEndian.AppendUint16([]byte{b0, 0x80 | 126}, n), maskKey[:]...))
}

func head64(b0 byte, n uint64) string {
	return string(append(binary.BigEndian.AppendUint64([]byte{b0, 0x80 | 127}, n), maskKey[:]...))
}

func masked(payload string, key [4]byte) string {
	b := []byte(payload)
	k := binary.LittleEndian.Uint32(key[:])
	i := 0
	for ; i+4 <= len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], binary.LittleEndian.Uint32(b[i:])^k)
	}
	for ; i < len(b); i++ {
		b[i] ^= key[i%4]
	}
	return string(b)
}

// fragmented cuts a message into frames of at most n bytes of payload. b0 has the opcode, and RSV1 if it is compressed.
func fragmented(b0 byte, message string, n int) string {
	var b strings.Builder
	for len(message) > n {
		b.WriteString(frame(b0, message[:n]))
		message, b0 = message[n:], 0
	}
	b.WriteString(frame(fin|b0, message))
	return b.String()
}

// closing is the payload of a close frame.
func closing(code int, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}

// deflated compresses a message as RFC 7692, section 7.2.1 says.
func deflated(message string, level int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic("wstest: " + err.Error())
	}
	if _, err := w.Write([]byte(message)); err != nil {
		panic("wstest: " + err.Error())
	}
	if err := w.Flush(); err != nil {
		panic("wstest: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// deflatedTimes compresses part, repeated; it works once and repeats what comes out.
func deflatedTimes(part string, times int) string {
	const tail = "\x00\x00\xff\xff"
	return strings.TrimSuffix(strings.Repeat(deflated(part, flate.BestSpeed)+tail, times), tail)
}

// referring compresses a text to a reference to itself in a window that the server does not have.
func referring(text string, times int) string {
	var b bytes.Buffer
	text = strings.Repeat(text, times)
	w, err := flate.NewWriterDict(&b, flate.BestCompression, []byte(text))
	if err != nil {
		panic("wstest: " + err.Error())
	}
	if _, err := w.Write([]byte(text[:200])); err != nil {
		panic("wstest: " + err.Error())
	}
	if err := w.Flush(); err != nil {
		panic("wstest: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}
