package production

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRightsCellByCell writes the table of roles down a second time, as people read it.
func TestRightsCellByCell(t *testing.T) {
	const table = `
                 SA SU KE AD GZ AK PM DM DP QC VW SV
see               +  +  +  +  +  +  +  +  +  +  +  +
see-money         +  -  +  +  -  +  +  -  -  -  -  +
plan              -  -  +  +  -  -  +  -  -  -  -  -
work              -  -  +  -  -  -  +  -  +  -  -  -
measure           -  -  +  -  +  -  +  -  +  +  -  -
check             -  -  +  -  +  -  +  -  -  +  -  -
release           -  -  +  -  +  -  -  -  -  +  -  -
rework            -  -  +  -  +  -  +  -  -  +  -  -
cancel-planned    -  -  +  +  -  -  +  -  -  -  -  -
cancel-later      -  -  +  -  +  -  +  -  -  +  -  -
override          -  -  +  -  -  -  -  -  -  -  -  -
enter-cost        -  -  +  -  -  +  +  -  -  -  -  -
acknowledge       -  -  +  +  +  -  +  +  +  +  -  -
acknowledge-cost  -  -  +  +  +  +  +  +  +  +  -  -
resolve-high      -  -  +  -  +  -  +  -  -  +  -  -
resolve-critical  -  -  +  -  +  -  -  -  -  -  -  -
dispatch          -  -  +  -  -  -  +  +  -  -  -  -
set-safety        -  -  +  -  +  -  -  -  -  -  -  -
set               -  -  +  +  -  -  -  -  -  -  -  -
keep-users        +  -  +  +  -  -  -  -  -  -  -  +
keep-lists        -  -  +  +  -  -  -  -  -  -  -  +
export            +  +  +  +  +  -  +  -  -  +  -  +
export-cost       +  +  +  +  +  +  +  -  -  +  -  +
correct           -  -  +  -  -  -  -  -  -  -  -  -`
	roles := append(slices.Clone(Roles), Server)
	rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
	for _, row := range rows {
		cells := strings.Fields(row)
		if len(cells) != len(roles)+1 {
			t.Fatalf("row %q has %d cells", row, len(cells))
		}
		for i, r := range roles {
			if got, want := r.May(Right(cells[0])), cells[i+1] == "+"; got != want {
				t.Errorf("%s may %s: got %t; want %t", r, cells[0], got, want)
			}
		}
	}
	if len(rows) != len(rights) {
		t.Errorf("the table has %d rows, the code %d rights", len(rows), len(rights))
	}
	if Role("SPPG_CHEF").May(MaySee) || Role("").May(MaySee) {
		t.Error("a role that is not known may see")
	}
}

// TestActsAskForTheirRight tries every act as every role, on batches in which it would be accepted.
func TestActsAskForTheirRight(t *testing.T) {
	on := func(status Status, act Act, right Right) func(*testing.T) {
		return func(t *testing.T) {
			for user, role := range team {
				s := newStage(t)
				id := s.to(status)
				s.wait(time.Minute)
				if a := s.batch(id).Alerts; len(a) > 0 {
					switch act.(type) {
					case Acknowledge:
						act = Acknowledge{a[0].ID}
					case Resolve:
						act = Resolve{a[0].ID, "Sudah ditangani"}
					}
				}
				_, err := s.svc.do(t.Context(), s.on(user, id), id, act)
				if allowed := !errors.Is(err, ErrForbidden); allowed != role.May(right) {
					t.Errorf("%s: got %v; want allowed %t", role, err, role.May(right))
				} else if allowed && err != nil {
					t.Errorf("%s: the act is refused for another reason, so the test says nothing: %v", role, err)
				}
			}
		}
	}
	t.Run("Update", on(Planned, Update{Notes: new("x")}, MayPlan))
	t.Run("Delete", on(Planned, Delete{}, MayPlan))
	t.Run("CancelPlanned", on(Planned, Cancel{"Bahan tidak datang"}, MayCancelPlanned))
	t.Run("CancelLater", on(Cooking, Cancel{"Listrik padam sejak pagi"}, MayCancelLater))
	t.Run("Work", on(Cooking, Work{Progress: new(50)}, MayWork))
	t.Run("Cost", on(Cooking, Work{ActualCost: new(Rupiah(1))}, MayEnterCost))
	t.Run("Reading", on(Cooking, AddReading{Kind: Core, Celsius: 800}, MayMeasure))
	t.Run("Check", on(Cooking, AddCheck{Type: Taste, Parameter: "a", ActualValue: "b", Passed: new(true)}, MayCheck))
	t.Run("Sample", on(Cooking, TakeSample{}, MayCheck))
	t.Run("Dispatch", on(Completed, RecordDispatch{}, MayDispatch))
	t.Run("Correct", on(Completed, Correct{"notes", "x", "Catatan yang terlupa"}, MayCorrect))
	t.Run("Step", on(Planned, Transition{To: Cancelled, Reason: "Bahan tidak datang"}, MayCancelPlanned))
}

func TestReleaseAndReworkAskForTheirRight(t *testing.T) {
	for user, role := range team {
		s := newStage(t)
		id := s.to(QualityCheck)
		_, err := s.svc.Transition(t.Context(), s.on(user, id), id, Transition{To: Completed})
		if got := errors.Is(err, ErrForbidden); got == role.May(MayRelease) {
			t.Errorf("%s releases: %v", role, err)
		}
		_, err = s.svc.Transition(t.Context(), s.on(user, id), id, Transition{To: Cooking})
		if got := errors.Is(err, ErrForbidden); got == role.May(MayRework) {
			t.Errorf("%s sends back: %v", role, err)
		}
	}
}

func TestCreateAsksForItsRight(t *testing.T) {
	s := newStage(t)
	for user, role := range team {
		_, err := s.svc.Create(t.Context(), s.as(user), plan())
		if got := err == nil; got != role.May(MayPlan) {
			t.Errorf("%s: got %v", role, err)
		}
	}
}

// TestAnswersAskForTheirRight answers one alert of each severity, and one about costs, as every role.
func TestAnswersAskForTheirRight(t *testing.T) {
	for _, c := range []struct {
		code       AlertCode
		severity   Severity
		ack, solve Right
	}{
		{Overrun, Low, MayAcknowledge, MayAcknowledge},
		{Overrun, Medium, MayAcknowledge, MayAcknowledge},
		{Overrun, High, MayAcknowledge, MayResolveHigh},
		{EatBy, Critical, MayAcknowledge, MayResolveCritical},
		{CostOver, Medium, MayAcknowledgeCost, MayAcknowledgeCost},
		{CostOver, High, MayAcknowledgeCost, MayResolveHigh},
	} {
		for user, role := range team {
			s := newStage(t)
			id := s.create(plan())
			a := Alert{ID: "alert_1", Tenant: sppg, Code: c.code, Severity: c.severity, Status: AlertOpen, ProductionID: id, RaisedAt: s.clock()}
			s.store.kitchen(sppg).alerts[a.ID] = a
			_, err := s.svc.Resolve(t.Context(), s.as(user), a.ID, "Sudah ditangani")
			if got := err == nil; got != role.May(c.solve) {
				t.Errorf("%s resolves %s %s: %v", role, c.code, c.severity, err)
			}
			s.store.kitchen(sppg).alerts[a.ID] = a
			_, err = s.svc.Acknowledge(t.Context(), s.as(user), a.ID)
			if got := err == nil; got != role.May(c.ack) {
				t.Errorf("%s acknowledges %s %s: %v", role, c.code, c.severity, err)
			}
		}
	}
}

// TestSharedTablet: the tablet of the kitchen checks, releases, cancels and resolves with the PIN of somebody who may.
func TestSharedTablet(t *testing.T) {
	s := newStage(t)
	id := s.to(QualityCheck)
	for _, who := range []string{"gizi", "koki", "manajer"} {
		hash, err := HashPIN("2468")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.svc.Put(t.Context(), s.as("kepala"), References{People: []Person{{ID: who, Name: who, Role: team[who], Active: true, PIN: hash}}}); err != nil {
			t.Fatal(err)
		}
	}
	tablet := func(pin *PIN) Request {
		r := s.on("koki", id)
		r.Actor.User, r.PIN = "tablet_1", pin
		r.Actor.Person, r.Actor.PersonRole = "kepala", Head // nobody can name himself
		return r
	}
	check := AddCheck{Type: Taste, Parameter: "rasa", ActualValue: "enak", Passed: new(true)}
	_, err := s.svc.Check(t.Context(), tablet(nil), id, check)
	s.refused(err, CodePINRequired)
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"koki", "2468"}), id, check)
	s.refused(err, CodeForbidden)
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"gizi", "1357"}), id, check)
	s.refused(err, CodePINWrong)
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"mutu", "2468"}), id, check)
	s.refused(err, CodePINWrong) // has none
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"mantan", "2468"}), id, check)
	s.refused(err, CodePINWrong)
	s.must(s.svc.Check(t.Context(), tablet(&PIN{"gizi", "2468"}), id, check))
	k := s.store.kitchen(sppg)
	if c := k.checks[len(k.checks)-1]; c.CheckedBy != "gizi" {
		t.Errorf("the check was made by %q; want the person, not the tablet", c.CheckedBy)
	}
	if e := k.audit[len(k.audit)-1]; e.User != "tablet_1" || e.Person != "gizi" || strings.Contains(string(e.Detail), "2468") {
		t.Errorf("audit entry %+v: want tablet and person, and no PIN", e)
	}

	for range pinTries {
		_, err = s.svc.Check(t.Context(), tablet(&PIN{"gizi", "0000"}), id, check)
		s.refused(err, CodePINWrong)
	}
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"gizi", "2468"}), id, check)
	s.refused(err, CodePINLocked)
	s.must(s.svc.Cancel(t.Context(), tablet(&PIN{"manajer", "2468"}), id, Cancel{"Listrik padam sejak pagi"})) // others are not locked
	s.wait(pinLock)
	_, err = s.svc.Check(t.Context(), tablet(&PIN{"gizi", "2468"}), id, check)
	s.refused(err, CodeFinal)
}

func TestPINHash(t *testing.T) {
	for _, bad := range []string{"", "123", "1234567890123", "12a4", "１２３４", "-1234"} {
		if _, err := HashPIN(bad); err == nil {
			t.Errorf("HashPIN(%q) was taken", bad)
		}
	}
	a, err := HashPIN("1234")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := HashPIN("1234")
	if a == b {
		t.Error("two hashes of one PIN are equal: no salt")
	}
	if !a.Matches("1234") || a.Matches("1235") || a.Matches("") || PINHash("").Matches("") || PINHash("x$1$$").Matches("") {
		t.Error("Matches is wrong")
	}
	if got := a.LogValue().String(); strings.Contains(got, string(a)) {
		t.Errorf("a log has the hash: %s", got)
	}
}
