package app_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kentongan/app"
)

// TestRedirect asks without TLS.
func TestRedirect(t *testing.T) {
	cert, key, _ := certificate(t)
	s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key, "KENTONGAN_PUBLIC_URL=https://dapur.example.id:8443",
		"KENTONGAN_REDIRECT_LISTEN=127.0.0.1:0")
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, c := range []struct {
		method, path, host string
		status             int
		location           string
	}{
		{"GET", "/", "dapur.example.id", 308, "https://dapur.example.id:8443/"},
		{"HEAD", "/live?a=b%2F&c", "dapur.example.id", 308, "https://dapur.example.id:8443/live?a=b%2F&c"},
		{"GET", "/", "evil.example", 308, "https://dapur.example.id:8443/"}, // the Host of a request sends nobody anywhere
		{"POST", "/api/publish", "dapur.example.id", 403, ""},
		{"GET", "//evil.example/", "dapur.example.id", 404, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+s.redirect+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != c.status || got != c.location {
			t.Errorf("%s %s is answered %d to %q, want %d to %q", c.method, c.path, resp.StatusCode, got, c.status, c.location)
		}
	}
}

// TestCertificateIsTold looks at what a server with TLS offers and says of its certificate.
func TestCertificateIsTold(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key)
	conn, err := tls.Dial("tcp", s.public, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if state := conn.ConnectionState(); state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
		t.Errorf("speaks %q over TLS %x, want h2 over 1.3", state.NegotiatedProtocol, state.Version)
	}
	if old, err := tls.Dial("tcp", s.public, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = old.Close()
		t.Error("speaks TLS 1.1")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+s.public+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var ready struct {
		Checks []struct {
			Name, Detail string
			OK, Weak     bool
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range ready.Checks {
		if c.Name == "TLS certificate" { // good for an hour yet: a person should know
			found = c.OK && c.Weak && strings.HasPrefix(c.Detail, "127.0.0.1, until ")
		}
	}
	if !found || resp.StatusCode != http.StatusOK {
		t.Errorf("/readyz is %s %+v", resp.Status, ready)
	}
	if _, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil); !strings.Contains(body, "\nkentongan_tls_expiry_timestamp_seconds ") ||
		strings.Contains(body, "\nkentongan_tls_expiry_timestamp_seconds 0\n") {
		t.Error("the expiry is not in the metrics")
	}
}

// TestBrokenPairStopsTheStart has a start with a key of another certificate.
func TestBrokenPairStopsTheStart(t *testing.T) {
	cert, _, _ := certificate(t)
	_, key, _ := certificate(t)
	err := app.Run(t.Context(), load(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key), app.Options{})
	if err == nil || !strings.Contains(err.Error(), "TLS certificate "+cert) {
		t.Errorf("the start ends with %v, want to hear of the certificate", err)
	}
}
