package gateway_test

import (
	"crypto/tls"
	"sync"
	"time"

	"kentongan/internal/testenv"
)

// pair is a certificate for "test" and 127.0.0.1, and who trusts it.
var pair = sync.OnceValue(func() testenv.Certificate {
	c, err := testenv.NewCertificate(time.Unix(0, 0), time.Unix(1<<33, 0), "test", "127.0.0.1") // bubbles live in the year 2000
	if err != nil {
		panic(err)
	}
	return c
})

// serverTLS are the settings of a server that speaks protos. Without tickets: in a pipe they would wait for a client that reads.
func serverTLS(protos ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair().Pair}, NextProtos: protos, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12}
}

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: pair().Pool, ServerName: "test", MinVersion: tls.VersionTLS12}
}
