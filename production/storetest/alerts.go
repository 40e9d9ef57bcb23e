package storetest

import (
	"testing"

	"kentongan/production"
)

func oneActiveAlert(t *testing.T, n *node) {
	c := plan(k1, "b", 1)
	c.Alerts = []production.Alert{alarm(k1, "b", "a1", production.EatBy), alarm(k1, "b", "a2", production.Overrun)}
	n.commit(c)
	second := next(n.batch(k1, "b"), nil)
	second.Alerts = []production.Alert{alarm(k1, "b", "a3", production.EatBy)}
	n.refused(second, production.ErrConflict)
	// The old one may end in the commit that raises the new one, whichever is named first.
	ended := alarm(k1, "b", "a1", production.EatBy)
	ended.Status = production.AlertAutoResolved
	second.Alerts = append(second.Alerts, ended)
	n.commit(second)
	same(t, "active", alertIDs(n.batch(k1, "b").Alerts), []string{"a2", "a3"})
	same(t, "all", alertIDs(n.rows(k1, "b").Alerts), []string{"a1", "a2", "a3"})
	third := next(n.batch(k1, "b"), nil)
	risen := alarm(k1, "b", "a3", production.EatBy)
	risen.Severity, risen.Status = production.Critical, production.AlertAcknowledged
	third.Alerts = []production.Alert{risen}
	n.commit(third)
	same(t, "a replaced alert", n.batch(k1, "b").Alerts[1], risen)
	other := plan(k1, "c", 2) // another batch has alerts of its own
	other.Alerts = []production.Alert{alarm(k1, "c", "a4", production.EatBy)}
	n.commit(other)
}

func alertsOfKitchen(t *testing.T, n *node) {
	c := plan(k1, "b", 1)
	c.Alerts = []production.Alert{alarm(k1, "b", "a1", production.OverCapacity), alarm(k1, "", "a2", production.OverCapacity)}
	c.Kitchen = &production.KitchenState{Kitchen: production.Kitchen{ID: k1}, Revision: 1}
	n.commit(c)
	got := n.load(k1, production.Want{Production: "b"})
	same(t, "of the kitchen", alertIDs(got.Kitchen.Alerts), []string{"a2"})
	same(t, "of the batch", alertIDs(got.Batch.Alerts), []string{"a1"})
	same(t, "of both", alertIDs(n.snapshot(k1).Alerts), []string{"a1", "a2"})
	same(t, "rows of the batch", alertIDs(n.rows(k1, "b").Alerts), []string{"a1"})
}
