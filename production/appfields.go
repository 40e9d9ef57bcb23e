package production

import (
	"encoding/json"
	"math"
	"slices"
)

// appField reads one field of what an app publishes. take reports whether the text is what the field can be.
type appField struct {
	name string
	take func(p *Production, text json.RawMessage, zone Zone) bool
}

// appFields are read with more patience than our own: an app's numbers may have more digits, and its dates may be instants. They have
// the order of their names.
var appFields = []appField{
	appInstant("actualEndTime", func(p *Production) *Instant { return &p.ActualEnd }),
	appCount("actualPortions", 0, MaxPortions, func(p *Production) **int { return &p.ActualPortions }),
	appInstant("actualStartTime", func(p *Production) *Instant { return &p.ActualStart }),
	{"actualTemperature", func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, float64(minCelsius)/10, float64(maxCelsius)/10, 10)
		c := Celsius(n)
		p.ActualTemperature = &c
		return ok
	}},
	appMoney("actualCost", func(p *Production) **Rupiah { return &p.ActualCost }),
	appCount("appearanceRating", 1, 5, func(p *Production) **int { return &p.AppearanceRating }),
	{"assistantCooks", func(p *Production, text json.RawMessage, _ Zone) bool {
		var ids []string
		var bad fields
		if json.Unmarshal(text, &ids) != nil || ids == nil || len(ids) > MaxAssistants {
			return false
		}
		for _, id := range ids {
			bad.text("", id, 1, 100)
		}
		p.AssistantCooks = ids
		return len(bad) == 0
	}},
	appText("batchNumber", 1, 60, func(p *Production) *string { return &p.BatchNumber }),
	appInstant("consumeBy", func(p *Production) *Instant { return &p.ConsumeBy }),
	{"controlMode", func(p *Production, text json.RawMessage, _ Zone) bool {
		p.ControlMode = ControlMode(word(text))
		return slices.Contains([]ControlMode{ControlTime, ControlHot, ControlCold}, p.ControlMode)
	}},
	appInstant("cookedAt", func(p *Production) *Instant { return &p.Cooked }),
	appInstant("cookingStartedAt", func(p *Production) *Instant { return &p.CookingStarted }),
	appMoney("costPerPortion", func(p *Production) **Rupiah { return &p.CostPerPortion }),
	{"dishes", func(p *Production, text json.RawMessage, _ Zone) bool {
		var dishes []Dish
		var bad fields
		err := json.Unmarshal(text, &dishes)
		bad.dishes("", slices.Collect(func(yield func(Dish) bool) {
			for _, d := range dishes {
				if !yield(Dish{Name: d.Name}) {
					return
				}
			}
		}))
		p.Dishes = dishes
		return err == nil && dishes != nil && len(bad) == 0
	}},
	appInstant("dispatchedAt", func(p *Production) *Instant { return &p.Dispatched }),
	appMoney("estimatedCost", func(p *Production) **Rupiah { return &p.EstimatedCost }),
	appText("headCook", 0, 100, func(p *Production) *string { return &p.HeadCook }),
	appCount("hygieneScore", 1, 100, func(p *Production) **int { return &p.HygieneScore }),
	appText("menuId", 0, 100, func(p *Production) *string { return &p.MenuID }),
	appText("menuName", 0, 200, func(p *Production) *string { return &p.MenuName }),
	appText("notes", 0, 2000, func(p *Production) *string { return &p.Notes }),
	appInstant("plannedEndTime", func(p *Production) *Instant { return &p.PlannedEnd }),
	appWhole("plannedPortions", 1, MaxPortions, func(p *Production) *int { return &p.PlannedPortions }),
	appInstant("plannedStartTime", func(p *Production) *Instant { return &p.PlannedStart }),
	{"productionDate", func(p *Production, text json.RawMessage, zone Zone) bool {
		day, err := ParseDay(word(text))
		if err == nil {
			p.Day = day
			return true
		}
		var at Instant // a date without a time becomes one of midnight in many a language
		if json.Unmarshal(text, &at) != nil || !at.Known() {
			return false
		}
		p.Day = DayOf(at, zone)
		return true
	}},
	appText("programId", 0, 100, func(p *Production) *string { return &p.ProgrammeID }),
	appWhole("progress", 0, 100, func(p *Production) *int { return &p.Progress }),
	{"qualityPassed", func(p *Production, text json.RawMessage, _ Zone) bool {
		var passed bool
		err := json.Unmarshal(text, &passed)
		p.QualityPassed = &passed
		return err == nil
	}},
	appText("rejectionReason", 0, 1000, func(p *Production) *string { return &p.RejectionReason }),
	appWhole("reworkCount", 0, 100, func(p *Production) *int { return &p.ReworkCount }),
	appInstant("sampleKeepUntil", func(p *Production) *Instant { return &p.SampleKeepUntil }),
	appInstant("sampleTakenAt", func(p *Production) *Instant { return &p.SampleTaken }),
	{"status", func(p *Production, text json.RawMessage, _ Zone) bool {
		p.Status = Status(word(text))
		return slices.Contains(Statuses, p.Status)
	}},
	appText("supervisorId", 0, 100, func(p *Production) *string { return &p.SupervisorID }),
	appText("targetGroup", 0, 100, func(p *Production) *string { return &p.TargetGroup }),
	{"targetTemperature", func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, float64(minCelsius)/10, float64(maxCelsius)/10, 10)
		p.TargetTemperature = Celsius(n)
		return ok
	}},
	appCount("tasteRating", 1, 5, func(p *Production) **int { return &p.TasteRating }),
	appCount("textureRating", 1, 5, func(p *Production) **int { return &p.TextureRating }),
	{"wasteAmount", func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, 0, float64(MaxWaste)/10, 10)
		k := Kilograms(n)
		p.WasteAmount = &k
		return ok
	}},
	appText("wasteNotes", 0, 500, func(p *Production) *string { return &p.WasteNotes }),
	appWhole("wave", 1, MaxWave, func(p *Production) *int { return &p.Wave }),
}

func appInstant(name string, of func(*Production) *Instant) appField {
	return appField{name, func(p *Production, text json.RawMessage, _ Zone) bool { return json.Unmarshal(text, of(p)) == nil }}
}

func appText(name string, lo, hi int, of func(*Production) *string) appField {
	return appField{name, func(p *Production, text json.RawMessage, _ Zone) bool {
		var s string
		var bad fields
		if json.Unmarshal(text, &s) != nil {
			return false
		}
		bad.text("", s, lo, hi)
		*of(p) = s
		return len(bad) == 0
	}}
}

// appNumberIn reads a number in lo to hi and returns it times scale, rounded.
func appNumberIn(text json.RawMessage, lo, hi, scale float64) (int64, bool) {
	var f float64
	if json.Unmarshal(text, &f) != nil || f < lo || f > hi {
		return 0, false
	}
	return int64(math.Round(f * scale)), true
}

func appWhole(name string, lo, hi int, of func(*Production) *int) appField {
	return appField{name, func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, float64(lo), float64(hi), 1)
		*of(p) = int(n)
		return ok
	}}
}

func appCount(name string, lo, hi int, of func(*Production) **int) appField {
	return appField{name, func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, float64(lo), float64(hi), 1)
		count := int(n)
		*of(p) = &count
		return ok
	}}
}

func appMoney(name string, of func(*Production) **Rupiah) appField {
	return appField{name, func(p *Production, text json.RawMessage, _ Zone) bool {
		n, ok := appNumberIn(text, 0, float64(MaxMoney), 1)
		r := Rupiah(n)
		*of(p) = &r
		return ok
	}}
}
