package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"kentongan/app"
	"kentongan/config"
)

func TestConnectionsAreChosenAndKicked(t *testing.T) {
	s := start(t)
	a1, a2 := s.dial(s.cookie("u1", "a", "SPPG_KEPALA")), s.dial(s.cookie("u2", "a", "SPPG_KEPALA"))
	b := s.dial(s.cookie("u1", "b", "SPPG_KEPALA"))
	list := func(query string) (found []string) {
		t.Helper()
		status, body := s.do(http.MethodGet, s.admin+"/connections"+query, "", nil)
		var out struct {
			Connections []struct {
				Session              int
				Tenant, User, Remote string
			}
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK {
			t.Fatalf("%s is answered with %d %s", query, status, body)
		}
		for _, c := range out.Connections {
			found = append(found, c.User+"@"+c.Tenant)
		}
		return found
	}
	for query, want := range map[string]string{
		"": "u1@a u2@a u1@b", "?tenant=": "u1@a u2@a u1@b", "?tenant=a": "u1@a u2@a", "?user=u1": "u1@a u1@b", "?user=u1&tenant=b": "u1@b",
		"?limit=1": "u1@a", "?dialect=sse": "", "?dialect=bare": "u1@a u2@a u1@b", "?remote=127.0.0.1": "u1@a u2@a u1@b", "?remote=192.0.2.1": "",
		"?channel=menu:updates:a": "", "?session=2": "u2@a",
	} {
		if got := strings.Join(list(query), " "); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	for _, c := range []struct {
		method, path string
		header       http.Header
		want         int
	}{
		{"GET", "/connections?tennant=a", nil, 400}, {"GET", "/connections?session=x", nil, 400}, {"GET", "/connections?dialect=x", nil, 400},
		{"POST", "/connections/kick", nil, 400}, {"POST", "/connections/kick?tenant=", nil, 400}, {"POST", "/connections/kick?usr=u1", nil, 400},
		{"POST", "/connections/kick?tenant=a&tenant=b", nil, 400}, {"GET", "/connections/kick?tenant=a", nil, 404},
		{"POST", "/connections/kick?tenant=a", http.Header{"Origin": {"http://x"}}, 403},
	} {
		if status, body := s.do(c.method, s.admin+c.path, "", c.header); status != c.want {
			t.Errorf("%s %s is answered with %d %s, want %d", c.method, c.path, status, body, c.want)
		}
	}
	if status, body := s.do(http.MethodPost, s.admin+"/connections/kick?tenant=a", "", nil); status != http.StatusOK || body != `{"closed":2}`+"\n" {
		t.Errorf("kick is answered with %d %s", status, body)
	}
	for i, conn := range []int{int(closeCode(a1)), int(closeCode(a2))} {
		if conn != 4000 {
			t.Errorf("%d was closed with %d, want 4000", i, conn)
		}
	}
	s.publish("updates:b", `1`)
	if got := read(t, b); got != "1" {
		t.Errorf("the other kitchen reads %s", got)
	}
	if !strings.Contains(s.logs.String(), `msg="admin act" act=kick path=/connections/kick query="tenant=a"`) {
		t.Error("the act is not in the log")
	}
}

func TestLogLevelCanBeChanged(t *testing.T) {
	out := &logs{}
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	cfg, err := config.Load(config.Input{Environ: []string{
		"KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=127.0.0.1:0", "AUTH_SECRET=" + secret, "KENTONGAN_DRAIN_TIME=1s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan app.Addresses, 1), make(chan error, 1)
	go func() {
		done <- app.Run(ctx, cfg, app.Options{
			Log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})), Level: level, Ready: func(a app.Addresses) { ready <- a },
		})
	}()
	defer func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	where := <-ready
	s := &server{t: t, public: where.Public, admin: where.Admin}
	want := func(method, path string, status int, body string) {
		t.Helper()
		if got, text := s.do(method, s.admin+path, "", nil); got != status || !strings.Contains(text, body) {
			t.Errorf("%s %s is answered with %d %s, want %d with %s", method, path, got, text, status, body)
		}
	}
	want("GET", "/log/level", 200, `{"level":"WARN"}`)
	want("PUT", "/log/level?level=loud", 400, "debug, info, warn or error")
	denied := func() { // is a line of DEBUG
		t.Helper()
		if status, _ := s.do(http.MethodPost, s.public+"/api/ticket", "", nil); status != http.StatusUnauthorized {
			t.Errorf("a ticket for nobody is answered with %d", status)
		}
	}
	denied()
	if strings.Contains(out.String(), "request denied") || strings.Contains(out.String(), "server started") {
		t.Errorf("a line of DEBUG or INFO is written at WARN:\n%s", out)
	}
	want("PUT", "/log/level?level=debug", 200, `{"level":"DEBUG"}`)
	if denied(); !strings.Contains(out.String(), "request denied") {
		t.Error("after the change a line of DEBUG is not written")
	}
	want("GET", "/log/level", 200, fmt.Sprintf(`{"level":%q}`, "DEBUG"))
	want("PUT", "/log/level?level=error", 200, `{"level":"ERROR"}`)
}
