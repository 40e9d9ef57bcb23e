package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is one that has signed itself, with its key.
type Certificate struct {
	Cert, Key []byte // PEM
	Pair      tls.Certificate
	Pool      *x509.CertPool // trusts it
}

// NewCertificate makes a certificate for hosts, which are names or addresses, that is good between two times. It is for what has no test
// at hand; tests have [CertificateFiles].
func NewCertificate(from, until time.Time, hosts ...string) (Certificate, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: hosts[0]}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Certificate{}, fmt.Errorf("encode key: %w", err)
	}
	c := Certificate{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		Pool: x509.NewCertPool(),
	}
	if c.Pair, err = tls.X509KeyPair(c.Cert, c.Key); err != nil {
		return Certificate{}, fmt.Errorf("read certificate: %w", err)
	}
	c.Pool.AddCert(c.Pair.Leaf)
	return c, nil
}

// CertificateFiles writes tls.crt and tls.key into dir, for hosts and good from an hour ago, or an hour before its end if that is earlier,
// until a time.
func CertificateFiles(t testing.TB, dir string, until time.Time, hosts ...string) (c Certificate, cert, key string) {
	t.Helper()
	from := time.Now()
	if until.Before(from) {
		from = until
	}
	c, err := NewCertificate(from.Add(-time.Hour), until, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, text := range map[string][]byte{cert: c.Cert, key: c.Key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c, cert, key
}
