// Package tenant holds the one word that all rooms of the house share: which kitchen something belongs to.
//
// A tenant is one SPPG, one kitchen of the free-meals programme. Its [ID] comes out of a verified credential or out
// of the name of a channel that the app publishes to; it is never taken from what a client says about itself.
package tenant

import (
	"errors"
	"fmt"
)

// MaxBytes is the longest tenant id that is accepted. The app's ids are cuids of 25 characters and uuids of 36.
const MaxBytes = 64

// ErrInvalid says that a text is no tenant id.
var ErrInvalid = errors.New("tenant id must be 1 to 64 of A-Z a-z 0-9 _ -")

// ID names one kitchen. The zero value is [Global]; every other value was checked by [Parse], so that it can stand in
// a Redis name, a URL path or a log line without quoting, and no spelling of one id reaches into another one's names.
type ID string

// Global is the zero ID: no kitchen in particular. Its channels go to every kitchen (the app's system-alert).
const Global ID = ""

// Parse returns s as an ID, or ErrInvalid if it is empty, too long, or outside of A-Z a-z 0-9 _ -.
func Parse(s string) (ID, error) {
	if !Valid(s) {
		return Global, fmt.Errorf("tenant %q: %w", clip(s), ErrInvalid)
	}
	return ID(s), nil
}

// Valid reports whether s can be a tenant id. It does not allocate, so that intake can ask it for each message.
func Valid[S ~string | ~[]byte](s S) bool {
	if len(s) == 0 || len(s) > MaxBytes {
		return false
	}
	for i := range len(s) {
		if !Alphabet(s[i]) {
			return false
		}
	}
	return true
}

// Alphabet reports whether c may stand in a tenant id.
func Alphabet(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// clip keeps hostile input out of logs: an id is quoted in an error only so far that a person recognises it.
func clip(s string) string {
	if len(s) > MaxBytes {
		return s[:MaxBytes] + "…"
	}
	return s
}
