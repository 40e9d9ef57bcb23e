package production

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestIdempotencyKey(t *testing.T) {
	s := newStage(t)
	id := s.to(Cooking)
	r := s.on("koki", id)
	r.Key = "tablet-1:42"
	reading := AddReading{Kind: Core, Dish: "Ayam", Celsius: 805}
	first := s.must(s.svc.Reading(t.Context(), r, id, reading))
	commits := s.store.commits
	s.wait(time.Hour)
	again := s.must(s.svc.Reading(t.Context(), r, id, reading))
	if !again.Repeated || s.store.commits != commits {
		t.Fatal("the same key was carried out twice")
	}
	again.Repeated = false
	if !reflect.DeepEqual(first, again) {
		t.Errorf("got %+v; want the first answer %+v", again, first)
	}
	reading.Celsius = 806
	_, err := s.svc.Reading(t.Context(), r, id, reading)
	s.refused(err, CodeKeyReused)
	r.Actor = Actor{User: "gizi", Role: Nutritionist}
	reading.Celsius = 805
	_, err = s.svc.Reading(t.Context(), r, id, reading)
	s.refused(err, CodeKeyReused) // somebody else's key

	c := s.as("manajer")
	c.Key = "new"
	one, two := s.must(s.svc.Create(t.Context(), c, plan())), s.must(s.svc.Create(t.Context(), c, plan()))
	if one.Production.ID != two.Production.ID {
		t.Error("one key made two batches")
	}
	c.Key = strings.Repeat("k", MaxKeyBytes+1)
	_, err = s.svc.Create(t.Context(), c, plan())
	s.refused(err, CodeInvalid, "Idempotency-Key")
}

// TestRepeatedAnswerOfAKitchensAlert has no production in its result.
func TestRepeatedAnswerOfAKitchensAlert(t *testing.T) {
	s := newStage(t)
	k := Kitchen{Name: "Dapur 1", Certificates: []Certificate{{"SLHS", "1", "2026-12-01"}}}
	if _, err := s.svc.Configure(t.Context(), s.as("kepala"), k); err != nil {
		t.Fatal(err)
	}
	a := s.store.kitchen(sppg).active("")[0]
	r := s.as("kepala")
	r.Key = "x"
	s.must(s.svc.Acknowledge(t.Context(), r, a.ID))
	if got := s.must(s.svc.Acknowledge(t.Context(), r, a.ID)); !got.Repeated || got.Alert.Status != AlertAcknowledged {
		t.Errorf("got %+v", got)
	}
}

func TestVersions(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	r := s.as("manajer")
	_, err := s.svc.Update(t.Context(), r, id, Update{Notes: new("x")})
	s.refused(err, CodeInvalid, "version")
	r.Version = 1
	s.must(s.svc.Update(t.Context(), r, id, Update{Notes: new("x")}))
	_, err = s.svc.Update(t.Context(), r, id, Update{Notes: new("y")})
	s.refused(err, CodeVersionConflict)
	var refusal *Refusal
	if errors.As(err, &refusal); refusal.Version != 2 || !errors.Is(err, ErrConflict) {
		t.Errorf("got %+v; want the stored version 2", refusal)
	}
	r.Version = -1
	_, err = s.svc.Update(t.Context(), r, id, Update{Notes: new("y")})
	s.refused(err, CodeInvalid, "version")
}

// TestQuickerOthers lets other processes commit between load and commit.
func TestQuickerOthers(t *testing.T) {
	s := newStage(t)
	id := s.to(Cooking)
	s.store.conflict = maxTries - 1
	s.read(id, Core, "Ayam", 800)
	s.store.conflict = maxTries
	_, err := s.svc.Reading(t.Context(), s.as("koki"), id, AddReading{Kind: Core, Celsius: 800})
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v; want ErrUnavailable", err)
	}
	s.store.fail = fmt.Errorf("disk full: %w", ErrUnavailable)
	for name, call := range map[string]func() error{
		"Reading":   func() error { _, err := s.svc.Reading(t.Context(), s.as("koki"), id, AddReading{}); return err },
		"Resolve":   func() error { _, err := s.svc.Resolve(t.Context(), s.as("kepala"), "a", ""); return err },
		"Configure": func() error { _, err := s.svc.Configure(t.Context(), s.as("kepala"), Kitchen{}); return err },
		"Put": func() error {
			return s.svc.Put(t.Context(), s.as("kepala"), References{Menus: []Menu{{ID: "a", Name: "a"}}})
		},
		"Looked": func() error { return s.svc.Looked(t.Context(), s.as("super"), "board") },
	} {
		if err := call(); !errors.Is(err, ErrUnavailable) || errors.As(err, new(*Refusal)) {
			t.Errorf("%s: got %v; want ErrUnavailable, and no refusal", name, err)
		}
	}
}

// TestManyAtOnce lets 50 people write to one kitchen at the same time: nothing is lost, and nothing is numbered twice.
func TestManyAtOnce(t *testing.T) {
	s := newStage(t)
	var n sync.Mutex
	id := s.to(Cooking)
	s.svc.opts.NewID = func() string {
		n.Lock()
		defer n.Unlock()
		s.n++
		return fmt.Sprintf("id_%d", s.n)
	}
	before := s.batch(id).Production.Version
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for range 50 {
		all.Go(func() {
			_, err := s.svc.Reading(t.Context(), s.as("koki"), id, AddReading{Kind: Ambient, Celsius: 280})
			errs <- err
		})
		all.Go(func() {
			_, err := s.svc.Create(t.Context(), s.as("manajer"), plan())
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	k := s.store.kitchen(sppg)
	if got := s.batch(id).Production.Version - before; got != 50 || k.load(day).LastNumber != 51 {
		t.Errorf("%d versions and %d numbers; want 50 and 51", got, k.load(day).LastNumber)
	}
	s.proved(id)
}

func TestWaitingForALaneEnds(t *testing.T) {
	l := newLanes()
	leave, err := l.enter(t.Context(), "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.enter(ctx, "a", "b"); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want ErrUnavailable for the context", err)
	}
	leave()
	if leave, err = l.enter(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	leave()
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 36 || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
			t.Fatalf("got %q", id)
		}
		seen[id] = true
	}
}

// TestOffline: what a device tells late keeps its own time, and the clock of the food begins when it was cooked, not when it was told.
func TestOffline(t *testing.T) {
	s := newStage(t)
	id := s.to(Cooking)
	begun := s.clock()
	s.read(id, Core, "Ayam", 800)
	s.read(id, Core, "Nasi", 900)
	s.wait(90 * time.Minute)
	r := s.on("koki", id)
	r.TakenAt = begun.Add(20 * time.Minute)
	s.must(s.svc.Transition(t.Context(), r, id, Transition{To: QualityCheck, Work: Work{ActualPortions: new(900)}}))
	if p := s.batch(id).Production; p.Cooked != r.TakenAt || p.StatusSince != s.clock() {
		t.Errorf("cookedAt %s, statusSince %s; want %s and now", p.Cooked, p.StatusSince, r.TakenAt)
	}

	// An older reading that comes later is kept, and is not the newest.
	r = s.as("koki")
	r.TakenAt = begun.Add(-time.Second)
	s.must(s.svc.Reading(t.Context(), r, id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 600}))
	if p := s.batch(id).Production; *p.ActualTemperature != 900 {
		t.Errorf("actualTemperature is %s; want that of the newest reading", p.ActualTemperature)
	}

	// A clock that is wrong is flagged, and the server's counts.
	for _, wrong := range []Request{
		{TakenAt: s.clock().Add(MaxClockSkew + time.Second)},
		{TakenAt: At(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))}, // a tablet whose battery was empty
		{TakenAt: s.clock().Add(-time.Hour), DeviceNow: s.clock().Add(-MaxClockSkew - time.Second)},
	} {
		r := s.as("koki")
		r.TakenAt, r.DeviceNow = wrong.TakenAt, wrong.DeviceNow
		got := s.must(s.svc.Reading(t.Context(), r, id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 760}))
		k := s.store.kitchen(sppg)
		row := k.readings[len(k.readings)-1]
		if !row.ClockOff || row.TakenAt != wrong.TakenAt || row.At() != s.clock() || len(got.Warnings) != 1 || got.Warnings[0] != WarnClockOff {
			t.Errorf("got %+v with warnings %q", row, got.Warnings)
		}
	}
}

// TestLateEntries: what comes after the end is recorded, and changes nothing but what must not be hidden.
func TestLateEntries(t *testing.T) {
	s := newStage(t)
	id := s.to(Completed)
	taken := s.clock().Add(-10 * time.Minute)
	s.wait(30 * time.Minute)
	r := s.as("mutu")
	check := AddCheck{Type: Safety, Parameter: "formalin", ActualValue: "positif", Passed: new(false)}
	_, err := s.svc.Check(t.Context(), r, id, check)
	s.refused(err, CodeFinal)
	r.TakenAt = taken
	got := s.must(s.svc.Check(t.Context(), r, id, check))
	if len(got.Warnings) != 1 || got.Warnings[0] != WarnLate || !*got.Production.QualityPassed {
		t.Errorf("got %+v", got)
	}
	if a := s.alert(id, QCFailed); a.Severity != Critical {
		t.Errorf("a failed rapid test that comes late raised %+v; want CRITICAL", a)
	}
	_, err = s.svc.Dispatch(t.Context(), s.as("kurir"), id, RecordDispatch{})
	s.refused(err, CodeGuards, GuardNoCritical)
	s.must(s.svc.Reading(t.Context(), r, id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 800}))
	k := s.store.kitchen(sppg)
	if row := k.readings[len(k.readings)-1]; !row.Late {
		t.Errorf("got %+v; want it late", row)
	}
}

func TestDispatchAndTheEndOfTheFourHours(t *testing.T) {
	s := newStage(t)
	id := s.to(Completed)
	p := s.batch(id).Production
	_, err := s.svc.Dispatch(t.Context(), Request{Tenant: sppg, Actor: Actor{User: "kurir", Role: Distribution}, TakenAt: p.ActualEnd.Add(-MaxClockSkew) - 1}, id, RecordDispatch{})
	s.refused(err, CodeInvalid, "takenAt")
	s.now = p.ConsumeBy.Time()
	_, err = s.svc.Dispatch(t.Context(), s.as("kurir"), id, RecordDispatch{})
	s.refused(err, CodeGuards, GuardBeforeConsumeBy, GuardNoCritical)
	r := s.as("kurir")
	r.TakenAt = p.ConsumeBy - 1
	got := s.must(s.svc.Dispatch(t.Context(), r, id, RecordDispatch{}))
	if got.Production.Dispatched != r.TakenAt || len(got.Warnings) != 1 || got.Warnings[0] != WarnLate {
		t.Errorf("got %+v", got)
	}
}

func TestConfigure(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id := s.to(Cooking)
	strict := Kitchen{Name: "Dapur 1", Zone: WITA, Limits: Limits{EatByMediumMin: new(60), CoreMinC: new(Degrees(80))}}
	_, err := s.svc.Configure(ctx, s.as("admin"), strict)
	s.refused(err, CodeForbidden) // safety
	k, err := s.svc.Configure(ctx, s.as("kepala"), strict)
	if err != nil || k.Version != 1 || k.ID != sppg {
		t.Fatalf("got %+v, %v", k, err)
	}
	if got := s.batch(id).NextLook; got != s.clock() {
		t.Errorf("the batch is looked at again at %s; want now: its limits have changed", got)
	}
	strict.Limits.CoreMinC = new(Degrees(82))
	_, err = s.svc.Configure(ctx, s.as("gizi"), strict)
	s.refused(err, CodeInvalid, "version")
	r := s.as("gizi")
	r.Version = 1
	if k, err = s.svc.Configure(ctx, r, strict); err != nil || k.Version != 2 {
		t.Fatalf("got %+v, %v", k, err)
	}
	r.Version = 2
	strict.Name = "Dapur 2"
	_, err = s.svc.Configure(ctx, r, strict)
	s.refused(err, CodeForbidden) // the name is no limit
	_, err = s.svc.Configure(ctx, s.on("kepala", id), Kitchen{Limits: Limits{}, Certificates: []Certificate{{}}})
	s.refused(err, CodeVersionConflict)
	r = s.as("kepala")
	r.Version = 2
	_, err = s.svc.Configure(ctx, r, Kitchen{Zone: "Europe/Berlin", Name: "a\x00", Certificates: []Certificate{{"", "", "x"}},
		Limits: Limits{EatWithinMin: new(241), CoreMinC: new(Degrees(74)), SampleKeepHours: new(47), WasteHighKg: new(5)}})
	s.refused(err, CodeInvalid, "timeZone", "name", "certificates[0].kind", "certificates[0].validUntil", "limits.eatWithinMinutes",
		"limits.coreMinC", "limits.sampleKeepHours", "limits.wasteMediumKg")
}

func TestPut(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	err := s.svc.Put(ctx, s.as("kepala"), References{})
	s.refused(err, CodeInvalid, "")
	err = s.svc.Put(ctx, s.as("super"), References{Menus: []Menu{{ID: "m", Name: "m"}}})
	s.refused(err, CodeForbidden)
	err = s.svc.Put(ctx, s.as("kepala"), References{
		People: []Person{{ID: "a b", Name: "", Role: Superadmin, PIN: "1234"}, {ID: "x", Name: "x", Role: Viewer}, {ID: "x", Name: "x", Role: Viewer}},
		Menus:  []Menu{{ID: "m", Name: "m", Dishes: []Dish{{Name: "a"}, {Name: "a"}}}},
	})
	s.refused(err, CodeInvalid, "staff[0].id", "staff[0].name", "staff[0].role", "staff[0].pin", "staff[2].id", "menus[0].dishes[1].name")
	many := References{Menus: make([]Menu, maxPut+1)}
	err = s.svc.Put(ctx, s.as("kepala"), many)
	s.refused(err, CodeInvalid, "menus")
	err = s.svc.Put(ctx, s.as("kepala"), References{Menus: make([]Menu, maxPut)})
	var r *Refusal
	if !errors.As(err, &r) || len(r.Fields) != maxFields {
		t.Errorf("%d complaints about %d bad lines; want %d", len(r.Fields), maxPut, maxFields)
	}
}

func TestLooked(t *testing.T) {
	s := newStage(t)
	if err := s.svc.Looked(t.Context(), s.as("bantuan"), "board"); err != nil {
		t.Fatal(err)
	}
	k := s.store.kitchen(sppg)
	if e := k.audit[len(k.audit)-1]; e.Action != "look" || e.User != "bantuan" || e.Reason != "board" || e.Seq != int64(len(k.audit)) {
		t.Errorf("got %+v", e)
	}
}
