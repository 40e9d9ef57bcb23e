package production

import (
	"encoding/json"
	"slices"
	"strconv"
)

// column is a field of Production as events carry it.
type column struct {
	name  string
	money bool
	same  func(a, b *Production) bool
	add   func(dst []byte, p *Production) []byte
}

// scalar makes a column of a value that compares.
func scalar[T comparable](name string, of func(*Production) T) column {
	return column{
		name: name,
		same: func(a, b *Production) bool { return of(a) == of(b) },
		add:  func(dst []byte, p *Production) []byte { return appendJSON(dst, of(p)) },
	}
}

// optional makes a column of a value that may be unknown.
func optional[T comparable](name string, of func(*Production) *T) column {
	return column{
		name: name,
		same: func(a, b *Production) bool {
			x, y := of(a), of(b)
			return x == y || x != nil && y != nil && *x == *y
		},
		add: func(dst []byte, p *Production) []byte { return appendJSON(dst, of(p)) },
	}
}

// list makes a column of a slice.
func list[T any](name string, of func(*Production) []T, same func(a, b T) bool) column {
	return column{
		name: name,
		same: func(a, b *Production) bool { return slices.EqualFunc(of(a), of(b), same) },
		add:  func(dst []byte, p *Production) []byte { return appendJSON(dst, of(p)) },
	}
}

func money(c column) column {
	c.money = true
	return c
}

func equal[T comparable](a, b T) bool { return a == b }

func equalDish(a, b Dish) bool {
	temp := a.CoreTemp == b.CoreTemp || a.CoreTemp != nil && b.CoreTemp != nil && *a.CoreTemp == *b.CoreTemp
	return a.Name == b.Name && a.Cold == b.Cold && a.Cooked == b.Cooked && temp
}

// columns are all fields of Production that may change, in the order of its JSON. A test compares them with the struct.
var columns = []column{
	scalar("programId", func(p *Production) string { return p.ProgrammeID }),
	scalar("menuId", func(p *Production) string { return p.MenuID }),
	scalar("menuName", func(p *Production) string { return p.MenuName }),
	scalar("plannedPortions", func(p *Production) int { return p.PlannedPortions }),
	optional("actualPortions", func(p *Production) *int { return p.ActualPortions }),
	scalar("headCook", func(p *Production) string { return p.HeadCook }),
	list("assistantCooks", func(p *Production) []string { return p.AssistantCooks }, equal[string]),
	scalar("supervisorId", func(p *Production) string { return p.SupervisorID }),
	scalar("status", func(p *Production) Status { return p.Status }),
	scalar("statusSince", func(p *Production) Instant { return p.StatusSince }),
	scalar("progress", func(p *Production) int { return p.Progress }),
	scalar("wave", func(p *Production) int { return p.Wave }),
	scalar("targetGroup", func(p *Production) string { return p.TargetGroup }),
	scalar("controlMode", func(p *Production) ControlMode { return p.ControlMode }),
	list("dishes", func(p *Production) []Dish { return p.Dishes }, equalDish),
	scalar("plannedStartTime", func(p *Production) Instant { return p.PlannedStart }),
	scalar("plannedEndTime", func(p *Production) Instant { return p.PlannedEnd }),
	scalar("actualStartTime", func(p *Production) Instant { return p.ActualStart }),
	scalar("actualEndTime", func(p *Production) Instant { return p.ActualEnd }),
	scalar("cookingStartedAt", func(p *Production) Instant { return p.CookingStarted }),
	scalar("cookedAt", func(p *Production) Instant { return p.Cooked }),
	scalar("consumeBy", func(p *Production) Instant { return p.ConsumeBy }),
	scalar("dispatchedAt", func(p *Production) Instant { return p.Dispatched }),
	money(optional("estimatedCost", func(p *Production) *Rupiah { return p.EstimatedCost })),
	money(optional("actualCost", func(p *Production) *Rupiah { return p.ActualCost })),
	money(optional("costPerPortion", func(p *Production) *Rupiah { return p.CostPerPortion })),
	scalar("targetTemperature", func(p *Production) Celsius { return p.TargetTemperature }),
	optional("actualTemperature", func(p *Production) *Celsius { return p.ActualTemperature }),
	optional("hygieneScore", func(p *Production) *int { return p.HygieneScore }),
	optional("tasteRating", func(p *Production) *int { return p.TasteRating }),
	optional("appearanceRating", func(p *Production) *int { return p.AppearanceRating }),
	optional("textureRating", func(p *Production) *int { return p.TextureRating }),
	optional("qualityPassed", func(p *Production) *bool { return p.QualityPassed }),
	scalar("rejectionReason", func(p *Production) string { return p.RejectionReason }),
	optional("wasteAmount", func(p *Production) *Kilograms { return p.WasteAmount }),
	scalar("wasteNotes", func(p *Production) string { return p.WasteNotes }),
	scalar("sampleTakenAt", func(p *Production) Instant { return p.SampleTaken }),
	scalar("sampleKeepUntil", func(p *Production) Instant { return p.SampleKeepUntil }),
	scalar("notes", func(p *Production) string { return p.Notes }),
	list("photos", func(p *Production) []string { return p.Photos }, equal[string]),
	scalar("reworkCount", func(p *Production) int { return p.ReworkCount }),
	scalar("version", func(p *Production) int64 { return p.Version }),
	scalar("updatedAt", func(p *Production) Instant { return p.UpdatedAt }),
}

// appendJSON adds v, one of our own types, which always marshal.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic("production: " + err.Error())
	}
	return append(dst, text...)
}
