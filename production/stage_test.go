package production

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kentongan/tenant"
)

// stage is a kitchen in which tests play: a store, a service and a clock that stands until it is moved.
type stage struct {
	t     testing.TB
	store *memory
	svc   *Service
	now   time.Time
	n     int
	said  int // alerts of an app
}

const (
	sppg  tenant.ID = "sppg_1"
	other tenant.ID = "sppg_2"
	day   Day       = "2026-11-26"
)

// midnight is when day begins in Jakarta.
var midnight = time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)

var team = map[string]Role{
	"kepala": Head, "admin": Admin, "gizi": Nutritionist, "akuntan": Accountant, "manajer": Manager, "kurir": Distribution,
	"koki": KitchenStaff, "mutu": QCStaff, "tamu": Viewer, "super": Superadmin, "bantuan": Support, "server": Server,
}

// newStage sets up two kitchens at 18:00 on the evening before the serving day.
func newStage(t testing.TB) *stage {
	s := &stage{t: t, store: &memory{}, now: midnight.Add(-6 * time.Hour)}
	s.svc = New(s.store, Options{Now: func() time.Time { return s.now }, NewID: func() string {
		s.n++
		return fmt.Sprintf("id_%04d", s.n)
	}})
	for _, kitchen := range []tenant.ID{sppg, other} {
		lists := References{
			Menus:      []Menu{{ID: "menu_1", Name: "Nasi ayam", Active: true, Dishes: []Dish{{Name: "Nasi"}, {Name: "Ayam"}, {Name: "Jeruk", Cold: true}}}},
			Programmes: []Programme{{ID: "prog_1", Name: "MBG", Active: true}, {ID: "prog_old", Name: "MBG 2025"}},
		}
		for id, role := range team {
			if !role.Platform() && role != Server {
				lists.People = append(lists.People, Person{ID: id, Name: id, Role: role, Active: true})
			}
		}
		lists.People = append(lists.People, Person{ID: "mantan", Name: "mantan", Role: Manager})
		if err := s.svc.Put(t.Context(), Request{Tenant: kitchen, Actor: Actor{User: "server", Role: Server}}, lists); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// as returns the request of a member of the team.
func (s *stage) as(user string) Request {
	return Request{Tenant: sppg, Actor: Actor{User: user, Role: team[user]}}
}

// on returns the request of somebody who has seen the newest version of a batch.
func (s *stage) on(user, id string) Request {
	r := s.as(user)
	r.Version = s.batch(id).Production.Version
	return r
}

func (s *stage) batch(id string) Batch {
	s.t.Helper()
	in, err := s.store.Load(context.Background(), sppg, Want{Production: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return in.Batch
}

func (s *stage) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *stage) clock() Instant { return At(s.now) }

// watch does what the alert engine does, at every instant that is due until the clock has moved on by d.
func (s *stage) watch(d time.Duration) {
	s.t.Helper()
	end := s.now.Add(d)
	for range 100_000 {
		next := Instant(0)
		for _, k := range s.store.kitchens {
			next = sooner(next, k.state.NextLook)
			for _, b := range k.batches {
				next = sooner(next, b.NextLook)
			}
		}
		if !next.Known() || next > At(end) {
			s.now = end
			return
		}
		s.now = max2(s.now, next.Time())
		for _, due := range s.store.due(s.clock()) {
			if c, ok := Look(due, s.clock()); ok {
				if _, err := s.store.Commit(context.Background(), c); err != nil {
					s.t.Fatal(err)
				}
			} else {
				s.t.Fatalf("nothing to do at %s, when %q was to be looked at", s.clock(), due.Batch.Production.ID)
			}
		}
	}
	s.t.Fatal("the engine does not come to rest")
}

func max2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// plan is a valid new batch.
func plan() Create {
	return Create{
		ProgrammeID: "prog_1", MenuID: "menu_1", Day: day, PlannedPortions: 1000, PlannedStart: At(midnight.Add(-4 * time.Hour)),
		PlannedEnd: At(midnight.Add(6 * time.Hour)), HeadCook: "koki", SupervisorID: "kepala",
	}
}

func (s *stage) must(r Result, err error) Result {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("at %s: %v", s.clock(), err)
	}
	return r
}

func (s *stage) create(c Create) string {
	s.t.Helper()
	return s.must(s.svc.Create(s.t.Context(), s.as("manajer"), c)).Production.ID
}

func (s *stage) step(user, id string, to Status) Result {
	s.t.Helper()
	return s.must(s.svc.Transition(s.t.Context(), s.on(user, id), id, Transition{To: to}))
}

func (s *stage) read(id string, kind ReadingKind, dish string, c Celsius) {
	s.t.Helper()
	s.must(s.svc.Reading(s.t.Context(), s.as("koki"), id, AddReading{Kind: kind, Dish: dish, Celsius: c}))
}

func (s *stage) inspect(id string, kind CheckType, passed bool) {
	s.t.Helper()
	s.must(s.svc.Check(s.t.Context(), s.as("gizi"), id, AddCheck{Type: kind, Parameter: "uji", ActualValue: "hasil", Passed: &passed}))
}

// to brings a new batch to a status, all in order: preparing at 20:00, cooking at 02:00, done at 03:00, released at 03:30.
func (s *stage) to(status Status) string {
	s.t.Helper()
	id := s.create(plan())
	portions := 990
	for _, next := range []struct {
		status Status
		at     time.Duration
		do     func()
	}{
		{Planned, -6 * time.Hour, func() {}},
		{Preparing, -4 * time.Hour, func() { s.step("koki", id, Preparing) }},
		{Cooking, 2 * time.Hour, func() {
			s.inspect(id, Hygiene, true)
			s.step("koki", id, Cooking)
		}},
		{QualityCheck, 3 * time.Hour, func() {
			s.read(id, Core, "Nasi", Degrees(92))
			s.read(id, Core, "Ayam", Degrees(81))
			s.must(s.svc.Work(s.t.Context(), s.on("koki", id), id, Work{ActualPortions: &portions}))
			s.step("koki", id, QualityCheck)
		}},
		{Completed, 3*time.Hour + 30*time.Minute, func() {
			for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
				s.inspect(id, kind, true)
			}
			s.must(s.svc.Sample(s.t.Context(), s.as("mutu"), id, TakeSample{}))
			s.step("gizi", id, Completed)
		}},
	} {
		s.now = max2(s.now, midnight.Add(next.at))
		next.do()
		if next.status == status {
			break
		}
	}
	return id
}

// refused checks that err is a refusal with this code, and with exactly these unmet guards or wrong fields.
func (s *stage) refused(err error, code Code, words ...string) {
	s.t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		s.t.Fatalf("got error %v; want a refusal %s", err, code)
	}
	got := slices.Clone(r.Unmet)
	for _, f := range r.Fields {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	slices.Sort(words)
	if r.Code != code || !slices.Equal(got, words) {
		s.t.Fatalf("got %v; want %s with %q", err, code, words)
	}
}

// alerts returns the active alerts of a batch as "CODE SEVERITY STATUS", sorted.
func (s *stage) alerts(id string) string {
	var words []string
	for _, a := range s.batch(id).Alerts {
		words = append(words, fmt.Sprintf("%s %s %s", a.Code, a.Severity, a.Status))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func (s *stage) want(id, alerts string) {
	s.t.Helper()
	if got := s.alerts(id); got != alerts {
		s.t.Fatalf("at %s: got alerts %q; want %q", s.clock(), got, alerts)
	}
}

// alert returns the active alert of a code.
func (s *stage) alert(id string, code AlertCode) Alert {
	s.t.Helper()
	for _, a := range s.batch(id).Alerts {
		if a.Code == code {
			return a
		}
	}
	s.t.Fatalf("no active alert %s; there are %q", code, s.alerts(id))
	return Alert{}
}
