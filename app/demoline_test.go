package app

import (
	"fmt"
	"testing"
	"time"

	"kentongan/auth"
	"kentongan/tenant"
)

// TestDemoLine: only who cut it is cut, for as long as was said, and there is room for so many.
func TestDemoLine(t *testing.T) {
	now := time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)
	d := newDemoLine(nil, nil)
	d.now = func() time.Time { return now }
	who := func(kitchen, user string) *auth.Identity {
		return &auth.Identity{Tenant: tenant.ID(kitchen), Subject: user}
	}
	if d.any() || !d.set(visitor{"k", "u"}, time.Minute) || !d.any() {
		t.Fatal("the line was not cut")
	}
	for _, other := range []*auth.Identity{who("k", "v"), who("l", "u"), who("", "u")} {
		if d.isCut(other) {
			t.Errorf("the line of %s in %s is cut, too", other.Subject, other.Tenant)
		}
	}
	now = now.Add(time.Minute - 1)
	if !d.isCut(who("k", "u")) {
		t.Error("it was mended too early")
	}
	now = now.Add(1)
	if d.isCut(who("k", "u")) {
		t.Error("it was not mended in time")
	}
	for i := range mostCut {
		if !d.set(visitor{"k", fmt.Sprint(i)}, time.Minute) {
			t.Fatalf("there was no room for line %d", i)
		}
	}
	if d.set(visitor{"k", "one more"}, time.Minute) || !d.set(visitor{"k", "7"}, time.Second) {
		t.Error("one more than there is room for was cut, or one that is there was not")
	}
	if d.set(visitor{"k", "7"}, 0); d.isCut(who("k", "7")) {
		t.Error("it was not mended")
	}
	now = now.Add(time.Hour)
	if !d.set(visitor{"k", "later"}, time.Minute) || len(d.cut) != 1 {
		t.Errorf("%d lines are remembered after an hour, want 1", len(d.cut))
	}
}
