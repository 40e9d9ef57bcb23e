package redis

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestUsageOfDeadNodes has a node stop reporting: its last report counts for a while, whatever its clock says, and is then taken away.
func TestUsageOfDeadNodes(t *testing.T) {
	now := time.Now()
	u := &Usage{field: "me", heard: map[string]heardUsage{}, now: func() time.Time { return now }}
	look := func(found map[string]string, wantOthers, wantGone string) {
		t.Helper()
		others, gone := u.take(found)
		var texts []string
		for _, o := range others {
			texts = append(texts, string(o))
		}
		slices.Sort(texts)
		if got := fmt.Sprint(texts); got != wantOthers {
			t.Errorf("others: %s, want %s", got, wantOthers)
		}
		if got := fmt.Sprint(gone); got != wantGone {
			t.Errorf("gone: %s, want %s", got, wantGone)
		}
	}
	look(map[string]string{"me": "1:x", "a": "7:one", "b": "1:two", "c": "of another version"}, "[one two]", "[]")
	now = now.Add(usageExpiry - 1)
	look(map[string]string{"me": "2:x", "a": "8:one", "b": "1:two"}, "[one two]", "[]")
	now = now.Add(1)
	look(map[string]string{"me": "3:x", "a": "9:one", "b": "1:two"}, "[one]", "[b]")
	look(map[string]string{"me": "4:x", "a": "9:one"}, "[one]", "[]")
	look(map[string]string{"me": "5:x", "a": "9:one", "b": "1:two"}, "[one two]", "[]") // a new one of that name
	if len(u.heard) != 2 {
		t.Errorf("remembers %v", u.heard)
	}
}
