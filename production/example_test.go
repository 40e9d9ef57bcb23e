package production_test

import (
	"errors"
	"fmt"
	"time"

	"kentongan/production"
)

// A refusal names everything that is unmet, so that a screen can say it at once.
func ExampleApply() {
	midnight := production.At(time.Date(2026, 11, 26, 0, 0, 0, 0, production.WIB.Location()))
	batch := production.Batch{Revision: 1, Production: production.Production{
		ID: "clx1", Tenant: "sppg_7", Day: "2026-11-26", Status: production.Preparing, Version: 3,
	}}
	_, err := production.Apply(
		production.Loaded{Kitchen: production.KitchenState{Kitchen: production.Kitchen{ID: "sppg_7"}}, Batch: batch},
		production.Change{
			Request: production.Request{
				Tenant: "sppg_7", Actor: production.Actor{User: "u1", Role: production.KitchenStaff}, Version: 3,
			},
			Production: "clx1",
			Act:        production.Transition{To: production.Cooking},
		},
		midnight.Add(-time.Hour),
	)
	refusal, _ := errors.AsType[*production.Refusal](err)
	fmt.Println(refusal.Code, refusal.Unmet)
	// Output: GUARDS_UNMET [HYGIENE_PASSED PRODUCTION_DAY_BEGAN]
}

// Time alone raises an alert, and says when to look again.
func ExampleLook() {
	cooked := production.At(time.Date(2026, 11, 26, 3, 0, 0, 0, production.WIB.Location()))
	due := production.Due{
		Kitchen: production.KitchenState{Kitchen: production.Kitchen{ID: "sppg_7"}},
		Batch: production.Batch{Revision: 8, Production: production.Production{
			ID: "clx1", Day: "2026-11-26", Status: production.Completed, Cooked: cooked, ConsumeBy: cooked.Add(4 * time.Hour),
		}},
	}
	commit, ok := production.Look(due, cooked.Add(2*time.Hour))
	fmt.Println(ok, commit.Alerts[0].Code, commit.Alerts[0].Severity, commit.Batch.NextLook.Sub(cooked))
	// Output: true EAT_BY MEDIUM 3h0m0s
}

// What is unknown is null, and never 0.
func ExampleKPIsOf() {
	portions := 950
	k := production.KPIsOf(production.Production{PlannedPortions: 1000, ActualPortions: &portions}, production.Facts{})
	fmt.Println(*k.YieldPercentage, k.CostVariance == nil)
	// Output: 95 true
}

func ExampleWithoutMoney() {
	fmt.Printf("%s\n", production.WithoutMoney([]byte(`{"data":{"actualCost":9800000,"progress":60}}`)))
	// Output: {"data":{"progress":60}}
}
