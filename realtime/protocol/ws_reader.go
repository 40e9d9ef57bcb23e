package protocol

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// The defaults of [ReaderOptions].
const (
	DefaultMaxMessageBytes = 64 << 10
	DefaultMaxFrames       = 1024
)

// ReaderOptions are shared by all Readers of a listener. The zero value reads as a server, without compression.
type ReaderOptions struct {
	MaxMessageBytes int  // the largest message, after inflation; zero means 64 KiB. One byte more closes with 1009
	MaxFrames       int  // frames of one message; zero means 1024. One more closes with 1008
	Deflate         bool // permessage-deflate was negotiated, without context takeover
	Client          bool // we are the client: frames come unmasked
}

func (o *ReaderOptions) maxMessage() int {
	if o.MaxMessageBytes > 0 {
		return o.MaxMessageBytes
	}
	return DefaultMaxMessageBytes
}

// maxWire is the largest message before inflation. What cannot be compressed grows by 5 bytes for each stored block, and no
// compressor in use makes blocks of less than 8 KiB; 1/64 leaves room for those that flush between.
func (o *ReaderOptions) maxWire(compressed bool) uint64 {
	limit := uint64(o.maxMessage()) //nolint:gosec // never negative
	if compressed {
		limit += limit/64 + 64
	}
	return limit
}

func (o *ReaderOptions) maxFrames() uint32 {
	if o.MaxFrames > 0 {
		return uint32(min(o.MaxFrames, 1<<30))
	}
	return DefaultMaxFrames
}

// Handler takes what a Reader has read. An error ends Feed, which returns it. Data is valid only during the call.
type Handler interface {
	// OnMessage takes a whole text or binary message, inflated; text is valid UTF-8.
	OnMessage(op Opcode, data []byte) error

	// OnControl takes a ping, pong or close frame, also between the fragments of a message. The payload of a close
	// frame was checked: ParseClose reads it. Nothing is read after a close frame.
	OnControl(op Opcode, payload []byte) error
}

// CloseError says with which code a connection must be closed, and why.
type CloseError struct {
	Code   Code
	Reason string // what the peer did wrong, at most 123 bytes; it holds none of the peer's data
}

// Error returns the code and the reason.
func (e *CloseError) Error() string { return fmt.Sprintf("websocket: close %d: %s", e.Code, e.Reason) }

func violation(reason string) error { return &CloseError{CloseProtocolError, reason} }

// Reader is a push parser of WebSocket frames: it is fed what a socket gave, in any pieces, and holds no buffer while no
// message is half read. The zero value is ready. It is not safe for concurrent use.
//
// It is 64 bytes at most. Who has very many connections, nearly all of them idle, need not keep one for each: see [Reader.Fresh].
type Reader struct {
	asm    *assembly // what came of a half-read message or control frame; nil when there is none
	left   uint64    // payload bytes of the current frame that are still to come
	key    uint32    // mask of the next payload byte on, little-endian
	frames uint32    // frames of the current message
	head   [14]byte  // a frame header that came in pieces
	headN  uint8
	op     Opcode // of the current frame
	msg    Opcode // of the current message; OpContinuation: none
	flags  flags
}

type flags uint8

const (
	inPayload  flags = 1 << iota // the header of the current frame is complete
	lastFrame                    // FIN of the current frame
	firstPiece                   // nothing of the current frame's payload has come yet
	compressed                   // RSV1 of the current message
	ended                        // an error or a close frame: nothing more is read
)

func (r *Reader) is(f flags) bool { return r.flags&f != 0 }

func (r *Reader) set(f flags, on bool) {
	r.flags &^= f
	if on {
		r.flags |= f
	}
}

// Feed reads p, which it may modify (it unmasks in place), and calls h for every message and control frame that is
// complete. It returns a *CloseError if the peer broke the protocol or a limit, and otherwise the error of h. After an error or
// a close frame the rest of p and everything that is fed later is ignored.
func (r *Reader) Feed(p []byte, o *ReaderOptions, h Handler) error {
	for !r.is(ended) {
		if !r.is(inPayload) {
			if len(p) == 0 {
				return nil
			}
			n, err := r.takeHead(p, o)
			if err != nil {
				return r.fail(err)
			}
			if p = p[n:]; !r.is(inPayload) {
				return nil // the header is not complete, so p was used up
			}
		}
		n := int(min(r.left, uint64(len(p)))) //nolint:gosec // len(p) at most
		if n == 0 && r.left > 0 {
			return nil
		}
		piece := p[:n]
		p = p[n:]
		r.left -= uint64(n)
		if !o.Client {
			r.key = xor(piece, r.key)
		}
		if err := r.takePayload(piece, o, h); err != nil {
			return r.fail(err)
		}
		if r.left == 0 {
			r.set(inPayload, false)
		}
	}
	r.drop() // a message that a close frame interrupted
	return nil
}

// Idle reports whether r is between messages and holds no memory beside itself.
func (r *Reader) Idle() bool { return r.asm == nil && r.headN == 0 && !r.is(inPayload) }

// Fresh reports whether a new Reader would read on as r does: it is between messages, and has not ended.
func (r *Reader) Fresh() bool { return r.Idle() && r.msg == OpContinuation && !r.is(ended) }

// Release gives the memory of a half-read message back. Call it when the connection has ended, but not from a Handler;
// Feed then ignores all.
func (r *Reader) Release() {
	r.flags = ended
	r.headN = 0
	r.drop()
}

func (r *Reader) fail(err error) error {
	r.Release()
	return err
}

// takeHead reads as much of a frame header as p has and returns how much that was. It checks the first two bytes as
// soon as they are there, so that a wrong frame fails without waiting for its length and mask.
func (r *Reader) takeHead(p []byte, o *ReaderOptions) (int, error) {
	need := 2
	if r.headN >= 2 {
		need = headSize(r.head[1])
	}
	n := 0
	for {
		c := copy(r.head[r.headN:need], p[n:])
		r.headN += uint8(c) //nolint:gosec // 14 at most
		n += c
		if int(r.headN) < need {
			return n, nil
		}
		if need > 2 {
			break
		}
		if err := r.checkHead(r.head[0], r.head[1], o); err != nil {
			return n, err
		}
		if need = headSize(r.head[1]); need == 2 {
			break
		}
	}
	r.headN = 0
	return n, r.startFrame(o)
}

// headSize is the size of a header with this second byte: 2, the extended length, the mask.
func headSize(b1 byte) int {
	n := 2
	switch b1 & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b1&0x80 != 0 {
		n += 4
	}
	return n
}

const (
	bitFIN  = 0x80
	bitRSV1 = 0x40
	bitRSV  = 0x30 // RSV2 and RSV3, which no extension here uses
	bitMask = 0x80
)

// maxControl is the largest payload of a control frame (RFC 6455, section 5.5).
const maxControl = 125

// checkHead checks what the first two bytes of a frame say (RFC 6455, section 5.2; RFC 7692, section 6).
func (r *Reader) checkHead(b0, b1 byte, o *ReaderOptions) error {
	op := Opcode(b0 & 0x0f)
	switch {
	case !op.known():
		return violation("reserved opcode")
	case b0&bitRSV != 0:
		return violation("reserved bit set")
	case b0&bitRSV1 != 0 && !o.Deflate:
		return violation("compressed frame without permessage-deflate")
	case b0&bitRSV1 != 0 && (op.Control() || op == OpContinuation):
		return violation("RSV1 on a frame that begins no message")
	case b1&bitMask == 0 && !o.Client:
		return violation("frame is not masked")
	case b1&bitMask != 0 && o.Client:
		return violation("frame is masked")
	}
	return r.checkOrder(op, b0&bitFIN != 0, b1&0x7f)
}

// checkOrder checks whether a frame may come now (RFC 6455, sections 5.4 and 5.5). Length is as in the second byte.
func (r *Reader) checkOrder(op Opcode, final bool, length byte) error {
	switch {
	case op.Control() && !final:
		return violation("fragmented control frame")
	case op.Control() && length > maxControl:
		return violation("control frame over 125 bytes")
	case op == OpContinuation && r.msg == OpContinuation:
		return violation("continuation without a message")
	case op != OpContinuation && !op.Control() && r.msg != OpContinuation:
		return violation("new message inside of a fragmented one")
	}
	return nil
}

// startFrame reads a complete header. It refuses a length over the limit before anything is allocated.
func (r *Reader) startFrame(o *ReaderOptions) error {
	b0, b1 := r.head[0], r.head[1]
	length := uint64(b1 & 0x7f)
	at := 2
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(r.head[2:]))
		at = 4
		if length < 126 {
			return violation("length is not in its shortest form")
		}
	case 127:
		length = binary.BigEndian.Uint64(r.head[2:])
		at = 10
		if length>>63 != 0 {
			return violation("length over 63 bits")
		}
		if length <= 0xffff {
			return violation("length is not in its shortest form")
		}
	}
	if !o.Client {
		r.key = binary.LittleEndian.Uint32(r.head[at:])
	}
	r.op = Opcode(b0 & 0x0f)
	r.left = length
	r.set(inPayload|firstPiece, true)
	r.set(lastFrame, b0&bitFIN != 0)
	if r.op.Control() {
		return nil
	}
	if r.op != OpContinuation {
		r.msg = r.op
		r.frames = 0
		r.set(compressed, b0&bitRSV1 != 0)
	}
	var held uint64
	if r.asm != nil {
		held = uint64(len(r.asm.data))
	}
	if length > o.maxWire(r.is(compressed))-held {
		return &CloseError{CloseTooBig, "message over the size limit"}
	}
	r.frames++
	if r.frames > o.maxFrames() {
		return &CloseError{ClosePolicy, "message of too many frames"}
	}
	return nil
}

// takePayload takes the next piece of a payload, unmasked. r.left says what is still to come of the frame.
func (r *Reader) takePayload(piece []byte, o *ReaderOptions, h Handler) error {
	whole := r.is(firstPiece) && r.left == 0
	r.set(firstPiece, false)
	if r.op.Control() {
		return r.takeControl(piece, whole, h)
	}
	checked := r.msg == OpText && !r.is(compressed)
	if whole && r.is(lastFrame) && r.op != OpContinuation {
		r.msg = OpContinuation
		if r.is(compressed) {
			a := r.assembly()
			a.data = append(a.data, piece...) // inflate appends to its input, and piece is not ours
			defer r.drop()
			return inflated(r.op, a, o, h)
		}
		if checked && !utf8.Valid(piece) {
			return errNotUTF8
		}
		return h.OnMessage(r.op, piece)
	}
	a := r.assembly()
	a.data = append(a.data, piece...)
	if checked && !a.text.feed(piece) {
		return errNotUTF8
	}
	if r.left > 0 || !r.is(lastFrame) {
		return nil
	}
	op := r.msg
	r.msg = OpContinuation
	defer r.drop()
	if r.is(compressed) {
		return inflated(op, a, o, h)
	}
	if checked && !a.text.complete() {
		return errNotUTF8
	}
	return h.OnMessage(op, a.data)
}

var errNotUTF8 error = &CloseError{CloseInvalidPayload, "text is not UTF-8"}

// takeControl collects a control frame that came in pieces beside the message that it may interrupt.
func (r *Reader) takeControl(piece []byte, whole bool, h Handler) error {
	if !whole {
		a := r.assembly()
		a.control = append(a.control, piece...)
		if r.left > 0 {
			return nil
		}
		piece = a.control
		defer r.dropControl()
	}
	if r.op != OpClose {
		return h.OnControl(r.op, piece)
	}
	if err := checkClose(piece); err != nil {
		return err
	}
	err := h.OnControl(OpClose, piece)
	r.set(ended, true)
	return err
}

// checkClose checks the payload of a close frame (RFC 6455, section 5.5.1).
func checkClose(p []byte) error {
	switch {
	case len(p) == 0:
		return nil
	case len(p) == 1:
		return violation("close frame of one byte")
	case !Code(binary.BigEndian.Uint16(p)).Sendable():
		return violation("close code that may not be sent")
	case !utf8.Valid(p[2:]):
		return &CloseError{CloseInvalidPayload, "close reason is not UTF-8"}
	}
	return nil
}

// ParseClose reads the payload of a close frame that a Reader has passed on: CloseNoStatus if it is empty.
func ParseClose(payload []byte) (Code, string) {
	if len(payload) < 2 {
		return CloseNoStatus, ""
	}
	return Code(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
