package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/auth"
	"kentongan/production"
	"kentongan/production/sqlite"
	"kentongan/tenant"
)

const (
	secret = "a secret that only this test knows"
	apiKey = "a-key-that-only-this-test-knows"

	sppg    tenant.ID      = "sppg_1"
	other   tenant.ID      = "sppg_2"
	theDay  production.Day = "2026-11-26"
	pinText                = "246813579"
)

// midnight is when theDay begins in Jakarta.
var midnight = time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)

// team has one of each role; "tablet" is a shared device.
var team = map[string]production.Role{
	"kepala": production.Head, "admin": production.Admin, "gizi": production.Nutritionist, "akuntan": production.Accountant,
	"manajer": production.Manager, "kurir": production.Distribution, "koki": production.KitchenStaff, "mutu": production.QCStaff,
	"tamu": production.Viewer, "super": production.Superadmin, "bantuan": production.Support, "tablet": production.KitchenStaff,
}

// store is what the tests keep a kitchen in, and what runs the alert engine.
type store interface {
	production.Store
	Store
}

// stage is a kitchen in which tests play: an API over a store, and a clock that stands until it is moved.
type stage struct {
	t     testing.TB
	store store
	auth  *auth.Authenticator
	svc   *production.Service
	api   *API
	now   time.Time
	n     int
	log   bytes.Buffer
	photo string // id of the one that failing has added
}

// pinHash is made once: it is slow on purpose.
var pinHash = sync.OnceValue(func() production.PINHash {
	h, err := production.HashPIN(pinText)
	if err != nil {
		panic(err)
	}
	return h
})

// newStage sets up two kitchens at 18:00 on the evening before the serving day.
func newStage(t testing.TB) *stage {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "kitchen.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return newStageOn(t, st)
}

func newStageOn(t testing.TB, st store) *stage {
	t.Helper()
	s := &stage{t: t, store: st, now: midnight.Add(-6 * time.Hour)}
	var err error
	s.auth, err = auth.New(auth.Options{SessionSecrets: []string{secret}, APIKeys: []auth.APIKey{
		{Name: "app", Key: apiKey, Tenant: sppg}, {Name: "all", Key: apiKey + "-of-all"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.svc = production.New(st, production.Options{Now: s.clock, NewID: func() string {
		s.n++
		return fmt.Sprintf("id_%04d", s.n)
	}})
	s.api = New(Options{Auth: s.auth, Service: s.svc, Store: st, Now: s.clock, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		Timeout: 2 * time.Minute}) // hashes of PINs take their time, and with the race detector on a busy machine more than usual requests have
	pin := pinHash()
	for _, kitchen := range []tenant.ID{sppg, other} {
		lists := production.References{
			Menus: []production.Menu{{ID: "menu_1", Name: "Nasi ayam", Active: true, Dishes: []production.Dish{
				{Name: "Nasi"}, {Name: "Ayam"}, {Name: "Jeruk", Cold: true},
			}}},
			Programmes: []production.Programme{{ID: "prog_1", Name: "MBG", Active: true}},
		}
		for user, role := range team {
			if !role.Platform() {
				lists.People = append(lists.People, production.Person{ID: user, Name: strings.ToUpper(user[:1]) + user[1:], Role: role, Active: true, PIN: pin})
			}
		}
		if err := s.svc.Put(t.Context(), production.Request{Tenant: kitchen, Actor: production.Actor{User: "app", Role: production.Server}}, lists); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *stage) clock() time.Time { return s.now }

func (s *stage) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *stage) until(t time.Time) {
	if t.After(s.now) {
		s.now = t
	}
}

// watch does what the alert engine does, at every instant that is due until the clock has moved on by d.
func (s *stage) watch(d time.Duration) {
	s.t.Helper()
	ctx := context.Background()
	end := s.now.Add(d)
	for range 10_000 {
		next, err := s.store.NextDue(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		if !next.Known() || next > production.At(end) {
			s.now = end
			return
		}
		s.until(next.Time())
		now := production.At(s.now)
		batches, err := s.store.DueBatches(ctx, now, 100)
		if err != nil {
			s.t.Fatal(err)
		}
		kitchens, err := s.store.DueKitchens(ctx, now, 100)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, due := range append(batches, kitchens...) {
			if c, ok := production.Look(due, now); ok {
				if _, err := s.store.Commit(ctx, c); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	s.t.Fatal("the engine does not come to rest")
}

// client is somebody who asks.
type client struct {
	s      *stage
	header http.Header
}

// as returns a member of the team, with a session cookie as a browser of the app has it.
func (s *stage) as(user string) *client { return s.member(user, string(team[user]), sppg) }

func (s *stage) member(user, role string, t tenant.ID) *client {
	s.t.Helper()
	claims := map[string]any{"sub": user, "userRole": role}
	if !production.Role(role).Platform() {
		claims["sppgId"] = string(t)
	}
	token, err := auth.MintSession(secret, auth.SessionCookie, claims, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return &client{s, http.Header{"Cookie": {auth.SessionCookie + "=" + token}, "Origin": {"http://example.com"}}}
}

// key returns a server with an API key.
func (s *stage) key(key string) *client {
	return &client{s, http.Header{"Authorization": {"Bearer " + key}}}
}

// nobody has no credential.
func (s *stage) nobody() *client { return &client{s, http.Header{"Origin": {"http://example.com"}}} }

// with returns c with one more header.
func (c *client) with(name, value string) *client {
	h := c.header.Clone()
	h.Set(name, value)
	return &client{c.s, h}
}

// reply is an answer, read and compared with the document.
type reply struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   []byte
}

// do asks, with a body if there is one: text is sent as it is, anything else as JSON.
func (c *client) do(method, path string, body any) *reply {
	c.s.t.Helper()
	var content io.Reader = http.NoBody
	header := c.header.Clone()
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json")
		}
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.s.t.Fatal(err)
		}
		content = bytes.NewReader(text)
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	r := httptest.NewRequest(method, path, content)
	r.RemoteAddr = "127.0.0.1:1000" // of whom wrong credentials are not counted
	r.Header = header
	w := httptest.NewRecorder()
	c.s.api.ServeHTTP(w, r)
	re := &reply{c.s.t, method + " " + path, w.Code, w.Header(), w.Body.Bytes()}
	c.s.conforms(r, re)
	return re
}

func (c *client) get(path string) *reply {
	c.s.t.Helper()
	return c.do(http.MethodGet, path, nil)
}

func (c *client) post(path string, body any) *reply {
	c.s.t.Helper()
	return c.do(http.MethodPost, path, body)
}

// conforms compares an answer with what the document says of it.
func (s *stage) conforms(r *http.Request, re *reply) {
	s.t.Helper()
	want := "no-store"
	if r.Method == http.MethodGet && re.status < 400 && strings.Contains(r.URL.Path, "/photos/") {
		want = "private, no-cache" // the one thing that never changes
	}
	if got := re.header.Get("Cache-Control"); got != want && strings.HasPrefix(r.URL.Path, "/api/") {
		s.t.Errorf("%s: Cache-Control is %q; want %s", re.asked, got, want)
	}
	if re.header.Get("X-Content-Type-Options") != "nosniff" {
		s.t.Errorf("%s: the answer may be sniffed", re.asked)
	}
	op := s.operation(r)
	if op == nil {
		return
	}
	answer := op.Responses[strconv.Itoa(re.status)]
	if answer == nil {
		s.t.Errorf("%s answers %d, which the document does not have\n%s", re.asked, re.status, re.body)
		return
	}
	if len(answer.Content) == 0 {
		return
	}
	media, _, err := mime.ParseMediaType(re.header.Get("Content-Type"))
	content := answer.Content[media]
	if err != nil || content == nil {
		s.t.Errorf("%s answers %d with %q, which the document does not have", re.asked, re.status, re.header.Get("Content-Type"))
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	var tree any
	if err := json.Unmarshal(re.body, &tree); err != nil {
		s.t.Errorf("%s: %v", re.asked, err)
		return
	}
	var found huma.ValidateResult
	huma.Validate(s.api.huma.OpenAPI().Components.Schemas, content.Schema, huma.NewPathBuffer([]byte{}, 0), huma.ModeReadFromServer, tree, &found)
	for _, err := range found.Errors {
		s.t.Errorf("%s: the answer is not what the document says: %v\n%s", re.asked, err, re.body)
	}
}

// operation returns what r asks for; nil if it is nothing.
func (s *stage) operation(r *http.Request) *huma.Operation {
	for path, item := range s.api.huma.OpenAPI().Paths {
		want, got := strings.Split(path, "/"), strings.Split(r.URL.Path, "/")
		if !slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") && g != "" }) {
			continue
		}
		if strings.Contains(path, "{list}") != strings.Contains(r.URL.Path, "/references/") {
			continue
		}
		op := operations(item)[r.Method]
		if op != nil && (path == r.URL.Path || strings.Contains(path, "{")) {
			return op
		}
	}
	return nil
}

// ok ends the test unless the answer is of this status.
func (r *reply) ok(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: got %d %s; want %d", r.asked, r.status, r.body, status)
	}
	return r
}

// into reads the answer.
func (r *reply) into(v any) *reply {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v", r.asked, err)
	}
	return r
}

// batch reads a batch out of an answer that has one.
func (r *reply) batch() production.Production {
	r.t.Helper()
	var out struct{ Production production.Production }
	r.into(&out)
	return out.Production
}

// refused ends the test unless the answer is a problem with this status and code, and with exactly these unmet guards or wrong fields.
func (r *reply) refused(status int, code string, words ...string) *Problem {
	r.t.Helper()
	var p Problem
	r.ok(status).into(&p)
	got := slices.Clone(p.Unmet)
	for _, f := range p.Errors {
		got = append(got, f.Path)
		if f.Reason == "" {
			r.t.Errorf("%s: %s has no reason", r.asked, f.Path)
		}
	}
	slices.Sort(got)
	slices.Sort(words)
	if p.Code != code || !slices.Equal(got, words) {
		r.t.Fatalf("%s: got %s; want %s with %q", r.asked, r.body, code, words)
	}
	if p.Status != status || p.Title == "" || p.Title != titles[code] || p.Type != "/docs#"+code || p.Detail == "" {
		r.t.Errorf("%s: the problem is not whole: %s", r.asked, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Errorf("%s: Content-Type is %q", r.asked, got)
	}
	return &p
}

// plan is a body that plans a batch.
func plan() map[string]any {
	return map[string]any{
		"programId": "prog_1", "menuId": "menu_1", "productionDate": theDay, "plannedPortions": 1000,
		"plannedStartTime": midnight.Add(-4 * time.Hour), "plannedEndTime": midnight.Add(6 * time.Hour), "headCook": "koki",
		"estimatedCost": 9_500_000, "targetGroup": "SD kelas 4-6",
	}
}

func (s *stage) create() string {
	s.t.Helper()
	return s.as("manajer").post("/api/productions", plan()).ok(http.StatusCreated).batch().ID
}

// version is the newest version of a batch.
func (s *stage) version(id string) int64 {
	s.t.Helper()
	b, err := s.store.Batch(context.Background(), sppg, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return b.Production.Version
}

// on returns a body with the newest version of the batch.
func (s *stage) on(id string, pairs ...any) map[string]any {
	s.t.Helper()
	body := map[string]any{"version": s.version(id)}
	for i := 0; i < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	return body
}

// step asks for a step, having seen the newest version.
func (s *stage) step(user, id string, to production.Status) *reply {
	s.t.Helper()
	return s.as(user).post("/api/productions/"+id+"/transition", s.on(id, "to", to))
}

func (s *stage) read(id, dish string, celsius float64) {
	s.t.Helper()
	s.as("koki").post("/api/productions/"+id+"/readings", map[string]any{"kind": "CORE", "dish": dish, "celsius": celsius}).ok(http.StatusCreated)
}

func (s *stage) inspect(id string, kind production.CheckType, passed bool) {
	s.t.Helper()
	s.as("mutu").post("/api/productions/"+id+"/checks", map[string]any{
		"checkType": kind, "parameter": "uji", "actualValue": "hasil", "passed": passed,
	}).ok(http.StatusCreated)
}

// to brings a new batch to a status, all in order: preparing at 20:00, cooking at 02:00, done at 03:00, released at 03:30.
func (s *stage) to(status production.Status) string {
	s.t.Helper()
	id := s.create()
	for _, next := range []struct {
		status production.Status
		at     time.Duration
		do     func()
	}{
		{production.Planned, -6 * time.Hour, func() {}},
		{production.Preparing, -4 * time.Hour, func() {}},
		{production.Cooking, 2 * time.Hour, func() { s.inspect(id, production.Hygiene, true) }},
		{production.QualityCheck, 3 * time.Hour, func() {
			s.read(id, "Nasi", 92)
			s.read(id, "Ayam", 81)
			s.as("koki").post("/api/productions/"+id+"/work", s.on(id, "actualPortions", 990)).ok(http.StatusOK)
		}},
		{production.Completed, 3*time.Hour + 30*time.Minute, func() {
			for _, kind := range production.CheckTypes[1:] {
				s.inspect(id, kind, true)
			}
			s.as("mutu").post("/api/productions/"+id+"/samples", map[string]any{"place": "Lemari es 1"}).ok(http.StatusCreated)
		}},
	} {
		s.until(midnight.Add(next.at))
		next.do()
		if next.status != production.Planned {
			user := "koki"
			if next.status == production.Completed {
				user = "gizi"
			}
			s.step(user, id, next.status).ok(http.StatusOK)
		}
		if next.status == status {
			break
		}
	}
	return id
}
