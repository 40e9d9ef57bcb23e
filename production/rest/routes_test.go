package rest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/auth"
	"kentongan/production"
	"kentongan/production/storetest"
	"kentongan/tenant"
)

// route is a request that is good for somebody.
type route struct {
	id, method, path string
	body             any
	media            string
}

// aboutAll reports whether r is about all kitchens and not about one.
func (r *route) aboutAll() bool { return r.id == "listKitchens" || r.id == "getOverview" }

// routes returns one good request for each operation, about a batch and an alert of the stage.
func (s *stage) routes(id, alert string) []route {
	batch := "/api/productions/" + id
	return []route{
		{"listProductions", "GET", "/api/productions", nil, ""},
		{"getProduction", "GET", batch, nil, ""},
		{"createProduction", "POST", "/api/productions", plan(), ""},
		{"updateProduction", "PATCH", batch, s.on(id, "notes", "x"), ""},
		{"deleteProduction", "DELETE", batch, nil, ""},
		{"workOnProduction", "POST", batch + "/work", s.on(id, "progress", 40), ""},
		{"transitionProduction", "POST", batch + "/transition", s.on(id, "to", "QUALITY_CHECK"), ""},
		{"cancelProduction", "POST", batch + "/cancel", s.on(id, "reason", "Bahan tidak datang"), ""},
		{"addPhoto", "POST", batch + "/photos", map[string]any{"photo": picture(4, 3)}, ""},
		{"getPhoto", "GET", batch + "/photos/" + s.photo, nil, ""},
		{"addReading", "POST", batch + "/readings", map[string]any{"kind": "CORE", "celsius": 80}, ""},
		{"addCheck", "POST", batch + "/checks", map[string]any{"checkType": "TASTE", "parameter": "a", "actualValue": "b", "passed": true}, ""},
		{"addSample", "POST", batch + "/samples", map[string]any{}, ""},
		{"addDispatch", "POST", batch + "/dispatches", map[string]any{}, ""},
		{"addCorrection", "POST", batch + "/corrections", map[string]any{"field": "notes", "value": "x", "reason": "Catatan yang terlupa"}, ""},
		{"listReadings", "GET", batch + "/readings", nil, ""},
		{"listRecords", "GET", batch + "/records", nil, ""},
		{"listAlerts", "GET", "/api/alerts", nil, ""},
		{"acknowledgeAlert", "POST", "/api/alerts/" + alert + "/acknowledge", map[string]any{}, ""},
		{"resolveAlert", "POST", "/api/alerts/" + alert + "/resolve", map[string]any{"correctiveAction": "Sudah ditangani"}, ""},
		{"getKPIs", "GET", "/api/kpis", nil, ""},
		{"getDayLog", "GET", "/api/daylog", nil, ""},
		{"getKitchen", "GET", "/api/kitchen", nil, ""},
		{"putKitchen", "PUT", "/api/kitchen", map[string]any{"version": 0, "name": "Dapur Mawar"}, ""},
		{"listKitchens", "GET", "/api/kitchens", nil, ""},
		{"getOverview", "GET", "/api/overview", nil, ""},
		{"getReferences", "GET", "/api/references", nil, ""},
		{"putReferences", "PUT", "/api/references", map[string]any{"programmes": []any{map[string]any{"id": "p2", "name": "Program"}}}, ""},
		{"importReferences", "PUT", "/api/references/programmes", "id,name\np3,Program tiga\n", "text/csv"},
		{"listObservations", "GET", "/api/observations", nil, ""},
		{"listAudit", "GET", "/api/audit", nil, ""},
		{"verifyAudit", "GET", "/api/audit/verify", nil, ""},
	}
}

func (c *client) ask(r route, query string) *reply {
	c.s.t.Helper()
	if r.media != "" {
		c = c.with("Content-Type", r.media)
	}
	return c.do(r.method, r.path+query, r.body)
}

// failing returns a batch in COOKING with an open alert, for a failed check, and a photo.
func (s *stage) failing() (id, alert string) {
	s.t.Helper()
	id = s.to(production.Cooking)
	s.inspect(id, production.Taste, false)
	var added Changed
	s.as("koki").post("/api/productions/"+id+"/photos", map[string]any{"photo": picture(4, 3)}).ok(http.StatusCreated).into(&added)
	s.photo = added.RowID
	b, err := s.store.Batch(s.t.Context(), sppg, id)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range b.Alerts {
		if b.Alerts[i].Code == production.QCFailed {
			return id, b.Alerts[i].ID
		}
	}
	s.t.Fatal("a failed check raised no alert")
	return "", ""
}

func TestRoutesAreAllTried(t *testing.T) {
	s := newStage(t)
	id := s.create()
	var tried []string
	for _, r := range s.routes(id, "x") {
		tried = append(tried, r.id)
	}
	var all []string
	for _, item := range s.api.huma.OpenAPI().Paths {
		for _, op := range operations(item) {
			all = append(all, op.OperationID)
		}
	}
	slices.Sort(all)
	slices.Sort(tried)
	if !slices.Equal(all, tried) {
		t.Errorf("the tests try\n%q; want\n%q", tried, all)
	}
}

// TestNobody: without a credential, with a bad one, and from a foreign page nothing is answered, and nothing is written.
func TestNobody(t *testing.T) {
	s := newStage(t)
	id, alert := s.failing()
	before := s.version(id)
	for _, r := range s.routes(id, alert) {
		re := s.nobody().ask(r, "")
		re.refused(http.StatusUnauthorized, "UNAUTHENTICATED")
		if re.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", re.asked)
		}
		s.key("not-a-key-that-anybody-has").ask(r, "").refused(http.StatusUnauthorized, "UNAUTHENTICATED")
		s.as("kepala").with("Origin", "https://elsewhere.example").ask(r, "").refused(http.StatusForbidden, "ORIGIN_NOT_ALLOWED")
		s.member("x", "SPPG_KEPALA", "").ask(r, "").refused(http.StatusForbidden, "NO_TENANT")
		s.member("x", "SPPG_CHEF", sppg).ask(r, "").refused(http.StatusForbidden, "FORBIDDEN")
		if r.method != http.MethodGet {
			c := s.as("kepala")
			c.header.Del("Origin") // browsers send it with every write
			c.ask(r, "").refused(http.StatusForbidden, "ORIGIN_NOT_ALLOWED")
		}
	}
	if after := s.version(id); after != before {
		t.Errorf("the batch came from version %d to %d", before, after)
	}
}

// TestForeignKitchen: what is of another kitchen does not exist, whatever way it is named, and stays as it is.
func TestForeignKitchen(t *testing.T) {
	s := newStage(t)
	id, alert := s.failing()
	before := s.version(id)
	stranger := s.member("kepala", "SPPG_KEPALA", other)
	for _, r := range s.routes(id, alert) {
		if strings.Contains(r.path, id) || strings.Contains(r.path, alert) {
			c := stranger
			if r.method == http.MethodDelete {
				c = stranger.with("If-Match", etag(before))
			}
			c.ask(r, "").refused(http.StatusNotFound, "NOT_FOUND")
		}
		stranger.ask(r, "?tenant=sppg_1").refused(http.StatusNotFound, "NOT_FOUND")
		stranger.ask(r, "?tenant=no%20such").refused(http.StatusUnprocessableEntity, "INVALID", "query.tenant")
		stranger.ask(r, "?tenant=sppg_2&tenant=sppg_1").refused(http.StatusUnprocessableEntity, "INVALID", "query.tenant")
	}
	if after := s.version(id); after != before {
		t.Errorf("the batch came from version %d to %d", before, after)
	}
	for _, path := range []string{
		"/api/productions", "/api/productions?active=true", "/api/alerts", "/api/kpis?from=2026-11-20&to=2026-11-26", "/api/daylog?date=2026-11-26",
		"/api/daylog?format=csv&date=2026-11-26", "/api/daylog?format=html&date=2026-11-26", "/api/audit",
	} {
		if body := string(stranger.get(path).ok(http.StatusOK).body); strings.Contains(body, id) || strings.Contains(body, "BATCH-") {
			t.Errorf("%s tells a stranger of the batch: %s", path, body)
		}
	}
	// A body cannot name a kitchen.
	body := plan()
	body["sppgId"] = "sppg_2"
	s.as("manajer").post("/api/productions", body).refused(http.StatusUnprocessableEntity, "INVALID", "sppgId")
}

// TestPlatform: it looks everywhere, each look is written down, and it writes nothing.
func TestPlatform(t *testing.T) {
	s := newStage(t)
	id, alert := s.failing()
	before := s.version(id)
	looks := func(user string) []string {
		var out []string
		for e, err := range s.store.Audit(t.Context(), sppg, 1) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Action == "look" && e.User == user {
				out = append(out, e.Reason)
			}
		}
		return out
	}
	for _, user := range []string{"super", "bantuan"} {
		var want []string
		for _, r := range s.routes(id, alert) {
			if !r.aboutAll() {
				s.as(user).ask(r, "").refused(http.StatusUnprocessableEntity, "INVALID", "query.tenant")
			}
			switch c := s.as(user); {
			case r.id == "listKitchens":
				var found Kitchens
				c.ask(r, "").ok(http.StatusOK).into(&found)
				if len(found.Kitchens) != 2 || found.Kitchens[0] != (KitchenName{"sppg_1", "", production.WIB}) {
					t.Errorf("%s lists the kitchens %+v", user, found)
				}
			case r.id == "getOverview":
				c.ask(r, "").ok(http.StatusOK)
			case r.method == http.MethodGet:
				c.ask(r, "?tenant=sppg_1").ok(http.StatusOK)
				want = append(want, r.id)
			case r.id == "deleteProduction":
				c.with("If-Match", etag(before)).ask(r, "?tenant=sppg_1").refused(http.StatusForbidden, "FORBIDDEN")
			default:
				c.ask(r, "?tenant=sppg_1").refused(http.StatusForbidden, "FORBIDDEN")
			}
		}
		if got := looks(user); len(got) != len(want) || slices.Contains(got, "") {
			t.Errorf("%s has looked with %q; written down is %q", user, want, got)
		}
	}
	if after := s.version(id); after != before {
		t.Errorf("the batch came from version %d to %d", before, after)
	}
	// The one exception: who keeps the platform keeps its users.
	staff := map[string]any{"staff": []any{map[string]any{"id": "baru", "name": "Orang baru", "role": "SPPG_STAFF_QC"}}}
	s.as("super").do(http.MethodPut, "/api/references?tenant=sppg_1", staff).ok(http.StatusOK)
	s.as("bantuan").do(http.MethodPut, "/api/references?tenant=sppg_1", staff).refused(http.StatusForbidden, "FORBIDDEN")
}

// TestServer: the app keeps the lists with its key, and writes nothing else.
func TestServer(t *testing.T) {
	s := newStage(t)
	id, alert := s.failing()
	may := []string{"putReferences", "importReferences"}
	for _, r := range s.routes(id, alert) {
		c := s.key(apiKey)
		switch {
		case r.aboutAll():
			c.ask(r, "").refused(http.StatusForbidden, "FORBIDDEN")
		case r.method == http.MethodGet || slices.Contains(may, r.id):
			c.ask(r, "").ok(http.StatusOK)
		case r.id == "deleteProduction":
			c.with("If-Match", etag(s.version(id))).ask(r, "").refused(http.StatusForbidden, "FORBIDDEN")
		default:
			c.ask(r, "").refused(http.StatusForbidden, "FORBIDDEN")
		}
		if r.aboutAll() {
			s.key(apiKey+"-of-all").ask(r, "").ok(http.StatusOK)
		} else if slices.Contains(may, r.id) {
			s.key(apiKey+"-of-all").ask(r, "").refused(http.StatusUnprocessableEntity, "INVALID", "query.tenant")
			s.key(apiKey+"-of-all").ask(r, "?tenant=sppg_2").ok(http.StatusOK)
			c.ask(r, "?tenant=sppg_2").refused(http.StatusNotFound, "NOT_FOUND")
		}
	}
}

// TestRoles has the table of roles, cell by cell, as requests. "c" stands for what is about costs only.
func TestRoles(t *testing.T) {
	//nolint:dupword // it is a table
	const table = `
                     SA SU KE AD GZ AK PM DM DP QC VW
see                  x  x  x  x  x  x  x  x  x  x  x
see money            x  -  x  x  -  x  x  -  -  -  -
create               -  -  x  x  -  -  x  -  -  -  -
edit                 -  -  x  x  -  -  x  -  -  -  -
delete               -  -  x  x  -  -  x  -  -  -  -
prepare              -  -  x  -  -  -  x  -  x  -  -
cook                 -  -  x  -  -  -  x  -  x  -  -
end cooking          -  -  x  -  -  -  x  -  x  -  -
progress             -  -  x  -  -  -  x  -  x  -  -
waste                -  -  x  -  -  -  x  -  x  -  -
reading              -  -  x  -  x  -  x  -  x  x  -
photo                -  -  x  -  x  -  x  -  x  x  -
check                -  -  x  -  x  -  x  -  -  x  -
sample               -  -  x  -  x  -  x  -  -  x  -
release              -  -  x  -  x  -  -  -  -  x  -
rework               -  -  x  -  x  -  x  -  -  x  -
cancel planned       -  -  x  x  -  -  x  -  -  -  -
cancel later         -  -  x  -  x  -  x  -  -  x  -
override             -  -  x  -  -  -  -  -  -  -  -
actual cost          -  -  x  -  -  x  x  -  -  -  -
acknowledge          -  -  x  x  x  -  x  x  x  x  -
acknowledge cost     -  -  x  x  x  x  x  x  x  x  -
resolve high         -  -  x  -  x  -  x  -  -  x  -
resolve critical     -  -  x  -  x  -  -  -  -  -  -
dispatch             -  -  x  -  -  -  x  x  -  -  -
correct              -  -  x  -  -  -  -  -  -  -  -
safety limits        -  -  x  -  x  -  -  -  -  -  -
other limits         -  -  x  x  -  -  -  -  -  -  -
users                x  -  x  x  -  -  -  -  -  -  -
lists                -  -  x  x  -  -  -  -  -  -  -
print the log        x  x  x  x  x  c  x  -  -  x  -
audit trail          x  x  x  x  x  c  x  -  -  x  -
observations         x  x  x  x  x  -  x  -  -  x  -`
	acts := roleActs()
	rows := strings.Split(strings.Trim(table, "\n"), "\n")
	users := map[string]string{
		"SA": "super", "SU": "bantuan", "KE": "kepala", "AD": "admin", "GZ": "gizi", "AK": "akuntan", "PM": "manajer", "DM": "kurir", "DP": "koki",
		"QC": "mutu", "VW": "tamu",
	}
	heads := strings.Fields(rows[0])
	if len(rows)-1 != len(acts) || len(heads) != len(production.Roles) {
		t.Fatalf("%d rows for %d acts, %d columns for %d roles", len(rows)-1, len(acts), len(heads), len(production.Roles))
	}
	for _, row := range rows[1:] {
		name := strings.TrimSpace(row[:21])
		act, ok := acts[name]
		if !ok {
			t.Fatalf("no act %q", name)
		}
		t.Run(name, func(t *testing.T) {
			s := newStageOn(t, storetest.NewModel()) // rights are no matter of the store, and there are many cells
			for i, cell := range strings.Fields(row[21:]) {
				id := ""
				if act.status != "" {
					id = s.to(act.status)
				}
				c := s.as(users[heads[i]])
				query := ""
				if team[users[heads[i]]].Platform() {
					query = "?tenant=sppg_1"
				}
				got, why := act.try(s, c, id, query)
				if want := cell != "-"; got != want {
					t.Errorf("%s %s: got %t; want %t\n%s", heads[i], name, got, want, why)
				}
			}
		})
	}
}

// roleAct tries something of which the table of roles speaks. try reports whether it was allowed.
type roleAct struct {
	status production.Status // of the batch that it is tried on; empty: it needs none
	try    func(s *stage, c *client, id, query string) (bool, string)
}

// tried reads off an answer whether something was allowed. What is neither done nor forbidden says nothing about roles.
func tried(r *reply) (bool, string) {
	r.t.Helper()
	switch r.status {
	case http.StatusOK, http.StatusCreated:
		return true, string(r.body)
	case http.StatusForbidden:
		return false, string(r.body)
	}
	r.t.Errorf("%s: got %d %s; want it done or forbidden", r.asked, r.status, r.body)
	return false, string(r.body)
}

func roleActs() map[string]roleAct {
	post := func(what string, body func(s *stage, id string) any) func(*stage, *client, string, string) (bool, string) {
		return func(s *stage, c *client, id, query string) (bool, string) {
			return tried(c.post("/api/productions/"+id+what+query, body(s, id)))
		}
	}
	step := func(to production.Status, more ...any) func(*stage, *client, string, string) (bool, string) {
		return post("/transition", func(s *stage, id string) any { return s.on(id, append([]any{"to", to}, more...)...) })
	}
	body := func(pairs ...any) func(*stage, string) any {
		return func(s *stage, id string) any {
			b := s.on(id, pairs...)
			delete(b, "version")
			return b
		}
	}
	seen := func(pairs ...any) func(*stage, string) any {
		return func(s *stage, id string) any { return s.on(id, pairs...) }
	}
	limits := func(name string, value int) func(*stage, *client, string, string) (bool, string) {
		return func(s *stage, c *client, _, query string) (bool, string) {
			var now Settings
			s.as("kepala").get("/api/kitchen").ok(http.StatusOK).into(&now)
			value-- // each change has to be one
			return tried(c.do(http.MethodPut, "/api/kitchen"+query, map[string]any{
				"version": now.Kitchen.Version, "limits": map[string]any{name: value},
			}))
		}
	}
	alert := func(code production.AlertCode, sev production.Severity, what string) func(*stage, *client, string, string) (bool, string) {
		return func(s *stage, c *client, id, query string) (bool, string) {
			planted := s.plant(id, code, sev)
			b := map[string]any{}
			if what == "resolve" {
				b["correctiveAction"] = "Sudah ditangani"
			}
			return tried(c.post("/api/alerts/"+planted+"/"+what+query, b))
		}
	}
	put := func(list string, entry map[string]any) func(*stage, *client, string, string) (bool, string) {
		return func(_ *stage, c *client, _, query string) (bool, string) {
			return tried(c.do(http.MethodPut, "/api/references"+query, map[string]any{list: []any{entry}}))
		}
	}
	get := func(path string) func(*stage, *client, string, string) (bool, string) {
		return func(_ *stage, c *client, _, query string) (bool, string) { return tried(c.get(path + query)) }
	}
	return map[string]roleAct{
		"see": {production.Planned, func(_ *stage, c *client, id, query string) (bool, string) {
			return tried(c.get("/api/productions/" + id + query))
		}},
		"see money": {production.Planned, func(_ *stage, c *client, id, query string) (bool, string) {
			re := c.get("/api/productions/" + id + query).ok(http.StatusOK)
			return re.batch().EstimatedCost != nil, string(re.body)
		}},
		"create": {"", func(_ *stage, c *client, _, query string) (bool, string) {
			return tried(c.post("/api/productions"+query, plan()))
		}},
		"edit": {production.Planned, func(s *stage, c *client, id, query string) (bool, string) {
			return tried(c.do(http.MethodPatch, "/api/productions/"+id+query, s.on(id, "notes", "x")))
		}},
		"delete": {production.Planned, func(s *stage, c *client, id, query string) (bool, string) {
			return tried(c.with("If-Match", etag(s.version(id))).do(http.MethodDelete, "/api/productions/"+id+query, nil))
		}},
		"prepare": {production.Planned, step(production.Preparing)},
		"cook": {production.Preparing, func(s *stage, c *client, id, query string) (bool, string) {
			s.until(midnight)
			s.inspect(id, production.Hygiene, true)
			return step(production.Cooking)(s, c, id, query)
		}},
		"end cooking": {production.Cooking, func(s *stage, c *client, id, query string) (bool, string) {
			s.read(id, "Nasi", 90)
			s.as("koki").post("/api/productions/"+id+"/work", s.on(id, "actualPortions", 990)).ok(http.StatusOK)
			return step(production.QualityCheck)(s, c, id, query)
		}},
		"progress":         {production.Cooking, post("/work", seen("progress", 50))},
		"waste":            {production.Cooking, post("/work", seen("wasteAmount", 1.5))},
		"reading":          {production.Cooking, post("/readings", body("kind", "CORE", "celsius", 80))},
		"photo":            {production.Cooking, post("/photos", body("photo", picture(4, 3), "note", "dandang"))},
		"check":            {production.Cooking, post("/checks", body("checkType", "TASTE", "parameter", "a", "actualValue", "b", "passed", true))},
		"sample":           {production.QualityCheck, post("/samples", body())},
		"release":          {production.QualityCheck, release},
		"rework":           {production.QualityCheck, rework},
		"cancel planned":   {production.Planned, post("/cancel", seen("reason", "Bahan tidak datang"))},
		"cancel later":     {production.Cooking, post("/cancel", seen("reason", "Listrik padam sejak pagi"))},
		"override":         {production.Preparing, override},
		"actual cost":      {production.Cooking, post("/work", seen("actualCost", 9_000_000))},
		"acknowledge":      {production.Cooking, alert(production.Overrun, production.Medium, "acknowledge")},
		"acknowledge cost": {production.Cooking, alert(production.CostOver, production.Medium, "acknowledge")},
		"resolve high":     {production.Cooking, alert(production.Overrun, production.High, "resolve")},
		"resolve critical": {production.Cooking, alert(production.EatBy, production.Critical, "resolve")},
		"dispatch":         {production.Completed, post("/dispatches", body("portions", 900))},
		"correct":          {production.Completed, post("/corrections", body("field", "notes", "value", "x", "reason", "Catatan yang terlupa"))},
		"safety limits":    {"", limits("eatWithinMinutes", 200)},
		"other limits":     {"", limits("wasteHighKg", 40)},
		"users":            {"", put("staff", map[string]any{"id": "baru", "name": "Orang baru", "role": "SPPG_STAFF_QC"})},
		"lists":            {"", put("menus", map[string]any{"id": "menu_2", "name": "Nasi ikan"})},
		"print the log":    {production.Planned, get("/api/daylog")},
		"audit trail":      {production.Planned, get("/api/audit")},
		"observations":     {"", get("/api/observations")},
	}
}

func release(s *stage, c *client, id, query string) (bool, string) {
	for _, kind := range production.CheckTypes[1:] {
		s.inspect(id, kind, true)
	}
	s.as("mutu").post("/api/productions/"+id+"/samples", map[string]any{}).ok(http.StatusCreated)
	return tried(c.post("/api/productions/"+id+"/transition"+query, s.on(id, "to", "COMPLETED")))
}

func rework(s *stage, c *client, id, query string) (bool, string) {
	s.inspect(id, production.Taste, false)
	return tried(c.post("/api/productions/"+id+"/transition"+query, s.on(id, "to", "COOKING", "reason", "Kurang matang")))
}

// override cooks an hour before the day begins.
func override(s *stage, c *client, id, query string) (bool, string) {
	s.until(midnight.Add(-time.Hour))
	s.inspect(id, production.Hygiene, true)
	re := c.post("/api/productions/"+id+"/transition"+query, s.on(id, "to", "COOKING", "override", true, "reason", "Sekolah libur siang, kirim pagi"))
	if re.status == http.StatusConflict { // for one who may cook, and not before the day began
		return false, string(re.body)
	}
	return tried(re)
}

// plant puts an open alert into the store, for some severities take a night to come about, and returns its id.
func (s *stage) plant(id string, code production.AlertCode, sev production.Severity) string {
	s.t.Helper()
	a := production.Alert{
		ID: "planted_" + id, Code: code, Severity: sev, Status: production.AlertOpen, ProductionID: id,
		Message: production.Words{ID: "ditanam", EN: "planted"}, Value: 9_999, Limit: 8_000, Unit: "Rp", RaisedAt: production.At(s.now), RisenAt: production.At(s.now),
	}
	s.raise(a)
	return a.ID
}

// raise stores an alert of a batch.
func (s *stage) raise(a production.Alert) {
	s.t.Helper()
	b, err := s.store.Batch(s.t.Context(), sppg, a.ProductionID)
	if err != nil {
		s.t.Fatal(err)
	}
	base := b.Revision
	b.Revision++
	a.Tenant, a.BatchNumber = sppg, b.Production.BatchNumber
	if _, err := s.store.Commit(s.t.Context(), production.Commit{Tenant: sppg, Batch: &b, Base: base, Alerts: []production.Alert{a}}); err != nil {
		s.t.Fatal(err)
	}
}

// TestAccountant: who may export costs only gets what is about costs, and nothing else.
func TestAccountant(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	s.as("akuntan").post("/api/productions/"+id+"/work", s.on(id, "actualCost", 9_000_000)).ok(http.StatusOK)
	s.plant(id, production.CostOver, production.Medium)
	s.inspect(id, production.Taste, false)
	var log DayLog
	s.as("akuntan").get("/api/daylog?date=2026-11-26").ok(http.StatusOK).into(&log)
	b := log.Batches[0]
	if log.Extract != "costs" || len(b.Checks)+len(b.Steps)+len(b.Readings) != 0 || *b.Production.ActualCost != 9_000_000 ||
		len(b.Alerts) != 1 || b.Alerts[0].Code != production.CostOver {
		t.Errorf("the accountant's log: %+v", b)
	}
	var all, some Trail
	s.as("kepala").get("/api/audit?limit=500").ok(http.StatusOK).into(&all)
	s.as("akuntan").get("/api/audit?limit=500").ok(http.StatusOK).into(&some)
	if len(some.Entries) != 2 || len(all.Entries) < 6 {
		t.Errorf("the accountant's trail has %d of %d entries; want the plan and its cost", len(some.Entries), len(all.Entries))
	}
	for _, e := range some.Entries {
		if !strings.Contains(string(e.Detail), "Cost") {
			t.Errorf("the accountant's trail has %s", e.Detail)
		}
	}
	for _, format := range []string{"csv", "html"} {
		body := string(s.as("akuntan").get("/api/daylog?date=2026-11-26&format=" + format).ok(http.StatusOK).body)
		if !strings.Contains(body, "Rp 9.000.000") || strings.Contains(body, "Pemeriksaan –") || strings.Contains(body, "Rasa") {
			t.Errorf("the accountant's log as %s: %s", format, body)
		}
	}
}

// TestMoney looks for amounts in everything that roles may read that may not see them.
func TestMoney(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Completed)
	s.plant(id, production.CostOver, production.Medium)
	s.as("akuntan").post("/api/productions/"+id+"/work", s.on(id, "actualCost", 9_876_543))
	s.as("kepala").post("/api/productions/"+id+"/corrections", map[string]any{
		"field": "actualCost", "value": "9876543", "reason": "Faktur datang kemudian",
	}).ok(http.StatusCreated)
	amounts := []string{"9500000", "9.500.000", "9876543", "9.876.543", "9999", "9.999", "costYoung"}
	paths := []string{
		"/api/productions", "/api/productions?active=true", "/api/productions/" + id, "/api/productions/" + id + "/records", "/api/alerts",
		"/api/kpis?to=2026-11-26", "/api/kpis?to=2026-11-26&format=csv", "/api/daylog?date=2026-11-26", "/api/daylog?date=2026-11-26&format=csv",
		"/api/daylog?date=2026-11-26&format=html", "/api/audit?limit=500",
	}
	for user, role := range team {
		query := "?"
		if role.Platform() {
			query = "tenant=sppg_1"
		}
		found := 0
		for _, path := range paths {
			if query != "?" {
				path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + query
			}
			re := s.as(user).get(path)
			if re.status == http.StatusForbidden {
				continue
			}
			for _, amount := range amounts {
				if reads(re.ok(http.StatusOK).body, amount) {
					found++
					if !role.May(production.MaySeeMoney) {
						t.Errorf("%s reads %s in %s", role, amount, path)
					}
				}
			}
		}
		if role.May(production.MaySeeMoney) && found == 0 {
			t.Errorf("%s may see costs and sees none: the test says nothing", role)
		}
	}
}

// reads reports whether body has amount as a word of its own: digits of a hash or of an id are nobody's money.
func reads(body []byte, amount string) bool {
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(amount) + `\b`).Match(body)
}

// TestMoney_AnswersToChanges: the answer to a change tells no more than a read.
func TestMoney_AnswersToChanges(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	planted := s.plant(id, production.CostOver, production.Medium)
	for _, re := range []*reply{
		s.as("koki").post("/api/alerts/"+planted+"/acknowledge", map[string]any{}).ok(http.StatusOK),
		s.as("koki").post("/api/productions/"+id+"/work", s.on(id, "progress", 45)).ok(http.StatusOK),
		s.as("tablet").with("Person-Id", "kepala").with("Person-Pin", pinText).post("/api/productions/"+id+"/work", s.on(id, "actualCost", 9_000_000)).ok(http.StatusOK),
	} {
		if reads(re.body, "9999") || reads(re.body, "9500000") || reads(re.body, "9000000") {
			t.Errorf("%s answers a cook %s", re.asked, re.body)
		}
	}
}

func TestTenantOfOwnKitchenMayBeNamed(t *testing.T) {
	s := newStage(t)
	s.create()
	var found Listed
	s.as("tamu").get("/api/productions?tenant=sppg_1").ok(http.StatusOK).into(&found)
	if len(found.Productions) != 1 || found.Productions[0].Tenant != tenant.ID("sppg_1") {
		t.Errorf("got %+v", found)
	}
}

// TestCORS: a page of an allowed origin may send every header and use every method of the document, and read every header of an answer.
func TestCORS(t *testing.T) {
	const page = "https://app.example.id"
	who, err := auth.New(auth.Options{SessionSecrets: []string{secret}, AllowedOrigins: []string{page}})
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	for path, item := range s.api.huma.OpenAPI().Paths {
		for method, op := range operations(item) {
			r := httptest.NewRequest(http.MethodOptions, strings.ReplaceAll(path, "{id}", "x"), http.NoBody)
			r.Header.Set("Origin", page)
			r.Header.Set("Access-Control-Request-Method", method)
			w := httptest.NewRecorder()
			who.CORS(s.api).ServeHTTP(w, r)
			may := func(list, word string) bool {
				return slices.Contains(strings.Split(w.Header().Get(list), ", "), word)
			}
			if w.Code != http.StatusNoContent || !may("Access-Control-Allow-Methods", method) {
				t.Errorf("%s %s: preflight answers %d, %v", method, path, w.Code, w.Header())
			}
			for _, p := range op.Parameters {
				if p.In == "header" && !may("Access-Control-Allow-Headers", p.Name) {
					t.Errorf("%s %s: a page may not send %s", method, path, p.Name)
				}
			}
			for _, answer := range op.Responses {
				for name := range answer.Headers {
					if !strings.HasPrefix(name, "Content-") && name != "Cache-Control" /* every page may read it */ && !may("Access-Control-Expose-Headers", name) {
						t.Errorf("%s %s: a page may not read %s", method, path, name)
					}
				}
			}
		}
	}
}
