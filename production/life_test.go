package production

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestAlertLife follows one alert: raised, risen, answered, called for, resolved, and not raised again for the same cause.
func TestAlertLife(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id := s.to(QualityCheck) // cooked at 03:00
	cooked := s.batch(id).Production.Cooked
	for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
		s.inspect(id, kind, true)
	}
	s.must(s.svc.Sample(ctx, s.as("mutu"), id, TakeSample{}))

	s.watch(cooked.Add(2*time.Hour).Sub(s.clock()) - time.Millisecond)
	s.want(id, "")
	s.watch(time.Millisecond)
	s.want(id, "EAT_BY MEDIUM OPEN")
	a := s.alert(id, EatBy)
	s.must(s.svc.Acknowledge(ctx, s.as("koki"), a.ID))
	if got := s.alert(id, EatBy); got.Status != AlertAcknowledged || got.AcknowledgedBy != "koki" || got.AcknowledgedAt != s.clock() {
		t.Fatalf("got %+v", got)
	}
	commits := s.store.commits
	s.must(s.svc.Acknowledge(ctx, s.as("koki"), a.ID))
	if s.store.commits != commits {
		t.Error("acknowledged twice")
	}

	s.watch(time.Hour) // it rises, and has to be answered anew
	risen := s.alert(id, EatBy)
	if risen.ID != a.ID || risen.Severity != High || risen.Status != AlertOpen || risen.RaisedAt != a.RaisedAt || risen.RisenAt != s.clock() {
		t.Fatalf("got %+v", risen)
	}
	notices := func() (n int) {
		for _, call := range s.store.kitchen(sppg).notices {
			if call.AlertID == a.ID {
				n++
			}
		}
		return n
	}
	s.watch(10*time.Minute - time.Millisecond)
	if notices() != 0 {
		t.Fatal("called too early")
	}
	s.watch(time.Millisecond)
	if got := s.alert(id, EatBy); notices() != 1 || got.Escalations != 1 || got.EscalatedAt != s.clock() {
		t.Fatalf("%d calls; %+v", notices(), got)
	}
	s.watch(10 * time.Minute)
	if got := s.alert(id, EatBy); got.Escalations != 3 || notices() != 3 {
		t.Fatalf("called %d times after 20 minutes; want 3", notices())
	}
	s.must(s.svc.Acknowledge(ctx, s.as("kepala"), a.ID))
	s.watch(30 * time.Minute)
	if notices() != 3 {
		t.Error("called although somebody has answered")
	}

	s.watch(10 * time.Minute) // four hours
	if got := s.alert(id, EatBy); got.Severity != Critical || got.Status != AlertOpen {
		t.Fatalf("got %+v", got)
	}
	s.watch(2 * time.Minute)
	if notices() != 4 {
		t.Errorf("%d calls two minutes after CRITICAL; want one more than 3", notices())
	}
	_, err := s.svc.Resolve(ctx, s.as("gizi"), a.ID, "ok")
	s.refused(err, CodeInvalid, "correctiveAction")
	s.must(s.svc.Resolve(ctx, s.as("gizi"), a.ID, "Seluruh batch dimusnahkan"))
	s.watch(24 * time.Hour)
	if strings.Contains(s.alerts(id), string(EatBy)) {
		t.Errorf("raised again for what was settled: %s", s.alerts(id))
	}
	_, err = s.svc.Resolve(ctx, s.as("gizi"), a.ID, "Seluruh batch dimusnahkan")
	s.refused(err, CodeAlertClosed)
	_, err = s.svc.Acknowledge(ctx, s.as("gizi"), a.ID)
	s.refused(err, CodeAlertClosed)
	_, err = s.svc.Acknowledge(ctx, s.as("gizi"), "alert_none")
	s.refused(err, CodeNotFound)
}

// TestHotBoxes lets food in a hot box cool: each limit is met to the millisecond, although nobody measures again.
func TestHotBoxes(t *testing.T) {
	s := newStage(t)
	c := plan()
	c.ControlMode, c.PlannedEnd = ControlHot, At(midnight.Add(20*time.Hour))
	id := s.create(c)
	s.now = midnight
	s.step("koki", id, Preparing)
	s.read(id, HotHold, "Ayam", 550)
	alert := func() string {
		for _, a := range s.batch(id).Alerts {
			if a.Code == HotHoldLow {
				return string(a.Severity)
			}
		}
		return ""
	}
	passed := time.Duration(0)
	for _, limit := range []struct {
		after        time.Duration
		before, then string
	}{{time.Minute, "", "MEDIUM"}, {2 * time.Hour, "MEDIUM", "HIGH"}, {4 * time.Hour, "HIGH", "CRITICAL"}} {
		s.watch(limit.after - passed)
		if got := alert(); got != limit.before {
			t.Errorf("after %s: %q; want %q", limit.after, got, limit.before)
		}
		s.watch(time.Millisecond)
		if got := alert(); got != limit.then {
			t.Errorf("past %s: %q; want %q", limit.after, got, limit.then)
		}
		passed = limit.after + time.Millisecond
		s.must(s.svc.Acknowledge(t.Context(), s.as("gizi"), s.alert(id, HotHoldLow).ID)) // or a call would wake the engine, too
	}
}

// TestChecksOfAnotherRoundDoNotCount: food that waits to be checked waits, whatever was checked before.
func TestChecksOfAnotherRoundDoNotCount(t *testing.T) {
	s := newStage(t)
	id := s.to(QualityCheck) // its hygiene check was made while it was prepared
	s.watch(15*time.Minute + time.Millisecond)
	if got := s.alerts(id); !strings.Contains(got, "QC_WAITING MEDIUM") {
		t.Errorf("got %q", got)
	}
	s.inspect(id, Hygiene, true)
	if got := s.alerts(id); strings.Contains(got, "QC_WAITING") {
		t.Errorf("got %q", got)
	}
}

// TestNoticeSaysWhoIsCalled is the payload of a webhook.
func TestNoticeSaysWhoIsCalled(t *testing.T) {
	got := notice(Alert{ID: "a", Tenant: sppg, Code: CostOver, Value: 30, Limit: 25, Unit: "%", ProductionID: "p", Escalations: 2}, 1000)
	want := `{"type":"alert_escalation","sppgId":"sppg_1","productionId":"p","alert":{"id":"a","code":"COST_OVER","severity":"","status":"",` +
		`"productionId":"p","batchNumber":"","message":{"id":"","en":""},"value":0,"limit":0,"unit":"","raisedAt":0,"escalations":2},` +
		`"count":2,"notify":["SPPG_KEPALA","SPPG_AHLI_GIZI"],"timestamp":1000}`
	if string(got.Payload) != want || got.ID != "a.2" {
		t.Errorf("got %s with id %s; want %s", got.Payload, got.ID, want)
	}
}

// TestCallsEnd: a whole day of calls is enough; the alert stays.
func TestCallsEnd(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	s.now = s.batch(id).Production.PlannedStart.Time()
	s.watch(45*time.Minute + time.Millisecond)
	s.want(id, "START_LATE HIGH OPEN")
	s.watch(72 * time.Hour)
	got := s.alert(id, StartLate)
	if got.NextEscalation.Known() || got.Escalations < 280 || got.Escalations > 290 {
		t.Errorf("called %d times, next at %s", got.Escalations, got.NextEscalation)
	}
}

// TestLongSleep: whoever comes back after an hour calls once, and not for every call that was missed.
func TestLongSleep(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	s.now = s.batch(id).Production.PlannedStart.Add(46 * time.Minute).Time()
	s.watch(0)
	s.wait(time.Hour)
	s.watch(0)
	if got := s.alert(id, StartLate); got.Escalations != 1 || got.NextEscalation != s.clock().Add(5*time.Minute) {
		t.Errorf("got %+v", got)
	}
}

// TestClearsItself: what only reminds ends with its cause; what concerned the safety of food does not.
func TestClearsItself(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	s.now = s.batch(id).Production.PlannedStart.Time()
	s.watch(20 * time.Minute)
	a := s.alert(id, StartLate)
	s.step("koki", id, Preparing)
	if got := s.store.kitchen(sppg).alerts[a.ID]; got.Status != AlertAutoResolved || got.ResolvedAt != s.clock() || got.ResolvedBy != "" {
		t.Errorf("got %+v", got)
	}
	s.inspect(id, Hygiene, false)
	s.inspect(id, Hygiene, true)
	s.must(s.svc.Cancel(t.Context(), s.on("kepala", id), id, Cancel{"Listrik padam sejak pagi"}))
	s.want(id, "QC_FAILED HIGH OPEN")
	if got := s.batch(id).Production; got.QualityPassed == nil || *got.QualityPassed {
		t.Errorf("qualityPassed is %v; want false: a check has failed", got.QualityPassed)
	}
}

// TestTheNextFailureIsNew: an alert about a failed check that was settled comes back with the next one that fails.
func TestTheNextFailureIsNew(t *testing.T) {
	s := newStage(t)
	id := s.to(Preparing)
	s.inspect(id, Hygiene, false)
	first := s.alert(id, QCFailed)
	s.must(s.svc.Resolve(t.Context(), s.as("gizi"), first.ID, "Area dibersihkan ulang"))
	s.must(s.svc.Work(t.Context(), s.on("koki", id), id, Work{Progress: new(5)}))
	s.want(id, "")
	s.inspect(id, Hygiene, false)
	if second := s.alert(id, QCFailed); second.ID == first.ID || second.Status != AlertOpen {
		t.Errorf("got %+v", second)
	}
}

// TestOverride: who may, cooks early with a reason, and it is never quiet.
func TestOverride(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id := s.to(Preparing)
	s.inspect(id, Hygiene, true)
	early := Transition{To: Cooking, Override: true}
	_, err := s.svc.Transition(ctx, s.on("manajer", id), id, early)
	s.refused(err, CodeForbidden)
	_, err = s.svc.Transition(ctx, s.on("kepala", id), id, early)
	s.refused(err, CodeInvalid, "reason")
	early.Reason = "Sekolah jauh, berangkat pukul 03.00"
	s.must(s.svc.Transition(ctx, s.on("kepala", id), id, early))
	a := s.alert(id, CookTooEarly)
	if a.Severity != High || a.Value != 240 {
		t.Errorf("got %+v", a)
	}
	if e := s.store.kitchen(sppg).audit; e[len(e)-1].Reason != early.Reason {
		t.Errorf("the reason is not in the audit trail: %+v", e[len(e)-1])
	}
	s.must(s.svc.Resolve(ctx, s.as("kepala"), a.ID, "Disetujui kepala SPPG"))
	s.watch(time.Hour)
	if strings.Contains(s.alerts(id), string(CookTooEarly)) {
		t.Error("raised again")
	}

	late := s.create(plan())
	s.step("koki", late, Preparing)
	s.inspect(late, Hygiene, true)
	s.now = midnight
	s.must(s.svc.Transition(ctx, s.on("kepala", late), late, early))
	if got := s.batch(late).Facts.EarlyReason; got != "" {
		t.Errorf("an override that was not needed counts as early: %q", got)
	}
}

// TestKitchensCertificate: an alert that belongs to no batch has the same life.
func TestKitchensCertificate(t *testing.T) {
	s := newStage(t)
	k, err := s.svc.Configure(t.Context(), s.as("kepala"), Kitchen{Name: "Dapur 1", Certificates: []Certificate{{"SLHS", "440/1", "2026-12-20"}}})
	if err != nil {
		t.Fatal(err)
	}
	active := func() []Alert { return s.store.kitchen(sppg).active("") }
	if a := active(); len(a) != 1 || a[0].Code != DocExpiring || a[0].Severity != Low || a[0].ProductionID != "" {
		t.Fatalf("got %+v", a)
	}
	id := active()[0].ID
	s.must(s.svc.Resolve(t.Context(), s.as("admin"), id, ""))
	s.watch(20 * 24 * time.Hour)
	if len(active()) != 0 {
		t.Fatalf("raised again: %+v", active())
	}
	s.watch(6 * 24 * time.Hour) // it has expired
	if a := active(); len(a) != 1 || a[0].Severity != High || a[0].Escalations == 0 {
		t.Fatalf("got %+v", a)
	}
	r := s.as("admin")
	r.Version = k.Version
	k.Certificates = []Certificate{{"SLHS", "440/2", "2029-12-20"}}
	if _, err := s.svc.Configure(t.Context(), r, k); err != nil {
		t.Fatal(err)
	}
	if a := active(); len(a) != 0 {
		t.Errorf("a new certificate did not end it: %+v", a)
	}
	s.proved(s.create(func() Create {
		c := plan()
		c.Day = DayOf(s.clock(), WIB)
		c.PlannedStart, c.PlannedEnd = s.clock(), s.clock().Add(time.Hour)
		return c
	}()))
}

func TestAlertJSON(t *testing.T) {
	a := Alert{ID: "a", Code: EatBy, Severity: High, Status: AlertOpen, ProductionID: "p", BatchNumber: "b", Message: messages[EatBy], Value: 180, Limit: 180, Unit: "min", RaisedAt: 5, RisenAt: 6}
	text, err := json.Marshal(a)
	want := `{"id":"a","code":"EAT_BY","severity":"HIGH","status":"OPEN","productionId":"p","batchNumber":"b",` +
		`"message":{"id":"Batas waktu konsumsi","en":"Eat-by time"},"value":180,"limit":180,"unit":"min","raisedAt":5,"risenAt":6}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v; want %s", text, err, want)
	}
	var back Alert
	if err := json.Unmarshal(text, &back); err != nil || back != a {
		t.Errorf("got back %+v, %v", back, err)
	}
	if len(messages) != 18 {
		t.Errorf("%d rules have a text; want 18", len(messages))
	}
}
