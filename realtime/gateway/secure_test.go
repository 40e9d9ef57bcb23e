package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"time"
)

// pair is a certificate for "test" and 127.0.0.1, and who trusts it.
var pair = sync.OnceValue(func() (p struct {
	cert tls.Certificate
	pool *x509.CertPool
},
) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), // bubbles live in the year 2000
		DNSNames: []string{"test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	p.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	p.pool = x509.NewCertPool()
	p.pool.AddCert(leaf)
	return p
})

// serverTLS are the settings of a server that speaks protos. Without tickets: in a pipe they would wait for a client that reads.
func serverTLS(protos ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair().cert}, NextProtos: protos, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS12}
}

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: pair().pool, ServerName: "test", MinVersion: tls.VersionTLS12}
}
