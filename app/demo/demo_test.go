package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 2, 1, 2, 3, 456789, time.UTC)

// follows are the changes of status that the rules of a kitchen allow.
var follows = map[status][]status{
	planned: {preparing}, preparing: {cooking}, cooking: {qualityCheck}, qualityCheck: {completed, cancelled},
}

// board is what a screen would know from the messages.
type board struct {
	names   *realtime.Names
	batches map[string]*seen
	alerts  map[string]alert
	last    map[realtime.Channel]int64 // timestamp
	kinds   map[string]int
}

type seen struct {
	tenant   tenant.ID
	status   status
	progress int
	version  int
}

func newBoard(t test) *board {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	return &board{names, map[string]*seen{}, map[string]alert{}, map[realtime.Channel]int64{}, map[string]int{}}
}

// test is a *testing.T or a *rapid.T.
type test interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// strict decodes data into v and refuses fields that v does not have.
func strict(t test, data []byte, v any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
}

func (b *board) take(t test, m Message) {
	if wire := b.names.Spell(m.Channel); wire == "" {
		t.Fatalf("%v is none of the app's channels", m.Channel)
	}
	var head struct {
		Type      string `json:"type"`
		Timestamp int64  `json:"timestamp"`
	}
	if err := json.Unmarshal(m.Data, &head); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	if head.Timestamp < b.last[m.Channel] {
		t.Fatalf("%v: timestamp falls from %d to %d", m.Channel, b.last[m.Channel], head.Timestamp)
	}
	b.last[m.Channel] = head.Timestamp
	b.kinds[m.Channel.Name+" "+head.Type]++
	switch m.Channel.Name {
	case "production:updates":
		b.takeProduction(t, m, head.Type)
	case "production:alerts":
		var a alertMessage
		strict(t, m.Data, &a)
		b.takeAlert(t, m, a)
	default:
		var n notice
		strict(t, m.Data, &n)
	}
}

func (b *board) takeProduction(t test, m Message, kind string) {
	if kind == "production_created" {
		var p production
		strict(t, m.Data, &update{Data: &p})
		if p.TenantID != string(m.Channel.Tenant) || p.Status != planned || p.Version != 1 || p.PlannedPortions < 1 || p.PlannedEndTime.Sub(p.PlannedStartTime) < 30*time.Minute {
			t.Fatalf("not a planned batch of this kitchen: %s", m.Data)
		}
		if b.batches[p.ID] != nil {
			t.Fatalf("%s is created twice", p.ID)
		}
		b.batches[p.ID] = &seen{m.Channel.Tenant, planned, 0, 1}
		return
	}
	var c changes
	u := update{Data: &c}
	strict(t, m.Data, &u)
	p := b.batches[u.ProductionID]
	if p == nil || p.tenant != m.Channel.Tenant || u.Type != "production_update" || u.UpdatedBy == "" {
		t.Fatalf("an update of no batch of this kitchen: %s", m.Data)
	}
	if c.Version != p.version+1 {
		t.Fatalf("version jumps from %d: %s", p.version, m.Data)
	}
	p.version = c.Version
	if c.Progress != nil {
		if *c.Progress < p.progress || *c.Progress > 100 {
			t.Fatalf("progress was %d: %s", p.progress, m.Data)
		}
		p.progress = *c.Progress
	}
	if c.Status != "" {
		if c.OldStatus != p.status || !slices.Contains(follows[p.status], c.Status) {
			t.Fatalf("status was %s: %s", p.status, m.Data)
		}
		p.status = c.Status
		if c.Status == qualityCheck && (c.CookedAt == nil || c.ConsumeBy.Sub(*c.CookedAt) != consumeWithin || *c.ActualPortions < 1) {
			t.Fatalf("cooked without the four hours or without portions: %s", m.Data)
		}
		if c.Status == completed && p.progress != 100 {
			t.Fatalf("completed at %d %%: %s", p.progress, m.Data)
		}
	}
}

func (b *board) takeAlert(t test, m Message, a alertMessage) {
	if b.batches[a.ProductionID] == nil || a.Alert.Message.ID == "" || a.Alert.Message.EN == "" || a.Alert.RaisedAt > a.Timestamp {
		t.Fatalf("not an alert of a batch: %s", m.Data)
	}
	before, known := b.alerts[a.Alert.ID]
	allowed := map[alertStatus][]alertStatus{open: {acknowledged, resolved, autoResolved}, acknowledged: {resolved}}
	switch {
	case !known && a.Alert.Status != open, known && !slices.Contains(allowed[before.Status], a.Alert.Status):
		t.Fatalf("alert was %q: %s", before.Status, m.Data)
	case a.Alert.Status == autoResolved && (a.Alert.Severity == critical || a.Alert.Code == string(coreTempLow) || a.Alert.Code == string(qcFailed)):
		t.Fatalf("this alert never clears by itself: %s", m.Data)
	case a.Alert.Status == resolved && len(a.Alert.CorrectiveAction) < 5:
		t.Fatalf("resolved without a corrective action: %s", m.Data)
	}
	b.alerts[a.Alert.ID] = a.Alert
}

// TestKitchensKeepTheRules watches four minutes of any seed, in which several batches live their whole life.
func TestKitchensKeepTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBoard(t)
		b.watch(t, New(rapid.Uint64().Draw(t, "seed"), start), 4*time.Minute)
		if done := b.done(); done < 3 {
			t.Errorf("%d batches were done in four minutes, want at least one a kitchen", done)
		}
	})
}

// TestEverythingHappens watches half an hour.
func TestEverythingHappens(t *testing.T) {
	b := newBoard(t)
	b.watch(t, New(1, start), 30*time.Minute)
	if done := b.done(); done < 3*28 {
		t.Errorf("%d batches were done in half an hour, want nearly one a minute and kitchen", done)
	}
	for _, kind := range []string{"production:updates production_created", "production:updates production_update", "production:alerts production_alert",
		"inventory:updates inventory_update", "distribution:updates distribution_update", "notifications notification", "system-alert system_alert"} {
		if b.kinds[kind] == 0 {
			t.Errorf("no %s in half an hour", kind)
		}
	}
	codes := map[string]bool{}
	for _, a := range b.alerts {
		codes[a.Code] = true
	}
	for code := range rules {
		if !codes[string(code)] {
			t.Errorf("no alert %s in half an hour", code)
		}
	}
}

func (b *board) watch(t test, s *Simulation, span time.Duration) {
	for now := start; now.Before(start.Add(span)); now = now.Add(20 * time.Second) {
		for _, m := range s.Step(now) {
			b.take(t, m)
		}
	}
}

func (b *board) done() int {
	n := 0
	for _, p := range b.batches {
		if p.status == completed || p.status == cancelled {
			n++
		}
	}
	return n
}

// TestStepSizeDoesNotMatter compares one who looks all the time with one who looks now and then.
func TestStepSizeDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		end := start.Add(2 * time.Minute)
		want := New(seed, start).Step(end)
		var got []Message
		s := New(seed, start)
		for now := start; now.Before(end); now = now.Add(time.Duration(rapid.Int64Range(-1e9, 40e9).Draw(t, "step"))) {
			got = append(got, s.Step(now)...)
		}
		got = append(got, s.Step(end)...)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %d messages, want the same %d", len(got), len(want))
		}
	})
}

func TestSeedsDiffer(t *testing.T) {
	a, b := New(1, start).Step(start.Add(time.Minute)), New(2, start).Step(start.Add(time.Minute))
	if reflect.DeepEqual(a, b) {
		t.Error("two seeds make the same messages")
	}
}

func TestBeginsAnewAfterALongPause(t *testing.T) {
	s := New(1, start)
	before := s.Step(start.Add(time.Minute))
	later := start.Add(9 * time.Hour)
	after := s.Step(later)
	if len(after) == 0 || len(after) >= len(before) {
		t.Fatalf("got %d messages after nine hours, want those of one moment", len(after))
	}
	var u update
	if err := json.Unmarshal(after[0].Data, &u); err != nil || u.Type != "production_created" || u.Timestamp != later.UnixMilli() {
		t.Errorf("got %s, %v; want a new batch of that moment", after[0].Data, err)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		tenants := map[tenant.ID]int{}
		n := 0
		err := Run(ctx, Options{Seed: 7}, func(_ context.Context, ch realtime.Channel, _ []byte) error {
			tenants[ch.Tenant]++
			if n++; n%5 == 0 {
				return fmt.Errorf("publish: %w", realtime.ErrUnavailable)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("got %v, want nil: an engine that is out for a moment ends nothing", err)
		}
		for _, k := range Kitchens() {
			if tenants[k.ID] < 50 {
				t.Errorf("%s published %d messages in three minutes, want 50 at least", k.ID, tenants[k.ID])
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		if err := Run(t.Context(), Options{Seed: 7}, func(context.Context, realtime.Channel, []byte) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("got %v, want the error of publish", err)
		}
	})
}
