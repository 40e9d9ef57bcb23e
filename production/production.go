package production

import (
	"time"

	"kentongan/tenant"
)

// Status is where a batch stands.
type Status string

// The statuses, in their order. COMPLETED and CANCELLED are final.
const (
	Planned      Status = "PLANNED"
	Preparing    Status = "PREPARING"
	Cooking      Status = "COOKING"
	QualityCheck Status = "QUALITY_CHECK"
	Completed    Status = "COMPLETED"
	Cancelled    Status = "CANCELLED"
)

// Statuses are all statuses, in their order.
var Statuses = []Status{Planned, Preparing, Cooking, QualityCheck, Completed, Cancelled}

// Final reports whether no step leads out of s.
func (s Status) Final() bool { return s == Completed || s == Cancelled }

// floor is the least progress that a batch has in s.
func (s Status) floor() int {
	switch s {
	case Cooking:
		return 30
	case QualityCheck:
		return 80
	case Completed:
		return 100
	default:
		return 0
	}
}

// ControlMode says what keeps the food safe between cooking and eating.
type ControlMode string

// The modes.
const (
	ControlTime ControlMode = "TIME" // the four hours decide; trays are cooled before they are closed
	ControlHot  ControlMode = "HOT"  // insulated boxes, at least 60 °C
	ControlCold ControlMode = "COLD" // fruit, milk: at most 5 °C
)

// Source says where the truth about a batch is.
type Source string

// The sources.
const (
	OwnRecord Source = "SERVICE" // here
	AppRecord Source = "APP"     // in the database of an app that publishes it; here it is a copy that nobody can change but by Observe
)

// Production is one batch of food as it stands: one menu for one wave of one serving day.
type Production struct {
	ID          string    `json:"id"`
	Tenant      tenant.ID `json:"sppgId"`
	ProgrammeID string    `json:"programId"`
	MenuID      string    `json:"menuId"`
	MenuName    string    `json:"menuName"`       // as the menu was called when the batch was planned
	Source      Source    `json:"source"`         // who keeps it
	BatchNumber string    `json:"batchNumber"`    // BATCH-20261126-0001, unique in its kitchen; the date is Day
	Day         Day       `json:"productionDate"` // the serving day in the kitchen's zone

	PlannedPortions int  `json:"plannedPortions"` // 1 to 10,000
	ActualPortions  *int `json:"actualPortions"`  // 0 to 10,000

	HeadCook       string   `json:"headCook"`       // ids of staff
	AssistantCooks []string `json:"assistantCooks"` // at most 10
	SupervisorID   string   `json:"supervisorId"`

	Status      Status  `json:"status"`
	StatusSince Instant `json:"statusSince"` // when the batch came to its status; rework begins a new one
	Progress    int     `json:"progress"`    // 0 to 100; falls on rework only

	Wave        int         `json:"wave"` // 1 to 6
	TargetGroup string      `json:"targetGroup"`
	ControlMode ControlMode `json:"controlMode"`
	Dishes      []Dish      `json:"dishes"` // at most 12

	PlannedStart   Instant `json:"plannedStartTime"` // of PREPARING
	PlannedEnd     Instant `json:"plannedEndTime"`   // release
	ActualStart    Instant `json:"actualStartTime"`
	ActualEnd      Instant `json:"actualEndTime"`
	CookingStarted Instant `json:"cookingStartedAt"` // of the first cooking; rework does not change it
	Cooked         Instant `json:"cookedAt"`         // the earliest finished dish: here the four hours begin. Never moves later
	ConsumeBy      Instant `json:"consumeBy"`        // Cooked plus the limit of four hours. Never moves later
	Dispatched     Instant `json:"dispatchedAt"`

	EstimatedCost  *Rupiah `json:"estimatedCost"`
	ActualCost     *Rupiah `json:"actualCost"`
	CostPerPortion *Rupiah `json:"costPerPortion"` // ActualCost by ActualPortions, rounded to the nearest

	TargetTemperature Celsius  `json:"targetTemperature"`
	ActualTemperature *Celsius `json:"actualTemperature"` // the newest CORE reading

	HygieneScore     *int `json:"hygieneScore"`     // 1 to 100
	TasteRating      *int `json:"tasteRating"`      // 1 to 5
	AppearanceRating *int `json:"appearanceRating"` // 1 to 5
	TextureRating    *int `json:"textureRating"`    // 1 to 5

	QualityPassed   *bool      `json:"qualityPassed"`
	RejectionReason string     `json:"rejectionReason"`
	WasteAmount     *Kilograms `json:"wasteAmount"` // of the kitchen, 0 to 5,000 kg; what comes back on plates is not in it
	WasteNotes      string     `json:"wasteNotes"`

	SampleTaken     Instant `json:"sampleTakenAt"`
	SampleKeepUntil Instant `json:"sampleKeepUntil"`

	Notes  string   `json:"notes"`
	Photos []string `json:"photos"` // URLs, at most 20

	ReworkCount int     `json:"reworkCount"` // 0 to 2
	Version     int64   `json:"version"`     // 1 when planned; grows by 1 with each change of a person or a probe
	CreatedAt   Instant `json:"createdAt"`
	CreatedBy   string  `json:"createdBy"`
	UpdatedAt   Instant `json:"updatedAt"`
	DeletedAt   Instant `json:"-"` // a deleted batch is there for its audit trail only; no method of a Store returns it
}

// Open reports whether a step can still lead on from p.
func (p Production) Open() bool { return !p.Status.Final() }

// Dish is one of the dishes of a batch.
type Dish struct {
	Name     string   `json:"name"`      // unique in its batch
	Cold     bool     `json:"cold"`      // needs no core temperature
	Cooked   Instant  `json:"cookedAt"`  // when it was done; never moves later
	CoreTemp *Celsius `json:"coreTempC"` // its newest CORE reading
}

// ReadingKind is what a temperature was taken of.
type ReadingKind string

// The kinds of readings.
const (
	Core     ReadingKind = "CORE"      // a probe in the thickest part
	HotHold  ReadingKind = "HOT_HOLD"  // food that is kept hot
	ColdHold ReadingKind = "COLD_HOLD" // food that is kept cold
	Ambient  ReadingKind = "AMBIENT"   // the room
)

// ReadingKinds are all kinds of readings.
var ReadingKinds = []ReadingKind{Core, HotHold, ColdHold, Ambient}

// ReadingSource says how a temperature got here.
type ReadingSource string

// The sources of readings.
const (
	Manual ReadingSource = "MANUAL"
	Probe  ReadingSource = "PROBE"
)

// Reading is one measured temperature. It is added, never changed; a correction is another row that names it.
type Reading struct {
	ID           string        `json:"id"`
	ProductionID string        `json:"productionId"`
	Kind         ReadingKind   `json:"kind"`
	Dish         string        `json:"dish,omitempty"` // a dish of the batch; empty: the batch as a whole
	Celsius      Celsius       `json:"celsius"`
	TakenAt      Instant       `json:"takenAt"`    // by the clock of the device
	ReceivedAt   Instant       `json:"receivedAt"` // by the server's clock
	Source       ReadingSource `json:"source"`
	TakenBy      string        `json:"takenBy"`
	ClockOff     bool          `json:"clockOff,omitempty"` // the device's clock was wrong by more than MaxClockSkew
	Late         bool          `json:"late,omitempty"`     // it came after the batch was final: recorded, and without effect
	Corrects     string        `json:"corrects,omitempty"` // the id of the reading that this one replaces
}

// MaxClockSkew is how far the clock of a device may be off before what it sends is flagged.
const MaxClockSkew = 5 * time.Minute

// At returns the instant that the rules go by: when it was taken, or if the device's clock cannot be right, when it was received.
func (r *Reading) At() Instant { return believable(r.TakenAt, r.ReceivedAt, r.ClockOff) }

func believable(taken, received Instant, clockOff bool) Instant {
	if clockOff || !taken.Known() {
		return received
	}
	return min(taken, received)
}

// CheckType is what a quality check is about.
type CheckType string

// The types of checks.
const (
	Hygiene     CheckType = "HYGIENE"     // area, tools, handlers, water; before cooking
	Temperature CheckType = "TEMPERATURE" // core of each hot dish, cold dishes
	Taste       CheckType = "TASTE"       // taste and smell
	Appearance  CheckType = "APPEARANCE"  // colour, texture, what should not be in it
	Safety      CheckType = "SAFETY"      // rapid tests, foreign bodies, allergens
)

// CheckTypes are all types of checks, in the order in which a kitchen does them.
var CheckTypes = []CheckType{Hygiene, Temperature, Taste, Appearance, Safety}

// Check is one quality check. It is added, never changed.
type Check struct {
	ID               string    `json:"id"`
	ProductionID     string    `json:"productionId"`
	Type             CheckType `json:"checkType"`
	Time             Instant   `json:"checkTime"`  // by the clock of the device
	ReceivedAt       Instant   `json:"receivedAt"` // by the server's clock
	CheckedBy        string    `json:"checkedBy"`
	Parameter        string    `json:"parameter"`               // at most 100 characters
	ExpectedValue    string    `json:"expectedValue,omitempty"` // at most 100
	ActualValue      string    `json:"actualValue"`             // 1 to 100
	Passed           bool      `json:"passed"`
	Score            *int      `json:"score,omitempty"`         // 0 to 100; of hygiene the hygieneScore
	Rating           *int      `json:"rating,omitempty"`        // 1 to 5: of taste, or of appearance
	TextureRating    *int      `json:"textureRating,omitempty"` // 1 to 5
	Celsius          *Celsius  `json:"celsius,omitempty"`       // of a TEMPERATURE check
	Severity         Severity  `json:"severity,omitempty"`      // of a failed check
	Notes            string    `json:"notes,omitempty"`
	Recommendations  string    `json:"recommendations,omitempty"`
	ActionRequired   bool      `json:"actionRequired"`
	ActionTaken      string    `json:"actionTaken,omitempty"`
	ActionBy         string    `json:"actionBy,omitempty"`
	ActionDate       Instant   `json:"actionDate,omitzero"`
	FollowUpRequired bool      `json:"followUpRequired"`
	FollowUpDate     Instant   `json:"followUpDate,omitzero"`
	ClockOff         bool      `json:"clockOff,omitempty"`
	Late             bool      `json:"late,omitempty"`
}

// At is as [Reading.At].
func (c *Check) At() Instant { return believable(c.Time, c.ReceivedAt, c.ClockOff) }

// Sample is food that is kept cold, for the case that somebody falls ill.
type Sample struct {
	ID           string  `json:"id"`
	ProductionID string  `json:"productionId"`
	Dish         string  `json:"dish,omitempty"`
	TakenAt      Instant `json:"takenAt"`
	ReceivedAt   Instant `json:"receivedAt"`
	KeepUntil    Instant `json:"keepUntil"`
	TakenBy      string  `json:"takenBy"`
	Place        string  `json:"place,omitempty"` // where it is kept, at most 100 characters
	ClockOff     bool    `json:"clockOff,omitempty"`
}

// Dispatch is food that leaves the kitchen.
type Dispatch struct {
	ID           string  `json:"id"`
	ProductionID string  `json:"productionId"`
	TakenAt      Instant `json:"takenAt"` // when it left
	ReceivedAt   Instant `json:"receivedAt"`
	By           string  `json:"dispatchedBy"`
	Portions     *int    `json:"portions,omitempty"`    // 1 to 10,000
	Destination  string  `json:"destination,omitempty"` // at most 200 characters
	Vehicle      string  `json:"vehicle,omitempty"`     // at most 100
	Notes        string  `json:"notes,omitempty"`       // at most 500
	ClockOff     bool    `json:"clockOff,omitempty"`
	Late         bool    `json:"late,omitempty"` // it was told after the food's time was over, by a device that had been offline
}

// Correction says what is wrong in a final batch. It stands beside the record; nothing is overwritten.
type Correction struct {
	ID           string  `json:"id"`
	ProductionID string  `json:"productionId"`
	Field        string  `json:"field"`  // a JSON name of Production
	Value        string  `json:"value"`  // what is right, as text, at most 1,000 characters
	Reason       string  `json:"reason"` // 10 to 500 characters
	By           string  `json:"correctedBy"`
	At           Instant `json:"correctedAt"`
}
