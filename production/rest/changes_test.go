package rest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kentongan/production"
)

const (
	unprocessable = http.StatusUnprocessableEntity
	conflict      = http.StatusConflict
)

func TestVersions(t *testing.T) {
	s := newStage(t)
	id := s.create()
	path := "/api/productions/" + id
	manager := s.as("manajer")
	if got := manager.get(path).ok(http.StatusOK).header.Get("ETag"); got != `"1"` {
		t.Fatalf("ETag is %s", got)
	}
	edit := func(c *client, body map[string]any) *reply { return c.do(http.MethodPatch, path, body) }
	edit(manager, map[string]any{"notes": "a"}).refused(unprocessable, "INVALID", "version")
	if re := edit(manager.with("If-Match", `"1"`), map[string]any{"notes": "a"}).ok(http.StatusOK); re.header.Get("ETag") != `"2"` || re.batch().Version != 2 {
		t.Fatalf("after an edit: %s %s", re.header.Get("ETag"), re.body)
	}
	for _, c := range []struct {
		name    string
		ifMatch string
		version int64
	}{
		{"IfMatch", `"1"`, 0}, {"Body", "", 1}, {"Both", `"1"`, 1}, {"Ahead", `"9"`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, body := manager, map[string]any{"notes": "b"}
			if c.ifMatch != "" {
				client = manager.with("If-Match", c.ifMatch)
			}
			if c.version != 0 {
				body["version"] = c.version
			}
			if p := edit(client, body).refused(conflict, "VERSION_CONFLICT"); p.Current != 2 {
				t.Errorf("currentVersion is %d; want 2", p.Current)
			}
		})
	}
	edit(manager.with("If-Match", `W/"2"`), map[string]any{"notes": "b"}).ok(http.StatusOK) // a proxy that compresses makes tags weak
	edit(manager.with("If-Match", `"3"`), map[string]any{"notes": "b", "version": 2}).refused(unprocessable, "INVALID", "version")
	edit(manager, map[string]any{"notes": "b", "version": -1}).refused(unprocessable, "INVALID", "version")
	for _, bad := range []string{"3", `""`, `"0"`, `"-1"`, `"03"`, `"3`, "*", `"3", "4"`, `"99999999999999999999"`} {
		edit(manager.with("If-Match", bad), map[string]any{"notes": "b"}).refused(unprocessable, "INVALID", "header.If-Match")
	}
	manager.do(http.MethodDelete, path, nil).refused(unprocessable, "INVALID", "version")
	manager.with("If-Match", `"1"`).do(http.MethodDelete, path, nil).refused(conflict, "VERSION_CONFLICT")
	manager.with("If-Match", `"3"`).do(http.MethodDelete, path, nil).ok(http.StatusOK)
	manager.get(path).refused(http.StatusNotFound, "NOT_FOUND")
}

// TestIdempotency repeats every change with its key: it happens once, and the first answer comes again.
func TestIdempotency(t *testing.T) {
	s := newStage(t)
	id, alert := s.failing()
	batch := "/api/productions/" + id
	count := func() int {
		n := 0
		for _, err := range s.store.Audit(t.Context(), sppg, 1) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	for i, r := range []route{
		{"", "POST", batch + "/work", s.on(id, "progress", 40), ""},
		{"", "POST", batch + "/readings", map[string]any{"kind": "CORE", "celsius": 80}, ""},
		{"", "POST", batch + "/checks", map[string]any{"checkType": "TASTE", "parameter": "a", "actualValue": "b", "passed": false}, ""},
		{"", "POST", batch + "/samples", map[string]any{}, ""},
		{"", "POST", "/api/alerts/" + alert + "/acknowledge", map[string]any{}, ""},
		{"", "POST", "/api/alerts/" + alert + "/resolve", map[string]any{"correctiveAction": "Sudah ditangani"}, ""},
		{"", "POST", "/api/productions", plan(), ""},
	} {
		if strings.HasSuffix(r.path, "/work") {
			r.body = s.on(id, "progress", 41)
		}
		c := s.as("kepala").with("Idempotency-Key", "key-"+strconv.Itoa(i))
		first := c.ask(r, "")
		if first.status >= 300 || first.header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s: %d %s", first.asked, first.status, first.body)
		}
		n := count()
		s.wait(time.Second)
		again := c.ask(r, "").ok(first.status)
		if string(again.body) != string(first.body) || again.header.Get("Idempotency-Replayed") != "true" ||
			again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Location") != first.header.Get("Location") {
			t.Errorf("%s again:\n%s %v; want\n%s %v", again.asked, again.body, again.header, first.body, first.header)
		}
		if m := count(); m != n {
			t.Errorf("%s again wrote %d lines into the trail", again.asked, m-n)
		}
		c.post(batch+"/readings", map[string]any{"kind": "CORE", "celsius": 81.5}).refused(unprocessable, "KEY_REUSED")
	}
	s.as("kepala").with("Idempotency-Key", strings.Repeat("k", 256)).post("/api/productions", plan()).refused(unprocessable, "INVALID", "header.Idempotency-Key")
	// A key is the kitchen's own: another one may use the same.
	stranger := s.member("manajer", "SPPG_PRODUKSI_MANAGER", other)
	stranger.with("Idempotency-Key", "key-6").post("/api/productions", plan()).ok(http.StatusCreated)
}

// TestOffline sends what was entered while the line was down.
func TestOffline(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	s.wait(time.Hour)
	path := "/api/productions/" + id + "/readings"
	body := func(taken any) map[string]any { return map[string]any{"kind": "CORE", "celsius": 80, "takenAt": taken} }
	taken := s.now.Add(-40 * time.Minute)
	right := s.as("koki").with("Device-Time", s.now.Format(time.RFC3339)).post(path, body(taken.Format(time.RFC3339))).ok(http.StatusCreated)
	wrong := s.as("koki").with("Device-Time", strconv.FormatInt(s.now.Add(-time.Hour).UnixMilli(), 10)).post(path, body(taken.Add(-time.Hour))).ok(http.StatusCreated)
	if strings.Contains(string(right.body), "CLOCK_OFF") || !strings.Contains(string(wrong.body), "CLOCK_OFF") {
		t.Errorf("warnings: %s, %s", right.body, wrong.body)
	}
	var page Readings
	s.as("tamu").get(path).ok(http.StatusOK).into(&page)
	if len(page.Readings) != 2 {
		t.Fatalf("%d readings", len(page.Readings))
	}
	if r := page.Readings[0]; r.TakenAt != production.At(taken) || r.ReceivedAt != production.At(s.now) || r.ClockOff {
		t.Errorf("got %+v", r)
	}
	if r := page.Readings[1]; !r.ClockOff {
		t.Errorf("got %+v", r)
	}
	s.as("koki").with("Device-Time", "yesterday").post(path, body(taken)).refused(unprocessable, "INVALID", "header.Device-Time")
	s.as("koki").post(path, body("yesterday")).refused(unprocessable, "INVALID", "takenAt")
	s.as("koki").post(path, body("1970-01-01T00:00:00Z")).refused(unprocessable, "INVALID", "takenAt")
}

func TestPIN(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	path := "/api/productions/" + id + "/checks"
	check := map[string]any{"checkType": "TASTE", "parameter": "a", "actualValue": "b", "passed": true}
	tablet := s.as("tablet")
	tablet.with("Person-Id", "gizi").post(path, check).refused(unprocessable, "INVALID", "header.Person-Pin")
	tablet.with("Person-Pin", pinText).post(path, check).refused(unprocessable, "INVALID", "header.Person-Pin")
	person := tablet.with("Person-Id", "gizi")
	person.with("Person-Pin", pinText).post(path, check).ok(http.StatusCreated)
	for range 20 {
		re := person.with("Person-Pin", "000000000").post(path, check)
		if strings.Contains(string(re.body), "PIN_LOCKED") {
			break
		}
		re.refused(http.StatusForbidden, "PIN_WRONG")
	}
	person.with("Person-Pin", pinText).post(path, check).refused(http.StatusForbidden, "PIN_LOCKED")
	if strings.Contains(s.log.String(), pinText) || strings.Contains(s.log.String(), "000000000") {
		t.Errorf("a PIN is in the log: %s", s.log.String())
	}
}

// TestBodies sends what no body may be. Each is refused with the place where it is wrong.
func TestBodies(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	readings := "/api/productions/" + id + "/readings"
	deep := strings.Repeat("[", 17) + strings.Repeat("]", 17)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     string
		paths                    []string
	}{
		{"Empty", "POST", readings, " ", 400, "BAD_REQUEST", nil},
		{"NoJSON", "POST", readings, "suhu 80", 400, "BAD_REQUEST", nil},
		{"Cut", "POST", readings, `{"kind":"CORE"`, 400, "BAD_REQUEST", nil},
		{"Two", "POST", readings, `{"kind":"CORE","celsius":80}{}`, 400, "BAD_REQUEST", nil},
		{"Twice", "POST", readings, `{"kind":"CORE","celsius":80,"celsius":60}`, 400, "BAD_REQUEST", nil},
		{"NoUTF8", "POST", readings, "{\"kind\":\"CORE\",\"celsius\":80,\"dish\":\"\xff\"}", 400, "BAD_REQUEST", nil},
		{"Deep", "POST", readings, `{"dish":` + deep + `}`, 400, "BAD_REQUEST", nil},
		{"VeryDeep", "POST", readings, strings.Repeat("[", 500_000), 400, "BAD_REQUEST", nil},
		{"List", "POST", readings, `[]`, 422, "INVALID", []string{""}},
		{"Null", "POST", readings, `null`, 422, "INVALID", []string{""}},
		{"Missing", "POST", readings, `{}`, 422, "INVALID", []string{"kind", "celsius"}},
		{"Unknown", "POST", readings, `{"kind":"CORE","celsius":80,"suhu":60}`, 422, "INVALID", []string{"suhu"}},
		{"Case", "POST", readings, `{"kind":"CORE","Celsius":80}`, 422, "INVALID", []string{"Celsius"}},
		{"Types", "POST", readings, `{"kind":7,"celsius":"80"}`, 422, "INVALID", []string{"kind", "celsius"}},
		{"Enum", "POST", readings, `{"kind":"SOUP","celsius":80}`, 422, "INVALID", []string{"kind"}},
		{"Range", "POST", readings, `{"kind":"CORE","celsius":131}`, 422, "INVALID", []string{"celsius"}},
		{"Digits", "POST", readings, `{"kind":"CORE","celsius":75.55}`, 422, "INVALID", []string{"celsius"}},
		{"Huge", "POST", readings, `{"kind":"CORE","celsius":1e400}`, 422, "INVALID", []string{"celsius"}},
		{"Dish", "POST", readings, `{"kind":"CORE","celsius":80,"dish":"Sop"}`, 422, "INVALID", []string{"dish"}},
		{"Nested", "PATCH", "/api/productions/" + id, `{"version":1,"dishes":[{"name":"a"},{"nama":"b"}]}`, 422, "INVALID", []string{"dishes[1].name", "dishes[1].nama"}},
		{"NestedType", "PATCH", "/api/productions/" + id, `{"version":1,"photos":["a",7]}`, 422, "INVALID", []string{"photos[1]"}},
		{"Fraction", "PATCH", "/api/productions/" + id, `{"version":1,"plannedPortions":10.5}`, 422, "INVALID", []string{"plannedPortions"}},
		{"Overflow", "PATCH", "/api/productions/" + id, `{"version":92233720368547758070}`, 422, "INVALID", []string{"version"}},
		{"Day", "POST", "/api/productions", `{"programId":"p","menuId":"m","productionDate":"26-11-2026","plannedPortions":1,` +
			`"plannedStartTime":"2026-11-25T13:00:00Z","plannedEndTime":"2026-11-25T23:00:00Z"}`, 422, "INVALID", []string{"productionDate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.as("kepala").do(c.method, c.path, c.body).refused(c.status, c.code, c.paths...)
			if strings.Contains(p.Detail, "jsontext") || strings.Contains(p.Detail, "Go ") {
				t.Errorf("the detail speaks Go: %s", p.Detail)
			}
		})
	}
	if got := s.version(id); got != 4 {
		t.Errorf("the batch has version %d: something was taken", got)
	}
}

func TestBodies_SizeAndKind(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	path := "/api/productions/" + id + "/readings"
	full := `{"kind":"CORE","celsius":80` + strings.Repeat(" ", MaxBody-28) + "}"
	if len(full) != MaxBody {
		t.Fatalf("the body has %d bytes", len(full))
	}
	s.as("koki").post(path, full).ok(http.StatusCreated)
	s.as("koki").post(path, full+" ").refused(http.StatusRequestEntityTooLarge, "TOO_LARGE")
	good := `{"kind":"CORE","celsius":80}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", ";", "text/csv"} {
		s.as("koki").with("Content-Type", kind).post(path, good).refused(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	}
	s.as("koki").with("Content-Encoding", "gzip").post(path, good).refused(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	s.as("koki").with("Content-Type", "application/json; charset=utf-8").post(path, good).ok(http.StatusCreated)
}

func TestMethodsAndPaths(t *testing.T) {
	s := newStage(t)
	for path, allow := range map[string]string{
		"/api/productions": "GET, POST", "/api/productions/x": "DELETE, GET, PATCH", "/api/productions/x/cancel": "POST", "/api/audit/verify": "GET",
	} {
		re := s.as("kepala").do("PROPFIND", path, nil)
		re.refused(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
		if got := re.header.Get("Allow"); got != allow {
			t.Errorf("%s allows %q; want %q", path, got, allow)
		}
	}
	for _, path := range []string{"/api/productionz", "/api/productions/", "/api/productions/x/y", "/api/productions/x/cancel/z", "/", "/docs/none", "/docs/page.html"} {
		s.as("kepala").get(path).refused(http.StatusNotFound, "NOT_FOUND")
	}
	s.as("kepala").get("/api/productions?stat=PLANNED").refused(unprocessable, "INVALID", "query.stat")
	for query, field := range map[string]string{
		"limit=0": "query.limit", "limit=501": "query.limit", "limit=x": "query.limit", "status=DONE": "query.status[0]", "order=up": "query.order",
		"from=yesterday": "query.from", "to=2026-02-30": "query.to", "cursor=x": "query.cursor", "active=perhaps": "query.active",
		"active=true&to=2026-11-26": "query.active", "active=true&from=2026-11-01": "query.from",
	} {
		s.as("kepala").get("/api/productions?"+query).refused(unprocessable, "INVALID", field)
	}
	for query, field := range map[string]string{
		"code=SO%20UP": "query.code", "code=EAT-BY": "query.code", "code=EAT_BY,HOT_HOLD_LOV": "query.code", "severity=BAD": "query.severity", "from=x": "query.from", "to=0": "query.to", "cursor=%00": "query.cursor",
	} {
		s.as("kepala").get("/api/alerts?"+query).refused(unprocessable, "INVALID", field)
	}
	for query, field := range map[string]string{
		"from=2026-11-27&to=2026-11-26": "query.from", "from=2024-01-01&to=2026-01-01": "query.from", "format=xml": "query.format",
	} {
		s.as("kepala").get("/api/kpis?"+query).refused(unprocessable, "INVALID", field)
	}
	s.as("kepala").get("/api/daylog?date=26/11/2026").refused(unprocessable, "INVALID", "query.date")
	s.as("kepala").get("/api/audit?from=0").refused(unprocessable, "INVALID", "query.from")
}

func TestRegister(t *testing.T) {
	s := newStage(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	s.api.Register(mux)
	for path, item := range s.api.huma.OpenAPI().Paths {
		for method := range operations(item) {
			r, err := http.NewRequest(method, strings.NewReplacer("{id}", "x", "{list}", "staff").Replace(path), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if h, _ := mux.Handler(r); h != http.Handler(s.api) {
				t.Errorf("%s %s does not come to the API", method, path)
			}
		}
	}
	for _, path := range []string{"/openapi.json", "/docs", "/docs/docs.js", "/docs/docs.css"} {
		if w := get(t, mux, path); w.Code != http.StatusOK || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s answers %d, %v", path, w.Code, w.Header())
		}
	}
	if w := get(t, mux, "/api/publish"); w.Code != http.StatusTeapot {
		t.Errorf("the API takes what is not its own: %d", w.Code)
	}
}
