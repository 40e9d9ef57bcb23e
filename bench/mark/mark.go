// Package mark is what a message of the benchmark carries: when it was sent, to which tenant, and as which message of
// that tenant. Whoever receives the message finds the mark by one scan for a byte, without reading JSON, and knows from
// it the latency, and whether a message is missing, came twice or came to the wrong tenant.
package mark

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	fence        = '~' // starts and ends a mark; nothing else in a message of ours holds it
	sentDigits   = 19  // any int64
	tenantDigits = 6
	seqDigits    = 9

	// Len is the length of a mark in bytes: ~SENT TENANT SEQ~ without the spaces.
	Len = 1 + sentDigits + tenantDigits + seqDigits + 1
)

// Limits of the fixed-width fields.
const (
	MaxTenant = 999_999
	MaxSeq    = 999_999_999
)

// Mark says when a message was sent (nanoseconds of [Now]), to which tenant (0 to MaxTenant), and as which message of
// that tenant (from 1, to MaxSeq).
type Mark struct {
	Sent   int64
	Tenant int
	Seq    int
}

// Put writes m over the first Len bytes of dst. It panics if a field does not fit its width.
func (m Mark) Put(dst []byte) {
	if m.Sent < 0 || m.Tenant < 0 || m.Tenant > MaxTenant || m.Seq < 0 || m.Seq > MaxSeq {
		panic(fmt.Sprintf("mark: %+v does not fit", m))
	}
	_ = dst[Len-1]
	dst[0] = fence
	putDigits(dst[1:1+sentDigits], m.Sent)
	putDigits(dst[1+sentDigits:1+sentDigits+tenantDigits], int64(m.Tenant))
	putDigits(dst[1+sentDigits+tenantDigits:Len-1], int64(m.Seq))
	dst[Len-1] = fence
}

// Find returns the first mark in payload. It does not allocate.
func Find(payload []byte) (Mark, bool) {
	for {
		at := bytes.IndexByte(payload, fence)
		if at < 0 || len(payload)-at < Len {
			return Mark{}, false
		}
		payload = payload[at:]
		if m, ok := parse(payload[:Len]); ok {
			return m, true
		}
		payload = payload[1:]
	}
}

// parse reads text, which is Len bytes long and starts with a fence.
func parse(text []byte) (Mark, bool) {
	if text[Len-1] != fence {
		return Mark{}, false
	}
	sent, ok1 := digits(text[1 : 1+sentDigits])
	tenant, ok2 := digits(text[1+sentDigits : 1+sentDigits+tenantDigits])
	seq, ok3 := digits(text[1+sentDigits+tenantDigits : Len-1])
	return Mark{Sent: sent, Tenant: int(tenant), Seq: int(seq)}, ok1 && ok2 && ok3 && sent >= 0
}

func putDigits(dst []byte, v int64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// digits reads a number of at most 19 digits. One beyond int64 comes out negative, which parse refuses.
func digits(text []byte) (int64, bool) {
	var v int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// ErrTooShort says that a message of the wished length has no room for a mark.
var ErrTooShort = errors.New("message too short for a mark")

// Message is one message of the benchmark, of a fixed length, whose mark is written anew for each sending. It has the
// shape of the app's production updates, and words that repeat as little as those do, so that deflate is not flattered.
type Message struct {
	text []byte
	hole int
}

const (
	head = `{"type":"production_update","productionId":"cm3k9x2ab0001v8l4q7w5e6rt","data":{"status":"COOKING","mark":"`
	tail = `","note":"`
	end  = `"},"timestamp":1760000000000,"updatedBy":"usr_dapur_07"}`
	note = "Nasi putih, ayam bumbu kuning, tumis buncis wortel, pisang ambon; suhu inti 76.4 C, porsi 1850 dari 3000, " +
		"tungku 2 menyala, pencucian ulang ompreng jam 05.40, petugas gizi memeriksa rasa dan warna sebelum dikemas. "
)

// NewMessage returns a message of exactly size bytes of JSON, or ErrTooShort.
func NewMessage(size int) (*Message, error) {
	filler := size - len(head) - Len - len(tail) - len(end)
	if filler < 0 {
		return nil, fmt.Errorf("message of %d bytes, %d are needed: %w", size, size-filler, ErrTooShort)
	}
	text := append([]byte(head), make([]byte, Len)...)
	text = append(text, tail...)
	for filler > 0 {
		part := note[:min(filler, len(note))]
		text = append(text, part...)
		filler -= len(part)
	}
	return &Message{text: append(text, end...), hole: len(head)}, nil
}

// Stamp writes m into the message and returns its text, which stays valid until the next Stamp.
func (msg *Message) Stamp(m Mark) []byte {
	m.Put(msg.text[msg.hole:])
	return msg.text
}
