package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/app"
	"kentongan/config"
	"kentongan/internal/testenv"
)

// startServer runs a whole server for commands to talk to.
func startServer(t *testing.T, environ ...string) app.Addresses {
	t.Helper()
	cfg, err := config.Load(config.Input{Environ: append([]string{
		"KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=127.0.0.1:0", "AUTH_SECRET=a-session-secret-of-32-bytes-here",
		"KENTONGAN_DRAIN_TIME=1s",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan app.Addresses, 1), make(chan error, 1)
	go func() {
		done <- app.Run(ctx, cfg, app.Options{Log: slog.New(slog.DiscardHandler), Ready: func(a app.Addresses) { ready <- a }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-ready:
		return a
	case err := <-done:
		done <- err
		t.Fatalf("the server ended: %v", err)
	}
	panic("unreachable")
}

// kentongan runs one command line and wants its exit code; it returns what was written.
func kentongan(t *testing.T, environ []string, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	w := &world{in: strings.NewReader(""), out: &out, err: &errs, environ: environ, run: app.Run}
	if got := w.main(args); got != code {
		t.Fatalf("kentongan %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func awaitReady(t *testing.T, admin string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		client := newHTTPClient(time.Second)
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		client.CloseIdleConnections()
		if err == nil && resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the server did not become ready")
}

func TestQuarantineCommands(t *testing.T) {
	redis := testenv.StartRedis(t).Addr
	a := startServer(t, "REDIS_URL=redis://"+redis, "KENTONGAN_VALIDATION=refuse")
	awaitReady(t, a.Admin)
	admin := "--admin=http://" + a.Admin
	if out, _ := kentongan(t, nil, exitOK, "quarantine", "list", admin); out != "nothing is held\n" {
		t.Errorf("an empty quarantine: %q", out)
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redis}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, data := range []string{`{"type":"production_update","data":{"progress":400}}`, `{"type":7}`, `[]`} {
		if err := client.Do(t.Context(), client.B().Publish().Channel("production:updates:k1").Message(data).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	var list heldList
	for deadline := time.Now().Add(30 * time.Second); len(list.Messages) < 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what was refused is not held")
		}
		out, _ := kentongan(t, nil, exitOK, "quarantine", "list", admin, "--json")
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
	}
	newest, oldest := list.Messages[0].ID, list.Messages[2].ID
	out, _ := kentongan(t, nil, exitOK, "quarantine", "list", admin, "--tenant", "k1", "--limit", "2")
	if lines := strings.Split(out, "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], newest) ||
		!strings.Contains(lines[3], "--limit") {
		t.Errorf("the table is\n%s", out)
	}
	if out, _ = kentongan(t, nil, exitOK, "quarantine", "list", admin, "--tenant", "k2"); out != "nothing is held\n" {
		t.Errorf("of another kitchen: %q", out)
	}
	out, _ = kentongan(t, nil, exitOK, "quarantine", "show", admin, oldest)
	if !strings.Contains(out, "reason   the data does not fit") || !strings.Contains(out, "    \"progress\": 400\n") {
		t.Errorf("one shows\n%s", out)
	}
	out, errs := kentongan(t, nil, exitFailed, "quarantine", "replay", admin, oldest)
	if !strings.Contains(out, oldest+": the server answered 422 SCHEMA_MISMATCH") || !strings.Contains(errs, "not all of it was done") {
		t.Errorf("a replay of what does not fit: %s%s", out, errs)
	}
	if out, _ = kentongan(t, nil, exitOK, "quarantine", "replay", admin, "--force", oldest); out != oldest+": published\n" {
		t.Errorf("by force: %q", out)
	}
	if out, _ = kentongan(t, nil, exitOK, "quarantine", "drop", admin, "--json", newest); out != `{"id":"`+newest+`","answer":{"dropped":1}}`+"\n" {
		t.Errorf("drop: %q", out)
	}
	if out, _ = kentongan(t, nil, exitOK, "quarantine", "drop", admin, "--tenant", "k1", "--all"); strings.Count(out, ": dropped\n") != 1 {
		t.Errorf("drop of all: %q", out)
	}
	kentongan(t, nil, exitFailed, "quarantine", "show", admin, newest)
	for _, args := range [][]string{
		{"replay"}, {"drop", "--all"}, {"drop", "--tenant", "k1"}, {"drop", "--tenant", "k1", "--all", "x"}, {"list", "--tenant", "a b"},
		{"list", "--admin", "ftp://x"}, {"show"},
	} {
		all := append([]string{"quarantine", args[0], admin}, args[1:]...)
		kentongan(t, nil, exitUsage, all...)
	}
	if _, errs = kentongan(t, nil, exitFailed, "quarantine", "list", "--admin", "http://127.0.0.1:1"); !strings.Contains(errs, "KENTONGAN_ADMIN_LISTEN") {
		t.Errorf("no server: %s", errs)
	}
}
