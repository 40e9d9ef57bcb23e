package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// one returns the single item of a value that is no list.
func one(items []string) (string, error) {
	if len(items) != 1 {
		return "", errors.New("takes one value, not a list")
	}
	return items[0], nil
}

// duration is a span of time within bounds.
type duration struct {
	at       func(*draft) *time.Duration
	min, max time.Duration
}

func (k duration) takes() string {
	return fmt.Sprintf("duration, %s to %s", short(k.min), short(k.max))
}

func (k duration) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%s is no duration; write for example 25s, 1m30s or 24h", quote(s))
	}
	if v < k.min || v > k.max {
		return fmt.Errorf("%s is outside of %s to %s", quote(s), short(k.min), short(k.max))
	}
	*k.at(d) = v
	return nil
}

func (k duration) show(d *draft) []string { return []string{short(*k.at(d))} }

// short writes a duration without the zero parts at its end: 24h, not 24h0m0s.
func short(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// count is a whole number within bounds.
type count struct {
	at       func(*draft) *int
	min, max int
}

func (k count) takes() string { return fmt.Sprintf("number, %d to %d", k.min, k.max) }

func (k count) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%s is no whole number; write for example %d", quote(s), max(k.min, 1))
	}
	if v < k.min || v > k.max {
		return fmt.Errorf("%d is outside of %d to %d", v, k.min, k.max)
	}
	*k.at(d) = v
	return nil
}

func (k count) show(d *draft) []string { return []string{strconv.Itoa(*k.at(d))} }

// size is a number of bytes within bounds.
type size struct {
	at       func(*draft) *int
	min, max int
}

func (k size) takes() string {
	return fmt.Sprintf("bytes or KiB, MiB, %s to %s", bytesText(k.min), bytesText(k.max))
}

func (k size) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	v, err := parseBytes(s)
	if err != nil {
		return err
	}
	if v < k.min || v > k.max {
		return fmt.Errorf("%s is outside of %s to %s", quote(s), bytesText(k.min), bytesText(k.max))
	}
	*k.at(d) = v
	return nil
}

func (k size) show(d *draft) []string { return []string{bytesText(*k.at(d))} }

var byteUnits = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// parseBytes reads "65536" or "64KiB", with or without a space. KB and MB are refused: nobody knows which size they mean.
func parseBytes(s string) (int, error) {
	digits, factor := s, 1
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	v, err := strconv.Atoi(digits)
	if err != nil || v < 0 || v > math.MaxInt/factor {
		return 0, fmt.Errorf("%s is no size; write bytes, or a whole number of KiB or MiB, for example 64KiB", quote(s))
	}
	return v * factor, nil
}

// bytesText is the shortest exact spelling that parseBytes reads.
func bytesText(n int) string {
	for _, u := range byteUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return strconv.Itoa(n)
}

// toggle is on or off.
type toggle struct{ at func(*draft) *bool }

func (k toggle) takes() string { return "`on` or `off`" }

func (k toggle) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		*k.at(d) = true
	case "off", "false", "no", "0":
		*k.at(d) = false
	default:
		return fmt.Errorf("%s is neither on nor off", quote(s))
	}
	return nil
}

func (k toggle) show(d *draft) []string {
	if *k.at(d) {
		return []string{"on"}
	}
	return []string{"off"}
}

// text is one text that check accepts; check may return it in another spelling. Its error is complete.
type text struct {
	at    func(*draft) *string
	looks string
	check func(string) (string, error)
}

func (k text) takes() string { return k.looks }

func (k text) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	if s, err = k.check(s); err != nil {
		return err
	}
	*k.at(d) = s
	return nil
}

func (k text) show(d *draft) []string { return some(*k.at(d)) }

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// texts is a list of texts that check accepts, without repetitions.
type texts struct {
	at    func(*draft) *[]string
	looks string
	check func(string) (string, error)
}

func (k texts) takes() string { return "list of " + k.looks }

func (k texts) split(s string) []string { return splitList(s) }

func (k texts) set(d *draft, items []string) error {
	var wrong many
	var list []string
	seen := map[string]bool{}
	for _, item := range items {
		v, err := k.check(item)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if !seen[v] {
			seen[v] = true
			list = append(list, v)
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	*k.at(d) = list
	return nil
}

func (k texts) show(d *draft) []string { return *k.at(d) }

// splitList cuts at commas and white space, so that a list may stand on several lines.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// logLevel is a level of slog.
type logLevel struct{}

func (logLevel) takes() string { return "`debug`, `info`, `warn` or `error`" }

func (logLevel) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	switch strings.ToLower(s) {
	case "debug":
		d.Log.Level = slog.LevelDebug
	case "info":
		d.Log.Level = slog.LevelInfo
	case "warn":
		d.Log.Level = slog.LevelWarn
	case "error":
		d.Log.Level = slog.LevelError
	default:
		return fmt.Errorf("%s is no level; write debug, info, warn or error", quote(s))
	}
	return nil
}

func (logLevel) show(d *draft) []string { return []string{strings.ToLower(d.Log.Level.String())} }
