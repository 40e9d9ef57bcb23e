package production

import (
	"encoding/json"

	"kentongan/tenant"
)

// Severity is how bad something is. CRITICAL is kept for food safety: it blocks a release.
type Severity string

// The severities.
const (
	Low      Severity = "LOW"
	Medium   Severity = "MEDIUM"
	High     Severity = "HIGH"
	Critical Severity = "CRITICAL"
)

// Rank orders severities: LOW is 1, CRITICAL 4, and what is none of them 0.
func (s Severity) Rank() int {
	switch s {
	case Low:
		return 1
	case Medium:
		return 2
	case High:
		return 3
	case Critical:
		return 4
	default:
		return 0
	}
}

// AlertCode is the rule that an alert comes from.
type AlertCode string

// The rules.
const (
	CoreTempLow     AlertCode = "CORE_TEMP_LOW"
	HotHoldLow      AlertCode = "HOT_HOLD_LOW"
	ColdHoldHigh    AlertCode = "COLD_HOLD_HIGH"
	EatBy           AlertCode = "EAT_BY"
	DispatchTooLate AlertCode = "DISPATCH_TOO_LATE"
	CookTooEarly    AlertCode = "COOK_TOO_EARLY"
	StartLate       AlertCode = "START_LATE"
	BehindSchedule  AlertCode = "BEHIND_SCHEDULE"
	Overrun         AlertCode = "OVERRUN"
	QCFailed        AlertCode = "QC_FAILED"
	QCWaiting       AlertCode = "QC_WAITING"
	SampleMissing   AlertCode = "SAMPLE_MISSING"
	CostOver        AlertCode = "COST_OVER"
	WasteHigh       AlertCode = "WASTE_HIGH"
	YieldLow        AlertCode = "YIELD_LOW"
	OverCapacity    AlertCode = "OVER_CAPACITY"
	NoReading       AlertCode = "NO_READING"
	DocExpiring     AlertCode = "DOC_EXPIRING" // of a kitchen, not of a batch
)

// AlertStatus is where an alert stands.
type AlertStatus string

// The statuses of an alert. The last two are final.
const (
	AlertOpen         AlertStatus = "OPEN"
	AlertAcknowledged AlertStatus = "ACKNOWLEDGED"
	AlertResolved     AlertStatus = "RESOLVED"
	AlertAutoResolved AlertStatus = "AUTO_RESOLVED"
)

// Words are one text in both languages.
type Words struct {
	ID string `json:"id"`
	EN string `json:"en"`
}

// Alert says that something is wrong. There is at most one open or acknowledged alert a batch and code; it may only rise.
type Alert struct {
	ID           string
	Tenant       tenant.ID
	Code         AlertCode
	Severity     Severity
	Status       AlertStatus
	ProductionID string // empty: the alert is the kitchen's
	BatchNumber  string
	Message      Words
	Value        float64 // what was found, in Unit
	Limit        float64 // what was wanted, in Unit
	Unit         string  // °C, min, %, kg, Rp, porsi, hari, or empty

	RaisedAt         Instant
	RisenAt          Instant // when it came to its severity
	AcknowledgedAt   Instant
	AcknowledgedBy   string
	ResolvedAt       Instant
	ResolvedBy       string // empty for one that resolved itself
	CorrectiveAction string

	// Escalations counts how often Head and Nutritionist were called because nobody answered, the last time at EscalatedAt.
	Escalations int
	EscalatedAt Instant

	// NextEscalation is when they are called next if nobody answers; zero: never.
	NextEscalation Instant

	Source Source // AppRecord: an app says so, and no rule; empty: it comes from a rule
}

// Active reports whether the alert is neither resolved nor has resolved itself.
func (a Alert) Active() bool { return a.Status == AlertOpen || a.Status == AlertAcknowledged }

// Sounds reports whether the alert makes a noise until somebody answers.
func (a Alert) Sounds() bool { return a.Status == AlertOpen && a.Severity.Rank() >= High.Rank() }

// alertJSON is the alert object of the events: times are milliseconds, and what is not known is left out.
type alertJSON struct {
	ID               string      `json:"id"`
	Code             AlertCode   `json:"code"`
	Severity         Severity    `json:"severity"`
	Status           AlertStatus `json:"status"`
	ProductionID     string      `json:"productionId"`
	BatchNumber      string      `json:"batchNumber"`
	Message          Words       `json:"message"`
	Value            float64     `json:"value"`
	Limit            float64     `json:"limit"`
	Unit             string      `json:"unit"`
	RaisedAt         int64       `json:"raisedAt"`
	RisenAt          int64       `json:"risenAt,omitempty"`
	AcknowledgedAt   int64       `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy   string      `json:"acknowledgedBy,omitempty"`
	ResolvedAt       int64       `json:"resolvedAt,omitempty"`
	ResolvedBy       string      `json:"resolvedBy,omitempty"`
	CorrectiveAction string      `json:"correctiveAction,omitempty"`
	Escalations      int         `json:"escalations,omitempty"`
	EscalatedAt      int64       `json:"escalatedAt,omitempty"`
	Source           Source      `json:"source,omitempty"`
}

// MarshalJSON returns the alert object of the events.
func (a Alert) MarshalJSON() ([]byte, error) {
	return json.Marshal(alertJSON{
		a.ID, a.Code, a.Severity, a.Status, a.ProductionID, a.BatchNumber, a.Message, a.Value, a.Limit, a.Unit,
		int64(a.RaisedAt), int64(a.RisenAt), int64(a.AcknowledgedAt), a.AcknowledgedBy, int64(a.ResolvedAt), a.ResolvedBy,
		a.CorrectiveAction, a.Escalations, int64(a.EscalatedAt), a.Source,
	})
}

// UnmarshalJSON reads what MarshalJSON writes. Tenant and NextEscalation are not in it.
func (a *Alert) UnmarshalJSON(data []byte) error {
	var j alertJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*a = Alert{
		ID: j.ID, Code: j.Code, Severity: j.Severity, Status: j.Status, ProductionID: j.ProductionID, BatchNumber: j.BatchNumber,
		Message: j.Message, Value: j.Value, Limit: j.Limit, Unit: j.Unit, RaisedAt: Instant(j.RaisedAt), RisenAt: Instant(j.RisenAt),
		AcknowledgedAt: Instant(j.AcknowledgedAt), AcknowledgedBy: j.AcknowledgedBy, ResolvedAt: Instant(j.ResolvedAt),
		ResolvedBy: j.ResolvedBy, CorrectiveAction: j.CorrectiveAction, Escalations: j.Escalations, EscalatedAt: Instant(j.EscalatedAt),
		Source: j.Source,
	}
	return nil
}
