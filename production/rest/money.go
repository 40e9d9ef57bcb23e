package rest

import "kentongan/production"

// alertFor returns a as r may see it; nil for nil.
func alertFor(a *production.Alert, r production.Role) *production.Alert {
	if a == nil {
		return nil
	}
	out := a.For(r)
	return &out
}

// costFields are the fields of a batch of which a correction tells money.
var costFields = map[string]bool{"estimatedCost": true, "actualCost": true, "costPerPortion": true}

// correctionsFor returns the corrections as r may see them.
func correctionsFor(rows []production.Correction, r production.Role) []production.Correction {
	out := []production.Correction{}
	for _, row := range rows {
		out = append(out, row.For(r))
	}
	return out
}
