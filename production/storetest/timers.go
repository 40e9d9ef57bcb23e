package storetest

import (
	"errors"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

func timers(t *testing.T, n *node) {
	ctx := t.Context()
	looks := map[string]production.Instant{"a": noon + 5, "b": noon + 1, "c": 0, "d": noon + 3, "e": noon + 1}
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		c := plan([]tenant.ID{k1, k2}[i%2], id, i+1)
		c.Batch.NextLook = looks[id]
		c.Alerts = []production.Alert{alarm(c.Tenant, id, "alert"+id, production.EatBy)}
		if id == "d" {
			c.Batch.Production.Status = production.Completed // released food waits for its dispatch
		}
		n.commit(c)
	}
	dueIDs := func(now production.Instant, limit int) []string {
		t.Helper()
		due, err := n.DueBatches(ctx, now, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range due {
			same(t, "a due batch", d.Batch, n.batch(d.Kitchen.Kitchen.ID, d.Batch.Production.ID))
			l := n.load(d.Kitchen.Kitchen.ID, production.Want{Production: d.Batch.Production.ID})
			same(t, "its kitchen", d.Kitchen, l.Kitchen)
			same(t, "its day", d.Day, l.Day)
		}
		return ids(due, func(d *production.Due) string { return d.Batch.Production.ID })
	}
	look := func(want production.Instant) {
		t.Helper()
		if got, err := n.NextDue(ctx); err != nil || got != want {
			t.Errorf("next due at %v, %v; want %v", got, err, want)
		}
	}
	same(t, "before any", dueIDs(noon, 10), []string(nil))
	same(t, "the first", dueIDs(noon+1, 10), []string{"e", "b"})
	same(t, "all", dueIDs(noon+9, 10), []string{"e", "b", "d", "a"})
	same(t, "the longest due", dueIDs(noon+9, 3), []string{"e", "b", "d"})
	look(noon + 1)
	for _, id := range []string{"e", "b"} {
		k := map[string]tenant.ID{"e": k1, "b": k2}[id]
		n.commit(next(n.batch(k, id), func(b *production.Batch) { b.NextLook = 0 }))
	}
	same(t, "after two were looked at", dueIDs(noon+9, 10), []string{"d", "a"})
	look(noon + 3)
	for i, k := range []tenant.ID{k2, k1} {
		n.commit(production.Commit{
			Tenant: k, Kitchen: &production.KitchenState{Kitchen: production.Kitchen{ID: k}, Revision: 1, NextLook: noon + 1 + production.Instant(i)},
			Alerts: []production.Alert{alarm(k, "", "kitchen", production.DocExpiring)},
		})
	}
	look(noon + 1)
	due, err := n.DueKitchens(ctx, noon+9, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kitchens", due, []production.Due{{Kitchen: n.load(k2, production.Want{}).Kitchen}, {Kitchen: n.load(k1, production.Want{}).Kitchen}})
	if due, err := n.DueKitchens(ctx, noon+1, 10); err != nil || len(due) != 1 {
		t.Errorf("%d kitchens are due, %v; want 1", len(due), err)
	}
	if due, err := n.DueKitchens(ctx, noon+9, 1); err != nil || len(due) != 1 {
		t.Errorf("%d kitchens of one, %v", len(due), err)
	}
}

func lookAgain(t *testing.T, n *node) {
	for i, c := range []struct {
		id     string
		status production.Status
		look   production.Instant
	}{
		{"open", production.Planned, 0}, {"waiting", production.Cooking, noon + 5}, {"over", production.Completed, 0},
		{"undispatched", production.Completed, noon + 5}, {"deleted", production.Planned, 0}, {"elsewhere", production.Planned, noon + 5},
	} {
		p := plan(k1, c.id, i+1)
		if c.id == "elsewhere" {
			p = plan(k2, c.id, i+1)
		}
		p.Batch.Production.Status, p.Batch.NextLook = c.status, c.look
		n.commit(p)
	}
	n.commit(next(n.batch(k1, "deleted"), func(b *production.Batch) { b.Production.DeletedAt = noon }))
	n.commit(production.Commit{
		Tenant: k1, Kitchen: &production.KitchenState{Kitchen: production.Kitchen{ID: k1}, Revision: 1}, LookAgain: noon + 1,
	})
	due, err := n.DueBatches(t.Context(), noon+1, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "due", ids(due, func(d *production.Due) string { return d.Batch.Production.ID }), []string{"open", "undispatched", "waiting"})
	for i := range due {
		if due[i].Batch.Revision != 1 || due[i].Batch.NextLook != noon+1 {
			t.Errorf("%s is at revision %d and due at %v", due[i].Batch.Production.ID, due[i].Batch.Revision, due[i].Batch.NextLook)
		}
	}
	if got := n.batch(k1, "over"); got.NextLook != 0 {
		t.Errorf("a batch of which nothing can change is due at %v", got.NextLook)
	}
	if got := n.batch(k2, "elsewhere"); got.NextLook != noon+5 {
		t.Errorf("another kitchen's batch is due at %v", got.NextLook)
	}
}

func notices(t *testing.T, n *node) {
	ctx := t.Context()
	c := production.Commit{Tenant: k1}
	for i, id := range []string{"b", "a", "c"} {
		c.Notices = append(c.Notices, production.Notice{ID: id, Tenant: k1, AlertID: "x", At: noon + production.Instant(i), Payload: []byte(`{}`)})
	}
	c.Notices[2].NextTry = noon + 100
	n.commit(c)
	n.refused(c, production.ErrConflict)
	claim := func(owner string, now production.Instant, lease time.Duration, limit int, want ...string) []production.Notice {
		t.Helper()
		got, err := n.ClaimNotices(ctx, owner, now, lease, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "claimed by "+owner, ids(got, func(n *production.Notice) string { return n.ID }), want)
		return got
	}
	first := claim("one", noon, patience, 1, "b")
	claim("two", noon, patience, 10, "a")
	claim("two", noon+100, patience, 10, "a", "c")
	claim("one", noon+100, patience, 10, "b")
	claim("three", noon+100, patience, 10)
	if err := n.SettleNotice(ctx, "two", first[0], true); !errors.Is(err, production.ErrConflict) {
		t.Errorf("settled by another: %v, want ErrConflict", err)
	}
	again := first[0]
	again.Attempts, again.LastError, again.NextTry = 1, "503", noon+50
	if err := n.SettleNotice(ctx, "one", again, false); err != nil {
		t.Fatal(err)
	}
	claim("three", noon+49, patience, 10)
	same(t, "tried again", claim("three", noon+50, patience, 10, "b"), []production.Notice{again})
	again.Attempts++
	if err := n.SettleNotice(ctx, "three", again, true); err != nil {
		t.Fatal(err)
	}
	if err := n.SettleNotice(ctx, "three", again, true); !errors.Is(err, production.ErrConflict) {
		t.Errorf("settled twice: %v, want ErrConflict", err)
	}
	claim("one", noon+1000, patience, 10)
	// A lease that ran out is anybody's.
	n.commit(production.Commit{Tenant: k2, Notices: []production.Notice{{ID: "b", Tenant: k2, At: noon}}})
	held := claim("one", noon, time.Millisecond, 10, "b")
	time.Sleep(20 * time.Millisecond)
	if err := n.SettleNotice(ctx, "one", held[0], true); !errors.Is(err, production.ErrConflict) {
		t.Errorf("settled after the lease, though nobody else has one: %v, want ErrConflict", err)
	}
	eventually(t, "the lease to end", func() bool {
		got, err := n.ClaimNotices(ctx, "three", noon, patience, 10)
		return err == nil && len(got) == 1 && got[0].Tenant == k2
	})
	if err := n.SettleNotice(ctx, "one", held[0], true); !errors.Is(err, production.ErrConflict) {
		t.Errorf("settled after the lease: %v, want ErrConflict", err)
	}
}
