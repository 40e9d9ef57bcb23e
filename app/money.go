package app

import (
	"fmt"

	"kentongan/production"
	"kentongan/realtime"
)

// moneyFields returns what people without money rights do not get: the members of these names, what an alert about costs has found, and
// what a correction of one of them says. Nil: everybody gets everything.
func moneyFields(names []string) (*realtime.HiddenFields, error) {
	h, err := realtime.NewHiddenFields(names,
		realtime.Mark{Member: "code", Values: []string{string(production.CostOver)}, Hides: []string{"value", "limit", "unit"}},
		realtime.Mark{Member: "field", Values: names, Hides: []string{"value"}})
	if err != nil {
		return nil, fmt.Errorf("money fields: %w", err)
	}
	return h, nil
}
