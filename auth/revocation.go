package auth

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"kentongan/tenant"
)

// maxRevocationBytes bounds the JSON of a Revocation.
const maxRevocationBytes = 4 << 10

// maxRevocationAhead is how far in the future an IssuedBefore may lie: clocks differ, but a slip of the pen must not lock
// everybody out for a year.
const maxRevocationAhead = 5 * time.Minute

// ErrBadRevocation says that a text or value is no revocation; the text around it says why.
var ErrBadRevocation = errors.New("bad revocation")

// Revocation ends all credentials of a user, of a kitchen, or of a user in a kitchen that were issued before a moment. One
// that was issued later, by signing in again, is good.
//
// Tokens carry whole seconds: a session that was issued in the same second but after the moment is refused too. And Auth.js gives a
// session a new iat each time the app's session endpoint is asked, so the app must refuse the user there as well.
type Revocation struct {
	Subject      string    // "": everybody in Tenant
	Tenant       tenant.ID // Global: wherever Subject is
	IssuedBefore time.Time
}

// Covers reports whether r ends the credential of id. It never ends API keys and what was bought with them: they were not
// issued but configured, and go when the configuration goes.
func (r Revocation) Covers(id *Identity) bool {
	return !id.Server && id.IssuedAt.Time().Before(r.IssuedBefore) &&
		(r.Subject == "" || r.Subject == id.Subject) && (r.Tenant == tenant.Global || r.Tenant == id.Tenant)
}

// revocationJSON is a Revocation on the wire.
type revocationJSON struct {
	Subject      string         `json:"sub,omitempty"`
	Tenant       string         `json:"tenant,omitempty"`
	IssuedBefore jsontext.Value `json:"issuedBefore"`
}

// MarshalJSON writes what ParseRevocation reads, the time in milliseconds. A part of a millisecond counts as a whole one, so that
// a revocation never ends less on the way.
func (r Revocation) MarshalJSON() ([]byte, error) {
	ms := r.IssuedBefore.UnixMilli()
	if r.IssuedBefore.After(time.UnixMilli(ms)) {
		ms++
	}
	text, err := json.Marshal(revocationJSON{r.Subject, string(r.Tenant), jsontext.Value(strconv.FormatInt(ms, 10))})
	if err != nil {
		return nil, fmt.Errorf("write revocation: %w", err)
	}
	return text, nil
}

// ParseRevocation reads {"sub":"…","tenant":"…","issuedBefore":…}: at least one of sub and tenant, and the time as milliseconds since
// 1970 or as text like 2026-01-31T12:00:00Z. It returns ErrBadRevocation for anything else, also for unknown and for duplicate
// members: a misspelt "tenant" would otherwise revoke more than was meant.
func ParseRevocation(text []byte) (Revocation, error) {
	if len(text) > maxRevocationBytes {
		return Revocation{}, fmt.Errorf("%w: %d bytes, at most %d", ErrBadRevocation, len(text), maxRevocationBytes)
	}
	var wire revocationJSON
	if err := json.Unmarshal(text, &wire, json.RejectUnknownMembers(true)); err != nil {
		const want = `{"sub":"…","tenant":"…","issuedBefore":milliseconds} and no other member`
		return Revocation{}, fmt.Errorf("%w: want %s", ErrBadRevocation, want)
	}
	at, err := parseIssuedBefore(wire.IssuedBefore)
	if err != nil {
		return Revocation{}, err
	}
	r := Revocation{wire.Subject, tenant.ID(wire.Tenant), at}
	return r, r.check()
}

func parseIssuedBefore(v jsontext.Value) (time.Time, error) {
	switch v.Kind() {
	case '0':
		// Milliseconds have been above this since 1973, and seconds will be below it until 5138.
		const leastMilliseconds = 1e11
		ms, err := strconv.ParseFloat(string(v), 64)
		if err != nil || ms != math.Trunc(ms) || ms > 1e15 {
			return time.Time{}, fmt.Errorf("%w: issuedBefore is no whole number of milliseconds", ErrBadRevocation)
		}
		if ms < leastMilliseconds {
			return time.Time{}, fmt.Errorf("%w: issuedBefore looks like seconds, want milliseconds", ErrBadRevocation)
		}
		return time.UnixMilli(int64(ms)), nil
	case '"':
		text, err := jsontext.AppendUnquote(nil, v)
		if err == nil {
			var at time.Time
			if at, err = time.Parse(time.RFC3339Nano, string(text)); err == nil && at.UnixMilli() >= 0 {
				return at, nil
			}
		}
		return time.Time{}, fmt.Errorf("%w: issuedBefore is no time like 2026-01-31T12:00:00Z", ErrBadRevocation)
	default:
		return time.Time{}, fmt.Errorf("%w: issuedBefore is missing", ErrBadRevocation)
	}
}

// check reports what is wrong with the values of r.
func (r Revocation) check() error {
	switch {
	case r.Subject == "" && r.Tenant == tenant.Global:
		return fmt.Errorf("%w: names neither sub nor tenant", ErrBadRevocation)
	case r.Subject != "" && !validSubject(r.Subject):
		return fmt.Errorf("%w: sub is longer than %d bytes or has control characters", ErrBadRevocation, maxSubjectBytes)
	case r.Tenant != tenant.Global && !tenant.Valid(r.Tenant):
		return fmt.Errorf("%w: %w", ErrBadRevocation, tenant.ErrInvalid)
	case r.IssuedBefore.IsZero():
		return fmt.Errorf("%w: issuedBefore is missing", ErrBadRevocation)
	}
	return nil
}

// notAhead returns ErrBadRevocation if r speaks of the future.
func (r Revocation) notAhead(now time.Time) error {
	if r.IssuedBefore.After(now.Add(maxRevocationAhead)) {
		return fmt.Errorf("%w: issuedBefore is in the future", ErrBadRevocation)
	}
	return nil
}
