package drive

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/flate"
)

// Opcodes of RFC 6455 §5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// frame is one whole WebSocket frame from a server.
type frame struct {
	op       byte
	final    bool
	deflated bool
	payload  []byte
}

// next cuts the first frame off data. It returns ok=false if data does not hold a whole frame yet, and broken=true if what
// is there cannot be a server's frame.
func next(data []byte) (f frame, rest []byte, ok, broken bool) {
	if len(data) < 2 {
		return frame{}, data, false, false
	}
	const reserved, masked = 0x30, 0x80
	if data[0]&reserved != 0 || data[1]&masked != 0 {
		return frame{}, data, false, true
	}
	header, size := uint64(2), uint64(data[1])
	switch size {
	case 126:
		if header = 4; len(data) < 4 {
			return frame{}, data, false, false
		}
		size = uint64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		if header = 10; len(data) < 10 {
			return frame{}, data, false, false
		}
		size = binary.BigEndian.Uint64(data[2:])
	}
	const most = 16 << 20 // nothing that we publish is nearly as long; a wild length must not make us wait for ever
	if size > most {
		return frame{}, data, false, true
	}
	end := header + size
	if uint64(len(data)) < end {
		return frame{}, data, false, false
	}
	f = frame{op: data[0] & 0x0F, final: data[0]&0x80 != 0, deflated: data[0]&0x40 != 0, payload: data[header:end]}
	return f, data[end:], true, false
}

// maskedFrame appends a client's control frame to dst. The key is zero: RFC 6455 wants a random one so that a page cannot
// choose the bytes that a proxy sees, and here is neither page nor proxy.
func maskedFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op, 0x80|byte(len(payload)), 0, 0, 0, 0) //nolint:gosec // control frames hold 125 bytes at most
	return append(dst, payload...)
}

// inflater undoes permessage-deflate without context takeover. It remembers the last payload, for a server that compresses
// once for all sends the same bytes to a thousand screens, and the driver has better things to do than to inflate each.
type inflater struct {
	last   []byte
	plain  bytes.Buffer
	source bytes.Reader
	engine io.ReadCloser
	tmp    []byte
}

// inflate returns the plain text of payload, valid until the next call.
func (in *inflater) inflate(payload []byte) ([]byte, error) {
	if in.engine != nil && bytes.Equal(payload, in.last) {
		return in.plain.Bytes(), nil
	}
	// RFC 7692 §7.2.2: the sender cut the first four of these bytes off; the others are an empty block that ends the stream.
	in.last = append(in.last[:0], payload...)
	in.tmp = append(append(in.tmp[:0], payload...), 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
	in.source.Reset(in.tmp)
	if in.engine == nil {
		in.engine = flate.NewReader(&in.source)
	} else if again, ok := in.engine.(flate.Resetter); !ok {
		panic("drive: package flate says that each of its readers is a Resetter")
	} else if err := again.Reset(&in.source, nil); err != nil {
		return nil, err
	}
	in.plain.Reset()
	if _, err := in.plain.ReadFrom(in.engine); err != nil {
		in.last = in.last[:0] // not to be taken for a good one
		return nil, err
	}
	return in.plain.Bytes(), nil
}
