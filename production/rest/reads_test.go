package rest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/storetest"
	"kentongan/tenant"
)

// TestPages walks lists in pages of every size while rows are added: everything that was there comes once, in order.
func TestPages(t *testing.T) {
	s := newStage(t)
	const n = 7
	for i := range n {
		body := plan()
		body["plannedStartTime"] = midnight.Add(time.Duration(i%3) * time.Hour) // some at the same time
		body["plannedEndTime"] = midnight.Add(8 * time.Hour)
		s.as("manajer").post("/api/productions", body).ok(http.StatusCreated)
	}
	ids := func(query string) []string {
		var out []string
		for cursor := ""; ; {
			var page Listed
			path := "/api/productions?" + query
			if cursor != "" {
				path += "&cursor=" + url.QueryEscape(cursor)
			}
			s.as("tamu").get(path).ok(http.StatusOK).into(&page)
			for _, p := range page.Productions {
				out = append(out, p.ID)
			}
			if cursor = page.Next; cursor == "" {
				return out
			}
		}
	}
	all := ids("limit=500")
	if len(all) != n {
		t.Fatalf("got %d batches; want %d", len(all), n)
	}
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for limit := 1; limit <= n+1; limit++ {
		if got := ids(fmt.Sprintf("limit=%d", limit)); !slices.Equal(got, all) {
			t.Errorf("in pages of %d: got %q; want %q", limit, got, all)
		}
		if got := ids(fmt.Sprintf("limit=%d&order=desc", limit)); !slices.Equal(got, backwards) {
			t.Errorf("backwards in pages of %d: got %q; want %q", limit, got, backwards)
		}
	}
	for query, want := range map[string]int{
		"from=2026-11-26&to=2026-11-26": n, "from=2026-11-27": 0, "to=2026-11-25": 0, "status=PLANNED,COOKING": n, "status=COOKING": 0, "q=AYAM": n,
		"q=batch-20261126-0003": 1, "q=ikan": 0, "menuId=menu_1": n, "menuId=menu_2": 0,
	} {
		if got := ids(query); len(got) != want {
			t.Errorf("%s: got %d; want %d", query, len(got), want)
		}
	}
	// A cursor of one list is none of another.
	var page Listed
	s.as("tamu").get("/api/productions?limit=1").ok(http.StatusOK).into(&page)
	s.as("tamu").get("/api/alerts?cursor="+page.Next).refused(http.StatusUnprocessableEntity, "INVALID", "query.cursor")
}

func TestPages_ReadingsAndAlerts(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	for i := range 5 {
		s.read(id, "Nasi", 80+float64(i)/10)
	}
	for i := range 4 {
		s.raise(production.Alert{
			ID: fmt.Sprintf("alert_%d", i), ProductionID: id, Code: production.EatBy, Severity: production.Low, Status: production.AlertResolved,
			RaisedAt: production.At(midnight.Add(time.Duration(i/2) * time.Minute)), ResolvedAt: production.At(midnight.Add(time.Hour)),
		})
	}
	var celsius []production.Celsius
	for cursor, pages := "", 0; ; pages++ {
		var page Readings
		s.as("tamu").get("/api/productions/" + id + "/readings?limit=2&cursor=" + cursor).ok(http.StatusOK).into(&page)
		for _, r := range page.Readings {
			celsius = append(celsius, r.Celsius)
		}
		if cursor = page.Next; cursor == "" {
			if pages != 2 {
				t.Errorf("%d pages; want 3", pages+1)
			}
			break
		}
	}
	if want := []production.Celsius{800, 801, 802, 803, 804}; !slices.Equal(celsius, want) {
		t.Errorf("readings %v; want %v", celsius, want)
	}
	var alerts []string
	for cursor := ""; ; {
		var page struct {
			Alerts []struct{ ID string }
			Next   string
		}
		s.as("tamu").get("/api/alerts?code=EAT_BY&limit=1&cursor=" + cursor).ok(http.StatusOK).into(&page)
		for _, a := range page.Alerts {
			alerts = append(alerts, a.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(alerts, " "); got != "alert_3 alert_2 alert_1 alert_0" {
		t.Errorf("alerts %s", got)
	}
	from := url.QueryEscape(midnight.Add(time.Minute).Format(time.RFC3339))
	if body := string(s.as("tamu").get("/api/alerts?code=EAT_BY&from=" + from).ok(http.StatusOK).body); strings.Contains(body, "alert_1") || !strings.Contains(body, "alert_2") {
		t.Errorf("from %s: %s", from, body)
	}
}

// TestCodesOfAlerts: a code that nothing has is refused with those that there are, and never answered as if there were no alerts.
func TestCodesOfAlerts(t *testing.T) {
	s := newStage(t)
	for _, code := range append(slices.Clone(alertCodes), production.DefaultAppCode) { // also before there is any alert
		s.as("tamu").get("/api/alerts?code=" + string(code)).ok(http.StatusOK)
	}
	p := s.as("tamu").get("/api/alerts?code=EAT_BY,KOMPOR").refused(unprocessable, "INVALID", "query.code")
	for _, word := range []string{"KOMPOR", "EAT_BY", "DOC_EXPIRING"} {
		if !strings.Contains(p.Errors[0].Reason, word) {
			t.Errorf("%q does not say %s", p.Errors[0].Reason, word)
		}
	}
	id := s.create()
	s.raise(production.Alert{
		ID: "alert_app", Source: production.AppRecord, ProductionID: id, Code: "KOMPOR", Severity: production.Low,
		Status: production.AlertResolved, RaisedAt: production.At(s.now), ResolvedAt: production.At(s.now),
	})
	for query, want := range map[string]int{"code=KOMPOR": 1, "code=KOMPOR,KOMPOR,EAT_BY": 1, "code=KOMPOR&active=true": 0} {
		var page Alerts
		if s.as("tamu").get("/api/alerts?" + query).ok(http.StatusOK).into(&page); len(page.Alerts) != want {
			t.Errorf("%s: got %d alerts; want %d", query, len(page.Alerts), want)
		}
	}
	// What the app of another kitchen calls its alerts is not told.
	s.member("tamu", string(team["tamu"]), "sppg_other").get("/api/alerts?code=KOMPOR").refused(unprocessable, "INVALID", "query.code")
}

// TestSnapshot: the positions are those of events that were marked sent, and everything that is not in the state comes after them.
func TestSnapshot(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	planted := s.plant(id, production.Overrun, production.High)
	var before Listed
	re := s.as("tamu").get("/api/productions?active=true").ok(http.StatusOK).into(&before)
	if len(before.Productions) != 1 || !strings.Contains(string(re.body), planted) || before.Seq == nil || len(before.Positions) != 0 {
		t.Fatalf("before anything is published: %+v", before)
	}
	claim, err := s.store.Claim(t.Context(), "relay", time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	sent := claim.Events[2]
	at := []production.Sent{{Channel: production.UpdatesChannel, Epoch: "k3v9x2m7q4ab", Offset: 3}}
	if err := s.store.MarkSent(t.Context(), "relay", sppg, sent.Seq, at); err != nil {
		t.Fatal(err)
	}
	var after Listed
	s.as("tamu").get("/api/productions?active=true").ok(http.StatusOK).into(&after)
	if got := after.Positions["production:updates:sppg_1"]; len(after.Positions) != 1 || got != (Position{"k3v9x2m7q4ab", 3}) {
		t.Errorf("positions %+v", after.Positions)
	}
	if *after.Seq < claim.Events[len(claim.Events)-1].Seq {
		t.Errorf("seq %d; want at least %d", *after.Seq, claim.Events[len(claim.Events)-1].Seq)
	}
	// A final batch stays for the day after, and is there from an earlier day if asked for.
	s.as("kepala").post("/api/productions/"+id+"/cancel", s.on(id, "reason", "Listrik padam sejak pagi")).ok(http.StatusOK)
	in := func(query string) int {
		var found Listed
		s.as("tamu").get("/api/productions?active=true" + query).ok(http.StatusOK).into(&found)
		return len(found.Productions)
	}
	s.wait(24 * time.Hour)
	if in("") != 1 {
		t.Error("on the next day the cancelled batch is gone")
	}
	s.wait(24 * time.Hour)
	if in("") != 0 || in("&from=2026-11-26") != 1 {
		t.Error("two days later the cancelled batch is there, or cannot be asked for")
	}
}

// TestKPIs has them as JSON and as a file; what is not known is null, or an empty cell.
func TestKPIs(t *testing.T) {
	s := newStage(t)
	s.to(production.Completed)
	s.as("manajer").post("/api/productions", plan()).ok(http.StatusCreated)
	var report KPIReport
	re := s.as("kepala").get("/api/kpis?to=2026-11-26").ok(http.StatusOK).into(&report)
	if report.From != "2026-11-20" || len(report.Batches) != 2 || report.Summary.Batches != 2 || report.Summary.FirstPass.Count != 1 {
		t.Errorf("got %s", re.body)
	}
	if k := report.Batches[1].KPIs; k.YieldPercentage != nil || k.MinutesToRelease != nil {
		t.Errorf("of a batch that is planned: %+v", k)
	}
	file := s.as("kepala").get("/api/kpis?to=2026-11-26&format=csv").ok(http.StatusOK)
	lines := strings.Split(strings.TrimSpace(string(file.body)), "\r\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "\uFEFFproductionDate,") || !strings.HasPrefix(lines[2], "2026-11-26,BATCH-20261126-0002,Nasi ayam,PLANNED,,,") ||
		!strings.HasSuffix(lines[0], "overallRating") {
		t.Errorf("got %q", lines)
	}
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="kpi-2026-11-20-2026-11-26.csv"` {
		t.Errorf("Content-Disposition %s", got)
	}
	if head := string(s.as("tamu").get("/api/kpis?format=csv").ok(http.StatusOK).body); strings.Contains(head, "cost") {
		t.Errorf("a viewer's file has %s", head)
	}
}

// TestDayLog_Escapes: what people type stays text, on the page and in spreadsheets.
func TestDayLog_Escapes(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	evil := `<script>alert(1)</script>`
	s.as("mutu").post("/api/productions/"+id+"/checks", map[string]any{
		"checkType": "TASTE", "parameter": evil, "actualValue": "=HYPERLINK(\"https://evil.example\")", "passed": true, "notes": "@SUM(A1)",
	}).ok(http.StatusCreated)
	page := s.as("kepala").get("/api/daylog?format=html&date=2026-11-26").ok(http.StatusOK)
	if strings.Contains(string(page.body), evil) || !strings.Contains(string(page.body), "&lt;script&gt;") {
		t.Error("the page has a script in it")
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %s", csp)
	}
	file := string(s.as("kepala").get("/api/daylog?format=csv&date=2026-11-26").ok(http.StatusOK).body)
	if strings.Contains(file, `,"=HYPERLINK`) || !strings.Contains(file, `'=HYPERLINK`) || !strings.Contains(file, `'@SUM`) {
		t.Errorf("the file has a formula in it: %s", file)
	}
}

// TestDayLog_Probes: the page sums up what probes told, the file has every reading.
func TestDayLog_Probes(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	const n = 125
	for i := range n {
		for dish, celsius := range map[string]float64{"Nasi": 70 + float64(i%100)/10, "Ayam": 80} {
			s.as("koki").post("/api/productions/"+id+"/readings", map[string]any{"kind": "CORE", "dish": dish, "celsius": celsius, "source": "PROBE"}).
				ok(http.StatusCreated)
		}
		s.wait(time.Minute)
	}
	page := string(s.as("kepala").get("/api/daylog?format=html&date=2026-11-26").ok(http.StatusOK).body)
	for _, want := range []string{"60 bacaan", "5 bacaan", "70,0 – 79,9 °C", "80,0 – 80,0 °C"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := strings.Count(page, "(sensor)"); got != 6 {
		t.Errorf("the page has %d lines of probes; want 3 hours of 2 dishes", got)
	}
	file := string(s.as("kepala").get("/api/daylog?format=csv&date=2026-11-26").ok(http.StatusOK).body)
	if got := strings.Count(file, ",Suhu,"); got != 2*n {
		t.Errorf("the file has %d readings; want %d", got, 2*n)
	}
}

func TestDayLog_Empty(t *testing.T) {
	s := newStage(t)
	s.as("kepala").do(http.MethodPut, "/api/kitchen", map[string]any{"version": 0, "name": "SPPG Mawar", "timeZone": "Asia/Jayapura"}).ok(http.StatusOK)
	s.now = midnight.Add(-90 * time.Minute) // it is the 26th in Jayapura already
	page := string(s.as("kepala").get("/api/daylog?format=html").ok(http.StatusOK).body)
	for _, want := range []string{"Tidak ada produksi", "SPPG Mawar", "Kamis, 26 November 2026", "WIT"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestFirstEntry compares the search with a walk from the start.
func TestFirstEntry(t *testing.T) {
	s := newStage(t)
	for i := range 40 {
		if i%3 == 0 {
			s.wait(10 * time.Minute)
		}
		s.create()
	}
	var all []production.AuditEntry
	for e, err := range s.store.Audit(t.Context(), sppg, 1) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	for _, at := range []production.Instant{1, all[0].At, all[20].At, all[20].At + 1, all[len(all)-1].At, all[len(all)-1].At.Add(time.Hour)} {
		got, err := s.api.firstEntry(t.Context(), sppg, at)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(len(all) + 1)
		for _, e := range all {
			if e.At >= at.Add(-time.Minute) {
				want = e.Seq
				break
			}
		}
		if got != want {
			t.Errorf("from %s: got entry %d; want %d", at, got, want)
		}
	}
}

// TestAudit reads in pages, and sees a change in the trail.
func TestAudit(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Preparing)
	var seqs []int64
	for from := int64(1); from != 0; {
		var page Trail
		s.as("kepala").get(fmt.Sprintf("/api/audit?limit=2&from=%d", from)).ok(http.StatusOK).into(&page)
		for _, e := range page.Entries {
			seqs = append(seqs, e.Seq)
		}
		from = page.Next
	}
	if want := []int64{1, 2, 3}; !slices.Equal(seqs, want) {
		t.Errorf("entries %v; want %v", seqs, want)
	}
	var page Trail
	s.as("kepala").get("/api/audit?productionId=" + id).ok(http.StatusOK).into(&page)
	if len(page.Entries) != 2 || page.Next != 0 {
		t.Errorf("of the batch: %+v", page)
	}
	broken := newStageOn(t, forger{storetest.NewModel()})
	broken.to(production.Preparing)
	var v Verdict
	broken.as("kepala").get("/api/audit/verify").ok(http.StatusOK).into(&v)
	if v.Valid || v.Entries != 1 || !strings.Contains(v.Flaw, "2") {
		t.Errorf("of a trail that was changed: %+v", v)
	}
}

// TestObservations: what an app published is there as it came, with what is wrong with it, and without costs for who may not see them.
func TestObservations(t *testing.T) {
	s := newStage(t)
	for i, payload := range []string{
		`{"type":"production_update","productionId":"p1","data":{"actualCost":9876543,"status":"COOKING"}}`, `no JSON, 9876543`, "\xff\xfe",
	} {
		o := production.Observation{ID: fmt.Sprintf("o%d", i), At: production.At(s.now.Add(time.Duration(i) * time.Second)), Payload: []byte(payload)}
		if i > 0 {
			o.Flags = []string{"MALFORMED"}
		}
		if _, err := s.store.Commit(t.Context(), production.Commit{Tenant: sppg, Observations: []production.Observation{o}}); err != nil {
			t.Fatal(err)
		}
	}
	var all []Observation
	for cursor := ""; ; {
		var page Observations
		s.as("kepala").get("/api/observations?limit=1&cursor=" + cursor).ok(http.StatusOK).into(&page)
		all = append(all, page.Observations...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(all) != 3 || all[0].ID != "o2" || len(all[1].Flags) == 0 || all[1].Payload != "no JSON, 9876543" || !strings.Contains(all[2].Payload, "9876543") {
		t.Errorf("got %+v", all)
	}
	if re := s.as("gizi").get("/api/observations").ok(http.StatusOK); strings.Contains(string(re.body), "9876543") || !strings.Contains(string(re.body), "COOKING") {
		t.Errorf("a nutritionist reads %s", re.body)
	}
	var flagged Observations
	s.as("kepala").get("/api/observations?flagged=true").ok(http.StatusOK).into(&flagged)
	if len(flagged.Observations) != 2 {
		t.Errorf("%d are flagged; want the two that are no JSON", len(flagged.Observations))
	}
}

// forger is a store whose second entry was changed.
type forger struct{ *storetest.Model }

func (f forger) Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[production.AuditEntry, error] {
	return func(yield func(production.AuditEntry, error) bool) {
		for e, err := range f.Model.Audit(ctx, t, from) {
			if e.Seq == 2 {
				e.User = "somebody else"
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// failing is a store that answers nothing but err.
type failing struct {
	*storetest.Model
	err *error
}

func (f failing) Load(ctx context.Context, t tenant.ID, w production.Want) (production.Loaded, error) {
	if *f.err != nil {
		return production.Loaded{}, *f.err
	}
	return f.Model.Load(ctx, t, w)
}

func (f failing) Batches(ctx context.Context, t tenant.ID, b production.BatchFilter, after *production.BatchPlace, limit int) ([]production.Production, error) {
	if *f.err != nil {
		return nil, *f.err
	}
	return f.Model.Batches(ctx, t, b, after, limit)
}

func (f failing) Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[production.AuditEntry, error] {
	if *f.err != nil {
		return func(yield func(production.AuditEntry, error) bool) { yield(production.AuditEntry{}, *f.err) }
	}
	return f.Model.Audit(ctx, t, from)
}

func (f failing) Commit(ctx context.Context, c production.Commit) ([]production.Event, error) {
	if *f.err != nil {
		return nil, *f.err
	}
	return f.Model.Commit(ctx, c)
}

// TestStoreIsOut: what is wrong with a store is told as it is, without its details, and logged.
func TestStoreIsOut(t *testing.T) {
	var err error
	s := newStageOn(t, failing{storetest.NewModel(), &err})
	ask := func() []*reply {
		return []*reply{
			s.as("tamu").get("/api/productions"),
			s.as("tamu").get("/api/productions?active=true"),
			s.as("manajer").post("/api/productions", plan()),
			s.as("kepala").get("/api/audit"),
			s.as("kepala").get("/api/audit/verify"),
			s.as("super").get("/api/productions?tenant=sppg_1"), // a look that cannot be written down is none
		}
	}
	err = fmt.Errorf("connect to db.internal: %w", production.ErrUnavailable)
	for _, re := range ask() {
		re.refused(http.StatusServiceUnavailable, "UNAVAILABLE")
		if re.header.Get("Retry-After") != "2" || strings.Contains(string(re.body), "db.internal") {
			t.Errorf("%s: %v %s", re.asked, re.header, re.body)
		}
	}
	err = context.DeadlineExceeded
	for _, re := range ask() {
		re.refused(http.StatusServiceUnavailable, "TIMEOUT")
	}
	if !strings.Contains(s.log.String(), "db.internal") || strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("the log: %s", s.log.String())
	}
	s.log.Reset()
	err = errors.New("the disk is on fire")
	for _, re := range ask() {
		var p Problem
		re.into(&p)
		if re.status != http.StatusInternalServerError || p.Code != "INTERNAL" || strings.Contains(string(re.body), "fire") {
			t.Errorf("%s: %d %s", re.asked, re.status, re.body)
		}
	}
	if n := strings.Count(s.log.String(), `level=ERROR msg="request broken by a mistake of ours"`); n != len(ask()) {
		t.Errorf("%d errors are logged; want %d: %s", n, len(ask()), s.log.String())
	}
}
