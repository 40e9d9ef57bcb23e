package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"kentongan/internal/testenv"
)

const (
	good = `{"type":"production_update","productionId":"p1","data":{"status":"COOKING"},"timestamp":1}`
	bad  = `{"type":"production_update","productionId":"p1","data":{"status":"Rahasia42"},"timestamp":1}`
)

func startRedis(t *testing.T, addr string, environ ...string) *server {
	t.Helper()
	s := start(t, append([]string{"REDIS_URL=redis://" + addr}, environ...)...)
	eventually(t, "readiness", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return status == http.StatusOK
	})
	return s
}

// heldMessages is the answer of GET /quarantine.
type heldMessages struct {
	Messages []struct {
		ID, Tenant, Channel, Door, Reason string
		Bytes                             int
	}
	More bool
}

func (s *server) quarantine(query string) (list heldMessages) {
	s.t.Helper()
	status, body := s.do(http.MethodGet, s.admin+"/quarantine"+query, "", nil)
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
		s.t.Fatalf("/quarantine%s is answered with %d %s", query, status, body)
	}
	return list
}

// TestRefusedAtEveryDoor sends what does not fit, and then what does, through each door: one screen gets the second, and nothing else.
func TestRefusedAtEveryDoor(t *testing.T) {
	addr := testenv.StartRedis(t).Addr
	s := startRedis(t, addr, "KENTONGAN_VALIDATION=refuse", "KENTONGAN_REDIS_DOOR=127.0.0.1:0")
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	wantNext := func(door string) {
		t.Helper()
		for {
			got := read(t, screen)
			if strings.Contains(got, "Rahasia42") {
				t.Fatalf("%s: what does not fit is on the screen: %s", door, got)
			}
			if got == good {
				return
			}
		}
	}
	t.Run("PUBLISH", func(t *testing.T) {
		publishRedis(t, addr, "", "production:updates:k1", bad)
		publishRedis(t, addr, "", "production:updates:k1", good)
		wantNext("PUBLISH")
	})
	t.Run("HTTP", func(t *testing.T) {
		status, body := s.do(http.MethodPost, s.public+"/api/publish", `[{"channel":"production:updates:k1","data":`+bad+`},`+
			`{"channel":"production:updates:k1","data":`+good+`}]`, http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}})
		if status != http.StatusMultiStatus || !strings.Contains(body, `"fields":[{"path":"/data/status","problem":"must be one of`) {
			t.Errorf("a batch is answered with %d %s", status, body)
		}
		wantNext("HTTP")
		status, body = s.do(http.MethodPost, s.public+"/api/publish", `{"channel":"production:updates:k1","data":`+bad+`}`,
			http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}})
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, `{"success":false,"error":{"code":"SCHEMA_MISMATCH"`) ||
			!strings.Contains(body, `"path":"/data/status"`) || strings.Contains(body, "Rahasia42") {
			t.Errorf("one is answered with %d %s", status, body)
		}
	})
	t.Run("RedisDoor", func(t *testing.T) {
		app := redisClient(t, s.redis, apiKey)
		err := app.Do(t.Context(), app.B().Publish().Channel("production:updates:k1").Message(bad).Build()).Error()
		if err == nil || !strings.HasPrefix(err.Error(), "schema: the data does not fit the schema of this channel: /data/status must be one of") {
			t.Errorf("got %v", err)
		}
		publishRedis(t, s.redis, apiKey, "production:updates:k1", good)
		wantNext("RedisDoor")
	})
	t.Run("Stream", func(t *testing.T) {
		app := redisClient(t, addr, "")
		for _, data := range []string{bad, good} {
			cmd := app.B().Xadd().Key("kentongan:publish").Id("*").FieldValue().FieldValue("channel", "production:updates:k1").
				FieldValue("data", data).Build()
			if err := app.Do(t.Context(), cmd).Error(); err != nil {
				t.Fatal(err)
			}
		}
		wantNext("Stream")
	})
	t.Run("WebSocket", func(t *testing.T) {
		answer := s.publishV1(t, `{"id":1,"publish":{"channel":"production:updates:k1","data":`+bad+`}}`)
		if !strings.Contains(answer, `"code":"SCHEMA_MISMATCH"`) || !strings.Contains(answer, "/data/status") {
			t.Errorf("got %s", answer)
		}
		if answer = s.publishV1(t, `{"id":2,"publish":{"channel":"production:updates:k1","data":`+good+`}}`); !strings.Contains(answer, `"published"`) {
			t.Errorf("got %s", answer)
		}
		wantNext("WebSocket")
	})

	eventually(t, "that both are held that nobody could be told of", func() bool { return len(s.quarantine("").Messages) == 2 })
	doors := map[string]bool{}
	for _, m := range s.quarantine("?tenant=k1").Messages {
		doors[m.Door] = true
		if m.Channel != "production:updates:k1" || !strings.Contains(m.Reason, "/data/status must be one of") || m.Bytes != len(bad) {
			t.Errorf("held: %+v", m)
		}
	}
	if !doors["pubsub"] || !doors["stream"] {
		t.Errorf("held are those of %v, want both of pubsub and stream", doors)
	}
	if strings.Contains(s.logs.String(), "Rahasia42") {
		t.Error("data is in the log")
	}
	status, body := s.do(http.MethodGet, s.admin+"/validation", "", nil)
	if status != http.StatusOK || !strings.Contains(body, `{"pattern":"production:updates:{tenant}","mode":"refuse","schema":"production-updates.json"`) ||
		strings.Contains(body, "Rahasia42") {
		t.Errorf("/validation is answered with %d %s", status, body)
	}
	_, body = s.do(http.MethodGet, s.admin+"/metrics", "", nil)
	for _, want := range []string{
		`kentongan_schema_mismatches_total{outcome="refused"} 6`, `kentongan_intake_total{door="pubsub",outcome="mismatched"} 1`,
		`kentongan_intake_total{door="stream",outcome="mismatched"} 1`, `kentongan_quarantine_total{outcome="held"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// publishV1 sends one command of kentongan.v1 as a server, and returns the answer.
func (s *server) publishV1(t *testing.T, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+s.public+"/api/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + apiKey}}, Subprotocols: []string{"kentongan.v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(ctx, websocket.MessageText, []byte(command)); err != nil {
		t.Fatal(err)
	}
	for {
		if got := read(t, conn); strings.Contains(got, `"id":`) {
			return got
		}
	}
}

// TestReportLetsGoOn sends what does not fit with report: it is on the screen, and one line of the log says so.
func TestReportLetsGoOn(t *testing.T) {
	s := start(t, "KENTONGAN_VALIDATION=report")
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	for range 3 {
		s.publish("production:updates:k1", bad)
		if got := read(t, screen); got != bad {
			t.Errorf("the screen reads %s", got)
		}
	}
	if n := strings.Count(s.logs.String(), "message does not fit its schema, and was sent"); n != 1 {
		t.Errorf("the log says it %d times, want 1", n)
	}
	if strings.Contains(s.logs.String(), "Rahasia42") {
		t.Error("data is in the log")
	}
	if held := s.quarantine(""); len(held.Messages) != 0 {
		t.Errorf("what went on is held too: %+v", held)
	}
}

// TestOffLooksAtNothing is the default: what an app publishes is its own business.
func TestOffLooksAtNothing(t *testing.T) {
	s := start(t)
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	s.publish("production:updates:k1", bad)
	if got := read(t, screen); got != bad {
		t.Errorf("the screen reads %s", got)
	}
	if _, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil); !strings.Contains(body, "kentongan_schema_checked_total 0\n") {
		t.Error("something was checked")
	}
	status, body := s.do(http.MethodGet, s.admin+"/validation", "", nil)
	if status != http.StatusOK || !strings.Contains(body, `{"pattern":"menu:updates:{tenant}","mode":"off","schema":"update.json"`) {
		t.Errorf("/validation is answered with %d %s", status, body)
	}
}

// TestOwnEventsFit has a kitchen cook under the strictest rules: nothing that the production service publishes is refused.
func TestOwnEventsFit(t *testing.T) {
	s := start(t, "KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:"+t.TempDir()+"/k.db", "KENTONGAN_VALIDATION=refuse")
	eventually(t, "the database", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/api/references?tenant=k1", "", http.Header{"Authorization": {"Bearer " + apiKey}})
		return status == http.StatusOK
	})
	openKitchen(t, s, "k1").night()
	checked := func() (n int) {
		_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
		_, rest, _ := strings.Cut(body, "\nkentongan_schema_checked_total ")
		_, _ = fmt.Sscan(rest, &n)
		return n
	}
	eventually(t, "that its events are published", func() bool { return checked() >= 20 })
	if _, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil); !strings.Contains(body, `kentongan_schema_mismatches_total{outcome="refused"} 0`+"\n") {
		_, why := s.do(http.MethodGet, s.admin+"/validation", "", nil)
		t.Errorf("some do not fit: %s", why)
	}
}

func TestAsyncAPIRoute(t *testing.T) {
	s := start(t, "KENTONGAN_VALIDATION=report")
	status, body := s.do(http.MethodGet, s.public+"/asyncapi.json", "", nil)
	var doc struct {
		AsyncAPI string
		Info     struct{ Version string }
		Channels map[string]struct{ Address string }
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || status != http.StatusOK || doc.AsyncAPI != "3.0.0" || doc.Info.Version != "test" ||
		doc.Channels["01-production-updates-tenant"].Address != "production:updates:{tenant}" {
		t.Errorf("%d %v %+v", status, err, doc)
	}
}

func TestQuarantineRoutes(t *testing.T) {
	addr := testenv.StartRedis(t).Addr
	s := startRedis(t, addr, "KENTONGAN_VALIDATION=refuse")
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	other := s.dial(s.cookie("u2", "k2", "SPPG_KEPALA"))
	for _, m := range [][2]string{
		{"production:updates:k1", bad}, {"production:updates:k1", "{\"half\xff"}, {"production:updates:k2", bad}, {"system-alert", `"text"`},
	} {
		publishRedis(t, addr, "", m[0], m[1])
	}
	eventually(t, "that all are held", func() bool { return len(s.quarantine("").Messages) == 4 })
	mine := s.quarantine("?tenant=k1")
	if len(mine.Messages) != 2 || mine.Messages[0].Reason != "no JSON text in UTF-8" || mine.Messages[0].Tenant != "k1" {
		t.Fatalf("held of k1: %+v", mine)
	}
	if all := s.quarantine("?tenant="); len(all.Messages) != 1 || all.Messages[0].Channel != "system-alert" {
		t.Errorf("held of nobody: %+v", all)
	}
	if few := s.quarantine("?limit=3"); len(few.Messages) != 3 || !few.More {
		t.Errorf("three at most: %+v", few)
	}
	text, wrong := mine.Messages[0].ID, mine.Messages[1].ID
	foreign := strings.Replace(wrong, "k1:", "k2:", 1)
	if _, body := s.do(http.MethodGet, s.admin+"/quarantine/"+wrong, "", nil); !strings.Contains(body, `"data":`+bad) {
		t.Errorf("its data is not shown: %s", body)
	}
	for _, c := range []struct {
		method, path string
		header       http.Header
		want         int
		says         string
	}{
		{"GET", "/quarantine/" + text, nil, 200, `"text":"{\"half` + "\uFFFD"},
		{"GET", "/quarantine/" + foreign, nil, 404, "NOT_FOUND"},
		{"GET", "/quarantine/nothing", nil, 404, "NOT_FOUND"},
		{"GET", "/quarantine?limit=0", nil, 400, "limit"},
		{"GET", "/quarantine?tenant=a%20b", nil, 400, "tenant"},
		{"POST", "/quarantine/" + wrong + "/replay", http.Header{"Origin": {"https://evil.example"}}, 403, "FORBIDDEN"},
		{"POST", "/quarantine/" + wrong + "/replay", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, "FORBIDDEN"},
		{"POST", "/quarantine/" + wrong + "/replay", nil, 422, "SCHEMA_MISMATCH"},
		{"POST", "/quarantine/" + wrong + "/replay?force=yes", nil, 400, "force"},
		{"POST", "/quarantine/" + text + "/replay?force=true", nil, 422, "INVALID_DATA"},
		{"POST", "/quarantine/" + foreign + "/replay?force=true", nil, 404, "NOT_FOUND"},
		{"POST", "/quarantine/" + wrong + "/replay?force=true", nil, 200, `"offset":`},
		{"POST", "/quarantine/" + wrong + "/replay?force=true", nil, 404, "NOT_FOUND"},
		{"DELETE", "/quarantine/" + text, http.Header{"Origin": {"null"}}, 403, "FORBIDDEN"},
		{"DELETE", "/quarantine/" + text, nil, 200, `"dropped":1`},
		{"DELETE", "/quarantine/" + text, nil, 404, "NOT_FOUND"},
	} {
		if status, body := s.do(c.method, s.admin+c.path, "", c.header); status != c.want || !strings.Contains(body, c.says) {
			t.Errorf("%s %s is answered with %d %s, want %d with %q", c.method, c.path, status, body, c.want, c.says)
		}
	}
	if got := read(t, screen); got != bad {
		t.Errorf("what was let through by force reads %s", got)
	}
	s.publish("production:updates:k2", good)
	if got := read(t, other); got != good {
		t.Errorf("the other kitchen reads %s", got)
	}
	if n := strings.Count(s.logs.String(), `msg="admin act"`); n != 8 {
		t.Errorf("the log has %d acts, want 8", n)
	}
}
