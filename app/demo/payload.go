package demo

import (
	"encoding/json"
	"math"
	"time"
)

// The types of this file are what the app publishes, field by field. A field that is left out has not changed.

// update is a production_update or a production_created.
type update struct {
	Type         string `json:"type"`
	ProductionID string `json:"productionId"`
	Data         any    `json:"data"`
	Timestamp    int64  `json:"timestamp"` // ms
	UpdatedBy    string `json:"updatedBy"`
}

// production is a whole batch, as production_created carries it.
type production struct {
	ID                string    `json:"id"`
	TenantID          string    `json:"sppgId"`
	ProgramID         string    `json:"programId"`
	MenuID            string    `json:"menuId"`
	MenuName          string    `json:"menuName"`
	BatchNumber       string    `json:"batchNumber"`
	ProductionDate    string    `json:"productionDate"`
	Wave              int       `json:"wave"`
	ControlMode       string    `json:"controlMode"`
	PlannedPortions   int       `json:"plannedPortions"`
	PlannedStartTime  time.Time `json:"plannedStartTime"`
	PlannedEndTime    time.Time `json:"plannedEndTime"`
	EstimatedCost     int       `json:"estimatedCost"`
	TargetTemperature float64   `json:"targetTemperature"`
	HeadCook          string    `json:"headCook"`
	SupervisorID      string    `json:"supervisorId"`
	Status            status    `json:"status"`
	Progress          int       `json:"progress"`
	Version           int       `json:"version"`
	CreatedAt         time.Time `json:"createdAt"`
}

// changes are the changed fields of a production_update.
type changes struct {
	Status            status     `json:"status,omitempty"`
	OldStatus         status     `json:"oldStatus,omitempty"`
	Progress          *int       `json:"progress,omitempty"`
	ActualPortions    *int       `json:"actualPortions,omitempty"`
	ActualTemperature *float64   `json:"actualTemperature,omitempty"`
	Reading           *reading   `json:"reading,omitempty"`
	QualityCheck      *check     `json:"qualityCheck,omitempty"`
	ActualStartTime   *time.Time `json:"actualStartTime,omitempty"`
	CookingStartedAt  *time.Time `json:"cookingStartedAt,omitempty"`
	CookedAt          *time.Time `json:"cookedAt,omitempty"`
	ConsumeBy         *time.Time `json:"consumeBy,omitempty"`
	SampleTakenAt     *time.Time `json:"sampleTakenAt,omitempty"`
	SampleKeepUntil   *time.Time `json:"sampleKeepUntil,omitempty"`
	ActualEndTime     *time.Time `json:"actualEndTime,omitempty"`
	DispatchedAt      *time.Time `json:"dispatchedAt,omitempty"`
	WasteAmount       *float64   `json:"wasteAmount,omitempty"`
	QualityPassed     *bool      `json:"qualityPassed,omitempty"`
	RejectionReason   string     `json:"rejectionReason,omitempty"`
	Version           int        `json:"version"`
}

// reading is one measured temperature.
type reading struct {
	ID           string    `json:"id"`
	ProductionID string    `json:"productionId"`
	Kind         string    `json:"kind"`
	Dish         string    `json:"dish"`
	Celsius      float64   `json:"celsius"`
	TakenAt      time.Time `json:"takenAt"`
	ReceivedAt   time.Time `json:"receivedAt"`
	Source       string    `json:"source"`
	TakenBy      string    `json:"takenBy"`
}

// check is one quality check.
type check struct {
	ID             string    `json:"id"`
	ProductionID   string    `json:"productionId"`
	CheckType      string    `json:"checkType"`
	CheckTime      time.Time `json:"checkTime"`
	CheckedBy      string    `json:"checkedBy"`
	Parameter      string    `json:"parameter"`
	ExpectedValue  string    `json:"expectedValue"`
	ActualValue    string    `json:"actualValue"`
	Passed         bool      `json:"passed"`
	Score          int       `json:"score"`
	Severity       severity  `json:"severity,omitempty"`
	ActionRequired bool      `json:"actionRequired"`
	FollowUp       bool      `json:"followUpRequired"`
}

// alertMessage is a production_alert.
type alertMessage struct {
	Type         string `json:"type"`
	ProductionID string `json:"productionId"`
	Alert        alert  `json:"alert"`
	Timestamp    int64  `json:"timestamp"` // ms
}

// alert is one alert at one moment of its life; times in ms.
type alert struct {
	ID               string      `json:"id"`
	Code             string      `json:"code"`
	Severity         severity    `json:"severity"`
	Status           alertStatus `json:"status"`
	ProductionID     string      `json:"productionId,omitempty"`
	BatchNumber      string      `json:"batchNumber,omitempty"`
	Message          words       `json:"message"`
	Value            float64     `json:"value"`
	Limit            float64     `json:"limit"`
	Unit             string      `json:"unit"`
	RaisedAt         int64       `json:"raisedAt"`
	AcknowledgedAt   int64       `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy   string      `json:"acknowledgedBy,omitempty"`
	ResolvedAt       int64       `json:"resolvedAt,omitempty"`
	ResolvedBy       string      `json:"resolvedBy,omitempty"`
	CorrectiveAction string      `json:"correctiveAction,omitempty"`
}

// words are one text in both languages.
type words struct {
	ID string `json:"id"`
	EN string `json:"en"`
}

// notice is what the other channels carry: the shape of an update, under the name of their own subject.
type notice struct {
	Type           string `json:"type"`
	InventoryID    string `json:"inventoryId,omitempty"`
	DistributionID string `json:"distributionId,omitempty"`
	NotificationID string `json:"notificationId,omitempty"`
	Data           any    `json:"data,omitempty"`
	Alert          *alert `json:"alert,omitempty"`
	Timestamp      int64  `json:"timestamp"` // ms
	UpdatedBy      string `json:"updatedBy,omitempty"`
}

// encode returns v as JSON. All types are those above, which always marshal.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("demo: " + err.Error())
	}
	return data
}

// tenth rounds to what a kitchen thermometer or scale shows.
func tenth(f float64) float64 { return math.Round(f*10) / 10 }
