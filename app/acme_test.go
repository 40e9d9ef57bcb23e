package app_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"kentongan/internal/process"
	"kentongan/internal/testenv"
)

// TestACME gets certificates from a real authority, by each of the two proofs, and keeps them over a restart.
func TestACME(t *testing.T) {
	const domain = "dapur.example.com"
	issued := func(s *server) (serial string) {
		conn, err := tls.Dial("tcp", s.public, &tls.Config{ServerName: domain, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // the authority makes its root anew
		if err != nil {
			return ""
		}
		defer func() { _ = conn.Close() }()
		leaf := conn.ConnectionState().PeerCertificates[0]
		if leaf.VerifyHostname(domain) != nil || !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
			return ""
		}
		return leaf.SerialNumber.String()
	}
	for name, withHTTP := range map[string]bool{"OverTLS": false, "OverHTTP": true} {
		t.Run(name, func(t *testing.T) {
			cert, key, _ := certificate(t)
			free := process.FreeAddresses(3)
			storage := t.TempDir()
			environ := []string{"KENTONGAN_LISTEN=" + free[0], "KENTONGAN_ACME_DOMAINS=" + domain, "KENTONGAN_ACME_ROOTS=" + cert, "KENTONGAN_ACME_STORAGE=" + storage}
			tlsPort := testenv.Port(t, free[0])
			if withHTTP {
				tlsPort = testenv.Port(t, free[2]) // where nobody is
				environ = append(environ, "KENTONGAN_REDIRECT_LISTEN="+free[1], "KENTONGAN_PUBLIC_URL=https://"+domain)
			}
			directory := testenv.Pebble(t, cert, key, testenv.Port(t, free[1]), tlsPort)
			environ = append(environ, "KENTONGAN_ACME_DIRECTORY="+directory)
			s := start(t, environ...)
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(s.logs)
				}
			})
			eventually(t, "a certificate of the authority", func() bool { return issued(s) != "" })
			first := issued(s)
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			// Nobody is asked for what is there already.
			s = start(t, environ...)
			eventually(t, "the certificate that was kept", func() bool { return issued(s) == first })
			if _, body := s.do(http.MethodGet, s.admin+"/readyz", "", nil); !strings.Contains(body, `"name":"TLS certificate","ok":true,"detail":"`+domain) {
				t.Errorf("/readyz says %s", body)
			}
		})
	}
}
