package doctor_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kentongan/app/doctor"
	"kentongan/internal/tracing/tracingtest"
)

// detailOf is what was seen by a check; empty if it was not made.
func detailOf(r *doctor.Report, check string) string {
	for _, c := range r.Checked {
		if c.Check == check {
			return c.Detail
		}
	}
	return ""
}

// TestTracesGetThrough: the collector gets one request without spans, with the fields that it wants.
func TestTracesGetThrough(t *testing.T) {
	collector := tracingtest.New(t)
	r := examine(t, doctor.Options{Environ: base("KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+collector.URL,
		"OTEL_EXPORTER_OTLP_HEADERS=x-scope=dapur%201")})
	if len(r.Findings) != 0 || !strings.HasPrefix(detailOf(&r, "traces"), collector.URL+" answers 200") {
		t.Errorf("nothing is wrong, and it finds %+v, and has seen %q", r.Findings, detailOf(&r, "traces"))
	}
	headers := collector.Headers()
	if len(headers) != 1 || headers[0].Get("X-Scope") != "dapur 1" || headers[0].Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("the collector got %v, want one request as the server sends them", headers)
	}
	if spans := collector.Spans(); len(spans) != 0 {
		t.Errorf("it was sent spans: %+v", spans)
	}
}

// TestTracesAreOff: nobody is asked.
func TestTracesAreOff(t *testing.T) {
	collector := tracingtest.New(t)
	r := examine(t, doctor.Options{Environ: base("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + collector.URL)})
	if len(r.Findings) != 0 || len(collector.Headers()) != 0 {
		t.Errorf("traces are off, and it finds %+v, and asks %d times", r.Findings, len(collector.Headers()))
	}
}

// TestTracesDoNotGetThrough has each kind of collector that takes nothing, and one that only does not like an empty request.
func TestTracesDoNotGetThrough(t *testing.T) {
	for status, c := range map[int]struct {
		level doctor.Level
		what  string
	}{
		http.StatusUnauthorized: {doctor.Broken, "it does not let this server in"}, http.StatusForbidden: {doctor.Broken, "OTEL_EXPORTER_OTLP_HEADERS"},
		http.StatusNotFound: {doctor.Broken, "nobody takes traces at this address"}, http.StatusFound: {doctor.Broken, "nobody takes traces"},
		http.StatusServiceUnavailable: {doctor.Warning, "traces are lost"}, http.StatusTooManyRequests: {doctor.Warning, "it takes nothing now"},
		http.StatusBadRequest: {},
	} {
		collector := tracingtest.New(t)
		collector.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "/elsewhere")
			http.Error(w, "two\nlines", status)
			return false
		}
		r := examine(t, doctor.Options{Environ: base("KENTONGAN_TRACES=otlp",
			"OTEL_EXPORTER_OTLP_ENDPOINT="+strings.TrimSuffix(collector.URL, "/v1/traces"))})
		if c.what == "" {
			if len(r.Findings) != 0 {
				t.Errorf("%d: finds %+v", status, r.Findings)
			}
			continue
		}
		if want(t, &r, "traces", c.level, c.what); len(r.Findings) != 1 {
			t.Errorf("%d: one thing is wrong, and it finds %+v", status, r.Findings)
		}
	}
}

// TestCollectorIsNotThere: nobody listens, or somebody listens and never answers.
func TestCollectorIsNotThere(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // the kernel accepts, and nobody else
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for url, what := range map[string]string{
		"http://127.0.0.1:1": "traces do not get there", "http://" + silent.Addr().String(): "nothing answers in time",
	} {
		r := examine(t, doctor.Options{Environ: base("KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+url), Timeout: time.Second})
		want(t, &r, "traces", doctor.Broken, what)
		want(t, &r, "traces", doctor.Broken, "4318")
	}
}

// TestCollectorWithTLS: its certificate is looked at as the server looks at it.
func TestCollectorWithTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	environ := base("KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	r := examine(t, doctor.Options{Environ: environ})
	want(t, &r, "traces", doctor.Broken, "certificate")

	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	environ = append(environ, "OTEL_EXPORTER_OTLP_CERTIFICATE="+file)
	if r = examine(t, doctor.Options{Environ: environ}); len(r.Findings) != 0 {
		t.Errorf("its certificate is trusted, and it finds %+v", r.Findings)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for wrong, what := range map[string]string{file + "x": "no such file", empty: "has no certificate"} {
		r = examine(t, doctor.Options{Environ: append(environ, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE="+wrong)})
		want(t, &r, "traces", doctor.Broken, what)
	}
}
