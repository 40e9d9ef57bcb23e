package production

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCreateRefusesBadFields spoils a plan field by field. Each complaint names the field, and nothing else is complained about.
func TestCreateRefusesBadFields(t *testing.T) {
	long := strings.Repeat("é", 2001)
	dishes := func(n int) []Dish {
		var list []Dish
		for i := range n {
			list = append(list, Dish{Name: fmt.Sprint("dish ", i)})
		}
		return list
	}
	for _, c := range []struct {
		name  string
		spoil func(*Create)
		want  []string // paths; none: it is taken
	}{
		{"AsItIs", func(*Create) {}, nil},
		{"NoMenu", func(c *Create) { c.MenuID = "" }, []string{"menuId"}},
		{"UnknownMenu", func(c *Create) { c.MenuID = "menu_9" }, []string{"menuId"}},
		{"RetiredProgramme", func(c *Create) { c.ProgrammeID = "prog_old" }, []string{"programId"}},
		{"FormerStaff", func(c *Create) { c.HeadCook = "mantan" }, []string{"headCook"}},
		{"StrangerAsAssistant", func(c *Create) { c.AssistantCooks = []string{"koki", "siapa"} }, []string{"assistantCooks[1]"}},
		{"AssistantTwice", func(c *Create) { c.AssistantCooks = []string{"koki", "koki"} }, []string{"assistantCooks[1]"}},
		{"ElevenAssistants", func(c *Create) { c.AssistantCooks = make([]string, 11) }, func() []string {
			paths := []string{"assistantCooks"}
			for i := range 11 {
				paths = append(paths, fmt.Sprintf("assistantCooks[%d]", i))
				if i > 0 {
					paths = append(paths, fmt.Sprintf("assistantCooks[%d]", i))
				}
			}
			return paths
		}()},
		{"NoPortions", func(c *Create) { c.PlannedPortions = 0 }, []string{"plannedPortions"}},
		{"OnePortion", func(c *Create) { c.PlannedPortions = 1 }, nil},
		{"MostPortions", func(c *Create) { c.PlannedPortions = 10_000 }, nil},
		{"TooManyPortions", func(c *Create) { c.PlannedPortions = 10_001 }, []string{"plannedPortions"}},
		{"Wave0IsTheFirst", func(c *Create) { c.Wave = 0 }, nil},
		{"Wave7", func(c *Create) { c.Wave = 7 }, []string{"wave"}},
		{"Mode", func(c *Create) { c.ControlMode = "WARM" }, []string{"controlMode"}},
		{"29Minutes", func(c *Create) { c.PlannedEnd = c.PlannedStart.Add(30*time.Minute) - 1 }, []string{"plannedEndTime"}},
		{"30Minutes", func(c *Create) { c.PlannedEnd = c.PlannedStart.Add(30 * time.Minute) }, nil},
		{"NoTimes", func(c *Create) { c.PlannedStart, c.PlannedEnd = 0, 0 }, []string{"plannedStartTime", "plannedStartTime"}},
		{"NoEnd", func(c *Create) { c.PlannedEnd = 0 }, []string{"plannedEndTime"}},
		{"PlanOfAnotherWeek", func(c *Create) {
			c.PlannedStart = c.PlannedStart.Add(-7 * 24 * time.Hour)
		}, []string{"plannedStartTime"}},
		{"NoDay", func(c *Create) { c.Day = "" }, []string{"productionDate"}},
		{"DayThatIsNone", func(c *Create) { c.Day = "2026-11-31" }, []string{"productionDate"}},
		{"Yesterday", func(c *Create) { c.Day = "2026-11-24" }, []string{"productionDate"}},
		{"Today", func(c *Create) { c.Day = "2026-11-25" }, nil},
		{"InTwoYears", func(c *Create) { c.Day = "2028-11-25" }, []string{"productionDate", "plannedStartTime"}},
		{"NegativeCost", func(c *Create) { c.EstimatedCost = new(Rupiah(-1)) }, []string{"estimatedCost"}},
		{"NoCost", func(c *Create) { c.EstimatedCost = new(Rupiah(0)) }, nil},
		{"CostOfAllKitchens", func(c *Create) { c.EstimatedCost = new(MaxMoney + 1) }, []string{"estimatedCost"}},
		{"TooHot", func(c *Create) { c.TargetTemperature = new(Celsius(1301)) }, []string{"targetTemperature"}},
		{"TwelveDishes", func(c *Create) { c.Dishes = dishes(12) }, nil},
		{"ThirteenDishes", func(c *Create) { c.Dishes = dishes(13) }, []string{"dishes"}},
		{"DishTwice", func(c *Create) { c.Dishes = append(dishes(2), dishes(1)...) }, []string{"dishes[2].name"}},
		{"DishWithoutName", func(c *Create) { c.Dishes = []Dish{{Name: " "}} }, []string{"dishes[0].name"}},
		{"DishCookedBefore", func(c *Create) { c.Dishes = []Dish{{Name: "x", Cooked: 1}} }, []string{"dishes[0]"}},
		{"LongNotes", func(c *Create) { c.Notes = long[:4000] }, nil}, // 2,000 characters of two bytes
		{"TooLongNotes", func(c *Create) { c.Notes = long }, []string{"notes"}},
		{"NotesWithNUL", func(c *Create) { c.Notes = "a\x00" }, []string{"notes"}},
		{"NotesThatAreNoText", func(c *Create) { c.Notes = "a\xff" }, []string{"notes"}},
		{"NotesInLines", func(c *Create) { c.Notes = "a\nb\tc" }, nil},
		{"Photos", func(c *Create) { c.Photos = []string{"https://a.id/1.jpg", "javascript:alert(1)", "/etc/passwd"} }, []string{"photos[1]", "photos[2]"}},
		{"TooManyPhotos", func(c *Create) { c.Photos = make([]string, 21) }, []string{"photos"}},
		{"TargetGroup", func(c *Create) { c.TargetGroup = strings.Repeat("x", 101) }, []string{"targetGroup"}},
		{"AllAtOnce", func(c *Create) { *c = Create{Day: day, Wave: -1} },
			[]string{"menuId", "programId", "plannedPortions", "wave", "plannedStartTime", "plannedStartTime"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			in := plan()
			c.spoil(&in)
			_, err := s.svc.Create(t.Context(), s.as("manajer"), in)
			if c.want == nil {
				if err != nil {
					t.Errorf("got %v; want it taken", err)
				}
				return
			}
			s.refused(err, CodeInvalid, c.want...)
		})
	}
}

func TestUpdate(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id := s.create(plan())
	_, err := s.svc.Update(ctx, s.on("manajer", id), id, Update{})
	s.refused(err, CodeInvalid, "")
	_, err = s.svc.Update(ctx, s.on("manajer", id), id, Update{HeadCook: new("siapa"), MenuID: new("menu_9"), Wave: new(0)})
	s.refused(err, CodeInvalid, "headCook", "menuId", "wave")
	// What was retired after it was planned does not stand in the way of other changes.
	gone := References{Menus: []Menu{{ID: "menu_1", Name: "Nasi ayam"}}, People: []Person{{ID: "koki", Name: "koki", Role: KitchenStaff}}}
	if err := s.svc.Put(ctx, s.as("kepala"), gone); err != nil {
		t.Fatal(err)
	}
	got := s.must(s.svc.Update(ctx, s.on("manajer", id), id, Update{Notes: new("Tanpa kacang"), AssistantCooks: &[]string{"manajer"}})).Production
	if got.Notes != "Tanpa kacang" || got.Version != 2 || got.AssistantCooks[0] != "manajer" || got.MenuName != "Nasi ayam" {
		t.Errorf("got %+v", got)
	}
	_, err = s.svc.Update(ctx, s.on("manajer", id), id, Update{MenuID: new("menu_1")})
	s.refused(err, CodeInvalid, "menuId")
	k := s.store.kitchen(sppg)
	want := `{"type":"production_update","productionId":"` + id + `","data":{"assistantCooks":["manajer"],"notes":"Tanpa kacang","version":2},` +
		fmt.Sprintf(`"timestamp":%d,"updatedBy":"manajer"}`, s.now.UnixMilli())
	if e := k.events[len(k.events)-1]; string(e.Payload) != want || e.ID != id+".2.1" || e.Version != 2 {
		t.Errorf("got event %s %s; want %s", e.ID, e.Payload, want)
	}
}

// TestSteps refuses every way that is none, in every status.
func TestSteps(t *testing.T) {
	lead := map[Status][]Status{Planned: {Preparing}, Preparing: {Cooking}, Cooking: {QualityCheck}, QualityCheck: {Completed, Cooking}}
	for _, from := range Statuses {
		for _, to := range Statuses {
			s := newStage(t)
			at := from
			if from == Cancelled {
				at = Planned
			}
			id := s.to(at)
			if from == Cancelled {
				s.must(s.svc.Cancel(t.Context(), s.on("kepala", id), id, Cancel{"Bahan tidak datang"}))
			}
			_, err := s.svc.Transition(t.Context(), s.on("kepala", id), id, Transition{To: to, Reason: "Karena memang harus"})
			way := to == Cancelled && !from.Final()
			for _, l := range lead[from] {
				way = way || l == to
			}
			switch {
			case from.Final():
				s.refused(err, CodeFinal)
			case !way:
				unmet := []string{string(Cancelled)}
				for _, l := range lead[from] {
					unmet = append(unmet, string(l))
				}
				s.refused(err, CodeNoSuchStep, unmet...)
			case err != nil && !strings.Contains(err.Error(), string(CodeGuards)):
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
	s := newStage(t)
	id := s.create(plan())
	_, err := s.svc.Transition(t.Context(), s.on("kepala", id), id, Transition{To: "DONE"})
	s.refused(err, CodeInvalid, "to")
}

// TestStatusAllows tries what can only be done in some statuses, in all others.
func TestStatusAllows(t *testing.T) {
	for _, c := range []struct {
		act  Act
		user string
		in   []Status
	}{
		{Update{Notes: new("x")}, "manajer", []Status{Planned}},
		{Delete{}, "manajer", []Status{Planned}},
		{Work{Progress: new(100)}, "koki", []Status{Preparing, Cooking, QualityCheck}},
		{Work{ActualCost: new(Rupiah(1))}, "akuntan", []Status{Planned, Preparing, Cooking, QualityCheck}},
		{AddCheck{Type: Hygiene, Parameter: "a", ActualValue: "b", Passed: new(true)}, "gizi", []Status{Preparing, Cooking, QualityCheck}},
		{AddCheck{Type: Safety, Parameter: "a", ActualValue: "b", Passed: new(true)}, "gizi", []Status{Preparing, Cooking, QualityCheck}},
		{AddCheck{Type: Taste, Parameter: "a", ActualValue: "b", Passed: new(true)}, "gizi", []Status{Cooking, QualityCheck}},
		{TakeSample{}, "mutu", []Status{Cooking, QualityCheck}},
		{AddReading{Kind: Ambient, Celsius: 280}, "koki", []Status{Preparing, Cooking, QualityCheck, Completed}},
		{RecordDispatch{}, "kurir", []Status{Completed}},
		{Correct{"notes", "x", "Catatan yang terlupa"}, "kepala", []Status{Completed}},
	} {
		for _, status := range Statuses[:5] {
			s := newStage(t)
			id := s.to(status)
			_, err := s.svc.do(t.Context(), s.on(c.user, id), id, c.act)
			allowed := false
			var words []string
			for _, in := range c.in {
				allowed = allowed || in == status
				words = append(words, string(in))
			}
			if _, ok := c.act.(Correct); ok {
				words = append(words, string(Cancelled))
			}
			switch {
			case allowed && err != nil:
				t.Errorf("%s in %s: %v", c.act.verb(), status, err)
			case allowed:
			case status.Final():
				s.refused(err, CodeFinal)
			default:
				s.refused(err, CodeWrongStatus, words...)
			}
		}
	}
}

func TestDeleteHides(t *testing.T) {
	s := newStage(t)
	id := s.create(plan())
	s.must(s.svc.Delete(t.Context(), s.on("admin", id), id))
	_, err := s.svc.Cancel(t.Context(), s.as("kepala"), id, Cancel{"Bahan tidak datang"})
	s.refused(err, CodeNotFound)
	k := s.store.kitchen(sppg)
	if e := k.events[len(k.events)-1]; !strings.Contains(string(e.Payload), `"deleted":true`) || e.Version != 2 {
		t.Errorf("got %s", e.Payload)
	}
	next := s.create(plan())
	if got := s.batch(next).Production.BatchNumber; got != "BATCH-20261126-0002" {
		t.Errorf("got number %s; want one that nobody ever had", got)
	}
}

// TestCapacity warns when a plan goes over the day's cap, and says so louder when cooking for it begins.
func TestCapacity(t *testing.T) {
	s := newStage(t)
	c := plan()
	c.PlannedPortions = 2000
	first := s.create(c)
	c.PlannedPortions = 501
	got := s.must(s.svc.Create(t.Context(), s.as("manajer"), c))
	if len(got.Warnings) != 1 || got.Warnings[0] != WarnOverCapacity {
		t.Errorf("got warnings %q", got.Warnings)
	}
	id := got.Production.ID
	s.want(id, "OVER_CAPACITY MEDIUM OPEN")
	s.want(first, "")
	s.wait(2 * time.Hour)
	s.step("koki", id, Preparing)
	s.want(id, "OVER_CAPACITY HIGH OPEN")
	s.must(s.svc.Cancel(t.Context(), s.on("kepala", first), first, Cancel{"Bahan tidak datang"}))
	s.must(s.svc.Work(t.Context(), s.on("koki", id), id, Work{Progress: new(10)}))
	s.want(id, "")
}

// TestTheClockNeverRestarts tells later times, earlier times and times that cannot be.
func TestTheClockNeverRestarts(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	id := s.to(Cooking)
	begun := s.clock()
	s.wait(time.Hour)
	cooked := func(user string, dishes ...DishCooked) error {
		_, err := s.svc.Work(ctx, s.on(user, id), id, Work{Cooked: dishes})
		return err
	}
	s.refused(cooked("koki", DishCooked{"Sup", 0}, DishCooked{"Nasi", s.clock() + 1}, DishCooked{"Ayam", begun - 1}), CodeInvalid,
		"cookedDishes[0].name", "cookedDishes[1].cookedAt", "cookedDishes[2].cookedAt")
	if err := cooked("koki", DishCooked{"Nasi", begun.Add(30 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if p := s.batch(id).Production; p.Cooked != begun.Add(30*time.Minute) || p.ConsumeBy != p.Cooked.Add(4*time.Hour) {
		t.Fatalf("the first dish starts the clock at once: %+v", p)
	}
	if err := cooked("koki", DishCooked{"Ayam", s.clock()}); err != nil {
		t.Fatal(err)
	}
	s.refused(cooked("koki", DishCooked{"Nasi", begun.Add(31 * time.Minute)}), CodeClockRestarts)
	if err := cooked("koki", DishCooked{"Ayam", begun.Add(20 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if p := s.batch(id).Production; p.Cooked != begun.Add(20*time.Minute) || p.ConsumeBy != p.Cooked.Add(4*time.Hour) {
		t.Fatalf("an earlier dish moves the clock back: %+v", p)
	}
	_, err := s.svc.Work(ctx, s.on("koki", id), id, Work{Progress: new(29)})
	s.refused(err, CodeProgressFalls)
}

// TestAReadingOfTheRoundBefore comes late: it was not taken of the food as it is now.
func TestAReadingOfTheRoundBefore(t *testing.T) {
	s := newStage(t)
	id := s.to(QualityCheck)
	first := s.clock().Add(-time.Minute)
	s.wait(20 * time.Minute)
	s.inspect(id, Taste, false)
	s.step("gizi", id, Cooking)
	r := s.as("koki")
	r.TakenAt = first
	s.must(s.svc.Reading(t.Context(), r, id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 900}))
	_, err := s.svc.Transition(t.Context(), s.on("koki", id), id, Transition{To: QualityCheck})
	s.refused(err, CodeGuards, GuardReading)
	r.TakenAt = s.clock().Add(-MaxClockSkew) // a clock may be slow by so much
	s.must(s.svc.Reading(t.Context(), r, id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 900}))
	s.step("koki", id, QualityCheck)
}

func TestReworkEnds(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*stage, string)
		unmet   []string
	}{
		"WithoutAFailedCheck": {func(*stage, string) {}, []string{GuardFailedCheck}},
		"AfterASafetyCheck": {func(s *stage, id string) {
			s.inspect(id, Safety, false)
			s.inspect(id, Taste, false)
		}, []string{GuardNoFailedSafety}},
		"AfterASafetyCheckThatPassedLater": {func(s *stage, id string) {
			s.inspect(id, Safety, false)
			s.inspect(id, Safety, true)
			s.inspect(id, Taste, false)
		}, []string{GuardNoFailedSafety}},
		"AfterTwoHours": {func(s *stage, id string) {
			s.inspect(id, Taste, false)
			s.now = s.batch(id).Production.Cooked.Add(2 * time.Hour).Time()
		}, []string{GuardBeforeReworkTime}},
		"TheThirdTime": {func(s *stage, id string) {
			for range 2 {
				s.inspect(id, Taste, false)
				s.step("gizi", id, Cooking)
				s.read(id, Core, "Ayam", 800)
				s.step("koki", id, QualityCheck)
			}
		}, []string{GuardReworksLeft}},
		"AllAtOnce": {func(s *stage, id string) {
			s.inspect(id, Safety, false)
			s.wait(3 * time.Hour)
		}, []string{GuardFailedCheck, GuardNoFailedSafety, GuardBeforeReworkTime}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			id := s.to(QualityCheck)
			c.prepare(s, id)
			_, err := s.svc.Transition(t.Context(), s.on("gizi", id), id, Transition{To: Cooking})
			s.refused(err, CodeGuards, c.unmet...)
		})
	}
}

// TestReleaseRefuses lets everything be in order but one thing.
func TestReleaseRefuses(t *testing.T) {
	ready := func(s *stage) string {
		id := s.to(QualityCheck)
		for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
			s.inspect(id, kind, true)
		}
		s.must(s.svc.Sample(t.Context(), s.as("mutu"), id, TakeSample{}))
		return id
	}
	for name, c := range map[string]struct {
		spoil func(*stage, string)
		by    string
		unmet string
	}{
		"Core":               {func(s *stage, id string) { s.read(id, Core, "Ayam", 749) }, "gizi", GuardCore},
		"HygieneFailedLater": {func(s *stage, id string) { s.inspect(id, Hygiene, false) }, "gizi", GuardHygiene},
		"Taste":              {func(s *stage, id string) { s.inspect(id, Taste, false) }, "gizi", GuardTaste},
		"Appearance":         {func(s *stage, id string) { s.inspect(id, Appearance, false) }, "gizi", GuardAppearance},
		"Temperature":        {func(s *stage, id string) { s.inspect(id, Temperature, false) }, "gizi", GuardTemperature},
		"OpenCritical": {func(s *stage, id string) {
			s.inspect(id, Safety, false)
			s.inspect(id, Safety, true)
			s.must(s.svc.Acknowledge(t.Context(), s.as("gizi"), s.alert(id, QCFailed).ID))
		}, "gizi", GuardNoCritical},
		"HeadCook": {func(s *stage, id string) {
			b := s.batch(id)
			b.Production.HeadCook = "gizi"
			s.store.kitchen(sppg).batches[id] = b
		}, "gizi", GuardReleaser},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			id := ready(s)
			c.spoil(s, id)
			_, err := s.svc.Transition(t.Context(), s.on(c.by, id), id, Transition{To: Completed})
			s.refused(err, CodeGuards, c.unmet)
		})
	}
	t.Run("TimeIsOver", func(t *testing.T) {
		s := newStage(t)
		id := ready(s)
		s.now = s.batch(id).Production.ConsumeBy.Time() // nobody has watched: the alert is not raised yet, and counts
		_, err := s.svc.Transition(t.Context(), s.on("gizi", id), id, Transition{To: Completed})
		s.refused(err, CodeGuards, GuardBeforeConsumeBy, GuardNoCritical)
		s.wait(-time.Millisecond)
		s.step("gizi", id, Completed)
	})
	t.Run("At75", func(t *testing.T) {
		s := newStage(t)
		id := ready(s)
		s.read(id, Core, "Ayam", 750)
		s.step("gizi", id, Completed)
	})
	t.Run("ACriticalThatWasResolved", func(t *testing.T) {
		s := newStage(t)
		id := ready(s)
		s.inspect(id, Safety, false)
		s.inspect(id, Safety, true)
		s.must(s.svc.Resolve(t.Context(), s.as("gizi"), s.alert(id, QCFailed).ID, "Uji ulang di laboratorium: negatif"))
		s.step("gizi", id, Completed)
	})
	t.Run("ColdBatch", func(t *testing.T) {
		s := newStage(t)
		c := plan()
		c.ControlMode, c.Dishes = ControlCold, []Dish{{Name: "Susu"}, {Name: "Buah"}}
		id := s.create(c)
		s.now = midnight
		s.step("koki", id, Preparing)
		s.inspect(id, Hygiene, true)
		s.step("koki", id, Cooking)
		s.read(id, Core, "Susu", 40)
		s.must(s.svc.Work(t.Context(), s.on("koki", id), id, Work{ActualPortions: new(1000)}))
		_, err := s.svc.Transition(t.Context(), s.on("koki", id), id, Transition{To: QualityCheck})
		s.refused(err, CodeGuards, GuardReading)
		s.read(id, ColdHold, "Susu", 40)
		s.read(id, ColdHold, "Buah", 50)
		s.step("koki", id, QualityCheck)
		for _, kind := range []CheckType{Temperature, Taste, Appearance, Safety} {
			s.inspect(id, kind, true)
		}
		s.must(s.svc.Sample(t.Context(), s.as("mutu"), id, TakeSample{}))
		_, err = s.svc.Transition(t.Context(), s.on("gizi", id), id, Transition{To: Completed})
		s.refused(err, CodeGuards, GuardCore)
		s.read(id, ColdHold, "Buah", 49)
		s.step("gizi", id, Completed)
	})
}
