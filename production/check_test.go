package production

import (
	"strings"
	"testing"
)

// TestChecksAndNumbers: a check says what its numbers say, or is stricter; never milder.
func TestChecksAndNumbers(t *testing.T) {
	base := AddCheck{Parameter: "uji", ActualValue: "hasil"}
	for _, c := range []struct {
		name   string
		change func(*AddCheck)
		bad    string // path of the complaint; empty: it is taken
		passed bool
		severe Severity
	}{
		{"HygieneByScore", func(c *AddCheck) { c.Type, c.Score = Hygiene, new(80) }, "", true, ""},
		{"HygieneBelow", func(c *AddCheck) { c.Type, c.Score = Hygiene, new(79) }, "", false, High},
		{"HygieneAgainstScore", func(c *AddCheck) { c.Type, c.Score, c.Passed = Hygiene, new(79), new(true) }, "passed", false, ""},
		{"HygieneStricter", func(c *AddCheck) { c.Type, c.Score, c.Passed = Hygiene, new(95), new(false) }, "", false, High},
		{"HygieneCriticalItem", func(c *AddCheck) { c.Type, c.Score, c.CriticalItem = Hygiene, new(95), true }, "", false, High},
		{"HygieneCriticalItemPassed", func(c *AddCheck) { c.Type, c.CriticalItem, c.Passed = Hygiene, true, new(true) }, "passed", false, ""},
		{"NoNumberNoWord", func(c *AddCheck) { c.Type = Safety }, "passed", false, ""},
		{"SafetyFailed", func(c *AddCheck) { c.Type, c.Passed = Safety, new(false) }, "", false, Critical},
		{"TasteThree", func(c *AddCheck) { c.Type, c.Rating = Taste, new(3) }, "", true, ""},
		{"TasteTwo", func(c *AddCheck) { c.Type, c.Rating = Taste, new(2) }, "", false, Medium},
		{"TasteTwoWorse", func(c *AddCheck) { c.Type, c.Rating, c.Severity = Taste, new(2), Critical }, "", false, Critical},
		{"SafetyMilder", func(c *AddCheck) { c.Type, c.Passed, c.Severity = Safety, new(false), Low }, "", false, Critical},
		{"Texture", func(c *AddCheck) { c.Type, c.Rating, c.TextureRating = Appearance, new(5), new(2) }, "", false, Medium},
		{"Temperature75", func(c *AddCheck) { c.Type, c.Celsius = Temperature, new(Celsius(750)) }, "", true, ""},
		{"TemperatureBelow75", func(c *AddCheck) { c.Type, c.Celsius = Temperature, new(Celsius(749)) }, "", false, High},
		{"TemperatureBelow70", func(c *AddCheck) { c.Type, c.Celsius = Temperature, new(Celsius(699)) }, "", false, Critical},
		{"TemperatureByWord", func(c *AddCheck) { c.Type, c.Passed = Temperature, new(false) }, "", false, High}, // the readings are fine
		{"UnknownType", func(c *AddCheck) { c.Type, c.Passed = "SMELL", new(true) }, "checkType", false, ""},
		{"NoParameter", func(c *AddCheck) { c.Type, c.Passed, c.Parameter = Safety, new(true), "" }, "parameter", false, ""},
		{"LongValue", func(c *AddCheck) { c.Type, c.Passed, c.ActualValue = Safety, new(true), strings.Repeat("x", 101) }, "actualValue", false, ""},
		{"Score101", func(c *AddCheck) { c.Type, c.Score = Hygiene, new(101) }, "score", false, ""},
		{"Rating6", func(c *AddCheck) { c.Type, c.Rating = Taste, new(6) }, "rating", false, ""},
		{"RatingOfSafety", func(c *AddCheck) { c.Type, c.Rating, c.Passed = Safety, new(5), new(true) }, "rating", false, ""},
		{"TextureOfSafety", func(c *AddCheck) { c.Type, c.TextureRating, c.Passed = Safety, new(5), new(true) }, "textureRating", false, ""},
		{"CelsiusOfTaste", func(c *AddCheck) { c.Type, c.Celsius, c.Passed = Taste, new(Celsius(1)), new(true) }, "celsius", false, ""},
		{"CriticalItemOfTaste", func(c *AddCheck) { c.Type, c.CriticalItem, c.Passed = Taste, true, new(true) }, "criticalItem", false, ""},
		{"Severity", func(c *AddCheck) { c.Type, c.Passed, c.Severity = Taste, new(false), "BAD" }, "severity", false, ""},
		{"ActionBy", func(c *AddCheck) { c.Type, c.Passed, c.ActionBy = Taste, new(true), "a b" }, "actionBy", false, ""},
		{"Notes", func(c *AddCheck) { c.Type, c.Passed, c.Notes = Taste, new(true), strings.Repeat("x", 1001) }, "notes", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			id := s.to(QualityCheck)
			in := base
			c.change(&in)
			_, err := s.svc.Check(t.Context(), s.as("gizi"), id, in)
			if c.bad != "" {
				s.refused(err, CodeInvalid, c.bad)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			k := s.store.kitchen(sppg)
			got := k.checks[len(k.checks)-1]
			if got.Passed != c.passed || got.Severity != c.severe || got.ActionRequired == c.passed {
				t.Errorf("got %+v; want passed %t, severity %q", got, c.passed, c.severe)
			}
			if e := k.events[len(k.events)-1]; c.passed && !strings.Contains(string(e.Payload), `"qualityCheck":{"id":"`+got.ID) {
				t.Errorf("the event does not tell of it: %s", e.Payload)
			}
		})
	}
}

func TestRatingsReachTheProduction(t *testing.T) {
	s := newStage(t)
	id := s.to(QualityCheck)
	for _, c := range []AddCheck{
		{Type: Hygiene, Score: new(91)}, {Type: Taste, Rating: new(4)}, {Type: Appearance, Rating: new(5), TextureRating: new(3)},
	} {
		c.Parameter, c.ActualValue = "uji", "hasil"
		s.must(s.svc.Check(t.Context(), s.as("gizi"), id, c))
	}
	p := s.batch(id).Production
	if *p.HygieneScore != 91 || *p.TasteRating != 4 || *p.AppearanceRating != 5 || *p.TextureRating != 3 {
		t.Errorf("got %d %d %d %d", *p.HygieneScore, *p.TasteRating, *p.AppearanceRating, *p.TextureRating)
	}
}

func TestReadingsRefuseBadFields(t *testing.T) {
	s := newStage(t)
	id := s.to(Cooking)
	s.read(id, Core, "Ayam", 700)
	row := s.store.kitchen(sppg).readings[0].ID
	for path, a := range map[string]AddReading{
		"kind": {Kind: "INNER"}, "dish": {Kind: Core, Dish: "Sup"}, "source": {Kind: Core, Source: "GUESS"}, "celsius": {Kind: Core, Celsius: 1301},
		"corrects": {Kind: Core, Dish: "Nasi", Corrects: row},
	} {
		_, err := s.svc.Reading(t.Context(), s.as("koki"), id, a)
		s.refused(err, CodeInvalid, path)
	}
	_, err := s.svc.Reading(t.Context(), s.as("koki"), id, AddReading{Kind: Core, Dish: "Ayam", Corrects: "none"})
	s.refused(err, CodeInvalid, "corrects")
	s.must(s.svc.Reading(t.Context(), s.as("koki"), id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 770, Corrects: row}))
	if rows := s.store.kitchen(sppg).readings; len(rows) != 2 || rows[0].Celsius != 700 || rows[1].Corrects != row {
		t.Errorf("a correction is another row: %+v", rows)
	}
	// A probe reports by an API key, which may do nothing else.
	s.must(s.svc.Reading(t.Context(), s.as("server"), id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 781, Source: Probe}))
	_, err = s.svc.Reading(t.Context(), s.as("server"), id, AddReading{Kind: Core, Dish: "Ayam", Celsius: 781})
	s.refused(err, CodeForbidden)
	if p := s.batch(id).Production; *p.ActualTemperature != 781 || *p.Dishes[1].CoreTemp != 781 {
		t.Errorf("got %+v", p)
	}
}

func TestSampleIsKeptLongEnough(t *testing.T) {
	s := newStage(t)
	id := s.to(QualityCheck)
	at := s.clock()
	_, err := s.svc.Sample(t.Context(), s.as("mutu"), id, TakeSample{KeepUntil: at.Add(hours(new(48))) - 1, Dish: "Sup", Place: strings.Repeat("x", 101)})
	s.refused(err, CodeInvalid, "keepUntil", "dish", "place")
	got := s.must(s.svc.Sample(t.Context(), s.as("mutu"), id, TakeSample{KeepUntil: at.Add(hours(new(48)))})).Production
	if got.SampleTaken != at || got.SampleKeepUntil != at.Add(hours(new(48))) {
		t.Errorf("got %+v", got)
	}
}
