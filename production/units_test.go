package production

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTenths(t *testing.T) {
	for text, want := range map[string]Celsius{"75.5": 755, "75": 750, "-0.5": -5, "0": 0, "7.55e1": 755, "-30.0": -300, "0.1": 1, "99999.9": 999999} {
		var got Celsius
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"75.55", "0.05", "1e6", "-1e300", `"75"`, "null", "true", "[]", "75.50000001"} {
		var c struct{ C Celsius }
		var k Kilograms
		if err := json.Unmarshal([]byte(`{"C":`+text+`}`), &c); err == nil {
			t.Errorf("%s was read as %s", text, c.C)
		}
		if err := json.Unmarshal([]byte(text), &k); err == nil && text != "null" { // encoding/json leaves a bare null alone
			t.Errorf("%s was read as %s", text, k)
		}
	}
	if Celsius(-5).String() != "-0.5 °C" || Kilograms(15).String() != "1.5 kg" {
		t.Errorf("got %s and %s", Celsius(-5), Kilograms(15))
	}
	rapid.Check(t, func(t *rapid.T) {
		want := Celsius(rapid.Int32Range(-maxTenths, maxTenths).Draw(t, "c"))
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Celsius
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("%d became %s and %d, %v", want, text, got, err)
		}
	})
}

func TestInstant(t *testing.T) {
	want := At(time.Date(2026, 11, 26, 5, 48, 20, 123_000_000, time.UTC))
	for _, text := range []string{`"2026-11-26T05:48:20.123Z"`, `"2026-11-26T12:48:20.1239+07:00"`, "1795672100123"} {
		var got Instant
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`"2026-11-26"`, `"kemarin"`, "1795672100", "-5", `"1999-12-31T23:59:59Z"`, `"2100-01-01T00:00:00Z"`, "true", `""`, "1e12"} {
		got := Instant(7)
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was read as %s", text, got)
		}
	}
	text, _ := json.Marshal([]Instant{0, want})
	if string(text) != `[null,"2026-11-26T05:48:20.123Z"]` {
		t.Errorf("got %s", text)
	}
	var none Instant = 5
	if err := json.Unmarshal([]byte("null"), &none); err != nil || none.Known() || none.String() != "unknown" || At(time.Time{}).Known() || !none.Time().IsZero() {
		t.Errorf("null became %s, %v", none, err)
	}
}

func TestDays(t *testing.T) {
	for zone, hours := range map[Zone]int{"": 7, WIB: 7, Pontianak: 7, WITA: 8, WIT: 9} {
		start := Day("2026-11-26").Start(zone)
		if want := At(time.Date(2026, 11, 26, -hours, 0, 0, 0, time.UTC)); start != want {
			t.Errorf("%s: the day begins at %s; want %s", zone, start, want)
		}
		if DayOf(start, zone) != "2026-11-26" || DayOf(start-1, zone) != "2026-11-25" || DayOf(Day("2026-11-26").End(zone), zone) != "2026-11-27" {
			t.Errorf("%s: days do not fit", zone)
		}
	}
	for _, bad := range []string{"", "2026-02-30", "26-11-2026", "2026-11-26T00:00", "1999-12-31", "2100-01-01"} {
		if _, err := ParseDay(bad); err == nil {
			t.Errorf("%q is a day", bad)
		}
	}
	for in, want := range map[string]Zone{"WIB": WIB, "WITA": WITA, "WIT": WIT, "Asia/Pontianak": Pontianak} {
		if got, err := ParseZone(in); err != nil || got != want {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "Europe/Berlin", "UTC", strings.Repeat("x", 1000)} {
		if _, err := ParseZone(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	for name, f := range map[string]func(){"Day": func() { Day("x").Start(WIB) }, "Zone": func() { Zone("x").Location() }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s that was not checked did not panic", name)
				}
			}()
			f()
		}()
	}
}

// FuzzUnits: whatever is read is written so that it reads the same again.
func FuzzUnits(f *testing.F) {
	for _, seed := range []string{"75.5", "-0.05", "1e2", `"2026-11-26T05:48:20.123+07:00"`, "1795672100123", `"2026-11-26"`, `"WITA"`, "null", "0x1p4"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		again(t, in, new(Celsius), new(Celsius))
		again(t, in, new(Kilograms), new(Kilograms))
		again(t, in, new(Instant), new(Instant))
		again(t, in, new(Day), new(Day))
		again(t, in, new(Zone), new(Zone))
		again(t, in, new(Hash), new(Hash))
	})
}

func again[T comparable](t *testing.T, in []byte, a, b *T) {
	if json.Unmarshal(in, a) != nil {
		return
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatalf("%q was read and cannot be written: %v", in, err)
	}
	if err := json.Unmarshal(text, b); err != nil || *a != *b {
		t.Fatalf("%q became %s, and that %v, %v", in, text, *b, err)
	}
}
