package doctor_test

import (
	"bytes"
	"database/sql"
	"net"
	"path/filepath"
	"testing"
	"time"

	"kentongan/app/doctor"
	"kentongan/auth"
	"kentongan/internal/testenv"
	"kentongan/production/sqlite"
)

// TestTwentyAtOnce plants twenty faults in one installation: none hides another.
func TestTwentyAtOnce(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	redis := testenv.StartRedis(t, "--appendonly", "yes", "--appendfsync", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru",
		"--client-output-buffer-limit", "pubsub 1mb 512kb 10").Addr
	far := relay(t, redis, 10*time.Millisecond, func(b []byte) []byte {
		return bytes.Replace(b, []byte("\r\n$10\r\n1"), []byte("\r\n$10\r\n2"), 1)
	})
	certFile, keyFile := certificate(t, "other.example.id", time.Now().Add(-time.Hour))
	token, err := auth.MintSession(another, "authjs.session-token", map[string]any{"sub": "u1", "sppgId": "k1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := examine(t, doctor.Options{
		Environ: base("KENTONGAN_ALLOWED_ORIGINS=http://app.example.id", "KENTONGAN_PUBLIC_URL=https://dapur.example.id",
			"KENTONGAN_PING_INTERVAL=90s", "KENTONGAN_REDIS_DOOR=:6390", "NEXTAUTH_SECRET=my-super-secret-password-123456",
			"KENTONGAN_JWT_SECRET="+secret, "KENTONGAN_API_KEYS=app:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
			"KENTONGAN_MAX_CONNECTIONS=9000000", "KENTONGAN_LISTEN=192.0.2.1:3001", "KENTONGAN_ADMIN_LISTEN="+taken.Addr().String(),
			"REDIS_URL=redis://"+far, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+newer(t),
			"KENTONGAN_TLS_CERT="+certFile, "KENTONGAN_TLS_KEY="+keyFile),
		Cookie: "authjs.session-token=" + token, Admin: []string{"http://127.0.0.1:1"}, URL: "http://127.0.0.1:1",
		Timeout: 20 * time.Second, // none of them is waited for: a busy machine may need some
	})
	faults := []struct {
		check string
		level doctor.Level
		what  string
	}{
		{"settings", doctor.Warning, "KENTONGAN_ALLOWED_ORIGINS"},
		{"settings", doctor.Warning, "idle timeout"},
		{"settings", doctor.Warning, "in the clear"},
		{"secrets", doctor.Warning, "NEXTAUTH_SECRET | can be guessed: it has words"},
		{"secrets", doctor.Warning, "is the same as AUTH_SECRET"},
		{"secrets", doctor.Warning, "KENTONGAN_API_KEYS, app"},
		{"descriptors", doctor.Warning, "LimitNOFILE=9000200"},
		{"ports", doctor.Broken, "an address of this machine"},
		{"ports", doctor.Broken, "address already in use"},
		{"redis", doctor.Warning, "history is evicted"},
		{"redis", doctor.Warning, "appendfsync"},
		{"redis", doctor.Warning, "cut off"},
		{"redis", doctor.Warning, "a round trip takes"},
		{"redis", doctor.Warning, "clock"},
		{"database", doctor.Broken, "start the newer program"},
		{"certificate", doctor.Broken, "has expired"},
		{"certificate", doctor.Broken, "is not for dapur.example.id"},
		{"cookie", doctor.Broken, "none of the 2 session secrets opens it"},
		{"server", doctor.Broken, "http://127.0.0.1:1"},
		{"proxy", doctor.Broken, "http://127.0.0.1:1"},
	}
	if len(faults) != 20 {
		t.Fatalf("%d faults are planted, want 20", len(faults))
	}
	for _, f := range faults {
		want(t, &r, f.check, f.level, f.what)
	}
	if len(r.Findings) != len(faults) {
		t.Errorf("of %d faults it finds %d things: %+v", len(faults), len(r.Findings), r.Findings)
	}
}

// newer returns the path of a database that a later program has written.
func newer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "newer.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	return path
}
