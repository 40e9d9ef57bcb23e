package production

import (
	"slices"

	"kentongan/tenant"
)

// Recaller is what Changes may be able to do beside: answer a Load from what commits of this process have left, without asking the
// database. That saves half of the round trips of a change, as long as one process makes the changes of a kitchen.
type Recaller interface {
	// Recall is as Load, but it may be outdated: another process may have changed what it answers, and it does not know which keys are
	// remembered. So a Commit that was decided on it carries its Recalled, and is ErrConflict unless all is still as it was recalled, but
	// for other commits of this process. Nothing else may be concluded from it. ok is false if not all that w wants is there; then Load
	// has to be asked.
	Recall(t tenant.ID, w Want) (l Loaded, ok bool)
}

// Clone returns a copy that shares nothing with b that can be written to.
func (b *Batch) Clone() Batch {
	c := *b
	c.Facts, c.Alerts = b.Facts.clone(), slices.Clone(b.Alerts)
	p := &c.Production
	p.AssistantCooks, p.Dishes, p.Photos = slices.Clone(p.AssistantCooks), slices.Clone(p.Dishes), slices.Clone(p.Photos)
	for i := range p.Dishes {
		p.Dishes[i].CoreTemp = copied(p.Dishes[i].CoreTemp)
	}
	for _, n := range []**int{&p.ActualPortions, &p.HygieneScore, &p.TasteRating, &p.AppearanceRating, &p.TextureRating} {
		*n = copied(*n)
	}
	for _, n := range []**Rupiah{&p.EstimatedCost, &p.ActualCost, &p.CostPerPortion} {
		*n = copied(*n)
	}
	p.ActualTemperature, p.WasteAmount, p.QualityPassed = copied(p.ActualTemperature), copied(p.WasteAmount), copied(p.QualityPassed)
	return c
}

func copied[T any](v *T) *T {
	if v == nil {
		return nil
	}
	return new(*v)
}
