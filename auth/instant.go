package auth

import (
	"fmt"
	"time"
)

// Instant is a moment in ms since 1970; zero: none. It is a third of a time.Time, of which each Identity would hold two, and there is one
// for each connection.
type Instant int64

// At returns t as an Instant, without its parts of a millisecond: what ends does not end later by that.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// IsZero reports whether i is none.
func (i Instant) IsZero() bool { return i == 0 }

// Time returns i as a time; the zero time if it is none.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i))
}

// MarshalJSON writes i as a time.Time is written: tickets travel between nodes, which may be of different versions.
func (i Instant) MarshalJSON() ([]byte, error) {
	return i.Time().UTC().MarshalJSON() //nolint:wrapcheck // it is the time's
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Instant) UnmarshalJSON(text []byte) error {
	var t time.Time
	if err := t.UnmarshalJSON(text); err != nil {
		return fmt.Errorf("read a moment: %w", err)
	}
	*i = At(t)
	return nil
}
