package redis

import (
	"fmt"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// TestPresenceIsRefreshedByAndBy: the kitchens that came in the same moment are not all written anew in the same moment, and none of them
// waits for long.
func TestPresenceIsRefreshedByAndBy(t *testing.T) {
	const kitchens = 2000
	p := &Presence{tenants: map[tenant.ID]*attendance{}, dirty: map[tenant.ID]struct{}{}}
	for i := range kitchens {
		p.Join(realtime.Channel{Tenant: tenant.ID(fmt.Sprint("k", i))}, "u")
	}
	clear(p.dirty)
	last := map[tenant.ID]time.Time{}
	begun := time.Now()
	for now := begun; now.Sub(begun) < 5*time.Minute; now = now.Add(presenceWriteEvery) {
		p.refresh(now)
		if most := 1 + kitchens/20; len(p.dirty) > most {
			t.Fatalf("after %v %d kitchens are written at once, want %d at most", now.Sub(begun), len(p.dirty), most)
		}
		for id := range p.dirty {
			before, again := last[id]
			if !again {
				before = begun
			}
			if took := now.Sub(before); took > presenceRefreshEvery*3/2+presenceWriteEvery {
				t.Fatalf("%s is written after %v", id, took)
			}
			last[id] = now
		}
		clear(p.dirty)
	}
	if len(last) != kitchens {
		t.Errorf("%d kitchens were written, want %d", len(last), kitchens)
	}
}
