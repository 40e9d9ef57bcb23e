package production

import "kentongan/tenant"

// Actor is who asks for a change.
type Actor struct {
	User string // the subject of the credential
	Role Role   // of the credential

	// Person and PersonRole name the member of staff who proved by PIN to stand at a shared tablet. Service fills them in; while
	// they are set, rights are the person's and not the tablet's.
	Person     string
	PersonRole Role
}

// ID returns who acts: the person if one is proved, else the user.
func (a Actor) ID() string {
	if a.Person != "" {
		return a.Person
	}
	return a.User
}

// As returns the role whose rights count.
func (a Actor) As() Role {
	if a.Person != "" {
		return a.PersonRole
	}
	return a.Role
}

// PIN is what a person types into a shared tablet. It is in no log and no error.
type PIN struct {
	Person string `json:"person"`
	Digits string `json:"pin"`
}

// Request is what all changes have in common.
type Request struct {
	Tenant tenant.ID // out of the credential, never out of the body
	Actor  Actor
	PIN    *PIN // nil: none was given

	// Key is the idempotency key, at most 255 bytes: the same key with the same change is answered with the first
	// result, with another change it is ErrKeyReused. Empty: no such check.
	Key string

	// Version is the version of the batch that the sender has seen. Another one is ErrConflict. 0 stands for "whatever
	// it is", which is allowed where something is only added: readings, checks, samples, dispatches, corrections, and alerts.
	Version int64

	TakenAt   Instant // when it happened, by the clock of the device; zero: now
	DeviceNow Instant // what the device's clock said when it sent the change; zero: unknown
}

// Change is one thing that somebody wants to happen to a batch, made by one of the Acts. The Act and the Request are the
// whole input beside what is stored, so the same change can be tried again after a conflict.
type Change struct {
	Request
	Production string // id; of Create the new one
	NewID      string // of the row that the change adds, if it adds one
	Act        Act
}

// Act is what a change does. The types of this file are all there are.
type Act interface {
	// verb is the name of the act in the audit trail and in fingerprints of idempotency keys.
	verb() string
}

// Create plans a new batch.
type Create struct {
	ProgrammeID       string      `json:"programId"`
	MenuID            string      `json:"menuId"`
	Day               Day         `json:"productionDate"`
	PlannedPortions   int         `json:"plannedPortions"`
	PlannedStart      Instant     `json:"plannedStartTime"`
	PlannedEnd        Instant     `json:"plannedEndTime"`
	Wave              int         `json:"wave"`        // 0 means 1
	TargetGroup       string      `json:"targetGroup"` // at most 100 characters
	ControlMode       ControlMode `json:"controlMode"` // empty means TIME
	Dishes            []Dish      `json:"dishes"`      // names and Cold; nil: those of the menu
	HeadCook          string      `json:"headCook"`
	AssistantCooks    []string    `json:"assistantCooks"`
	SupervisorID      string      `json:"supervisorId"`
	EstimatedCost     *Rupiah     `json:"estimatedCost"`
	TargetTemperature *Celsius    `json:"targetTemperature"` // nil: the kitchen's CORE limit
	Notes             string      `json:"notes"`
	Photos            []string    `json:"photos"`
}

// Update edits a PLANNED batch. Nil is "as it is". The serving day cannot change: the batch number has it.
type Update struct {
	ProgrammeID       *string      `json:"programId,omitempty"`
	MenuID            *string      `json:"menuId,omitempty"`
	PlannedPortions   *int         `json:"plannedPortions,omitempty"`
	PlannedStart      *Instant     `json:"plannedStartTime,omitempty"`
	PlannedEnd        *Instant     `json:"plannedEndTime,omitempty"`
	Wave              *int         `json:"wave,omitempty"`
	TargetGroup       *string      `json:"targetGroup,omitempty"`
	ControlMode       *ControlMode `json:"controlMode,omitempty"`
	Dishes            *[]Dish      `json:"dishes,omitempty"`
	HeadCook          *string      `json:"headCook,omitempty"`
	AssistantCooks    *[]string    `json:"assistantCooks,omitempty"`
	SupervisorID      *string      `json:"supervisorId,omitempty"`
	EstimatedCost     *Rupiah      `json:"estimatedCost,omitempty"`
	TargetTemperature *Celsius     `json:"targetTemperature,omitempty"`
	Notes             *string      `json:"notes,omitempty"`
	Photos            *[]string    `json:"photos,omitempty"`
}

// Work is what the kitchen tells of a batch that is under way: PREPARING, COOKING or QUALITY_CHECK. Nil is "as it is".
type Work struct {
	Progress       *int         `json:"progress,omitempty"`
	ActualPortions *int         `json:"actualPortions,omitempty"`
	WasteAmount    *Kilograms   `json:"wasteAmount,omitempty"`
	WasteNotes     *string      `json:"wasteNotes,omitempty"`
	ActualCost     *Rupiah      `json:"actualCost,omitempty"` // needs MayEnterCost, and nothing else does then
	Cooked         []DishCooked `json:"cookedDishes,omitempty"`
	Notes          *string      `json:"notes,omitempty"`
	Photos         *[]string    `json:"photos,omitempty"`
}

// DishCooked says that a dish is done. The first one starts the four hours of the whole batch.
type DishCooked struct {
	Name string  `json:"name"`
	At   Instant `json:"cookedAt"` // zero: now
}

// Transition takes a batch to its next status, or from QUALITY_CHECK back to COOKING. What Work holds is applied before
// the guards are asked.
type Transition struct {
	To     Status `json:"to"`
	Reason string `json:"reason,omitempty"` // of rework, or of cooking before the day began
	Work   Work   `json:"work,omitzero"`

	// Override asks to cook before the serving day began; it needs MayOverride and a Reason of 10 to 500 characters.
	Override bool `json:"override,omitempty"`
}

// Cancel ends a batch that is not final.
type Cancel struct {
	Reason string `json:"reason"` // 10 to 500 characters
}

// Delete hides a PLANNED batch. Its row and its audit trail stay.
type Delete struct{}

// AddReading records a temperature.
type AddReading struct {
	Kind     ReadingKind   `json:"kind"`
	Dish     string        `json:"dish,omitempty"`
	Celsius  Celsius       `json:"celsius"`
	Source   ReadingSource `json:"source"` // empty means MANUAL
	Corrects string        `json:"corrects,omitempty"`
}

// AddCheck records a quality check. Passed nil is decided by the numbers, if there are any; true against the numbers is invalid.
type AddCheck struct {
	Type             CheckType `json:"checkType"`
	Parameter        string    `json:"parameter"`
	ExpectedValue    string    `json:"expectedValue,omitempty"`
	ActualValue      string    `json:"actualValue"`
	Passed           *bool     `json:"passed,omitempty"`
	Score            *int      `json:"score,omitempty"`
	Rating           *int      `json:"rating,omitempty"`
	TextureRating    *int      `json:"textureRating,omitempty"`
	Celsius          *Celsius  `json:"celsius,omitempty"`
	CriticalItem     bool      `json:"criticalItem,omitempty"` // of hygiene: one of the critical items failed
	Severity         Severity  `json:"severity,omitempty"`     // of a failed check; it may be worse than the table's, never milder
	Notes            string    `json:"notes,omitempty"`
	Recommendations  string    `json:"recommendations,omitempty"`
	ActionRequired   bool      `json:"actionRequired,omitempty"`
	ActionTaken      string    `json:"actionTaken,omitempty"`
	ActionBy         string    `json:"actionBy,omitempty"`
	ActionDate       Instant   `json:"actionDate,omitzero"`
	FollowUpRequired bool      `json:"followUpRequired,omitempty"`
	FollowUpDate     Instant   `json:"followUpDate,omitzero"`
}

// TakeSample records a retained food sample.
type TakeSample struct {
	Dish      string  `json:"dish,omitempty"`
	KeepUntil Instant `json:"keepUntil,omitzero"` // zero: the kitchen's default after it was taken
	Place     string  `json:"place,omitempty"`
}

// RecordDispatch records that food of a COMPLETED batch leaves.
type RecordDispatch struct {
	Portions    *int   `json:"portions,omitempty"`
	Destination string `json:"destination,omitempty"`
	Vehicle     string `json:"vehicle,omitempty"`
	Notes       string `json:"notes,omitempty"`
}

// Correct adds a correction row to a final batch.
type Correct struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

// Acknowledge says that somebody has seen an alert: it no longer sounds and is no longer escalated.
type Acknowledge struct {
	Alert string `json:"alert"`
}

// Resolve ends an alert. HIGH and CRITICAL need a CorrectiveAction of 5 to 500 characters.
type Resolve struct {
	Alert            string `json:"alert"`
	CorrectiveAction string `json:"correctiveAction,omitempty"`
}

func (Create) verb() string         { return "create" }
func (Update) verb() string         { return "update" }
func (Work) verb() string           { return "work" }
func (Transition) verb() string     { return "transition" }
func (Cancel) verb() string         { return "cancel" }
func (Delete) verb() string         { return "delete" }
func (AddReading) verb() string     { return "reading" }
func (AddCheck) verb() string       { return "check" }
func (TakeSample) verb() string     { return "sample" }
func (RecordDispatch) verb() string { return "dispatch" }
func (Correct) verb() string        { return "correct" }
func (Acknowledge) verb() string    { return "acknowledge" }
func (Resolve) verb() string        { return "resolve" }
