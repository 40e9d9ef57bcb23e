package production

import (
	"errors"
	"strings"
)

// What callers decide on. Every Refusal is one of the first six.
var (
	ErrNotFound  = errors.New("no such thing in this kitchen")
	ErrInvalid   = errors.New("invalid")
	ErrForbidden = errors.New("not allowed")
	ErrConflict  = errors.New("version conflict") // the version sent, or loaded, is no longer the stored one
	ErrRefused   = errors.New("refused")          // the state of the batch does not allow it
	ErrKeyReused = errors.New("idempotency key used before with another change")

	// ErrUnavailable says that the store cannot be reached, or has no room. The change may or may not be stored: try
	// again with the same idempotency key.
	ErrUnavailable = errors.New("store unavailable")
)

// Code is the stable word of a refusal. docs/production.md lists them.
type Code string

// The codes.
const (
	CodeNotFound        Code = "NOT_FOUND"
	CodeInvalid         Code = "INVALID"          // Fields says what is wrong
	CodeForbidden       Code = "FORBIDDEN"        // the role may not
	CodePINRequired     Code = "PIN_REQUIRED"     // a shared tablet needs to know who stands there
	CodePINWrong        Code = "PIN_WRONG"        //
	CodePINLocked       Code = "PIN_LOCKED"       // too many wrong ones; wait
	CodeVersionConflict Code = "VERSION_CONFLICT" // Version says what is stored
	CodeKeyReused       Code = "KEY_REUSED"       //
	CodeGuards          Code = "GUARDS_UNMET"     // Unmet lists every guard that does not hold
	CodeNoSuchStep      Code = "NO_SUCH_STEP"     // no step leads from this status to that one
	CodeFinal           Code = "FINAL"            // COMPLETED and CANCELLED do not change any more
	CodeWrongStatus     Code = "WRONG_STATUS"     // not in this status; Unmet has the statuses in which it may be
	CodeProgressFalls   Code = "PROGRESS_FALLS"   // progress falls on rework only
	CodeClockRestarts   Code = "CLOCK_RESTARTS"   // a cooked time may not move later
	CodeTooManyPhotos   Code = "TOO_MANY_PHOTOS"  // the batch has MaxPhotoNotes
	CodeNotOurs         Code = "KEPT_BY_APP"      // the batch is a copy of what an app keeps
	CodeAlertClosed     Code = "ALERT_CLOSED"     // the alert is resolved already
)

// Field says what is wrong with one field of a change.
type Field struct {
	Path   string // JSON path in the change, such as dishes[2].name
	Reason string // what is wrong and what would be right, in one sentence
}

// Refusal says no, with everything that a screen needs to say why. It unwraps to one of the sentinels.
type Refusal struct { //nolint:errname // it is the word of the rules: a step is refused
	Code    Code
	Message string   // one English sentence
	Unmet   []string // guards that do not hold (all of them), or the statuses that would do
	Fields  []Field  // of CodeInvalid: all of them
	Version int64    // of CodeVersionConflict: the stored one
	err     error
}

// Error returns the code, the message and what is unmet.
func (r *Refusal) Error() string {
	var text strings.Builder
	text.WriteString(string(r.Code) + ": " + r.Message)
	if len(r.Unmet) > 0 {
		text.WriteString(": " + strings.Join(r.Unmet, ", "))
	}
	for _, f := range r.Fields {
		text.WriteString("; " + f.Path + ": " + f.Reason)
	}
	return text.String()
}

// Unwrap returns the sentinel.
func (r *Refusal) Unwrap() error { return r.err }

// Guard is a condition of a step. docs/production.md lists them.
type Guard = string

// The guards of section 5 of the rules.
const (
	GuardHeadCook         Guard = "HEAD_COOK_SET"            // PREPARING: somebody is responsible
	GuardNotTooEarly      Guard = "NOT_TOO_EARLY"            // PREPARING: not more than 12 h before the planned start
	GuardNotAfterDay      Guard = "NOT_AFTER_PRODUCTION_DAY" // PREPARING: the serving day is not over
	GuardHygiene          Guard = "HYGIENE_PASSED"           // COOKING: the latest HYGIENE check passed
	GuardDayBegan         Guard = "PRODUCTION_DAY_BEGAN"     // COOKING: not before 00:00, or an override by the head
	GuardReading          Guard = "READING_IN_COOKING"       // QUALITY_CHECK: a CORE reading (COLD: COLD_HOLD) was taken in COOKING
	GuardPortions         Guard = "ACTUAL_PORTIONS"          // QUALITY_CHECK: at least one portion
	GuardTemperature      Guard = "TEMPERATURE_PASSED"       // COMPLETED: the latest check passed
	GuardTaste            Guard = "TASTE_PASSED"             // COMPLETED
	GuardAppearance       Guard = "APPEARANCE_PASSED"        // COMPLETED
	GuardSafety           Guard = "SAFETY_PASSED"            // COMPLETED
	GuardCore             Guard = "CORE_TEMPERATURE"         // COMPLETED: the latest reading of every dish is in bounds
	GuardNoCritical       Guard = "NO_OPEN_CRITICAL_ALERT"   // COMPLETED, dispatch
	GuardBeforeConsumeBy  Guard = "BEFORE_CONSUME_BY"        // COMPLETED, dispatch: the four hours are not over
	GuardSample           Guard = "SAMPLE_TAKEN"             // COMPLETED
	GuardReleaser         Guard = "RELEASER_NOT_HEAD_COOK"   // COMPLETED: nobody releases what he cooked
	GuardFailedCheck      Guard = "FAILED_CHECK"             // rework: a TEMPERATURE, TASTE or APPEARANCE check failed
	GuardNoFailedSafety   Guard = "NO_FAILED_SAFETY_CHECK"   // rework: never after a failed SAFETY check
	GuardReworksLeft      Guard = "REWORKS_LEFT"             // rework: fewer than two so far
	GuardBeforeReworkTime Guard = "BEFORE_REWORK_LIMIT"      // rework: not later than two hours after cooking
)
