package stand

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs the certificates of one run, each for 127.0.0.1. It is for one goroutine; what Client returns is for any.
type Authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	issued int64
}

// NewAuthority makes one.
func NewAuthority() (*Authority, error) {
	a := &Authority{}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	der, err := a.sign(&x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign}, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	return a, nil
}

// sign fills in the rest of a certificate; the first one is signed by itself.
func (a *Authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	a.issued++
	c.SerialNumber = big.NewInt(a.issued)
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	c.BasicConstraintsValid = true
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	parent := a.cert
	if parent == nil {
		parent = c
	}
	return x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
}

// Issue writes a new certificate and its key to tls.crt and tls.key in dir, and returns its serial number.
func (a *Authority) Issue(dir string) (serial int64, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, fmt.Errorf("issue certificate: %w", err)
	}
	der, err := a.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key)
	if err != nil {
		return 0, fmt.Errorf("issue certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return 0, fmt.Errorf("issue certificate: %w", err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return 0, fmt.Errorf("issue certificate: %w", err)
		}
	}
	return a.issued, nil
}

// Client returns settings that trust what this authority has signed, and nothing else.
func (a *Authority) Client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
