package production

import (
	"reflect"
	"strings"
	"testing"
)

// TestLimitTable compares the table with the struct, and wants each safety limit refused on its loose side.
func TestLimitTable(t *testing.T) {
	typ := reflect.TypeFor[Limits]()
	if len(limitTable) != typ.NumField() || len(LimitTable()) != len(limitTable) {
		t.Fatalf("%d rows for %d fields", len(limitTable), typ.NumField())
	}
	for i := range limitTable {
		d := &limitTable[i]
		var l Limits
		d.set(&l, d.Default)
		set := ""
		for f := range typ.NumField() {
			if !reflect.ValueOf(l).Field(f).IsNil() {
				set, _, _ = strings.Cut(typ.Field(f).Tag.Get("json"), ",")
			}
		}
		if set != d.Name {
			t.Errorf("row %s sets field %s", d.Name, set)
		}
		if bad := l.check(); len(bad) > 0 {
			t.Errorf("the default of %s is refused: %v", d.Name, bad)
		}
		full := Limits{}.OrDefaults()
		if got, ok := d.value(&full); !ok || got != d.Default {
			t.Errorf("%s is %d by default; want %d", d.Name, got, d.Default)
		}
		wrong := map[int]bool{d.Min - 1: true, d.Max + 1: true}
		if d.Safety && d.Stricter == Lower {
			wrong[d.Loosest+1] = true
		}
		if d.Safety && d.Stricter == Higher {
			wrong[d.Loosest-1] = true
		}
		for n := range wrong {
			d.set(&l, n)
			found := false
			for _, f := range l.check() {
				found = found || f.Path == "limits."+d.Name
			}
			if !found {
				t.Errorf("%s = %d was taken", d.Name, n)
			}
		}
	}
	if bad := (Limits{SampleKeepHours: new(48)}).check(); len(bad) > 0 {
		t.Errorf("48 hours are what health offices ask for: %v", bad)
	}
	for _, pair := range order {
		low, high := limitNamed(pair[0]), limitNamed(pair[1])
		if low.Default > high.Default {
			t.Errorf("%s and %s stand in the wrong order by default", pair[0], pair[1])
		}
	}
}
