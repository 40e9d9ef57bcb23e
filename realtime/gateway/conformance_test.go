package gateway_test

import (
	"testing"

	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
	"kentongan/realtime/protocol/wstest"
)

// TestConformance runs the cases of RFC 6455 and RFC 7692 against an echo that goes through the gateway's upgrade, limits,
// compression, read loop and write path.
func TestConformance(t *testing.T) {
	t.Run("Compression", func(t *testing.T) { conform(t, gateway.Options{Deflate: true, MaxMessageBytes: 16 << 20}) })
	t.Run("NoCompression", func(t *testing.T) { conform(t, gateway.Options{MaxMessageBytes: 1 << 20}) })
}

func conform(t *testing.T, opts gateway.Options) {
	opts.MaxBacklogBytes = 4 * opts.MaxMessageBytes // an echo of the largest message must fit
	n := start(t, opts)
	gateway.EchoInTests(n.gateway)
	wstest.Run(t, wstest.Options{
		Addr: n.addr, Path: "/api/ws", Header: "X-Test-User: u1@sppg_7\r\n", MaxMessage: opts.MaxMessageBytes, MaxFrames: protocol.DefaultMaxFrames,
		Deflate: opts.Deflate, Protocol: protocol.SubprotocolV1,
	})
}
