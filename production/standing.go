package production

import (
	"context"
	"slices"
	"strings"

	"kentongan/tenant"
)

// Standings is what a screen of all kitchens needs: the platform's.
type Standings interface {
	// Standings returns how the kitchens stand that f lets through and whose id or name contains text, whatever the case of its letters A
	// to Z (empty: all), in the order of ids, at most limit of them after `after`, all of one moment. Its cost depends on how many are
	// open or wrong, not on how many ever were; with a text, on how many kitchens there are.
	Standings(ctx context.Context, f StandingFilter, text string, after tenant.ID, limit int) ([]Standing, error)

	// CountStandings returns how many kitchens each filter lets through, of one moment.
	CountStandings(ctx context.Context) (StandingCounts, error)
}

// Standing is how a kitchen stands now.
type Standing struct {
	Kitchen Kitchen // of one that never set anything: its id alone

	Open   int // batches that are neither final nor deleted
	Behind int // batches with an active alert of LateCodes

	// Active alerts by severity, those of the kitchen itself too.
	Critical, High, Medium, Low int

	Unanswered      int     // alerts that sound: HIGH and CRITICAL ones that nobody has acknowledged
	UnansweredSince Instant // when the oldest of them was raised; zero: there is none

	LastChange Instant // of the newest event; zero: there never was one
}

// LateCodes are the rules that say of a batch that it is behind its plan.
var LateCodes = []AlertCode{StartLate, BehindSchedule, Overrun, DispatchTooLate}

// StandingFilter says which kitchens are wanted; what is none of these lets every kitchen through.
type StandingFilter string

// The filters.
const (
	EveryKitchen     StandingFilter = ""         // all that have anything stored
	CookingKitchens  StandingFilter = "cooking"  // with an open batch
	AlarmingKitchens StandingFilter = "alarming" // with an active alert that is HIGH or CRITICAL
	LateKitchens     StandingFilter = "behind"   // with a batch that is behind
)

// StandingCounts are how many kitchens each filter lets through.
type StandingCounts struct {
	Kitchens, Cooking, Alarming, Behind int
}

// StandingOf puts together what a Store has read of a kitchen: its settings, how many batches are open, when its newest event was, and its
// active alerts, in any order.
func StandingOf(k Kitchen, open int, last Instant, alerts []Alert) Standing {
	s := Standing{Kitchen: k, Open: open, LastChange: last}
	late := map[string]bool{}
	for i := range alerts {
		a := &alerts[i]
		switch a.Severity {
		case Critical:
			s.Critical++
		case High:
			s.High++
		case Medium:
			s.Medium++
		case Low:
			s.Low++
		}
		if a.ProductionID != "" && slices.Contains(LateCodes, a.Code) {
			late[a.ProductionID] = true
		}
		if a.Sounds() {
			s.Unanswered++
			if !s.UnansweredSince.Known() || a.RaisedAt < s.UnansweredSince {
				s.UnansweredSince = a.RaisedAt
			}
		}
	}
	s.Behind = len(late)
	return s
}

// Named reports whether the id or the name of k contains text, whatever the case of its letters A to Z: of others databases think
// differently.
func (k *Kitchen) Named(text string) bool {
	text = lowered(text)
	return strings.Contains(lowered(string(k.ID)), text) || strings.Contains(lowered(k.Name), text)
}

func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// Lets reports whether f lets s through.
func (f StandingFilter) Lets(s *Standing) bool {
	switch f {
	case CookingKitchens:
		return s.Open > 0
	case AlarmingKitchens:
		return s.Critical+s.High > 0
	case LateKitchens:
		return s.Behind > 0
	default:
		return true
	}
}
