package protocol

import "fmt"

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

// Handler takes what a Reader has read. An error ends Feed, which returns it. Data is valid only during the call.
type Handler interface {
	// OnMessage takes a whole text or binary message, inflated; text is valid UTF-8.
	OnMessage(op Opcode, data []byte) error

	// OnControl takes a ping, pong or close frame, also between the fragments of a message. The payload of a close
	// frame was checked: ParseClose reads it. Nothing is read after a close frame.
	OnControl(op Opcode, payload []byte) error
}

// Reader is a push parser of WebSocket frames: it is fed what a socket gave, in any pieces, and holds no buffer while no
// message is half read. The zero value is ready. It is not safe for concurrent use.
type Reader struct {
	_ [48]byte
}

// Feed reads p, which it may modify (it unmasks in place), and calls h for every message and control frame that is
// complete. It returns a *CloseError if the peer broke the protocol or a limit, and otherwise the error of h. After an error or
// a close frame the rest of p and everything that is fed later is ignored.
func (r *Reader) Feed(p []byte, o *ReaderOptions, h Handler) error { panic("protocol: Feed") }

// Idle reports whether r is between messages and holds no memory beside itself.
func (r *Reader) Idle() bool { return true }

// Release gives the memory of a half-read message back. Call it when the connection has ended; Feed then ignores all.
func (r *Reader) Release() {}

// CloseError says with which code a connection must be closed, and why.
type CloseError struct {
	Code   Code
	Reason string // what the peer did wrong, at most 123 bytes; it holds none of the peer's data
}

// Error returns the code and the reason.
func (e *CloseError) Error() string { return fmt.Sprintf("websocket: close %d: %s", e.Code, e.Reason) }

// ParseClose reads the payload of a close frame that a Reader has passed on: CloseNoStatus if it is empty.
func ParseClose(payload []byte) (Code, string) {
	if len(payload) < 2 {
		return CloseNoStatus, ""
	}
	return Code(payload[0])<<8 | Code(payload[1]), string(payload[2:])
}
