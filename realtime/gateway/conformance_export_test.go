package gateway

import "kentongan/realtime/protocol"

// EchoInTests makes g answer every message with itself, on the way that publications go out. Call it before g serves.
func EchoInTests(g *Gateway) {
	g.echo = func(s *session, op protocol.Opcode, data []byte) error {
		if s.deflate {
			if out, ok := protocol.AppendDeflated(nil, op, data); ok {
				s.send(out)
				return nil
			}
		}
		s.send(protocol.AppendFrame(nil, op, data))
		return nil
	}
}
