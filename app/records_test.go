package app_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	_ "modernc.org/sqlite" // a test writes to the file behind the back of the server

	"kentongan/app"
	"kentongan/config"
	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/tenant"
)

// kitchen is one SPPG whose staff works over HTTP.
type kitchen struct {
	t  *testing.T
	s  *server
	id string
}

// staffOf are the roles of the people that play in these tests.
var staffOf = map[string]production.Role{
	"kepala": production.Head, "gizi": production.Nutritionist, "akuntan": production.Accountant, "manajer": production.Manager,
	"kurir": production.Distribution, "koki": production.KitchenStaff,
}

// openKitchen has the lists pushed by the app, as a server.
func openKitchen(t *testing.T, s *server, id string) *kitchen {
	t.Helper()
	var staff []string
	for user, role := range staffOf {
		staff = append(staff, fmt.Sprintf(`{"id":%q,"name":%q,"role":%q}`, user, strings.ToUpper(user), role))
	}
	k := &kitchen{t, s, id}
	lists := `{"staff":[` + strings.Join(staff, ",") + `],"menus":[{"id":"m1","name":"Nasi ayam","dishes":[{"name":"Nasi"},{"name":"Ayam"}]}],` +
		`"programmes":[{"id":"mbg","name":"MBG"}]}`
	k.want(http.StatusOK, http.MethodPut, "/api/references?tenant="+id, lists, http.Header{"Authorization": {"Bearer " + apiKey}})
	return k
}

// want asks and wants the status; it returns the body.
func (k *kitchen) want(status int, method, path, body string, header http.Header) string {
	k.t.Helper()
	header.Set("Content-Type", "application/json")
	got, text := k.s.do(method, k.s.public+path, body, header)
	for end := time.Now().Add(patience); got == http.StatusServiceUnavailable && method != http.MethodPost && status != got && time.Now().Before(end); {
		got, text = k.s.do(method, k.s.public+path, body, header) // a busy machine may take longer than a request has, and this may be sent again
	}
	if got != status && (status != http.StatusOK || got != http.StatusNoContent) {
		k.t.Fatalf("%s %s %s is answered with %d %s, want %d", method, path, body, got, text, status)
	}
	return text
}

// post has user do something, and returns the batch after it.
func (k *kitchen) post(user, path string, body map[string]any) (p struct {
	ID      string
	Status  string
	Version int64
}) {
	k.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		k.t.Fatal(err)
	}
	status := http.StatusCreated
	if strings.HasSuffix(path, "/transition") || strings.HasSuffix(path, "/work") || strings.Contains(path, "/alerts/") {
		status = http.StatusOK
	}
	answer := k.want(status, http.MethodPost, path, string(text), k.s.cookie(user, k.id, string(staffOf[user])))
	var result struct{ Production json.RawMessage }
	if err := json.Unmarshal([]byte(answer), &result); err != nil {
		k.t.Fatal(err)
	}
	if err := json.Unmarshal(result.Production, &p); err != nil {
		k.t.Fatalf("%s: %v", answer, err)
	}
	return p
}

// night takes a batch from its plan to its dispatch, with a failed check and rework on the way.
func (k *kitchen) night() (id string, version int64) {
	now := time.Now()
	p := k.post("manajer", "/api/productions", map[string]any{
		"programId": "mbg", "menuId": "m1", "productionDate": production.DayOf(production.At(now), production.WIB), "plannedPortions": 1000,
		"plannedStartTime": now, "plannedEndTime": now.Add(time.Hour), "headCook": "koki", "estimatedCost": 9_500_000,
	})
	path := "/api/productions/" + p.ID
	step := func(user, to string, more ...any) {
		k.t.Helper()
		body := map[string]any{"to": to, "version": p.Version}
		for i := 0; i < len(more); i += 2 {
			body[more[i].(string)] = more[i+1]
		}
		p = k.post(user, path+"/transition", body)
	}
	add := func(user, what string, body map[string]any) {
		k.t.Helper()
		p = k.post(user, path+"/"+what, body)
	}
	check := func(kind, value string, more map[string]any) {
		k.t.Helper()
		body := map[string]any{"checkType": kind, "parameter": "pemeriksaan", "actualValue": value}
		maps.Copy(body, more)
		add("gizi", "checks", body)
	}
	core := func(dish string, celsius float64) {
		k.t.Helper()
		add("manajer", "readings", map[string]any{"kind": "CORE", "dish": dish, "celsius": celsius})
	}
	step("koki", "PREPARING")
	check("HYGIENE", "bersih", map[string]any{"score": 95})
	step("koki", "COOKING")
	core("Nasi", 91)
	core("Ayam", 72)
	step("koki", "QUALITY_CHECK", "work", map[string]any{"actualPortions": 990})
	check("TEMPERATURE", "72 °C", map[string]any{"celsius": 72})
	step("gizi", "COOKING")
	core("Ayam", 84)
	step("koki", "QUALITY_CHECK")
	check("TEMPERATURE", "84 °C", map[string]any{"celsius": 84})
	check("TASTE", "enak", map[string]any{"rating": 4})
	check("APPEARANCE", "baik", map[string]any{"rating": 4})
	check("SAFETY", "negatif", map[string]any{"passed": true})
	add("gizi", "samples", map[string]any{"place": "Lemari es"})
	p = k.post("akuntan", path+"/work", map[string]any{"version": p.Version, "actualCost": secretCost})
	step("gizi", "COMPLETED")
	add("kurir", "dispatches", map[string]any{"portions": 990, "destination": "SDN 1"})
	return p.ID, p.Version
}

// secretCost stands in no other field.
const secretCost = 9_800_123

// seen is what one screen got, by channel.
type seen struct {
	mu       sync.Mutex
	payloads []string
}

func (s *seen) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payloads = append(s.payloads, text)
}

// of returns the payloads of one type.
func (s *seen) of(kind string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range s.payloads {
		if strings.Contains(text, `"type":"`+kind) {
			list = append(list, text)
		}
	}
	return list
}

// screens are one of each dialect: the head's in all, and a cook's who may not see money.
func (k *kitchen) screens() map[string]*seen {
	k.t.Helper()
	all := map[string]*seen{"bare": {}, "v1": {}, "sse": {}, "cook": {}}
	head, cook := k.s.cookie("kepala", k.id, "SPPG_KEPALA"), k.s.cookie("koki", k.id, "SPPG_STAFF_DAPUR")
	follow := func(name string, conn *websocket.Conn, payload func([]byte) string) {
		go func() { // it ends with the connection
			for {
				_, data, err := conn.Read(context.Background())
				if err != nil {
					return
				}
				all[name].add(payload(data))
			}
		}()
	}
	verbatim := func(data []byte) string { return string(data) }
	follow("bare", k.s.dial(head), verbatim)
	follow("cook", k.s.dial(cook), verbatim)
	conn, _, err := websocket.Dial(k.t.Context(), "ws://"+k.s.public+"/api/ws?channels=production:updates:"+k.id+",production:alerts:"+k.id,
		&websocket.DialOptions{HTTPHeader: head, Subprotocols: []string{"kentongan.v1"}})
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = conn.CloseNow() })
	if text := read(k.t, conn); !strings.Contains(text, `"welcome"`) {
		k.t.Fatalf("a v1 client is welcomed with %s", text)
	}
	for range 2 {
		if text := read(k.t, conn); !strings.Contains(text, `"subscribed"`) {
			k.t.Fatalf("subscribe is answered with %s", text)
		}
	}
	follow("v1", conn, envelope)
	k.stream(head, all["sse"])
	return all
}

// envelope returns the data of a message, or nothing.
func envelope(data []byte) string {
	var push struct {
		Message struct{ Data json.RawMessage }
	}
	_ = json.Unmarshal(data, &push) // what is none has no type
	return string(push.Message.Data)
}

func (k *kitchen) stream(header http.Header, into *seen) {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, "http://"+k.s.public+"/api/sse", http.NoBody)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header = header
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = resp.Body.Close() })
	go func() { // it ends with the stream
		for lines := bufio.NewReader(resp.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var message struct{ Data json.RawMessage }
				_ = json.Unmarshal([]byte(data), &message) // as above
				into.add(string(message.Data))
			}
		}
	}()
}

// TestANightOnEveryScreen works a batch through at one server, over REST, and watches it at another, in every dialect.
func TestANightOnEveryScreen(t *testing.T) {
	for name, nodes := range map[string]func(t *testing.T) (rest, screens *server){
		"memory and SQLite": func(t *testing.T) (*server, *server) {
			s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "k.db"))
			return s, s
		},
		"redis and PostgreSQL, two servers": func(t *testing.T) (*server, *server) {
			settings := []string{"KENTONGAN_PRODUCTION=on", "REDIS_URL=redis://" + testenv.Redis(t), "DATABASE_URL=" + testenv.Postgres(t)}
			return start(t, settings...), start(t, settings...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, other := nodes(t)
			for _, s := range []*server{one, other} {
				eventually(t, "the database", func() bool {
					_, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
					return strings.Contains(body, `{"name":"database","ok":true}`) && strings.HasPrefix(body, `{"ready":true`)
				})
			}
			k := openKitchen(t, one, "k1")
			all := (&kitchen{t, other, "k1"}).screens()
			id, version := k.night()
			eventually(t, "the last event on every screen", func() bool {
				for _, s := range all {
					if len(s.of("production_created"))+len(s.of("production_update")) < int(version) {
						return false
					}
				}
				return true
			})
			checkScreens(t, all, id)
			eventually(t, "the platform sees who is connected, at either server", func() bool {
				for _, s := range []*server{one, other} {
					_, body := s.do(http.MethodGet, s.public+"/api/overview", "", s.cookie("super", "", "PLATFORM_SUPERADMIN"))
					if !strings.Contains(body, `"sppgId":"k1"`) || !strings.Contains(body, `"sessions":4,"people":2`) {
						return false
					}
				}
				return true
			})
			k.t.Run("the trail is whole", func(t *testing.T) {
				body := k.want(http.StatusOK, http.MethodGet, "/api/audit/verify", "", one.cookie("kepala", "k1", "SPPG_KEPALA"))
				if !strings.Contains(body, `"valid":true`) {
					t.Errorf("%s", body)
				}
			})
			for _, s := range []*server{one, other} {
				if err := s.stop(); err != nil {
					t.Errorf("stop: %v", err)
				}
				if log := s.logs.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, strconv.Itoa(secretCost)) {
					t.Errorf("the log has an error, or data:\n%s", log)
				}
			}
		})
	}
}

// checkScreens wants every version once and in order on each screen, the same bytes on all of those who may see them.
func checkScreens(t *testing.T, all map[string]*seen, id string) {
	t.Helper()
	updates := map[string][]string{}
	for name, s := range all {
		updates[name] = append(s.of("production_created"), s.of("production_update")...)
		var statuses []string
		for n, text := range updates[name] {
			var e struct {
				ProductionID string
				Version      int64
				Data         struct {
					Status  string
					Version int64
				}
			}
			if err := json.Unmarshal([]byte(text), &e); err != nil || e.ProductionID != id {
				t.Fatalf("%s got %s", name, text)
			}
			if version := max(e.Version, e.Data.Version); version != int64(n+1) {
				t.Errorf("%s got version %d as number %d: %s", name, version, n+1, text)
			}
			if e.Data.Status != "" {
				statuses = append(statuses, e.Data.Status)
			}
		}
		if want := []string{"PLANNED", "PREPARING", "COOKING", "QUALITY_CHECK", "COOKING", "QUALITY_CHECK", "COMPLETED"}; !slices.Equal(statuses, want) {
			t.Errorf("%s saw the steps %v, want %v", name, statuses, want)
		}
		if alerts := s.of("production_alert"); len(alerts) == 0 || !strings.Contains(strings.Join(alerts, "\n"), `"QC_FAILED"`) {
			t.Errorf("%s saw the alerts %q, want one for the failed check", name, alerts)
		}
		cost := fmt.Sprint(secretCost)
		if has := strings.Contains(strings.Join(updates[name], "\n"), cost); has != (name != "cook") {
			t.Errorf("%s saw what the batch has cost: %v", name, has)
		}
	}
	for _, name := range []string{"v1", "sse"} {
		if !slices.Equal(updates[name], updates["bare"]) {
			t.Errorf("%s got %q, and bare %q", name, updates[name], updates["bare"])
		}
	}
	if len(updates["cook"]) != len(updates["bare"]) {
		t.Errorf("the cook got %d updates of %d", len(updates["cook"]), len(updates["bare"]))
	}
}

// TestADatabaseThatIsOut starts a server without its database: screens work, the state is told, and records are there when it is.
func TestADatabaseThatIsOut(t *testing.T) {
	db := testenv.StartPostgres(t)
	url := db.Database(t)
	db.Kill()
	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL="+url)
	ready := func() (status int, body string) { return s.do(http.MethodGet, s.public+"/readyz", "", nil) }
	eventually(t, "word of the database", func() bool {
		_, body := ready()
		return strings.Contains(body, `"name":"database","ok":false,"weak":true`)
	})
	if status, body := ready(); status != http.StatusOK {
		t.Errorf("a server whose screens work answers %d %s", status, body)
	}
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	s.publish("production:updates:k1", `{"n":1}`)
	if got := read(t, screen); got != `{"n":1}` {
		t.Errorf("the screen got %s", got)
	}
	status, body := s.do(http.MethodGet, s.public+"/api/productions", "", s.cookie("u1", "k1", "SPPG_KEPALA"))
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "UNAVAILABLE") {
		t.Errorf("records are answered with %d %s", status, body)
	}
	db.Restart()
	eventually(t, "the database", func() bool { _, body := ready(); return strings.Contains(body, `"name":"database","ok":true`) })
	k := openKitchen(t, s, "k1")
	k.night()
	db.Kill()
	eventually(t, "word of the loss", func() bool { _, body := ready(); return strings.Contains(body, `"name":"database","ok":false`) })
	s.publish("production:updates:k1", `{"n":2}`)
	eventually(t, "the message on the screen, behind what the night published", func() bool { return read(t, screen) == `{"n":2}` })
	db.Restart()
	eventually(t, "the database again", func() bool { _, body := ready(); return strings.Contains(body, `"name":"database","ok":true`) })
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestWhatCannotStart has settings that no server can work with.
func TestWhatCannotStart(t *testing.T) {
	patterns := testFile(t, "channels:\n  extend: off\n  patterns: [\"updates:{tenant}\"]\n")
	for name, row := range map[string]struct{ environ, want string }{
		"NoFolder": {"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "no", "k.db"), "there is no folder"},
		"NoFile":   {"DATABASE_URL=sqlite:" + t.TempDir(), "it is not a file"},
		"NoDatabase": {
			"DATABASE_URL=sqlite:" + testFile(t, strings.Repeat("# This is no database.\n", 50)), "the file is no SQLite database",
		},
		"NoChannel": {"KENTONGAN_CONFIG=" + patterns, "no channel pattern is called production:updates"},
		"BadSecret": {
			"KENTONGAN_WEBHOOK_URL=https://h.example.id/ KENTONGAN_WEBHOOK_SECRET=whsec_this-is-no-base64-at-all", "must be base64",
		},
	} {
		t.Run(name, func(t *testing.T) {
			environ := append(strings.Fields(row.environ), "KENTONGAN_PRODUCTION=on", "AUTH_SECRET="+secret,
				"KENTONGAN_LISTEN=127.0.0.1:0", "KENTONGAN_ADMIN_LISTEN=off")
			cfg, err := config.Load(config.Input{Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			ready := func(app.Addresses) { t.Error("it was announced as ready") }
			var log strings.Builder
			opts := app.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Ready: ready}
			if err := app.Run(ctx, cfg, opts); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("the server ended with %v, want something about %q", err, row.want)
			}
			if strings.Contains(log.String(), "server started") {
				t.Errorf("it says that it has started:\n%s", log.String())
			}
		})
	}
}

func testFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kentongan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestVerifyAudit changes an entry of a trail behind the back of the server.
func TestVerifyAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.db")
	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+path)
	eventually(t, "the database", func() bool {
		_, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return strings.Contains(body, `"name":"database","ok":true`)
	})
	for _, id := range []string{"k1", "k2"} {
		openKitchen(t, s, id).night()
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	verify := func(tenants ...tenant.ID) map[tenant.ID]app.Trail {
		found := map[tenant.ID]app.Trail{}
		err := app.VerifyAudit(t.Context(), config.Database{Path: path}, slog.New(slog.DiscardHandler), tenants, func(trail app.Trail) error {
			found[trail.Tenant] = trail
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	whole := verify()
	if len(whole) != 2 || whole["k1"].Problem != "" || whole["k2"].Problem != "" || whole["k1"].Entries < 15 || len(whole["k1"].Last) != 64 {
		t.Fatalf("found %+v", whole)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "UPDATE audit SET reason = 'somebody else did it' WHERE tenant = 'k1' AND seq = 7")
	if closed := db.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	if got := verify(); got["k1"].Entries != 6 || !strings.Contains(got["k1"].Problem, "entry 7") || got["k2"] != whole["k2"] {
		t.Errorf("found %+v", got)
	}
	if got := verify("k2"); len(got) != 1 || got["k2"] != whole["k2"] {
		t.Errorf("of one kitchen: %+v", got)
	}
}

// TestAnAppsOwnProductionsAreKept publishes as an app does, on every way that it has, and reads the copies over REST.
func TestAnAppsOwnProductionsAreKept(t *testing.T) {
	for name, redis := range map[string]bool{"memory": false, "redis": true} {
		t.Run(name, func(t *testing.T) {
			environ := []string{
				"KENTONGAN_PRODUCTION=on", "KENTONGAN_RECORD_APP=on", "KENTONGAN_REDIS_DOOR=127.0.0.1:0",
				"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "k.db"),
			}
			ways := map[string]func(s *server, channel, data string){
				"http": func(s *server, channel, data string) { s.publish(channel, data) },
				"door": func(s *server, channel, data string) { publishRedis(t, s.redis, apiKey, channel, data) },
			}
			if redis {
				addr := testenv.Redis(t)
				environ = append(environ, "REDIS_URL=redis://"+addr)
				ways["redis"] = func(_ *server, channel, data string) { publishRedis(t, addr, "", channel, data) }
			}
			s := start(t, environ...)
			eventually(t, "readiness", func() bool {
				status, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
				return status == http.StatusOK && strings.Contains(body, `"name":"database","ok":true`)
			})
			head := s.cookie("kepala", "k1", "SPPG_KEPALA")
			for way, publish := range ways {
				publish(s, "production:updates:k1", fmt.Sprintf(`{"type":"production_created","productionId":%[1]q,"data":{"id":%[1]q,`+
					`"batchNumber":"B-%[1]s","productionDate":"2026-11-26","plannedPortions":100,"status":"PLANNED"},"timestamp":1795675288157}`, way))
				publish(s, "production:updates:k1", fmt.Sprintf(`{"type":"production_update","productionId":%q,"data":{"status":"PREPARING"}}`, way))
				publish(s, "menu:updates:k1", fmt.Sprintf(`{"type":"production_created","productionId":"menu-%s","data":{}}`, way))
			}
			eventually(t, "the copies", func() bool {
				for way := range ways {
					status, body := s.do(http.MethodGet, s.public+"/api/productions/"+way, "", head)
					if status != http.StatusOK || !strings.Contains(body, `"status":"PREPARING"`) || !strings.Contains(body, `"source":"APP"`) {
						return false
					}
				}
				return true
			})
			if status, _ := s.do(http.MethodGet, s.public+"/api/productions/menu-http", "", head); status != http.StatusNotFound {
				t.Errorf("what was published on another channel is answered with %d", status)
			}
			openKitchen(t, s, "k2").night() // what the service publishes is none of an app's
			_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
			if want := fmt.Sprintf("kentongan_recorded_total{outcome=\"recorded\"} %d\n", 2*len(ways)); !strings.Contains(body, want) {
				t.Errorf("metrics lack %q", want)
			}
		})
	}
}

func publishRedis(t *testing.T, addr, password, channel, data string) {
	t.Helper()
	c := redisClient(t, addr, password)
	if err := c.Do(t.Context(), c.B().Publish().Channel(channel).Message(data).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}
