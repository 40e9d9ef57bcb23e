package gateway_test

import (
	"crypto/tls"
	"testing"

	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
	"kentongan/realtime/protocol/wstest"
)

// TestConformance runs the cases of RFC 6455 and RFC 7692 against an echo that goes through the gateway's upgrade, limits,
// compression, read loop and write path.
func TestConformance(t *testing.T) {
	t.Run("Compression", func(t *testing.T) { conform(t, nil, gateway.Options{Deflate: true, MaxMessageBytes: 16 << 20}) })
	t.Run("NoCompression", func(t *testing.T) { conform(t, nil, gateway.Options{MaxMessageBytes: 1 << 20}) })
	t.Run("TLS", func(t *testing.T) {
		conform(t, serverTLS("http/1.1"), gateway.Options{Deflate: true, MaxMessageBytes: 1 << 20})
	})
}

func conform(t *testing.T, secure *tls.Config, opts gateway.Options) {
	opts.MaxBacklogBytes = 4 * opts.MaxMessageBytes // an echo of the largest message must fit
	n := startOver(t, secure, opts)
	gateway.EchoInTests(n.gateway)
	wstest.Run(t, wstest.Options{
		Addr: n.addr, TLS: n.client, Path: "/api/ws", Header: "X-Test-User: u1@sppg_7\r\n", MaxMessage: opts.MaxMessageBytes, MaxFrames: protocol.DefaultMaxFrames,
		Deflate: opts.Deflate, Protocol: protocol.SubprotocolV1,
	})
}
