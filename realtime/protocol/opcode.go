package protocol

import "strconv"

// Opcode says what a WebSocket frame carries (RFC 6455, section 5.2).
type Opcode uint8

// The opcodes that RFC 6455 defines; all others are refused.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

// Control reports whether op is close, ping, pong or one of the reserved control opcodes.
func (op Opcode) Control() bool { return op&0x8 != 0 }

// known reports whether RFC 6455 defines op.
func (op Opcode) known() bool { return op <= OpBinary || OpClose <= op && op <= OpPong }

// String returns the name of op, for logs and test failures.
func (op Opcode) String() string {
	switch op {
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(op))
}
