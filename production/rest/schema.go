package rest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/production"
	"kentongan/tenant"
)

const schemaPrefix = "#/components/schemas/"

// newRegistry makes schemas out of Go types. Production's types know nothing of OpenAPI: describe adds what they mean.
func newRegistry() huma.Registry {
	r := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	r.RegisterTypeAlias(reflect.TypeFor[production.Alert](), reflect.TypeFor[alertObject]())
	r.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	return r
}

// alertObject is the JSON of production.Alert, which it writes by itself; a test compares them.
type alertObject struct {
	ID               string                 `json:"id"`
	Code             production.AlertCode   `json:"code"`
	Severity         production.Severity    `json:"severity"`
	Status           production.AlertStatus `json:"status"`
	ProductionID     string                 `json:"productionId"`
	BatchNumber      string                 `json:"batchNumber"`
	Message          production.Words       `json:"message"`
	Value            float64                `json:"value"`
	Limit            float64                `json:"limit"`
	Unit             string                 `json:"unit"`
	RaisedAt         int64                  `json:"raisedAt"`
	RisenAt          int64                  `json:"risenAt,omitempty"`
	AcknowledgedAt   int64                  `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy   string                 `json:"acknowledgedBy,omitempty"`
	ResolvedAt       int64                  `json:"resolvedAt,omitempty"`
	ResolvedBy       string                 `json:"resolvedBy,omitempty"`
	CorrectiveAction string                 `json:"correctiveAction,omitempty"`
	Escalations      int                    `json:"escalations,omitempty"`
	EscalatedAt      int64                  `json:"escalatedAt,omitempty"`
	Source           production.Source      `json:"source,omitempty"`
}

// alertCodes are all rules of alerts.
var alertCodes = []production.AlertCode{
	production.CoreTempLow, production.HotHoldLow, production.ColdHoldHigh, production.EatBy, production.DispatchTooLate,
	production.CookTooEarly, production.StartLate, production.BehindSchedule, production.Overrun, production.QCFailed, production.QCWaiting,
	production.SampleMissing, production.CostOver, production.WasteHigh, production.YieldLow, production.OverCapacity, production.NoReading,
	production.DocExpiring,
}

func choice[T ~string](values ...T) func() *huma.Schema {
	return func() *huma.Schema {
		s := &huma.Schema{Type: huma.TypeString}
		for _, v := range values {
			s.Enum = append(s.Enum, string(v))
		}
		return s
	}
}

func text(format string) func() *huma.Schema {
	return func() *huma.Schema { return &huma.Schema{Type: huma.TypeString, Format: format} }
}

// scalars are the types that JSON writes otherwise than Go keeps them, or that have few values.
var scalars = map[reflect.Type]func() *huma.Schema{
	reflect.TypeFor[production.Instant]():   text("date-time"),
	reflect.TypeFor[production.Day]():       text("date"),
	reflect.TypeFor[production.Celsius]():   func() *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} },
	reflect.TypeFor[production.Kilograms](): func() *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} },
	reflect.TypeFor[production.Zone]():      choice(production.WIB, production.Pontianak, production.WITA, production.WIT),
	reflect.TypeFor[production.Hash](): func() *huma.Schema {
		return &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{64}$"}
	},
	reflect.TypeFor[tenant.ID]():                text(""),
	reflect.TypeFor[production.Status]():        choice(production.Statuses...),
	reflect.TypeFor[production.ControlMode]():   choice(production.ControlTime, production.ControlHot, production.ControlCold),
	reflect.TypeFor[production.Source]():        choice(production.OwnRecord, production.AppRecord),
	reflect.TypeFor[production.ReadingKind]():   choice(production.ReadingKinds...),
	reflect.TypeFor[production.ReadingSource](): choice(production.Manual, production.Probe),
	reflect.TypeFor[production.CheckType]():     choice(production.CheckTypes...),
	reflect.TypeFor[production.Severity]():      choice(production.Low, production.Medium, production.High, production.Critical),
	reflect.TypeFor[production.AlertCode](): func() *huma.Schema {
		return &huma.Schema{
			Description: "The rule that the alert comes from; of one with the source APP, what the app calls it.",
			AnyOf:       []*huma.Schema{choice(alertCodes...)(), {Type: huma.TypeString, Pattern: "^[A-Za-z0-9_.:-]{1,60}$"}},
		}
	},
	reflect.TypeFor[production.AlertStatus](): choice(production.AlertOpen, production.AlertAcknowledged, production.AlertResolved,
		production.AlertAutoResolved),
	reflect.TypeFor[production.Role]():    text(""),
	reflect.TypeFor[production.Warning](): choice(production.WarnOverCapacity, production.WarnClockOff, production.WarnLate),
	reflect.TypeFor[json.RawMessage]():    func() *huma.Schema { return &huma.Schema{} },
	reflect.TypeFor[map[production.Status]int](): func() *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeInteger}}
	},
}

// needed are the fields that a body must have; the rules say the same, later and with a reason.
var needed = map[string][]string{
	"CreateBody":     {"programId", "menuId", "productionDate", "plannedPortions", "plannedStartTime", "plannedEndTime"},
	"UpdateBody":     {},
	"WorkBody":       {},
	"Work":           {},
	"TransitionBody": {"to"},
	"CancelBody":     {"reason"},
	"ReadingBody":    {"kind", "celsius"},
	"CheckBody":      {"checkType", "parameter", "actualValue"},
	"PhotoBody":      {"photo"},
	"CorrectionBody": {"field", "value", "reason"},
	"DishCooked":     {"name"},
	"Dish":           {"name"},
	"Certificate":    {"kind", "validUntil"},
}

// describe adds to each schema what its fields mean, how they are written, and which of them may be null.
func describe(doc *huma.OpenAPI) {
	registry := doc.Components.Schemas
	for _, name := range slices.Sorted(maps.Keys(registry.Map())) {
		s := registry.Map()[name]
		s.Description = types[name]
		for _, f := range jsonFields(registry.TypeFromRef(schemaPrefix + name)) {
			p := schemaOf(f.typ, s.Properties[f.name])
			p.Nullable = p.Ref == "" && p.Type != "" && f.always && nullable(f.typ)
			w, ok := words[name+"."+f.name]
			if !ok {
				w = words[f.name]
			}
			w.describe(p)
			s.Properties[f.name] = p
		}
		if name == "Limits" {
			describeLimits(s)
		}
		if list, ok := needed[name]; ok {
			s.Required = list
		}
		s.PrecomputeMessages()
	}
}

// describeLimits takes what limits mean from their table.
func describeLimits(s *huma.Schema) {
	for _, l := range production.LimitTable() {
		p, scale, unit := s.Properties[l.Name], 1.0, l.Unit
		if unit == "0.1 °C" {
			scale, unit = 10, "°C"
		}
		def := strings.TrimSpace(strconv.FormatFloat(float64(l.Default)/scale, 'f', -1, 64) + " " + unit)
		p.Description = "Left out: " + def + "."
		if l.Safety {
			p.Description += " Safety: stricter is " + strings.ToLower(string(l.Stricter)) + "."
		}
		lo, hi := float64(l.Min)/scale, float64(l.Max)/scale
		p.Minimum, p.Maximum = &lo, &hi
	}
}

// nullable reports whether JSON writes null for the zero value of t.
func nullable(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t == reflect.TypeFor[production.Instant]()
}

// schemaOf returns the schema of t; was is what huma made of it.
func schemaOf(t reflect.Type, was *huma.Schema) *huma.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if special, ok := scalars[t]; ok {
		return special()
	}
	if t.Kind() == reflect.Slice && was.Items != nil {
		was.Items = schemaOf(t.Elem(), was.Items)
	}
	return was
}

// jsonField is a field as JSON has it.
type jsonField struct {
	name   string
	typ    reflect.Type
	always bool // it is written whatever its value
}

// jsonFields returns the fields of a struct, those of embedded ones included.
func jsonFields(t reflect.Type) []jsonField {
	var out []jsonField
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			out = append(out, jsonFields(f.Type)...)
		case name != "" && name != "-" && f.IsExported():
			out = append(out, jsonField{name, f.Type, !strings.Contains(opts, "omit")})
		}
	}
	return out
}

// word is what a field means, and its range.
type word struct {
	doc      string
	min, max *float64
	length   int // of text, in characters; 0: no bound of its own
	items    int // of a list; 0: no bound of its own
}

func says(doc string) word { return word{doc: doc} }

func between(lo, hi float64, doc string) word { return word{doc: doc, min: &lo, max: &hi} }

func notNegative(doc string) word { return word{doc: doc, min: new(float64)} }

func upTo(characters int, doc string) word { return word{doc: doc, length: characters} }

func atMost(entries int, doc string) word { return word{doc: doc, items: entries} }

func (w word) describe(s *huma.Schema) {
	s.Description = w.doc
	s.Minimum, s.Maximum = w.min, w.max
	if w.length > 0 {
		s.MaxLength = &w.length
	}
	if w.items > 0 {
		s.MaxItems = &w.items
	}
}
