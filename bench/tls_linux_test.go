package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kentongan/bench/drive"
)

// TestIdleScenesOfTinySize measures the real server with clients of kentongan.v1, and over TLS.
func TestIdleScenesOfTinySize(t *testing.T) {
	l := quickly(t)
	l.pace.rounds = 1
	list := []scene{
		{name: "still-v1", kind: idle, engines: []string{memory}, tenants: 5, each: 2, v1: true, bare: true, aim: aim{goroutines: 1}},
		{name: "still-tls", kind: idle, engines: []string{memory}, tenants: 10, each: 1, tls: true, bare: true},
	}
	rows, err := l.scenes(t.Context(), options{Floor: "go"}, list, servers(t), t.TempDir(), io.Discard)
	if err != nil || len(rows) != len(list) || failed(results{Rows: rows}) {
		t.Fatalf("%+v, %v", rows, err)
	}
	for i, r := range rows {
		if m := r.Median; m.Descriptors < 10 || m.Goroutines < 5 || m.Opened <= 0 || r.Missed != (i == 0) {
			t.Errorf("%s: %+v, aim missed: %v", r.Scene, m, r.Missed)
		}
	}
}

func TestDialTLSTellsARefusal(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no session", http.StatusUnauthorized)
	}))
	defer s.Close()
	open, err := dialTLS(t.Context(), drive.Plan{Addresses: []string{s.Listener.Addr().String()}, Screens: []drive.Screen{{Path: "/api/ws"}}})
	for _, conn := range open {
		_ = conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("got %v, want the refusal", err)
	}
}
