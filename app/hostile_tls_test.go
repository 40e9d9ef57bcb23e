package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/internal/testenv"
)

// certificate writes a certificate for 127.0.0.1 and its key to files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	c, cert, key := testenv.CertificateFiles(t, t.TempDir(), time.Now().Add(time.Hour), "127.0.0.1")
	return cert, key, c.Pool
}

// TestOwnTLS is the way of a kitchen without a proxy in front.
func TestOwnTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key)
	settings := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	header := s.cookie("u1", "a", "SPPG_KEPALA")
	header.Set("Origin", "https://"+s.public)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "wss://"+s.public+"/api/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.public+"/api/sse", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	stream, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if stream.StatusCode != http.StatusOK {
		t.Fatalf("the event stream was answered with %s", stream.Status)
	}

	publish, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.public+"/api/publish",
		strings.NewReader(`{"channel":"production:updates:a","data":"over TLS"}`))
	if err != nil {
		t.Fatal(err)
	}
	publish.Header = apiHeader()
	resp, err := client.Do(publish)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := read(t, conn); got != `"over TLS"` {
		t.Errorf("the WebSocket reads %s", got)
	}
	for got := ""; !strings.Contains(got, `"over TLS"`); {
		buf := make([]byte, 4096)
		n, err := stream.Body.Read(buf)
		if err != nil {
			t.Fatalf("the event stream ends behind %q: %v", got, err)
		}
		got += string(buf[:n])
	}

	t.Run("PlainPageOfTheSameHostIsForeign", func(t *testing.T) {
		foreign := header.Clone()
		foreign.Set("Origin", "http://"+s.public)
		_, resp, err := websocket.Dial(ctx, "wss://"+s.public+"/api/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: foreign})
		if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("answered %v, %v; want 403", resp, err)
		}
		// Over HTTP/2 as well: a request has to know that it came over TLS.
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.public+"/api/sse", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = foreign
		stream, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Body.Close()
		if stream.StatusCode != http.StatusForbidden || stream.ProtoMajor != 2 {
			t.Errorf("answered %s over %s; want 403 over HTTP/2", stream.Status, stream.Proto)
		}
	})
	t.Run("BareLineFeedIsRefused", func(t *testing.T) {
		first := settings.Clone()
		first.NextProtos = []string{"http/1.1"} // the transport has added its own
		conn, err := (&tls.Dialer{Config: first}).DialContext(ctx, "tcp", s.public)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\nHost: a\n\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
			t.Errorf("answered %q (%v), want 400", got, err)
		}
	})
	t.Run("PlainHTTPIsRefused", func(t *testing.T) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.public)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || strings.Contains(string(got), "200 OK") {
			t.Errorf("answered %q (%v), want the end of the connection", got, err)
		}
	})
}
