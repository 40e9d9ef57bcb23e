package production

import "kentongan/tenant"

// Kitchen is one tenant as the rules see it: where it is, and its limits.
type Kitchen struct {
	ID            tenant.ID     `json:"sppgId"`
	Name          string        `json:"name"`          // at most 100 characters
	Zone          Zone          `json:"timeZone"`      // the zero Zone is WIB
	CertifiedCook bool          `json:"certifiedCook"` // a certified cook raises the day's cap of portions
	YoungGroups   []string      `json:"youngGroups"`   // target groups that are toddlers to grade 3; nil: DefaultYoungGroups
	Certificates  []Certificate `json:"certificates"`  // SLHS and others that expire, at most 20
	Limits        Limits        `json:"limits"`
	Version       int64         `json:"version"` // 0: nobody has set anything; the defaults hold
	UpdatedAt     Instant       `json:"updatedAt"`
	UpdatedBy     string        `json:"updatedBy"`
}

// Certificate is a document that expires.
type Certificate struct {
	Kind       string `json:"kind"`   // SLHS, HALAL …, 1 to 40 characters
	Number     string `json:"number"` // at most 60
	ValidUntil Day    `json:"validUntil"`
}

// KitchenState is a kitchen with its open alerts: those that belong to no batch. It is the other unit of concurrency.
type KitchenState struct {
	Kitchen  Kitchen
	Alerts   []Alert
	Settled  []Settled // as in Facts; kept as JSON
	Revision int64     // 0: not stored yet; a kitchen exists from its first use, with the default limits
	NextLook Instant   // as in Batch
}

// Person is a member of a kitchen's staff. IDs are those of the app's users.
type Person struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"` // 1 to 100 characters
	Role    Role    `json:"role"`
	Active  bool    `json:"active"`
	PIN     PINHash `json:"-"` // empty: none set
	Updated Instant `json:"updatedAt"`
}

// Menu is what can be cooked.
type Menu struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"` // 1 to 200 characters
	Active  bool     `json:"active"`
	Dishes  []Dish   `json:"dishes,omitempty"` // what a batch of it begins with: names and Cold
	Groups  []string `json:"targetGroups,omitempty"`
	Updated Instant  `json:"updatedAt"`
}

// Programme is what a batch is cooked for and paid by.
type Programme struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"` // 1 to 200 characters
	Active  bool    `json:"active"`
	Updated Instant `json:"updatedAt"`
}

// References are the light lists that a batch refers to. The app, or a file, owns them; here they are only looked up.
type References struct {
	People     []Person    `json:"staff,omitempty"`
	Menus      []Menu      `json:"menus,omitempty"`
	Programmes []Programme `json:"programmes,omitempty"`
}

// Limits are a kitchen's own numbers. A nil field is the default. Those that are marked safety may be stricter than the
// default, never looser. LimitTable has the default, the unit and the direction of each.
type Limits struct {
	EatWithinMin   *int `json:"eatWithinMinutes,omitempty"`   // safety
	EatByMediumMin *int `json:"eatByMediumMinutes,omitempty"` // safety
	EatByHighMin   *int `json:"eatByHighMinutes,omitempty"`   // safety
	TravelMin      *int `json:"travelMinutes,omitempty"`      // safety
	EatingMin      *int `json:"eatingMinutes,omitempty"`      // safety

	CoreMinC      *Celsius `json:"coreMinC,omitempty"`      // safety
	CoreCriticalC *Celsius `json:"coreCriticalC,omitempty"` // safety

	HotHoldMinC        *Celsius `json:"hotHoldMinC,omitempty"`            // safety
	HotHoldMediumSec   *int     `json:"hotHoldMediumSeconds,omitempty"`   // safety
	HotHoldHighMin     *int     `json:"hotHoldHighMinutes,omitempty"`     // safety
	HotHoldCriticalMin *int     `json:"hotHoldCriticalMinutes,omitempty"` // safety

	ColdHoldMaxC        *Celsius `json:"coldHoldMaxC,omitempty"`            // safety
	ColdHoldHighC       *Celsius `json:"coldHoldHighC,omitempty"`           // safety
	ColdHoldMediumMin   *int     `json:"coldHoldMediumMinutes,omitempty"`   // safety
	ColdHoldHighMin     *int     `json:"coldHoldHighMinutes,omitempty"`     // safety
	ColdHoldCriticalMin *int     `json:"coldHoldCriticalMinutes,omitempty"` // safety

	ReworkMax        *int `json:"reworkMax,omitempty"`            // safety
	ReworkWithinMin  *int `json:"reworkWithinMinutes,omitempty"`  // safety
	HygieneMinScore  *int `json:"hygieneMinScore,omitempty"`      // safety
	SensoryMinRating *int `json:"sensoryMinRating,omitempty"`     // safety
	SampleKeepHours  *int `json:"sampleKeepHours,omitempty"`      // safety, default 72, at least 48
	SampleMissingMin *int `json:"sampleMissingMinutes,omitempty"` // safety

	DayCap          *int `json:"dayCap,omitempty"`          // safety
	DayCapCertified *int `json:"dayCapCertified,omitempty"` // safety

	EscalateHighMin     *int `json:"escalateHighMinutes,omitempty"`     // safety
	EscalateCriticalMin *int `json:"escalateCriticalMinutes,omitempty"` // safety
	EscalateRepeatMin   *int `json:"escalateRepeatMinutes,omitempty"`   // safety

	NoReadingLowMin    *int `json:"noReadingLowMinutes,omitempty"`    // safety
	NoReadingMediumMin *int `json:"noReadingMediumMinutes,omitempty"` // safety
	ProbeSilentMin     *int `json:"probeSilentMinutes,omitempty"`     // safety

	StartEarlyHours    *int `json:"startEarlyHours,omitempty"`
	StartLateMediumMin *int `json:"startLateMediumMinutes,omitempty"`
	StartLateHighMin   *int `json:"startLateHighMinutes,omitempty"`
	BehindMediumPoints *int `json:"behindMediumPoints,omitempty"`
	BehindHighPoints   *int `json:"behindHighPoints,omitempty"`
	OverrunMediumMin   *int `json:"overrunMediumMinutes,omitempty"`
	OverrunHighMin     *int `json:"overrunHighMinutes,omitempty"`
	QCWaitingMediumMin *int `json:"qcWaitingMediumMinutes,omitempty"`
	QCWaitingHighMin   *int `json:"qcWaitingHighMinutes,omitempty"`
	CostMediumPercent  *int `json:"costMediumPercent,omitempty"`
	CostHighPercent    *int `json:"costHighPercent,omitempty"`
	CostYoungRupiah    *int `json:"costYoungRupiah,omitempty"`
	CostRupiah         *int `json:"costRupiah,omitempty"`
	WasteMediumKg      *int `json:"wasteMediumKg,omitempty"`
	WasteHighKg        *int `json:"wasteHighKg,omitempty"`
	YieldMediumPercent *int `json:"yieldMediumPercent,omitempty"`
	YieldHighPercent   *int `json:"yieldHighPercent,omitempty"`
	CertificateDays    *int `json:"certificateDays,omitempty"`
}
