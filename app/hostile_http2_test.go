package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestHostileHTTP2 has clients of HTTP/2 over TLS that begin, and do not go on, or only just: with the preface, with a head, with a head
// that is continued for ever, and with frames that are no request. Each connection ends. A screen of another kitchen misses nothing.
func TestHostileHTTP2(t *testing.T) {
	cert, key, pool := certificate(t)
	s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key, "KENTONGAN_PING_INTERVAL=10m")
	settings := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}, Timeout: patience}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	header := s.cookie("neighbour", "b", "SPPG_KEPALA")
	header.Set("Origin", "https://"+s.public)
	neighbour, _, err := websocket.Dial(ctx, "wss://"+s.public+"/api/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = neighbour.CloseNow() }()
	tell := func(data string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.public+"/api/publish",
			bytes.NewReader([]byte(`{"channel":"production:updates:b","data":`+data+`}`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = apiHeader()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := read(t, neighbour); resp.StatusCode != http.StatusOK || got != data {
			t.Fatalf("a publication was answered %s, and the neighbour reads %s", resp.Status, got)
		}
	}
	tell("1")
	before := count()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", s.public}, {":path", "/api/ws"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	begin := func(w io.Writer, f *http2.Framer) error {
		if _, err := io.WriteString(w, http2.ClientPreface); err != nil {
			return err
		}
		return f.WriteSettings()
	}
	// Each goes on until it cannot.
	attacks := map[string]func(w io.Writer, f *http2.Framer){
		"Silence":     func(io.Writer, *http2.Framer) {},
		"HalfPreface": func(w io.Writer, _ *http2.Framer) { _, _ = io.WriteString(w, http2.ClientPreface[:10]) },
		"HalfHead": func(w io.Writer, f *http2.Framer) {
			if begin(w, f) == nil {
				_, _ = w.Write([]byte{0, 1, 0, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders), 0, 0, 0, 1, 0x82})
			}
		},
		"Continuations": func(w io.Writer, f *http2.Framer) {
			err := begin(w, f)
			if err == nil {
				err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true})
			}
			for ; err == nil; time.Sleep(50 * time.Millisecond) {
				err = f.WriteContinuation(1, false, nil)
			}
		},
		"NoRequest": func(w io.Writer, f *http2.Framer) {
			for err := begin(w, f); err == nil; time.Sleep(50 * time.Millisecond) {
				err = f.WritePing(false, [8]byte{})
			}
		},
	}
	t.Run("All", func(t *testing.T) { // which ends when they all have
		for name, send := range attacks {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				own := settings.Clone()
				own.NextProtos = []string{"h2"}
				conn, err := (&tls.Dialer{Config: own}).DialContext(ctx, "tcp", s.public)
				if err != nil {
					t.Fatal(err)
				}
				var writer sync.WaitGroup
				writer.Go(func() { send(conn, http2.NewFramer(conn, nil)) })
				if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the connection goes on")
				}
				_ = conn.Close()
				writer.Wait()
			})
		}
	})
	tell("2")
	eventually(t, "everything to be as before", func() bool {
		now := count()
		return now.goroutines <= before.goroutines && now.descriptors <= before.descriptors
	})
}

// TestStreamsOfOneConnectionAreCounted opens more event streams than a person, and than the server, may have, over one connection of
// HTTP/2: each is a session that counts.
func TestStreamsOfOneConnectionAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		setting string
		status  int
	}{
		"User":    {"KENTONGAN_MAX_USER_CONNECTIONS=3", http.StatusTooManyRequests},
		"Tenant":  {"KENTONGAN_MAX_TENANT_CONNECTIONS=3", http.StatusTooManyRequests},
		"Address": {"KENTONGAN_MAX_ADDRESS_CONNECTIONS=3", http.StatusTooManyRequests},
		"Server":  {"KENTONGAN_MAX_CONNECTIONS=3", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			cert, key, pool := certificate(t)
			s := start(t, "KENTONGAN_TLS_CERT="+cert, "KENTONGAN_TLS_KEY="+key, "KENTONGAN_TRUSTED_PROXIES=127.0.0.1", c.setting)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			credential := s.cookie("u1", "a", "SPPG_KEPALA")
			credential.Set("Origin", "https://"+s.public)
			credential.Set("X-Forwarded-For", "203.0.113.7") // addresses that are private are not counted
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			ask := func() (status int, header http.Header, end func()) {
				t.Helper()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.public+"/api/sse", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Header = credential
				resp, err := (&http.Client{Transport: transport}).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				end = func() { _ = resp.Body.Close() }
				t.Cleanup(end)
				if resp.ProtoMajor != 2 {
					t.Fatalf("answered over %s, want HTTP/2", resp.Proto)
				}
				return resp.StatusCode, resp.Header, end
			}
			var ends []func()
			for range 3 {
				status, _, end := ask()
				if status != http.StatusOK {
					t.Fatalf("a stream within the limit is answered %d", status)
				}
				ends = append(ends, end)
			}
			if status, header, _ := ask(); status != c.status || header.Get("Retry-After") == "" {
				t.Errorf("one too many is answered %d (Retry-After %q), want %d", status, header.Get("Retry-After"), c.status)
			}
			ends[0]()
			eventually(t, "room for one more", func() bool {
				status, _, _ := ask()
				return status == http.StatusOK
			})
		})
	}
}
