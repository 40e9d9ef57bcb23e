package few_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"kentongan/internal/few"
)

// TestMap compares it with Go's map after each of many acts, below and above the number from which on it has an index.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m few.Map[string, int]
		want := map[string]int{}
		key := rapid.StringMatching(`[a-f][a-f]?`) // 42 of them
		for range rapid.IntRange(0, 150).Draw(t, "acts") {
			k := key.Draw(t, "key")
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0, 1, 2:
				v := rapid.Int().Draw(t, "value")
				m.Put(k, v)
				want[k] = v
			case 3:
				m.Remove(k)
				delete(want, k)
			case 4:
				if at := m.At(k); at != nil {
					*at++
					want[k]++
				}
			}
			if got := maps.Collect(m.All()); !maps.Equal(got, want) || m.Len() != len(want) {
				t.Fatalf("it has %d: %v, want %v", m.Len(), got, want)
			}
			for k, v := range want {
				if at := m.At(k); at == nil || *at != v {
					t.Fatalf("%q is not found, or not %d", k, v)
				}
			}
			if m.At("none of them") != nil {
				t.Fatal("what is not there was found")
			}
		}
	})
}

func TestMapStopsWhenItsRangeDoes(t *testing.T) {
	var m few.Map[int, int]
	for i := range 40 {
		m.Put(i, i)
	}
	n := 0
	for k := range m.All() {
		if n++; k == 3 {
			break
		}
	}
	if n != 4 {
		t.Errorf("%d entries were ranged over, want 4", n)
	}
}
