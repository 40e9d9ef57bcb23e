package production

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Celsius is a temperature in tenths of a degree: 755 is 75.5 °C. In JSON it is a number of degrees.
type Celsius int32

// Kilograms is a weight in tenths of a kilogram: 15 is 1.5 kg. In JSON it is a number of kilograms.
type Kilograms int32

// Rupiah is an amount of money in whole rupiah.
type Rupiah int64

// Degrees returns whole degrees as Celsius.
func Degrees(n int32) Celsius { return Celsius(n * 10) }

// String returns "75.5 °C".
func (c Celsius) String() string { return tenths(int64(c)) + " °C" }

// MarshalJSON returns 75.5 for 755.
func (c Celsius) MarshalJSON() ([]byte, error) { return []byte(tenths(int64(c))), nil }

// UnmarshalJSON reads a number with at most one digit behind the point.
func (c *Celsius) UnmarshalJSON(data []byte) error {
	n, err := parseTenths(data)
	if err == nil {
		*c = Celsius(n)
	}
	return err
}

// String returns "1.5 kg".
func (k Kilograms) String() string { return tenths(int64(k)) + " kg" }

// MarshalJSON returns 1.5 for 15.
func (k Kilograms) MarshalJSON() ([]byte, error) { return []byte(tenths(int64(k))), nil }

// UnmarshalJSON reads a number with at most one digit behind the point.
func (k *Kilograms) UnmarshalJSON(data []byte) error {
	n, err := parseTenths(data)
	if err == nil {
		*k = Kilograms(n)
	}
	return err
}

func tenths(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	if n%10 == 0 {
		return sign + strconv.FormatInt(n/10, 10)
	}
	return sign + strconv.FormatInt(n/10, 10) + "." + strconv.FormatInt(n%10, 10)
}

// maxTenths keeps whatever is read far inside of an int32; the ranges of fields are narrower.
const maxTenths = 1_000_000

var errTenths = errors.New("want a number with at most one digit behind the point")

// parseTenths reads a JSON number exactly, without a detour by binary fractions: 75.5 and 7.55e1 are 755, 75.55 is refused.
func parseTenths(data []byte) (int32, error) {
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || f != f || f > maxTenths/10 || f < -maxTenths/10 {
		return 0, errTenths
	}
	scaled := f * 10
	n := int32(scaled + 0.5)
	if scaled < 0 {
		n = int32(scaled - 0.5)
	}
	if back := float64(n) / 10; back != f { // the nearest float64 to n/10 is what ParseFloat made of the same decimal
		return 0, errTenths
	}
	return n, nil
}

// Instant is a point in time in milliseconds since 1970 in UTC, as browsers count. The zero Instant is "not known" and
// null in JSON; every other one is text such as 2026-11-26T05:48:20.000Z.
//
// It is a number, so that instants compare with < and ==, survive a database as they are, and know no zone.
type Instant int64

// At returns t as an Instant, cut to the millisecond. The zero time is the zero Instant.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Known reports whether i is an instant at all.
func (i Instant) Known() bool { return i != 0 }

// Time returns i in UTC, or the zero time.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

// Add returns i moved by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i-o) * time.Millisecond }

// String returns i as its JSON text, or "unknown".
func (i Instant) String() string {
	if i == 0 {
		return "unknown"
	}
	return i.Time().Format(instantLayout)
}

const instantLayout = "2006-01-02T15:04:05.000Z07:00"

// MarshalJSON returns the instant as text, or null.
func (i Instant) MarshalJSON() ([]byte, error) {
	if i == 0 {
		return []byte("null"), nil
	}
	return []byte(i.Time().Format(`"` + instantLayout + `"`)), nil
}

// earliest and latest bound what is accepted as an instant: what lies outside is a wrong unit or a broken clock.
var (
	earliest = At(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	latest   = At(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
)

// UnmarshalJSON reads RFC 3339 text with any offset, a number of milliseconds since 1970, or null, between 2000 and 2100.
func (i *Instant) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*i = 0
		return nil
	}
	got, err := parseInstant(bytes.Trim(data, `"`))
	if err != nil {
		return err
	}
	*i = got
	return nil
}

func parseInstant(text []byte) (Instant, error) {
	var got Instant
	if ms, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		got = Instant(ms)
	} else {
		t, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return 0, errors.New("want an instant such as 2026-11-26T05:48:20Z, or milliseconds since 1970")
		}
		got = At(t)
	}
	if got < earliest || got >= latest {
		return 0, errors.New("want an instant between 2000 and 2100")
	}
	return got, nil
}

// Day is a date without a zone, "2026-11-26": the day on which food is served, on the calendar of its kitchen. Days
// compare as text.
type Day string

// ParseDay reads "2026-11-26".
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 2000 || t.Year() >= 2100 {
		return "", errors.New("want a date such as 2026-11-26, between 2000 and 2100")
	}
	return Day(s), nil
}

// UnmarshalText reads what [ParseDay] reads, or nothing.
func (d *Day) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = ""
		return nil
	}
	got, err := ParseDay(string(text))
	if err == nil {
		*d = got
	}
	return err
}

// Start returns the first instant of the day in z.
func (d Day) Start(z Zone) Instant {
	t, err := time.ParseInLocation(time.DateOnly, string(d), z.Location())
	if err != nil {
		panic("production: day " + strconv.Quote(string(d)) + " was not checked")
	}
	return At(t)
}

// End returns the first instant after the day in z.
func (d Day) End(z Zone) Instant { return d.Start(z).Add(24 * time.Hour) } // no zone of Indonesia shifts its clocks

// DayOf returns the day that i is on in z.
func DayOf(i Instant, z Zone) Day { return Day(i.Time().In(z.Location()).Format(time.DateOnly)) }

// Zone is one of the zones of Indonesia by its IANA name. None of them shifts its clocks, so a fixed offset is exact and
// no time zone database is needed. The zero Zone is WIB.
type Zone string

// The zones.
const (
	WIB       Zone = "Asia/Jakarta"   // UTC+7
	Pontianak Zone = "Asia/Pontianak" // WIB, too
	WITA      Zone = "Asia/Makassar"  // UTC+8
	WIT       Zone = "Asia/Jayapura"  // UTC+9
)

var locations = map[Zone]*time.Location{
	"": time.FixedZone("WIB", 7*3600), WIB: time.FixedZone("WIB", 7*3600), Pontianak: time.FixedZone("WIB", 7*3600),
	WITA: time.FixedZone("WITA", 8*3600), WIT: time.FixedZone("WIT", 9*3600),
}

// ParseZone reads an IANA name of one of the zones, or WIB, WITA, WIT.
func ParseZone(s string) (Zone, error) {
	switch s {
	case "WIB":
		return WIB, nil
	case "WITA":
		return WITA, nil
	case "WIT":
		return WIT, nil
	}
	if locations[Zone(s)] == nil || s == "" {
		return "", fmt.Errorf("zone %.40q: want Asia/Jakarta, Asia/Pontianak, Asia/Makassar or Asia/Jayapura", s)
	}
	return Zone(s), nil
}

// UnmarshalText reads what [ParseZone] reads, or nothing.
func (z *Zone) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*z = ""
		return nil
	}
	got, err := ParseZone(string(text))
	if err == nil {
		*z = got
	}
	return err
}

// Location returns the zone for formatting; its abbreviation is WIB, WITA or WIT. It panics on a Zone that was not checked.
func (z Zone) Location() *time.Location {
	l := locations[z]
	if l == nil {
		panic("production: zone " + strconv.Quote(string(z)) + " was not checked")
	}
	return l
}
