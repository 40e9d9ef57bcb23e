package production

// Facts are what the rules have to know of all readings and checks of a batch, so that a change reads one row however
// many readings there are: a probe adds thousands. They follow from the rows; a Store keeps them as it got them, as JSON.
type Facts struct {
	Tracks []Track     `json:"tracks,omitempty"` // one a kind and dish: at most 4 × 13
	Marks  []CheckMark `json:"marks,omitempty"`  // the newest check of each type

	Checks       int  `json:"checks,omitempty"`       // how many there were
	ChecksPassed int  `json:"checksPassed,omitempty"` // how many of them passed
	SafetyFailed bool `json:"safetyFailed,omitempty"` // a SAFETY check has failed, ever

	FailedSeverity Severity `json:"failedSeverity,omitempty"` // of the check that failed last

	RoundReading bool    `json:"roundReading,omitempty"` // what this round of COOKING has to measure was measured
	RoundChecks  int     `json:"roundChecks,omitempty"`  // checks since the batch came to its status
	LastReading  Instant `json:"lastReading,omitempty"`  // the newest reading, of any kind
	LastProbe    Instant `json:"lastProbe,omitempty"`    // the newest one of a probe

	Photos int `json:"photos,omitempty"` // how many were added

	EarlyReason string `json:"earlyReason,omitempty"` // why cooking began before the day did; empty: it did not
	Started     bool   `json:"started,omitempty"`     // preparing has begun

	Settled []Settled `json:"settled,omitempty"` // alerts that people resolved while their cause is still there: at most one a code
}

// Settled is an alert that somebody has resolved while its cause is still there. It is not raised again, unless it gets worse or
// happens anew.
type Settled struct {
	Code     AlertCode `json:"code"`
	Severity Severity  `json:"severity"`
	Key      string    `json:"key,omitempty"` // which happening it was, where a rule tells them apart
}

// Track is the newest temperature of one kind and dish, and for how long it was out of bounds.
type Track struct {
	Kind     ReadingKind `json:"kind"`
	Dish     string      `json:"dish,omitempty"`
	Celsius  Celsius     `json:"celsius"`
	At       Instant     `json:"at"`
	OutSince Instant     `json:"outSince,omitempty"` // since when it has been out of bounds without a break; zero: it is not
	OutMs    int64       `json:"outMs,omitempty"`    // how long it was out of bounds before that, in sum, in milliseconds
}

// CheckMark is the newest check of one type.
type CheckMark struct {
	Type     CheckType `json:"type"`
	ID       string    `json:"id"`
	Passed   bool      `json:"passed"`
	Severity Severity  `json:"severity,omitempty"`
	At       Instant   `json:"at"`
}

// Batch is a production with all that a change of it has to know. It is the unit of concurrency: every commit that
// touches a batch, be it only its alerts, raises Revision by 1.
type Batch struct {
	Production Production
	Facts      Facts
	Alerts     []Alert // those that are open or acknowledged: at most one a code
	Revision   int64   // 0: not stored yet

	// NextLook is when time alone may change something: the alert engine looks at the batch then. Zero: never. It may
	// be set for batches that are final: food that was released waits for its dispatch, alerts for an answer.
	NextLook Instant
}

// DayLoad is what a kitchen has planned for one serving day.
type DayLoad struct {
	Portions   int // planned ones of all batches that are neither cancelled nor deleted
	LastNumber int // the highest NNNN of the day's batch numbers, deleted ones included; 0: none
}
