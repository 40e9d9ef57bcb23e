package production

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"kentongan/tenant"
)

// The ranges of fields.
const (
	MaxPortions    = 10_000
	MaxDishes      = 12
	MaxAssistants  = 10
	MaxPhotos      = 20
	MaxWave        = 6
	MaxWaste       = Kilograms(50_000)
	MaxMoney       = Rupiah(1_000_000_000_000) // far above any kitchen's year, far below what a float64 counts exactly
	MaxKeyBytes    = 255
	minCelsius     = Celsius(-300)
	maxCelsius     = Celsius(1300)
	maxNumberOfDay = 9999
)

// fields collects what is wrong with a change: all of it, so that a form can show it at once.
type fields []Field

// maxFields is how many complaints one answer has: a list of thousands can be wrong in each line.
const maxFields = 100

func (f *fields) add(path, format string, args ...any) {
	if len(*f) >= maxFields {
		return
	}
	*f = append(*f, Field{path, fmt.Sprintf(format, args...)})
}

// refusal returns nil if nothing is wrong.
func (f *fields) refusal() error {
	if len(*f) == 0 {
		return nil
	}
	return invalid(*f...)
}

// text wants lo to hi characters that a person can have meant.
func (f *fields) text(path, s string, lo, hi int) {
	n := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s) || strings.IndexFunc(s, unprintable) >= 0:
		f.add(path, "has bytes that are no text")
	case n < lo && lo == 1:
		f.add(path, "must not be empty")
	case n < lo || n > hi:
		f.add(path, "has %d characters: want %d to %d", n, lo, hi)
	case lo > 0 && strings.TrimSpace(s) == "":
		f.add(path, "is blank")
	}
}

func unprintable(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }

func (f *fields) whole(path string, n *int, lo, hi int) {
	if n != nil && (*n < lo || *n > hi) {
		f.add(path, "is %d: want %d to %d", *n, lo, hi)
	}
}

func (f *fields) money(path string, r *Rupiah) {
	if r != nil && (*r < 0 || *r > MaxMoney) {
		f.add(path, "is %d: want 0 to %d whole rupiah", *r, MaxMoney)
	}
}

func (f *fields) celsius(path string, c *Celsius) {
	if c != nil && (*c < minCelsius || *c > maxCelsius) {
		f.add(path, "is %s: want %s to %s", *c, minCelsius, maxCelsius)
	}
}

// id wants what a tenant id may be: ids stand in paths, event ids and logs without quoting.
func (f *fields) id(path, s string) {
	if !tenant.Valid(s) {
		f.add(path, "want an id of 1 to %d of A-Z a-z 0-9 _ -", tenant.MaxBytes)
	}
}

func (f *fields) photos(path string, urls []string) {
	if len(urls) > MaxPhotos {
		f.add(path, "has %d: want at most %d", len(urls), MaxPhotos)
		return
	}
	for i, s := range urls {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(s) > 2000 {
			f.add(fmt.Sprintf("%s[%d]", path, i), "want an http or https URL of at most 2000 bytes")
		}
	}
}

// dishes wants names that differ. What follows from readings cannot be set.
func (f *fields) dishes(path string, dishes []Dish) {
	if len(dishes) > MaxDishes {
		f.add(path, "has %d: want at most %d", len(dishes), MaxDishes)
		return
	}
	seen := map[string]bool{}
	for i, d := range dishes {
		at := fmt.Sprintf("%s[%d]", path, i)
		f.text(at+".name", d.Name, 1, 100)
		if seen[d.Name] {
			f.add(at+".name", "comes twice")
		}
		seen[d.Name] = true
		if d.Cooked.Known() || d.CoreTemp != nil {
			f.add(at, "cookedAt and coreTempC follow from what is recorded while it is cooked")
		}
	}
}

func oneOf[T ~string](f *fields, path string, v T, all ...T) {
	var words []string
	for _, a := range all {
		if a == v {
			return
		}
		words = append(words, string(a))
	}
	f.add(path, "is %.40q: want one of %s", v, strings.Join(words, ", "))
}
