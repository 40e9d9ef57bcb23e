package production

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// published is what the app sends in one night, as it sends it.
func (s *stage) observe(id, payload string) []string {
	s.t.Helper()
	flags, err := s.svc.Observe(s.t.Context(), sppg, id, []byte(payload))
	if err != nil {
		s.t.Fatal(err)
	}
	return flags
}

// TestObserve follows a batch of an app that keeps its own database.
func TestObserve(t *testing.T) {
	s := newStage(t)
	s.now = midnight.Add(2 * time.Hour)
	ms := func() int64 { return s.now.UnixMilli() }
	flags := s.observe("1", fmt.Sprintf(`{"type":"production_created","productionId":"clx1","data":{"id":"clx1","sppgId":"sppg_2","batchNumber":"BATCH-20261126-0001",
		"productionDate":"2026-11-25T17:00:00.000Z","menuName":"Soto","plannedPortions":1200,"plannedStartTime":"2026-11-25T17:00:00Z",
		"plannedEndTime":"2026-11-26T00:00:00Z","estimatedCost":9500000.4,"status":"PLANNED","headCook":"u1"},"timestamp":%d,"updatedBy":"u9"}`, ms()))
	if flags != nil {
		t.Fatalf("flags %q", flags)
	}
	p := s.batch("clx1").Production
	if p.Source != AppRecord || p.Tenant != sppg || p.Day != day || p.PlannedPortions != 1200 || *p.EstimatedCost != 9_500_000 || p.MenuName != "Soto" || p.Version != 1 {
		t.Fatalf("got %+v", p)
	}
	s.want("clx1", "START_LATE HIGH OPEN")
	if e := s.store.kitchen(sppg).events; len(e) != 1 || e[0].Channel != AlertsChannel {
		t.Fatalf("events %+v: want the alert, and no echo of what the app said", e)
	}

	flags = s.observe("2", fmt.Sprintf(`{"type":"production_update","productionId":"clx1","data":{"status":"COOKING","progress":50},"timestamp":%d}`, ms()))
	if !slices.Equal(flags, []string{FlagStep}) {
		t.Errorf("PLANNED to COOKING: flags %q", flags)
	}
	s.observe("3", fmt.Sprintf(`{"type":"production_update","productionId":"clx1","data":{"reading":{"kind":"CORE","celsius":68.5}},"timestamp":%d}`, ms()))
	s.wait(30 * time.Minute)
	s.observe("4", fmt.Sprintf(`{"type":"broadcast","sppgId":"sppg_1","message":{"type":"production_update","productionId":"clx1","data":{"status":"QUALITY_CHECK"},"timestamp":%d}}`, ms()))
	cooked := s.clock()
	p = s.batch("clx1").Production
	if p.Cooked != cooked || p.ConsumeBy != cooked.Add(4*time.Hour) || p.Progress != 80 {
		t.Fatalf("got %+v", p)
	}
	if a := s.alert("clx1", CoreTempLow); a.Severity != Critical {
		t.Errorf("got %+v", a)
	}
	later := s.now.Add(time.Hour).Format(time.RFC3339)
	flags = s.observe("5", `{"type":"production_update","productionId":"clx1","data":{"cookedAt":"`+later+`","consumeBy":"`+later+`","progress":10,"wave":9}}`)
	if !slices.Equal(flags, []string{"FIELD:wave", FlagProgress, FlagClock}) {
		t.Errorf("flags %q", flags)
	}
	p = s.batch("clx1").Production
	if p.Cooked != cooked || p.ConsumeBy != At(s.now.Add(time.Hour).Truncate(time.Second)) || p.Progress != 10 || p.Wave != 0 {
		t.Errorf("got %+v", p)
	}
	s.observe("6", `{"type":"production_update","productionId":"clx1","data":{"qualityCheck":{"checkType":"SAFETY","parameter":"formalin","actualValue":"positif","passed":false}}}`)
	if a := s.alert("clx1", QCFailed); a.Severity != Critical {
		t.Errorf("got %+v", a)
	}
	version := s.batch("clx1").Production.Version
	if flags := s.observe("7", fmt.Sprintf(`{"type":"production_update","productionId":"clx1","data":{"version":%d,"progress":99}}`, version)); !slices.Equal(flags, []string{FlagOldVersion}) {
		t.Errorf("flags %q", flags)
	}
	commits := s.store.commits
	if flags := s.observe("7", `{"type":"production_update","productionId":"clx1","data":{"progress":99}}`); flags != nil || s.store.commits != commits {
		t.Errorf("taken in twice: %q", flags)
	}
	s.watch(4 * time.Hour)
	if a := s.alert("clx1", EatBy); a.Severity != Critical {
		t.Errorf("got %+v", a)
	}
	// Nobody else changes it; its alerts can be answered.
	_, err := s.svc.Work(t.Context(), s.on("koki", "clx1"), "clx1", Work{Progress: new(90)})
	s.refused(err, CodeNotOurs)
	s.must(s.svc.Resolve(t.Context(), s.as("gizi"), s.alert("clx1", QCFailed).ID, "Seluruh batch dimusnahkan"))
	s.observe("8", `{"type":"production_update","productionId":"clx1","data":{"status":"COMPLETED"}}`)
	s.must(s.svc.Resolve(t.Context(), s.as("gizi"), s.alert("clx1", EatBy).ID, "Seluruh batch dimusnahkan"))
	s.watch(24 * time.Hour)
	if strings.Contains(s.alerts("clx1"), "EAT_BY") {
		t.Errorf("the clock runs on although the app has no dispatch: %s", s.alerts("clx1"))
	}
}

// TestObserveWhatCannotBe: it is kept and flagged, and never fatal.
func TestObserveWhatCannotBe(t *testing.T) {
	s := newStage(t)
	own := s.create(plan()) // has BATCH-20261126-0001
	for i, c := range []struct{ payload, flags string }{
		{`nonsense`, "MALFORMED"}, {`[]`, "MALFORMED"}, {`null`, "MALFORMED"}, {"\xff", "MALFORMED"}, {``, "MALFORMED"},
		{`{"type":"production_update","productionId":"a","data":7}`, "MALFORMED"},
		{`{"type":"menu_updated","productionId":"a"}`, "UNKNOWN_TYPE"},
		{`{"type":"production_update","productionId":"a b","data":{}}`, "NO_PRODUCTION_ID"},
		{`{"type":"production_update","data":{}}`, "NO_PRODUCTION_ID"},
		{`{"type":"production_update","productionId":"` + own + `","data":{"status":"COMPLETED"}}`, "KEPT_HERE"},
		{`{"type":"production_update","productionId":"b1","data":{"status":"BURNT","plannedPortions":-1,"notes":7,"productionDate":"soon"}}`,
			"UNKNOWN_PRODUCTION FIELD:notes FIELD:plannedPortions FIELD:productionDate FIELD:status"},
		{`{"type":"production_created","productionId":"b2","data":{"batchNumber":"BATCH-20261126-0001"}}`, "BATCH_NUMBER_TAKEN"},
		{`{"type":"production_update","productionId":"b2","data":{"batchNumber":"BATCH-20261126-0001","progress":3}}`, "BATCH_NUMBER_TAKEN"},
		{`{"eventType":"PRODUCTION_CREATED","correlationId":"prod-b3","data":{"id":"b3","batchNumber":"B3"}}`, ""},
		{`{"type":"production_alert","productionId":"b3","alert":{"code":"X"},"timestamp":1}`, "FIELD:timestamp"},
		{`{"type":"production_update","productionId":"b3","data":{"reading":{"kind":"CORE","celsius":1e9},"qualityCheck":{"checkType":"X"},"version":"x"},"timestamp":"x"}`,
			"FIELD:timestamp FIELD:version FIELD:reading FIELD:qualityCheck"},
		{`{"type":"production_update","productionId":"b3","data":{"notes":null,"progress":0}}`, ""},
	} {
		if got := strings.Join(s.observe(fmt.Sprint("m", i), c.payload), " "); got != c.flags {
			t.Errorf("%s: got %q; want %q", c.payload, got, c.flags)
		}
		k := s.store.kitchen(sppg)
		if o := k.observed[len(k.observed)-1]; string(o.Payload) != c.payload || strings.Join(o.Flags, " ") != c.flags {
			t.Errorf("%s: kept as %+v", c.payload, o)
		}
	}
	if got := s.batch("b2").Production; got.BatchNumber != "APP-b2" || got.Progress != 3 {
		t.Errorf("got %+v", got)
	}
	if got := s.batch(own).Production; got.Status != Planned || got.Version != 1 {
		t.Errorf("our own batch was changed: %+v", got)
	}
}

// FuzzObserve: whatever is published, something is kept, and it can be stored and shown.
func FuzzObserve(f *testing.F) {
	for _, seed := range []string{
		`{"type":"production_update","productionId":"a","data":{"status":"COMPLETED","cookedAt":1795672100123,"progress":5,"version":3},"timestamp":1795672100123}`,
		`{"type":"production_update","productionId":"a","data":{"reading":{"kind":"CORE","dish":"x","celsius":55.5},"dishes":[{"name":"x"}]}}`,
		`{"type":"production_update","productionId":"a","data":{"qualityCheck":{"checkType":"TASTE","passed":false},"estimatedCost":5e11,"wasteAmount":0.05}}`,
		`{"type":"broadcast","message":{"eventType":"PRODUCTION_CREATED","data":{"id":"a"}}}`,
		`{"type":"production_alert","productionId":"a","alert":{"id":"x","type":"GAS","severity":"HIGH","message":{"id":"Gas"},"value":3,"unit":"%"}}`,
		`{"type":"production_alert","productionId":"a","alert":{"id":"x","status":"RESOLVED","correctiveAction":"x"},"timestamp":1795672100123}`,
	} {
		f.Add([]byte(seed), []byte(seed))
	}
	now := At(midnight.Add(3 * time.Hour))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		in := Loaded{Kitchen: KitchenState{Kitchen: Kitchen{ID: sppg}}}
		for i, payload := range [][]byte{one, two} {
			c, _ := Observe(in, fmt.Sprint(i), payload, now)
			if len(c.Observations) != 1 || c.Observations[0].ProductionID != ObservedProduction(payload) {
				t.Fatalf("%q: kept %+v", payload, c.Observations)
			}
			if c.Batch == nil {
				continue
			}
			b := *c.Batch
			p := b.Production
			least := in.Batch.Production.Version + 1
			if readMessage(payload).kind == "production_alert" && in.Batch.Revision > 0 {
				least-- // alerts leave the batch as it is
			}
			if p.Tenant != sppg || p.Source != AppRecord || p.Version < least {
				t.Fatalf("%q became %+v", payload, p)
			}
			if old := in.Batch.Production.Cooked; old.Known() && in.Batch.Production.ID == p.ID && (p.Cooked > old || !p.Cooked.Known()) {
				t.Fatalf("%q moved the clock from %s to %s", payload, old, p.Cooked)
			}
			text, err := json.Marshal(p)
			var back Production
			if err != nil || json.Unmarshal(text, &back) != nil {
				t.Fatalf("%q became %s: %v", payload, text, err)
			}
			if len(b.Facts.Tracks) > maxTracks+4 {
				t.Fatalf("%d tracks", len(b.Facts.Tracks))
			}
			in.Batch = b
			if two := ObservedProduction(two); two != p.ID {
				in.Batch = Batch{}
			}
		}
	})
}

// TestObserveWithoutAPlan follows a batch of which the app tells no planned times: what is measured against them is unknown, and not late
// since 1970.
func TestObserveWithoutAPlan(t *testing.T) {
	for name, times := range map[string]string{
		"None":      ``,
		"StartOnly": `"plannedStartTime":"2026-11-26T02:00:00+07:00",`,
		"EndOnly":   `"plannedEndTime":"2026-11-26T09:00:00+07:00",`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.now = midnight.Add(2 * time.Hour)
			s.observe("1", `{"type":"production_created","productionId":"a","data":{"productionDate":"2026-11-26",`+times+`"plannedPortions":10,"status":"PLANNED"}}`)
			s.wait(time.Minute)
			s.observe("2", `{"type":"production_update","productionId":"a","data":{"status":"PREPARING"}}`)
			s.wait(2 * time.Minute)
			s.want("a", "")
		})
	}
}
