package rest

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/production"
)

// TestNight takes a batch through a night by REST alone. Every step is refused first, for all that is missing, and the log, the figures and
// the audit trail tell of it afterwards.
func TestNight(t *testing.T) { night(t, newStage(t)) }

func night(t *testing.T, s *stage) {
	const conflict, created, ok = http.StatusConflict, http.StatusCreated, http.StatusOK
	body := plan()
	delete(body, "headCook")
	body["plannedStartTime"], body["plannedEndTime"] = s.now.Add(13*time.Hour), s.now.Add(23*time.Hour)
	s.as("koki").post("/api/productions", body).refused(http.StatusForbidden, "PIN_REQUIRED")
	made := s.as("manajer").with("Idempotency-Key", "plan-1").post("/api/productions", body).ok(created)
	p := made.batch()
	path := "/api/productions/" + p.ID
	if p.BatchNumber != "BATCH-20261126-0001" || p.Status != production.Planned || p.Version != 1 || made.header.Get("Location") != path ||
		made.header.Get("ETag") != `"1"` {
		t.Fatalf("got %s, %v", made.body, made.header)
	}
	again := s.as("manajer").with("Idempotency-Key", "plan-1").post("/api/productions", body).ok(created)
	if string(again.body) != string(made.body) || again.header.Get("Idempotency-Replayed") != "true" {
		t.Fatalf("the key again: got %s; want %s", again.body, made.body)
	}

	s.step("koki", p.ID, production.Preparing).refused(conflict, "GUARDS_UNMET", production.GuardHeadCook, production.GuardNotTooEarly)
	s.step("koki", p.ID, production.Cooking).refused(conflict, "NO_SUCH_STEP", "PREPARING", "CANCELLED")
	s.as("manajer").with("If-Match", `"1"`).do(http.MethodPatch, path, map[string]any{
		"headCook": "koki", "plannedStartTime": midnight.Add(-4 * time.Hour),
	}).ok(ok)
	s.wait(2 * time.Hour)
	s.step("koki", p.ID, production.Preparing).ok(ok)

	s.step("koki", p.ID, production.Cooking).refused(conflict, "GUARDS_UNMET", production.GuardHygiene, production.GuardDayBegan)
	hygiene := map[string]any{"checkType": "HYGIENE", "parameter": "meja, alat, tangan", "actualValue": "lantai licin", "score": 60}
	s.as("tablet").post(path+"/checks", hygiene).refused(http.StatusForbidden, "PIN_REQUIRED")
	onTablet := s.as("tablet").with("Person-Id", "mutu")
	onTablet.with("Person-Pin", "1357").post(path+"/checks", hygiene).refused(http.StatusForbidden, "PIN_WRONG")
	onTablet.with("Person-Pin", pinText).post(path+"/checks", hygiene).ok(created)
	s.step("koki", p.ID, production.Cooking).refused(conflict, "GUARDS_UNMET", production.GuardHygiene, production.GuardDayBegan)
	hygiene["score"], hygiene["actualValue"] = 92, "bersih"
	onTablet.with("Person-Pin", pinText).post(path+"/checks", hygiene).ok(created)
	s.watch(midnight.Sub(s.now) - time.Millisecond)
	s.step("koki", p.ID, production.Cooking).refused(conflict, "GUARDS_UNMET", production.GuardDayBegan)
	s.wait(time.Millisecond)
	s.step("koki", p.ID, production.Cooking).ok(ok)

	s.step("koki", p.ID, production.QualityCheck).refused(conflict, "GUARDS_UNMET", production.GuardReading, production.GuardPortions)
	s.watch(30 * time.Minute)
	s.as("tamu").post(path+"/readings", map[string]any{"kind": "CORE", "celsius": 90}).refused(http.StatusForbidden, "FORBIDDEN")
	s.read(p.ID, "Nasi", 90.5)
	s.read(p.ID, "Ayam", 71)
	s.step("koki", p.ID, production.QualityCheck).refused(conflict, "GUARDS_UNMET", production.GuardPortions)
	cooked := production.At(s.now)
	got := s.as("koki").post(path+"/transition", s.on(p.ID, "to", "QUALITY_CHECK", "work", map[string]any{
		"actualPortions": 980, "cookedDishes": []any{map[string]any{"name": "Nasi"}},
	})).ok(ok).batch()
	if got.Cooked != cooked || got.ConsumeBy != cooked.Add(4*time.Hour) {
		t.Fatalf("got cookedAt %s, consumeBy %s; want %s and four hours later", got.Cooked, got.ConsumeBy, cooked)
	}

	s.step("gizi", p.ID, production.Completed).refused(conflict, "GUARDS_UNMET", production.GuardTemperature, production.GuardTaste,
		production.GuardAppearance, production.GuardSafety, production.GuardCore, production.GuardSample)
	s.step("gizi", p.ID, production.Cooking).refused(conflict, "GUARDS_UNMET", production.GuardFailedCheck)
	s.inspect(p.ID, production.Temperature, false)
	s.watch(10 * time.Minute)
	if got := s.step("gizi", p.ID, production.Cooking).ok(ok).batch(); got.ReworkCount != 1 || got.Cooked != cooked {
		t.Fatalf("after rework: %+v", got)
	}
	s.step("koki", p.ID, production.QualityCheck).refused(conflict, "GUARDS_UNMET", production.GuardReading)
	s.read(p.ID, "Ayam", 82)
	s.watch(15 * time.Minute)
	s.step("koki", p.ID, production.QualityCheck).ok(ok)
	for _, kind := range production.CheckTypes[1:] {
		s.inspect(p.ID, kind, true)
	}
	s.step("mutu", p.ID, production.Completed).refused(conflict, "GUARDS_UNMET", production.GuardSample)
	s.as("mutu").post(path+"/samples", map[string]any{"place": "Lemari es 1"}).ok(created)
	s.as("kurir").post(path+"/dispatches", map[string]any{"portions": 980}).refused(conflict, "WRONG_STATUS", "COMPLETED")
	s.as("akuntan").post(path+"/work", s.on(p.ID, "actualCost", 9_800_000)).ok(ok)
	s.answer(p.ID)
	got = s.step("gizi", p.ID, production.Completed).ok(ok).batch()
	if got.Progress != 100 || got.QualityPassed == nil || !*got.QualityPassed || got.CostPerPortion != nil {
		t.Fatalf("released: %+v; want it passed, and no costs for gizi", got)
	}
	s.step("gizi", p.ID, production.Cooking).refused(conflict, "FINAL")
	s.watch(20 * time.Minute)
	s.as("kurir").post(path+"/dispatches", map[string]any{"portions": 980, "destination": "SDN 1", "vehicle": "B 1234 XY"}).ok(created)
	correction := map[string]any{"field": "actualPortions", "value": "979", "reason": "Satu porsi tumpah saat pemorsian"}
	s.as("manajer").post(path+"/corrections", correction).refused(http.StatusForbidden, "FORBIDDEN")
	s.as("kepala").post(path+"/corrections", correction).ok(created)
	s.proved(p.ID)
}

// answer resolves all active alerts of a batch, after an attempt without a corrective action.
func (s *stage) answer(id string) {
	s.t.Helper()
	var found struct {
		Alerts []struct{ ID, Severity, Status string }
	}
	s.as("koki").get("/api/alerts?active=true&productionId=" + id).ok(http.StatusOK).into(&found)
	if len(found.Alerts) == 0 {
		s.t.Fatal("no alert was raised: a check had failed")
	}
	for _, a := range found.Alerts {
		path := "/api/alerts/" + a.ID
		s.as("koki").post(path+"/acknowledge", map[string]any{}).ok(http.StatusOK)
		if a.Severity == "HIGH" || a.Severity == "CRITICAL" {
			s.as("gizi").post(path+"/resolve", map[string]any{}).refused(http.StatusUnprocessableEntity, "INVALID", "correctiveAction")
		}
		s.as("gizi").post(path+"/resolve", map[string]any{"correctiveAction": "Dimasak ulang sampai 82 °C"}).ok(http.StatusOK)
		s.as("gizi").post(path+"/resolve", map[string]any{"correctiveAction": "Dimasak ulang sampai 82 °C"}).refused(http.StatusConflict, "ALERT_CLOSED")
	}
}

// proved looks at everything that tells of a night.
func (s *stage) proved(id string) {
	t := s.t
	t.Helper()
	const ok = http.StatusOK
	var log DayLog
	s.as("kepala").get("/api/daylog?date=" + string(theDay)).ok(ok).into(&log)
	if len(log.Batches) != 1 {
		t.Fatalf("the log has %d batches; want 1", len(log.Batches))
	}
	b := log.Batches[0]
	var steps []string
	for _, st := range b.Steps {
		steps = append(steps, string(st.To)+" "+st.By)
	}
	want := "PREPARING koki, COOKING koki, QUALITY_CHECK koki, COOKING gizi, QUALITY_CHECK koki, COMPLETED gizi"
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("the log has the steps\n%s; want\n%s", got, want)
	}
	if len(b.Readings) != 3 || len(b.Checks) != 7 || len(b.Samples) != 1 || len(b.Dispatches) != 1 || len(b.Corrections) != 1 || b.Reviewer != "gizi" {
		t.Errorf("the log has %d readings, %d checks, %d samples, %d dispatches, %d corrections, reviewer %q", len(b.Readings), len(b.Checks),
			len(b.Samples), len(b.Dispatches), len(b.Corrections), b.Reviewer)
	}
	if b.Production.CostPerPortion == nil || *b.Production.CostPerPortion != 10_000 || log.Summary.FirstPass.Count != 0 || log.Summary.FirstPass.Of != 1 {
		t.Errorf("the log has the costs %v and first pass %+v", b.Production.CostPerPortion, log.Summary.FirstPass)
	}

	page := string(s.as("kepala").get("/api/daylog?format=html&date=" + string(theDay)).ok(ok).body)
	for _, want := range []string{
		"BATCH-20261126-0001", "Nasi ayam", "Kamis, 26 November 2026", "Mulai memasak", "Kembalikan ke masak", "71,0 °C", "≥ 75,0 °C", "Gagal",
		"Dimasak ulang sampai 82 °C", "SDN 1", "Satu porsi tumpah", "Lemari es 1", "04:30", log.Audit.String(), "Gizi",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page to print lacks %q", want)
		}
	}
	file := s.as("kepala").get("/api/daylog?format=csv&date=" + string(theDay)).ok(ok).body
	table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(file), "\uFEFF"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	alerts := len(b.Alerts)
	if want := 1 + 6 + 3 + 7 + 1 + 1 + 1 + alerts; len(table) != want || alerts == 0 {
		t.Errorf("the file has %d lines; want %d", len(table), want)
	}

	var report KPIReport
	s.as("kepala").get("/api/kpis?from=2026-11-20&to=2026-11-26").ok(ok).into(&report)
	if len(report.Batches) != 1 || report.Summary.Batches != 1 || report.Batches[0].KPIs.YieldPercentage == nil || *report.Batches[0].KPIs.YieldPercentage != 98 {
		t.Errorf("figures: %+v", report)
	}
	var v Verdict
	s.as("kepala").get("/api/audit/verify").ok(ok).into(&v)
	if !v.Valid || v.Entries < 20 || v.Flaw != "" {
		t.Errorf("audit trail: %+v", v)
	}
	var trail Trail
	s.as("kepala").get("/api/audit?limit=500&productionId=" + id).ok(ok).into(&trail)
	named := false
	for _, e := range trail.Entries {
		named = named || e.User == "tablet" && e.Person == "mutu" && e.Action == "check"
		if strings.Contains(string(e.Detail), pinText) {
			t.Errorf("the trail holds a PIN: %s", e.Detail)
		}
	}
	if !named || int64(len(trail.Entries)) < s.version(id) {
		t.Errorf("the trail has %d entries of version %d, the person at the tablet named: %t", len(trail.Entries), s.version(id), named)
	}
	if s.log.Len() > 0 {
		t.Errorf("something was logged: %s", s.log.String())
	}
}
