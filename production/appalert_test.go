package production

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// appAlert has an app tell of an alert of the batch "b", and returns the flags.
func (s *stage) appAlert(alert string) string {
	s.t.Helper()
	s.said++
	return strings.Join(s.observe(fmt.Sprint("alert", s.said),
		fmt.Sprintf(`{"type":"production_alert","productionId":"b","alert":%s,"timestamp":%d}`, alert, s.now.UnixMilli())), " ")
}

func appStage(t *testing.T) *stage {
	s := newStage(t)
	s.now = midnight.Add(2 * time.Hour)
	s.observe("begin", `{"type":"production_created","productionId":"b","data":{"batchNumber":"B-1","plannedPortions":900}}`)
	return s
}

func TestAnAlertOfAnApp(t *testing.T) {
	s := appStage(t)
	events := len(s.store.kitchen(sppg).events)
	if got := s.appAlert(`{"id":"x.1","type":"FREEZER","severity":"high","message":"Kulkas mati","value":12.5,"limit":5,"unit":"°C"}`); got != "" {
		t.Errorf("flags %q", got)
	}
	a := s.alert("b", "FREEZER")
	want := Alert{
		ID: "x.1", Tenant: sppg, Code: "FREEZER", Severity: High, Status: AlertOpen, ProductionID: "b", BatchNumber: "B-1",
		Message: Words{"Kulkas mati", "Kulkas mati"}, Value: 12.5, Limit: 5, Unit: "°C", RaisedAt: s.clock(), RisenAt: s.clock(),
		NextEscalation: s.clock().Add(10 * time.Minute), Source: AppRecord,
	}
	if a != want {
		t.Fatalf("got %+v, want %+v", a, want)
	}
	if n := len(s.store.kitchen(sppg).events); n != events {
		t.Errorf("%d events: the screens had the app's own", n-events)
	}
	s.watch(10 * time.Minute)
	if a = s.alert("b", "FREEZER"); a.Escalations != 1 {
		t.Errorf("nobody was called: %+v", a)
	}
	s.must(s.svc.Acknowledge(t.Context(), s.as("kepala"), "x.1"))
	s.appAlert(`{"id":"x.1","type":"FREEZER","severity":"HIGH","message":"Kulkas mati","value":13}`)
	if a = s.alert("b", "FREEZER"); a.Status != AlertAcknowledged || a.Value != 13 {
		t.Errorf("told again: %+v, want that it is acknowledged", a)
	}
	s.wait(time.Minute)
	s.appAlert(`{"id":"x.1","type":"FREEZER","severity":"CRITICAL"}`)
	if a = s.alert("b", "FREEZER"); a.Status != AlertOpen || a.Severity != Critical || a.AcknowledgedBy != "" || a.NextEscalation != s.clock().Add(2*time.Minute) {
		t.Errorf("it has risen: %+v", a)
	}
	s.appAlert(`{"id":"x.1","type":"FREEZER","severity":"LOW","status":"ACKNOWLEDGED","acknowledgedBy":"u7"}`)
	if a = s.alert("b", "FREEZER"); a.Status != AlertAcknowledged || a.Severity != Critical || a.AcknowledgedBy != "u7" {
		t.Errorf("acknowledged in the app: %+v", a)
	}
	s.appAlert(`{"id":"x.1","type":"FREEZER","status":"RESOLVED","resolvedBy":"u7","correctiveAction":"Dipindahkan"}`)
	s.want("b", "")
	if a = s.store.kitchen(sppg).alerts["x.1"]; a.Status != AlertResolved || a.ResolvedBy != "u7" || a.CorrectiveAction != "Dipindahkan" || a.ResolvedAt != s.clock() {
		t.Errorf("resolved in the app: %+v", a)
	}
}

func TestAnAlertOfAnAppThatIsResolvedHere(t *testing.T) {
	s := appStage(t)
	told := fmt.Sprintf(`{"id":"x","type":"GAS","severity":"CRITICAL","raisedAt":%d}`, s.now.UnixMilli())
	s.appAlert(told)
	s.wait(time.Minute)
	_, err := s.svc.Resolve(t.Context(), s.as("manajer"), "x", "Sudah diganti")
	s.refused(err, CodeForbidden)
	s.must(s.svc.Resolve(t.Context(), s.as("kepala"), "x", "Sudah diganti"))
	s.observe("late", `{"type":"production_alert","productionId":"b","alert":`+told+fmt.Sprintf(`,"timestamp":%d}`, s.now.Add(-time.Second).UnixMilli()))
	s.want("b", "")
	s.wait(time.Hour)
	s.appAlert(`{"id":"x","type":"GAS","severity":"HIGH"}`)
	s.want("b", "GAS HIGH OPEN")
}

// TestAnAlertThatNoAppEnds stays for a day, if it is not CRITICAL.
func TestAnAlertThatNoAppEnds(t *testing.T) {
	s := appStage(t)
	s.appAlert(`{"code":"A","severity":"MEDIUM"}`)
	s.appAlert(`{"code":"B","severity":"CRITICAL"}`)
	s.observe("progress", `{"type":"production_update","productionId":"b","data":{"progress":5}}`)
	s.want("b", "A MEDIUM OPEN, B CRITICAL OPEN")
	s.watch(24*time.Hour - time.Millisecond)
	s.want("b", "A MEDIUM OPEN, B CRITICAL OPEN")
	s.watch(time.Millisecond)
	s.want("b", "B CRITICAL OPEN")
	if a := s.store.kitchen(sppg).alerts["b A"]; a.Status != AlertAutoResolved {
		t.Errorf("got %+v", a)
	}
}

func TestAlertsOfAnAppThatCannotBe(t *testing.T) {
	s := appStage(t)
	own := s.to(Cooking)
	s.observe("cooking", `{"type":"production_update","productionId":"b","data":{"status":"PREPARING"}}`)
	s.observe("cooking2", `{"type":"production_update","productionId":"b","data":{"status":"COOKING","reading":{"kind":"CORE","celsius":60}}}`)
	s.observe("cooked", `{"type":"production_update","productionId":"b","data":{"status":"QUALITY_CHECK"}}`)
	rule := s.alert("b", CoreTempLow)
	for _, c := range []struct{ message, flags string }{
		{`{"type":"production_alert","productionId":"b","alert":[]}`, "MALFORMED"},
		{`{"type":"production_alert","productionId":"b"}`, "MALFORMED"},
		{`{"type":"production_alert","alert":{"code":"X"}}`, "NO_PRODUCTION_ID"},
		{`{"type":"production_alert","alert":{"code":"X","productionId":"b"}}`, ""},
		{`{"type":"production_alert","productionId":"` + own + `","alert":{"code":"X"}}`, "KEPT_HERE"},
		{`{"type":"production_alert","productionId":"b","alert":{"id":"` + rule.ID + `","status":"RESOLVED"}}`, "FIELD:alert.id"},
		{`{"type":"production_alert","productionId":"b","alert":{"code":"CORE_TEMP_LOW","severity":"LOW"}}`, ""}, // the rule's own stays
		{`{"type":"production_alert","productionId":"new","alert":{"id":"b X","code":"X"}}`, "FIELD:alert.id UNKNOWN_PRODUCTION"},
		{`{"type":"production_alert","productionId":"new","alert":{"id":"twin","code":"X"}}`, ""},
		{`{"type":"production_alert","productionId":"b","alert":{"id":"twin","code":"Z"}}`, "FIELD:alert.id"},
		{`{"type":"production_alert","productionId":"b","alert":{"code":"a b","severity":"WORST","status":7,"message":{"id":7},"value":"x","limit":1e99,"unit":"0123456789abc","raisedAt":"x"}}`,
			"FIELD:alert.code FIELD:alert.limit FIELD:alert.message FIELD:alert.raisedAt FIELD:alert.severity FIELD:alert.status FIELD:alert.unit FIELD:alert.value"},
		{`{"type":"production_alert","productionId":"b","alert":{"code":"GONE","status":"RESOLVED"}}`, ""},
	} {
		s.said++
		if got := strings.Join(s.observe(fmt.Sprint("odd", s.said), c.message), " "); got != c.flags {
			t.Errorf("%s: got %q; want %q", c.message, got, c.flags)
		}
	}
	if now := s.alert("b", CoreTempLow); now != rule {
		t.Errorf("the rule's alert is %+v, want %+v", now, rule)
	}
	s.want("b", "APP_ALERT MEDIUM OPEN, CORE_TEMP_LOW CRITICAL OPEN, X MEDIUM OPEN")
	for n := range 30 {
		flags := s.appAlert(fmt.Sprintf(`{"code":"C%d"}`, n))
		if want := n >= maxAppAlerts-2; (flags == "TOO_MANY_ALERTS") != want {
			t.Errorf("alert %d: flags %q", n, flags)
		}
	}
}
