package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/rueidis"

	"kentongan/auth"
	"kentongan/internal/testenv"
	"kentongan/realtime/protocol"
)

// mark stands in everything that kitchen b has: names, notes, publications, users. Who is of another kitchen never reads it.
const mark = "RAHASIA-DAPUR-B"

// The keys of servers of one kitchen each.
const (
	keyOfA = "a-key-of-kitchen-a-and-no-other"
	keyOfB = "a-key-of-kitchen-b-and-no-other"
)

// patterns are all that the public mux is given, by what the code calls it, with the paths under which it is tried below; none: it has
// nothing of a kitchen. A route that is not listed fails TestIsolationKnowsEveryRoute, so none can be forgotten.
var patterns = map[string][]string{
	"endpoint":           {"GET /api/ws", "POST /api/ws"},
	"rootPattern":        {"GET /"},
	`"/api/sse"`:         {"GET /api/sse"},
	`"GET /api/history"`: {"GET /api/history"}, `"GET /api/presence"`: {"GET /api/presence"},
	`"POST /api/ws/extend"`: {"POST /api/ws/extend"},
	`"/api/publish"`:        {"POST /api/publish"},
	`"/api/ticket"`:         {"POST /api/ticket"},
	`"/api/revoke"`:         {"POST /api/revoke"},
	`"/api/"`:               {"GET /api/nothing"},   // without the production service
	"path":                  {},                     // with it: the document lists what is below
	`"GET /asyncapi.json"`:  {"GET /asyncapi.json"}, // the same for everybody
	`"GET /healthz"`:        {"GET /healthz"}, `"GET /readyz"`: {"GET /readyz"},
	`"/signout"`: {"POST /signout"},
	`"/signin"`:  {"GET /signin", "GET /signin?ticket=x"}, // has nothing for who has no link
	`"/"`:        {"GET /live", "GET /board.html"},
}

// adminPatterns are those of the admin listener, which knows no kitchens: who may reach it sees all of them.
var adminPatterns = []string{
	`"GET /channels"`, `"GET /validation"`, `"GET /quarantine"`, `"GET /quarantine/{id}"`, `"POST /quarantine/{id}/replay"`,
	`"DELETE /quarantine/{id}"`, `"POST /connections/kick"`, `"GET /log/level"`, `"PUT /log/level"`,
	`"GET /metrics"`, `"GET /connections"`, `"GET /cache"`, `"GET /channels/unmatched"`, `"GET /stream/poison"`, `"GET /relay/poison"`,
	`"GET /healthz"`, `"GET /readyz"`, `"/debug/pprof/"`, `"/debug/pprof/cmdline"`, `"/debug/pprof/profile"`, `"/debug/pprof/symbol"`,
	`"/debug/pprof/trace"`, `"/"`,
}

// TestIsolationKnowsEveryRoute reads out of the code what is registered anywhere.
func TestIsolationKnowsEveryRoute(t *testing.T) {
	registered := regexp.MustCompile(`\.Handle(?:Func)?\(([^,]+),`)
	found := map[string]bool{}
	for _, dir := range []string{".", "../auth", "../cache", "../realtime/gateway", "../realtime/intake", "../web"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range registered.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
		}
	}
	for pattern := range found {
		if _, ok := patterns[pattern]; !ok && !slices.Contains(adminPatterns, pattern) {
			t.Errorf("%s is registered and not tried with a foreign credential: add it to patterns in this file", pattern)
		}
	}
	for pattern := range patterns {
		if !found[pattern] {
			t.Errorf("%s is tried, but nothing registers it", pattern)
		}
	}
}

// fortress is a server with two kitchens: b has secrets, a has the attackers.
type fortress struct {
	*server
	client    *http.Client
	batch     string // of b
	photo     string // of batch
	alert     string // of b
	operators map[string]http.Header
	own       http.Header // the head of b
	ownKey    http.Header // the server of b
}

func newFortress(t *testing.T, environ ...string) *fortress {
	t.Helper()
	s := start(t, append([]string{
		"KENTONGAN_PRODUCTION=on", "DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "k.db"), "KENTONGAN_REDIS_DOOR=127.0.0.1:0",
		"KENTONGAN_API_KEYS=app:" + apiKey + ",a@a:" + keyOfA + ",b@b:" + keyOfB, "KENTONGAN_JWT_SECRET=" + jwtSecret,
	}, environ...)...)
	eventually(t, "the database", func() bool {
		_, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return strings.HasPrefix(body, `{"ready":true`) && strings.Contains(body, `{"name":"database","ok":true}`)
	})
	f := &fortress{server: s, client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	t.Cleanup(f.client.CloseIdleConnections)
	f.own, f.ownKey = s.cookie("kepala-"+mark, "b", "SPPG_KEPALA"), bearer(keyOfB)
	for _, id := range []string{"a", "b"} {
		openKitchen(t, s, id)
	}
	f.furnish(t)
	f.operators = f.attackers(t)
	return f
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// furnish fills kitchen b.
func (f *fortress) furnish(t *testing.T) {
	t.Helper()
	k := &kitchen{t, f.server, "b"}
	k.want(http.StatusOK, http.MethodPut, "/api/references?tenant=b", `{"menus":[{"id":"m1","name":"`+mark+`","dishes":[{"name":"Nasi"},{"name":"Ayam"}]}]}`,
		bearer(apiKey))
	f.batch, _ = k.night()
	f.photo = k.photo(f.batch)
	_, body := f.try(t, "GET", "/api/alerts", "", "", f.own)
	var alerts struct{ Alerts []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &alerts); err != nil || len(alerts.Alerts) == 0 {
		t.Fatalf("kitchen b has no alerts: %s (%v)", body, err)
	}
	f.alert = alerts.Alerts[0].ID
	f.publish("production:updates:b", `{"productionId":"p","note":"`+mark+`"}`)
}

// photo adds a picture to a batch whose bytes end with the mark, and returns its id.
func (k *kitchen) photo(batch string) string {
	k.t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		k.t.Fatal(err)
	}
	picture.WriteString(mark)
	body, err := json.Marshal(map[string]any{"photo": picture.Bytes(), "note": mark})
	if err != nil {
		k.t.Fatal(err)
	}
	path := "/api/productions/" + batch
	k.want(http.StatusCreated, http.MethodPost, path+"/photos", string(body), k.s.cookie("manajer", k.id, string(staffOf["manajer"])))
	var records struct{ PhotoNotes []struct{ ID string } }
	text := k.want(http.StatusOK, http.MethodGet, path+"/records", "", k.s.cookie("kepala", k.id, string(staffOf["kepala"])))
	if err := json.Unmarshal([]byte(text), &records); err != nil || len(records.PhotoNotes) != 1 {
		k.t.Fatalf("%s (%v): want one photo", text, err)
	}
	return records.PhotoNotes[0].ID
}

// attackers are all who have nothing to look for in kitchen b.
func (f *fortress) attackers(t *testing.T) map[string]http.Header {
	t.Helper()
	now := time.Now().Unix()
	claims := func(tenant string) map[string]any {
		return map[string]any{"sub": "u1", "sppgId": tenant, "userRole": "SPPG_KEPALA", "iat": now, "exp": now + 3600}
	}
	forged, err := auth.MintSession("a-secret-that-this-server-does-not-know", auth.SessionCookie, claims("b"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	origin := "http://" + f.public
	jwt := map[string]any{"alg": "HS256", "typ": "JWT"}
	all := map[string]http.Header{
		"head of a":            f.cookie("kepala", "a", "SPPG_KEPALA"),
		"cook of a":            f.cookie("koki", "a", "SPPG_STAFF_DAPUR"),
		"member of no kitchen": f.cookie("kepala", "", "SPPG_KEPALA"),
		"token that has ended": bearer(hs256(jwtSecret, jwt, map[string]any{"sub": "u1", "sppgId": "b", "userRole": "SPPG_KEPALA", "exp": now - 60})),
		"forged session of b":  {"Cookie": {auth.SessionCookie + "=" + forged}, "Origin": {origin}},
		"server of a":          bearer(keyOfA),
		"wrong key of b":       bearer(keyOfB + "x"),
		"token of a":           bearer(hs256(jwtSecret, jwt, claims("a"))),
		"forged token of b":    bearer(hs256(jwtSecret+"x", jwt, claims("b"))),
		"nobody":               {},
		"foreign page with b's session": {
			"Cookie": f.own["Cookie"], "Origin": {"https://evil.example"},
		},
	}
	for _, h := range all { // what some servers believe
		for _, name := range []string{"X-Tenant", "X-Tenant-Id", "X-Sppg-Id", "Sppgid", "X-Original-User"} {
			h.Set(name, "b")
		}
	}
	return all
}

// try asks and reads the answer, of a stream only the beginning.
func (f *fortress) try(t *testing.T, method, path, body, media string, header http.Header) (int, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+f.public+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	if body != "" {
		req.Header.Set("Content-Type", media)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		beginning := make([]byte, 1024)
		n, _ := resp.Body.Read(beginning) // what it has is all that counts
		return resp.StatusCode, string(beginning[:n])
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// operations are the method and path of every route, those of the document included, with the ids of b in their places.
func (f *fortress) operations(t *testing.T) []string {
	t.Helper()
	_, text := f.try(t, "GET", "/openapi.json", "", "", nil)
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &document); err != nil || len(document.Paths) < 20 {
		t.Fatalf("the document has %d paths (%v)", len(document.Paths), err)
	}
	var all []string
	for path, item := range document.Paths {
		id := f.batch
		if strings.HasPrefix(path, "/api/alerts") {
			id = f.alert
		}
		filled := strings.NewReplacer("{id}", id, "{list}", "menus", "{photo}", f.photo).Replace(path)
		if strings.Contains(filled, "{") {
			t.Fatalf("%s has a parameter that this test does not know", path)
		}
		for method := range item {
			if method = strings.ToUpper(method); slices.Contains([]string{"GET", "PUT", "POST", "PATCH", "DELETE"}, method) {
				all = append(all, method+" "+filled)
			}
		}
	}
	for _, tried := range patterns {
		all = append(all, tried...)
	}
	slices.Sort(all)
	return all
}

// bodies are what a write may bring; each names kitchen b somewhere.
func (f *fortress) bodies(method string) []string {
	if method == "GET" {
		return []string{""}
	}
	return []string{
		`{"channel":"production:updates:b","data":{"by":"an attacker"}}`,
		`[{"channel":"updates:b","data":1},{"channel":"system-alert","data":1}]`,
		`{"tenant":"b"}`, `{"tenant":"b","sub":"kepala-` + mark + `"}`,
		`{"sppgId":"b","version":0,"name":"an attacker"}`, `{"version":1,"to":"PREPARING"}`, `{"version":1,"progress":1,"reason":"an attacker"}`,
		`{"kind":"CORE","celsius":1}`, `{"correctiveAction":"an attacker"}`, `{}`,
	}
}

var queries = []string{
	"", "tenant=b", "sppgId=b", "tenant=a&tenant=b", "tenant=b%00", "format=csv&tenant=b", "channel=production:updates:b",
	"channels=production:updates:b,production:alerts:b&tenant=b", "channel=production:updates:b&epoch=x&offset=0",
	"channel=production:updates:b&snapshot=productionId",
}

// picture is all of b that can be read, by b itself. What the time of day alone changes is left out.
func (f *fortress) picture(t *testing.T) map[string]string {
	t.Helper()
	clock := regexp.MustCompile(`"(time|madeAt)":("[^"]*"|\d+)`)
	out := map[string]string{}
	ask := func(path string) {
		status, body := f.try(t, "GET", path, "", "", f.own)
		out[path] = clock.ReplaceAllString(fmt.Sprint(status, " ", body), "")
	}
	for _, op := range f.operations(t) {
		if path, ok := strings.CutPrefix(op, "GET /api/"); ok && path != "sse" && path != "ws" && path != "presence" && path != "history" {
			ask("/api/" + path)
		}
	}
	ask("/api/history?channel=production:alerts:b")
	ask("/api/presence?channel=production:updates:b")
	return out
}

// TestIsolation tries every route, door and dialect with credentials that are good for another kitchen, or for nothing. None of
// kitchen b comes out, and nothing of it changes.
func TestIsolation(t *testing.T) {
	for name, environ := range map[string]func(*testing.T) []string{
		"memory": func(*testing.T) []string { return nil },
		"redis": func(t *testing.T) []string {
			return []string{"REDIS_URL=redis://" + testenv.Redis(t), "KENTONGAN_CACHE=on", "KENTONGAN_REDIS_DOOR_PASS=app"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFortress(t, environ(t)...)
			screen := listen(f.dial(f.own)) // of b, and told nothing by anybody but b
			before := f.picture(t)
			if shown := f.shows(before); shown < 5 {
				t.Fatalf("kitchen b itself sees its own mark in %d answers: this test would find nothing", shown)
			}
			t.Run("routes", f.routes)
			t.Run("sockets", f.sockets)
			t.Run("streams", f.streams)
			t.Run("redis door", f.door)
			after := f.picture(t)
			for path, was := range before {
				if after[path] != was {
					t.Errorf("%s of kitchen b has changed from\n%s\nto\n%s", path, was, after[path])
				}
			}
			f.publish("updates:b", `"the last"`)
			told, err := screen()
			if err != nil {
				t.Fatalf("kitchen b's screen after %d messages: %v", len(told), err)
			}
			heard := 0
			for _, got := range told {
				if strings.Contains(got, "attacker") {
					t.Errorf("kitchen b's screen was told %s", got)
				}
				if strings.Contains(got, mark) {
					heard++
				}
			}
			if heard < 10 {
				t.Errorf("kitchen b itself hears its own mark %d times: there was little to overhear", heard)
			}
		})
	}
}

// listen reads from now on, and with it answers the server's pings, which take less patience than all the tries; what it returns
// waits for the message "the last", and gives all that came.
func listen(conn *websocket.Conn) (told func() ([]string, error)) {
	var all []string
	done := make(chan error, 1)
	go func() {
		for {
			_, data, err := conn.Read(context.Background())
			if err != nil {
				done <- err
				return
			}
			all = append(all, string(data))
			if string(data) == `"the last"` {
				done <- nil
				return
			}
		}
	}()
	return func() ([]string, error) {
		select {
		case err := <-done:
			return all, err
		case <-time.After(patience):
			_ = conn.CloseNow()
			return all, <-done
		}
	}
}

// shows counts the answers that have the mark.
func (f *fortress) shows(answers map[string]string) (n int) {
	for _, text := range answers {
		if strings.Contains(text, mark) {
			n++
		}
	}
	return n
}

func (f *fortress) routes(t *testing.T) {
	operations, tries := f.operations(t), 0
	for who, header := range f.operators {
		for _, op := range operations {
			method, path, _ := strings.Cut(op, " ")
			for _, query := range queries {
				for _, body := range f.bodies(method) {
					if body != "" && query != "" && query != "tenant=b" {
						continue // what a body says does not depend on the rest
					}
					tries++
					status, text := f.try(t, method, path+"?"+query, body, "application/json", header)
					if strings.Contains(text, mark) {
						t.Errorf("%s: %s %s?%s %s is answered with %d and what is kitchen b's: %s", who, method, path, query, body, status, text)
					}
					foreign := strings.Contains(path, f.batch) || strings.Contains(path, f.alert) || strings.Contains(query, "b") && strings.HasPrefix(path, "/api/")
					if foreign && status < 300 && !harmless(path, query) {
						t.Errorf("%s: %s %s?%s %s is answered with %d %.200s", who, method, path, query, body, status, text)
					}
				}
			}
		}
	}
	if tries < 3000 {
		t.Errorf("only %d tries", tries)
	}
	t.Logf("%d tries by %d attackers at %d routes", tries, len(f.operators), len(operations))
}

// harmless are routes that do not look at a query that names b: they answer of the asker's own kitchen.
func harmless(path, query string) bool {
	switch path {
	case "/api/ws", "/api/ticket", "/api/ws/extend":
		return true
	case "/api/sse":
		return !strings.Contains(query, "channels=")
	case "/api/publish", "/api/revoke":
		return true // the body counts, and what came of it is looked at in the end
	}
	return false
}

// sockets opens WebSockets in both dialects, with everything that could name b: channels, its epochs and positions, its device
// cookie; then a message of b, and one of a, which must be the first that comes.
func (f *fortress) sockets(t *testing.T) {
	epoch, listened := f.epochOf(t, "production:updates:b"), 0
	for who, header := range f.operators {
		for _, dialect := range [][]string{nil, {"kentongan.v1"}} {
			for _, query := range []string{"", "tenant=b", "channels=production:updates:b", "channels=production:updates:b&since=" + url.QueryEscape(epoch+":0")} {
				t.Run(fmt.Sprint(who, dialect, query), func(t *testing.T) {
					conn, resp, err := websocket.Dial(t.Context(), "ws://"+f.public+"/api/ws?"+query, &websocket.DialOptions{HTTPHeader: header, Subprotocols: dialect})
					if resp != nil && resp.Body != nil {
						_ = resp.Body.Close()
					}
					if err != nil {
						return // refused: the best answer
					}
					defer func() { _ = conn.CloseNow() }()
					for _, frame := range frames(dialect, epoch) {
						if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
							return // closed by the server, which is as good
						}
					}
					defer f.talk(t)()
					if f.hearsNothing(t, conn) {
						listened++
					}
				})
			}
		}
	}
	if listened < 8 { // four attackers are somebody, in two dialects
		t.Errorf("only %d sockets were open long enough to overhear anything", listened)
	}
}

// talk publishes for both kitchens until the returned function is called: who has just come may not hear the first of it.
func (f *fortress) talk(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			f.publish("production:updates:b", `{"note":"`+mark+`"}`)
			f.publish("updates:a", `"the end"`)
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// frames are what a client may send that names b: one for each verb of the dialect. The last one asks for what is a's own.
func frames(dialect []string, epoch string) []string {
	if dialect == nil {
		return []string{
			`{"type":"subscribe","channel":"production:updates:b"}`, `{"type":"SUBSCRIBE","channels":["production:updates:b","updates:b"]}`,
			`{"type":"unsubscribe","channel":"production:updates:b"}`,
		}
	}
	more := map[protocol.Verb]string{
		protocol.VerbSubscribe: `,"since":{"epoch":"` + epoch + `","offset":0}`, protocol.VerbHistory: `,"since":{"epoch":"` + epoch + `","offset":0}`,
		protocol.VerbPublish: `,"data":{"by":"an attacker"}`,
	}
	var out []string
	for v := protocol.VerbSubscribe; v <= protocol.VerbPing; v++ {
		out = append(out, fmt.Sprintf(`{"id":%d,%q:{"channel":"production:updates:b"%s}}`, v, v.String(), more[v]))
	}
	return append(out, `{"id":99,"subscribe":{"channel":"updates:a"}}`)
}

// hearsNothing reads until the end, and reports whether it came; otherwise the server has closed.
func (f *fortress) hearsNothing(t *testing.T, conn *websocket.Conn) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, data, err := conn.Read(ctx)
		if ctx.Err() != nil {
			t.Error("what is of kitchen a does not come")
		}
		if err != nil {
			return false
		}
		if strings.Contains(string(data), mark) || strings.Contains(string(data), "kepala-") {
			t.Errorf("hears of kitchen b: %s", data)
		}
		if strings.Contains(string(data), "the end") {
			return true
		}
	}
}

// epochOf asks as the kitchen itself.
func (f *fortress) epochOf(t *testing.T, channel string) string {
	t.Helper()
	_, body := f.try(t, "GET", "/api/history?channel="+channel, "", "", f.own)
	var history struct{ Epoch string }
	if err := json.Unmarshal([]byte(body), &history); err != nil || history.Epoch == "" {
		t.Fatalf("kitchen b reads its history as %s (%v)", body, err)
	}
	return history.Epoch
}

// streams resumes from a cursor of b's.
func (f *fortress) streams(t *testing.T) {
	cursor := f.cursorOfB(t)
	for who, header := range f.operators {
		for _, query := range []string{"", "?tenant=b", "?channels=production:updates:b", "?cursor=" + url.QueryEscape(cursor)} {
			t.Run(who+query, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.public+"/api/sse"+query, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				maps.Copy(req.Header, header)
				req.Header.Set("Last-Event-Id", cursor)
				resp, err := f.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				if resp.StatusCode != http.StatusOK {
					return
				}
				defer f.talk(t)()
				var all strings.Builder
				for chunk := make([]byte, 4096); !strings.Contains(all.String(), "the end"); {
					n, err := resp.Body.Read(chunk)
					all.Write(chunk[:n])
					if err != nil {
						t.Fatalf("the stream ends with %v after %s", err, all.String())
					}
				}
				if strings.Contains(all.String(), mark) {
					t.Errorf("hears of kitchen b: %s", all.String())
				}
			})
		}
	}
}

// cursorOfB is what a stream of b's would resume from.
func (f *fortress) cursorOfB(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+f.public+"/api/sse?channels=production:updates:b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, f.own)
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	id := regexp.MustCompile(`(?m)^id: ?(\S+)`)
	var all strings.Builder
	for chunk := make([]byte, 4096); ; {
		n, err := resp.Body.Read(chunk)
		all.Write(chunk[:n])
		if m := id.FindStringSubmatch(all.String()); m != nil {
			return m[1]
		}
		if err != nil {
			t.Fatalf("no cursor in %s: %v", all.String(), err)
		}
	}
}

// door speaks the Redis protocol with a key of kitchen a.
func (f *fortress) door(t *testing.T) {
	c := redisClient(t, f.redis, keyOfA)
	for _, command := range [][]string{
		{"PUBLISH", "production:updates:b", `{"by":"an attacker"}`}, {"SPUBLISH", "production:updates:b", `{"by":"an attacker"}`},
		{"PUBLISH", "system-alert", `{"by":"an attacker"}`}, {"GET", "bergizi:cache:b:x"}, {"SET", "bergizi:cache:b:x", "an attacker"},
		{"DEL", "kentongan:{b}:head"}, {"KEYS", "*"}, {"XRANGE", "kentongan:{b}:h:production:updates", "-", "+"}, {"EVAL", "return 1", "0"},
	} {
		if err := c.Do(t.Context(), c.B().Arbitrary(command[0]).Keys(command[1:]...).Build()).Error(); err == nil {
			t.Errorf("%v is carried out for a server of kitchen a", command)
		}
	}
	heard := make(chan string, 64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Receive(ctx, c.B().Psubscribe().Pattern("*").Build(), func(m rueidis.PubSubMessage) { heard <- m.Channel + " " + m.Message })
	}()
	defer func() { cancel(); <-done }()
	for n := 0; ; n++ { // until the subscription is there
		f.publish("production:updates:b", `{"note":"`+mark+`"}`)
		f.publish("updates:a", `"the end"`)
		select {
		case got := <-heard:
			if got != `updates:a "the end"` {
				t.Errorf("a subscriber of kitchen a to everything hears %s", got)
			}
			return
		case <-time.After(50 * time.Millisecond):
			if n > 200 {
				t.Fatal("a subscriber of kitchen a hears nothing")
			}
		}
	}
}

// TestWritesOfOtherSites sends every write that there is as a page of another site can, with the session that the browser adds: as a
// form, as text, as JSON, and with an Origin that is foreign, null, a look-alike, or missing.
func TestWritesOfOtherSites(t *testing.T) {
	f := newFortress(t)
	before := f.picture(t)
	host := f.public
	for _, op := range f.operations(t) {
		method, path, _ := strings.Cut(op, " ")
		if method == "GET" {
			continue
		}
		for _, from := range []http.Header{
			{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Origin": {"http://" + host + ".evil.example"}}, {"Origin": {"http://" + host + "0"}},
			{"Origin": {"http://" + host, "https://evil.example"}}, {"Sec-Fetch-Site": {"cross-site"}}, {},
		} {
			for media, body := range map[string]string{
				"application/x-www-form-urlencoded": "channel=production:updates:b&data=1", "text/plain": `{"reason":"an attacker","version":1}`,
				"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n", "application/json": `{"sub":"kepala"}`,
			} {
				header := from.Clone()
				header["Cookie"] = f.own["Cookie"]
				if status, text := f.try(t, method, path, body, media, header); status != http.StatusForbidden && status != http.StatusMethodNotAllowed {
					t.Errorf("%s with %v and %s is answered with %d %.200s, want 403", op, from, media, status, text)
				}
			}
		}
	}
	for path, was := range f.picture(t) {
		if before[path] != was {
			t.Errorf("%s of kitchen b has changed from\n%s\nto\n%s", path, before[path], was)
		}
	}
}
