package protocol

// AppendFrame appends one unmasked frame with FIN, as a server sends it.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte { panic("protocol: AppendFrame") }

// AppendDeflated appends payload as one compressed frame (RFC 7692, no context takeover), so that one frame suits every
// connection that negotiated it. If that would not be smaller than the plain frame it returns dst as it was, and false.
// Safe for concurrent use.
func AppendDeflated(dst []byte, op Opcode, payload []byte) ([]byte, bool) {
	panic("protocol: AppendDeflated")
}

// AppendClose appends a close frame. The reason is cut at 123 bytes, on the border of a rune; an empty one becomes the
// text of the table, see [Code.Reason]. CloseNoStatus gives a close frame without payload.
func AppendClose(dst []byte, code Code, reason string) []byte { panic("protocol: AppendClose") }

// AppendMasked appends one frame with FIN masked with key, as a client sends it.
func AppendMasked(dst []byte, op Opcode, payload []byte, key [4]byte) []byte {
	panic("protocol: AppendMasked")
}

// FramePayload returns the payload inside of one unmasked frame that an Append function made, without a copy: what
// AppendDeflated needs of a publication that is encoded already.
func FramePayload(frame []byte) []byte { panic("protocol: FramePayload") }
