package doctor_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"kentongan/app"
	"kentongan/app/doctor"
	"kentongan/auth"
	"kentongan/config"
	"kentongan/internal/process"
	"kentongan/internal/testenv"
	"kentongan/production/postgres"
	"kentongan/production/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The secrets of a good set-up, as openssl makes them.
const (
	secret   = "Zq1v8yXo3mT5u0cKJ7rWfB2nH4sLdE6gPaQiVxYtO9A="
	another  = "k3NfPz8Q0wYb5RjMxU2oVtC7eS1hGdL9aI4vXyTqB6E="
	patience = 30 * time.Second
)

// base is the environment of a server with which nothing is wrong; more comes behind it and wins.
func base(more ...string) []string {
	free := process.FreeAddresses(2)
	return append([]string{
		"AUTH_SECRET=" + secret, "KENTONGAN_LISTEN=" + free[0], "KENTONGAN_ADMIN_LISTEN=" + free[1], "KENTONGAN_MAX_CONNECTIONS=100",
	}, more...)
}

// safeRedis is how a Redis is started with which nothing is wrong.
var safeRedis = []string{"--appendonly", "yes", "--appendfsync", "everysec"}

func examine(t *testing.T, o doctor.Options) doctor.Report {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second // nothing waits for its end unless a test says so: a busy machine may need some of it
	}
	r := doctor.Run(t.Context(), o)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{secret, another} {
		if bytes.Contains(text, []byte(hidden)) {
			t.Errorf("the report holds a secret: %s", text)
		}
	}
	for _, f := range r.Findings {
		if f.Check == "" || f.Where == "" || f.What == "" || f.Right == "" || strings.ContainsAny(f.What+f.Where+f.Right, "\n\r") {
			t.Errorf("a finding lacks something, or has more than one line: %+v", f)
		}
	}
	return r
}

// want looks for one finding.
func want(t *testing.T, r *doctor.Report, check string, level doctor.Level, what string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check && f.Level == level && strings.Contains(f.Where+" | "+f.What+" | "+f.Right, what) {
			return
		}
	}
	t.Errorf("no finding of %s that is a %s and says %q; found: %+v", check, level, what, r.Findings)
}

// examineGood examines what has nothing wrong, and returns the report. That a round trip takes long is true of a machine that is busy with
// other tests: it is looked at again.
func examineGood(t *testing.T, o doctor.Options) (r doctor.Report) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		r = examine(t, o)
		if len(r.Findings) == 0 {
			return r
		}
		if time.Now().After(end) {
			t.Errorf("nothing is wrong, and it finds %+v", r.Findings)
			return r
		}
	}
}

// start runs a server with the environment, and returns where it is reached; it ends with the test.
func start(t *testing.T, environ []string) app.Addresses {
	t.Helper()
	cfg, err := config.Load(config.Input{Environ: append(environ, "KENTONGAN_DRAIN_TIME=1s"), Serve: true})
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
	var a app.Addresses
	select {
	case a = <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("the server ended: %v", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Admin+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return a
			}
		}
	}
	t.Fatal("the server did not become ready")
	return a
}

// TestCleanSetUp has everything that can be looked at, running, and finds nothing.
func TestCleanSetUp(t *testing.T) {
	db := testenv.Postgres(t)
	environ := base("REDIS_URL=redis://"+testenv.StartRedis(t, safeRedis...).Addr, "KENTONGAN_PRODUCTION=on", "DATABASE_URL="+db)
	a := start(t, environ)
	front := newProxy(t, a.Public, proxyOptions{})
	token, err := auth.MintSession(secret, "authjs.session-token", map[string]any{"sub": "u1", "sppgId": "k1", "userRole": "SPPG_KEPALA"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := examineGood(t, doctor.Options{Environ: environ, Cookie: "authjs.session-token=" + token, URL: front})
	for _, c := range r.Checked {
		if c.Skipped != "" && c.Check != "certificate" && c.Check != "traces" {
			t.Errorf("%s was not looked at: %s", c.Check, c.Skipped)
		}
		if c.Check == "cookie" && !strings.HasPrefix(c.Detail, "opened by AUTH_SECRET, Auth.js v5, A256CBC-HS512, salt authjs.session-token, lets in u1 of kitchen k1") {
			t.Errorf("the cookie: %s", c.Detail)
		}
	}
	if r.Worst() != "" {
		t.Errorf("the worst is %q, want nothing", r.Worst())
	}
}

// TestSettings plants faults in what is written down.
func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		check   string
		level   doctor.Level
		what    string
	}{
		"Misspelt":      {[]string{"KENTONGAN_LISTN=:1"}, "settings", doctor.Broken, "KENTONGAN_LISTN"},
		"BadValue":      {[]string{"KENTONGAN_PING_INTERVAL=soon"}, "settings", doctor.Broken, "no duration"},
		"OpenOrigin":    {[]string{"KENTONGAN_ALLOWED_ORIGINS=http://app.example.id"}, "settings", doctor.Warning, "open line"},
		"OpenURL":       {[]string{"KENTONGAN_PUBLIC_URL=http://app.example.id"}, "settings", doctor.Warning, "open line"},
		"RarePing":      {[]string{"KENTONGAN_PING_INTERVAL=90s"}, "settings", doctor.Warning, "idle timeout"},
		"PublicDoor":    {[]string{"KENTONGAN_REDIS_DOOR=:6390", "KENTONGAN_API_KEYS=app:" + another}, "settings", doctor.Warning, "in the clear"},
		"WeakWords":     {[]string{"AUTH_SECRET=my-super-secret-password-123456"}, "secrets", doctor.Warning, "AUTH_SECRET | can be guessed: it has words"},
		"WeakRepeated":  {[]string{"AUTH_SECRET=" + strings.Repeat("k3Nf", 12)}, "secrets", doctor.Warning, "at most about 8 bits"},
		"WeakKey":       {[]string{"KENTONGAN_API_KEYS=app:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"}, "secrets", doctor.Warning, "KENTONGAN_API_KEYS, app"},
		"OneForTwo":     {[]string{"KENTONGAN_JWT_SECRET=" + secret}, "secrets", doctor.Warning, "is the same as AUTH_SECRET"},
		"Descriptors":   {[]string{"KENTONGAN_MAX_CONNECTIONS=9000000"}, "descriptors", doctor.Warning, "LimitNOFILE=9000200"},
		"NoSuchAddress": {[]string{"KENTONGAN_LISTEN=192.0.2.1:3001"}, "ports", doctor.Broken, "an address of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, doctor.Options{Environ: base(c.environ...)})
			want(t, &r, c.check, c.level, c.what)
			if len(r.Findings) != 1 {
				t.Errorf("one thing is wrong, and it finds %+v", r.Findings)
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close() // who says nothing would be waited for
		}
	})
	defer accepting.Wait()
	defer func() { _ = l.Close() }()
	r := examine(t, doctor.Options{Environ: base("KENTONGAN_ADMIN_LISTEN=" + l.Addr().String())})
	want(t, &r, "ports", doctor.Broken, "address already in use")
}

// TestCookie plants cookies that are refused; auth has a test of each kind.
func TestCookie(t *testing.T) {
	token, err := auth.MintSession(another, "authjs.session-token", map[string]any{"sub": "u1", "sppgId": "k1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ pasted, what string }{
		"AnotherSecret": {"Cookie: authjs.session-token=" + token, "none of the 1 session secrets opens it"},
		"Database":      {"authjs.session-token=5b0c6d0e-7a1f-4a39-9c7e-2f9d1c0b8a77", "sessions in a database"},
		"NoSession":     {"theme=dark", "no session cookie"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, doctor.Options{Environ: base(), Cookie: c.pasted})
			want(t, &r, "cookie", doctor.Broken, c.what)
			if text, _ := json.Marshal(r); bytes.Contains(text, []byte(token[:40])) {
				t.Error("the report holds the token")
			}
		})
	}
}

// TestRedis plants faults in a real Redis, and on the way to one.
func TestRedis(t *testing.T) {
	with := func(args ...string) string {
		return testenv.StartRedis(t, append(append([]string{}, safeRedis...), args...)...).Addr
	}
	locked := with("--requirepass", "right-password")
	narrow := with()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{narrow}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), c.B().Arbitrary("ACL", "SETUSER", "few", "on", ">pw", "~*", "&*", "+@all", "-eval", "-evalsha").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), c.B().Arbitrary("ACL", "SETUSER", "short", "on", ">pw", "~*", "&*", "+@all", "-xadd").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	newer := with()
	if c, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{newer}, DisableCache: true, ForceSingleClient: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), c.B().Set().Key("kentongan:schema").Value("9.0").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	good := with()
	for name, one := range map[string]struct {
		url   string
		level doctor.Level
		what  string
	}{
		"Down":          {"redis://127.0.0.1:1", doctor.Broken, "connection refused"},
		"UnknownHost":   {"redis://nowhere.invalid:6379", doctor.Broken, "nowhere.invalid"},
		"WrongPassword": {"redis://:wrong@" + locked, doctor.Broken, "WRONGPASS"},
		"NoPassword":    {"redis://" + locked, doctor.Broken, "NOAUTH"},
		"Evicts":        {"redis://" + with("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), doctor.Warning, "history is evicted"},
		"Forgets":       {"redis://" + testenv.StartRedis(t).Addr, doctor.Warning, "a restart forgets all history"},
		"NeverFlushes":  {"redis://" + with("--appendfsync", "no"), doctor.Warning, "appendfsync"},
		"SmallBuffers":  {"redis://" + with("--client-output-buffer-limit", "pubsub 1mb 512kb 10"), doctor.Warning, "cut off"},
		"Full":          {"redis://" + with("--maxmemory", "1", "--maxmemory-policy", "noeviction"), doctor.Broken, "OOM"},
		"Replica":       {"redis://" + with("--replicaof", strings.Replace(with(), ":", " ", 1)), doctor.Broken, "replica"},
		"Cluster":       {"redis://" + testenv.StartCluster(t)[0], doctor.Broken, "is a node of a Cluster: list some nodes of that in REDIS_CLUSTER"},
		"NewerData":     {"redis://" + newer, doctor.Broken, "start the newer program"},
		"FewRules":      {"redis://short:pw@" + narrow, doctor.Broken, "its user may not +xadd, which is needed for: history"},
		"NoScripts":     {"redis://few:pw@" + narrow, doctor.Broken, "it refuses to run scripts"},
		"FewClients":    {"redis://" + with("--maxclients", "1"), doctor.Warning, "connections are taken"},
		"Slow":          {"redis://" + relay(t, good, 10*time.Millisecond, nil), doctor.Warning, "a round trip takes"},
		"ClockAhead": {"redis://" + relay(t, good, 0, func(b []byte) []byte {
			return bytes.Replace(b, []byte("\r\n$10\r\n1"), []byte("\r\n$10\r\n2"), 1)
		}), doctor.Warning, "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, doctor.Options{Environ: base("REDIS_URL=" + one.url)})
			want(t, &r, "redis", one.level, one.what)
		})
	}
	examineGood(t, doctor.Options{Environ: base("REDIS_URL=redis://" + good)})
}

// TestRedisCluster: it says where the slot is, and what is missing around it.
func TestRedisCluster(t *testing.T) {
	nodes := testenv.StartCluster(t)
	environ := base("REDIS_CLUSTER=" + nodes[0] + "," + nodes[1])
	r := examine(t, doctor.Options{Environ: environ})
	want(t, &r, "redis", doctor.Warning, "the node that has slot 5906, in which all is kept, has no replica")
	at := slices.IndexFunc(r.Checked, func(c doctor.Checked) bool { return c.Check == "redis" })
	if at < 0 || !strings.Contains(r.Checked[at].Detail, "slot 5906 at "+nodes[1]) {
		t.Errorf("got %+v, want where the slot is", r.Checked)
	}
	for _, node := range nodes {
		one, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{node}, DisableCache: true, ForceSingleClient: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := one.Do(t.Context(), one.B().ClusterDelslots().Slot(0).Build()).Error(); err != nil {
			t.Error(err)
		}
		one.Close()
	}
	r = examine(t, doctor.Options{Environ: environ})
	want(t, &r, "redis", doctor.Broken, "the Cluster is not well: slot 5906, in which all is kept")
}

// relay is a line to addr that is slow, or changes what comes back.
func relay(t *testing.T, addr string, delay time.Duration, change func([]byte) []byte) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	pass := func(to, from net.Conn, change func([]byte) []byte) {
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil {
				_ = to.Close()
				return
			}
			time.Sleep(delay)
			out := b[:n]
			if change != nil {
				out = change(out)
			}
			if _, err := to.Write(out); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).Dial("tcp", addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, in, out)
			mu.Unlock()
			wg.Go(func() { pass(out, in, nil) })
			wg.Go(func() { pass(in, out, change) })
		}
	})
	return l.Addr().String()
}

// TestDatabase plants faults in real databases.
func TestDatabase(t *testing.T) {
	folder := t.TempDir()
	newer, foreign, text := filepath.Join(folder, "newer.db"), filepath.Join(folder, "foreign.db"), filepath.Join(folder, "text.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: newer})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for path, statement := range map[string]string{newer: "PRAGMA user_version = 9999", foreign: "CREATE TABLE t (a)"} {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	server := testenv.StartPostgres(t, "fsync=off")
	good := server.Database(t)
	readonly := server.Database(t)
	server.Exec("ALTER DATABASE test2 SET default_transaction_read_only = on")
	ahead := server.Database(t)
	if _, _, err := postgres.Migrate(t.Context(), postgres.Options{URL: ahead}); err != nil {
		t.Fatal(err)
	}
	execPostgres(t, ahead, "INSERT INTO kentongan.migrations (version, name) VALUES (9999, 'from the future')")
	for name, c := range map[string]struct {
		url   string
		level doctor.Level
		what  string
	}{
		"NoFolder":        {"sqlite:" + folder + "/none/k.db", doctor.Broken, "there is no folder"},
		"NoDatabase":      {"sqlite:" + text, doctor.Broken, "no SQLite database"},
		"AnotherProgram":  {"sqlite:" + foreign, doctor.Broken, "of another program"},
		"NewerSchema":     {"sqlite:" + newer, doctor.Broken, "start the newer program"},
		"PostgresDown":    {"postgres://a:b@127.0.0.1:1/c", doctor.Broken, "refused"},
		"PostgresDenies":  {"postgres://tester:wrong@" + server.Addr + "/test1", doctor.Broken, "password authentication failed"},
		"PostgresMissing": {strings.Replace(good, "/test1", "/nothing", 1), doctor.Broken, "does not exist"},
		"PostgresReads":   {readonly, doctor.Broken, "cannot be written"},
		"PostgresForgets": {good, doctor.Warning, "fsync"},
		"PostgresNewer":   {ahead, doctor.Broken, "start the newer program"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, doctor.Options{Environ: base("KENTONGAN_PRODUCTION=on", "DATABASE_URL="+c.url)})
			want(t, &r, "database", c.level, c.what)
		})
	}
	examineGood(t, doctor.Options{Environ: base("KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+folder+"/fine.db")})
}

// TestCertificate plants certificates that browsers refuse.
func TestCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		host  string
		until time.Duration
		level doctor.Level
		what  string
	}{
		"Expired":     {"dapur.example.id", -time.Hour, doctor.Broken, "has expired"},
		"ExpiresSoon": {"dapur.example.id", 3 * 24 * time.Hour, doctor.Warning, "expires in 3 days"},
		"OtherHost":   {"other.example.id", 90 * 24 * time.Hour, doctor.Broken, "is not for dapur.example.id"},
	} {
		t.Run(name, func(t *testing.T) {
			certFile, keyFile := certificate(t, c.host, time.Now().Add(c.until+time.Minute))
			r := examine(t, doctor.Options{Environ: base("KENTONGAN_TLS_CERT="+certFile, "KENTONGAN_TLS_KEY="+keyFile,
				"KENTONGAN_PUBLIC_URL=https://dapur.example.id")})
			want(t, &r, "certificate", c.level, c.what)
		})
	}
}

// certificate writes one that is good until a time, and its key.
func certificate(t *testing.T, host string, until time.Time) (certFile, keyFile string) {
	t.Helper()
	_, certFile, keyFile = testenv.CertificateFiles(t, t.TempDir(), until, host)
	return certFile, keyFile
}

// TestChannels has an app publish to names that go astray.
func TestChannels(t *testing.T) {
	redis := testenv.StartRedis(t, safeRedis...)
	environ := base("REDIS_URL=redis://" + redis.Addr)
	a := start(t, environ)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redis.Addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"production:update:k1", "Production:Updates:k1", "bull:jobs:17:done", "menu:updates:k1"} {
		if err := c.Do(t.Context(), c.B().Publish().Channel(name).Message("{}").Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	var r doctor.Report
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r = examine(t, doctor.Options{Environ: environ, Admin: []string{"http://" + a.Admin}})
		if len(r.Findings) == 4 && strings.Count(found(&r), "channels: ") == 4 { // and not that a busy machine is slow
			break
		}
	}
	want(t, &r, "channels", doctor.Warning, "production:update:k1 | 1 messages were published to it and reached nobody; it is nearly production:updates:{tenant}")
	want(t, &r, "channels", doctor.Warning, "Production:Updates:k1 | 1 messages")
	want(t, &r, "channels", doctor.Note, "1 other names are published to and belong to no pattern: bull:jobs:17:done")
	want(t, &r, "channels", doctor.Note, "menu:updates:{tenant} | something was published in 1 of its channels, and nobody follows")
	if len(r.Findings) != 4 {
		t.Errorf("found %+v", r.Findings)
	}

	redis.Kill()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r = examine(t, doctor.Options{Environ: environ, Timeout: time.Second}); strings.Contains(found(&r), "engine redis") {
			break // what reads the durable stream may notice before the engine does
		}
	}
	want(t, &r, "server", doctor.Broken, "engine redis")
	want(t, &r, "redis", doctor.Broken, "connection refused")
}

// found is what was found, as text.
func found(r *doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(f.Check + ": " + f.What + "\n")
	}
	return b.String()
}

// TestAdmins asks admin listeners that are none.
func TestAdmins(t *testing.T) {
	r := examine(t, doctor.Options{Environ: base(), Admin: []string{"http://127.0.0.1:1"}})
	want(t, &r, "server", doctor.Broken, "http://127.0.0.1:1")
	page := newApp(t, http.StatusNotFound, "<html>")
	r = examine(t, doctor.Options{Environ: base(), Admin: []string{page}})
	want(t, &r, "server", doctor.Broken, page)
}

func execPostgres(t *testing.T, address, statement string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	if _, err := c.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
