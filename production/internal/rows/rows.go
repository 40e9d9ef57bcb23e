// Package rows is what the stores have in common: how a record is written as JSON, what follows from it for columns, and
// when a commit is broken in itself. It knows no database.
//
// The JSON differs from that of the API in what has to come back exactly: instants are milliseconds, temperatures and weights
// are tenths, and nothing is checked when it is read, for a store answers what it was given even if the rules have become
// stricter since. What is missing is zero and what is not known is left out, so a field can be added without a migration.
package rows

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"kentongan/production"
	"kentongan/tenant"
)

// Encode returns v as JSON: one of the types of package production that are stored so, or a list of strings. The error is
// for what JSON cannot hold: text that is not UTF-8, numbers that are not finite.
func Encode(v any) ([]byte, error) { return json.Marshal(v, written) }

// Decode reads what Encode wrote into the variable that v points to.
func Decode(data []byte, v any) error { return json.Unmarshal(data, v, read) }

// alert is production.Alert under the names that it is stored with. Its own MarshalJSON leaves out what screens do not need.
type alert struct {
	ID               string                 `json:"id"`
	Tenant           tenant.ID              `json:"sppgId"`
	Code             production.AlertCode   `json:"code"`
	Severity         production.Severity    `json:"severity"`
	Status           production.AlertStatus `json:"status"`
	ProductionID     string                 `json:"productionId"`
	BatchNumber      string                 `json:"batchNumber"`
	Message          production.Words       `json:"message"`
	Value            float64                `json:"value"`
	Limit            float64                `json:"limit"`
	Unit             string                 `json:"unit"`
	RaisedAt         production.Instant     `json:"raisedAt"`
	RisenAt          production.Instant     `json:"risenAt"`
	AcknowledgedAt   production.Instant     `json:"acknowledgedAt"`
	AcknowledgedBy   string                 `json:"acknowledgedBy"`
	ResolvedAt       production.Instant     `json:"resolvedAt"`
	ResolvedBy       string                 `json:"resolvedBy"`
	CorrectiveAction string                 `json:"correctiveAction"`
	Escalations      int                    `json:"escalations"`
	EscalatedAt      production.Instant     `json:"escalatedAt"`
	NextEscalation   production.Instant     `json:"nextEscalation"`
	Source           production.Source      `json:"source"`
}

// written leaves out what is zero, which is most of a batch at first: half of the bytes, and of the time to read them. It keeps
// the difference between an empty list and none, for the API shows it, and between 0 and unknown.
var written = json.JoinOptions(json.FormatNilSliceAsNull(true), json.OmitZeroStructFields(true), json.WithMarshalers(json.JoinMarshalers(
	whole[production.Instant](), whole[production.Celsius](), whole[production.Kilograms](),
	text[production.Zone](), text[production.Day](),
	json.MarshalToFunc(func(e *jsontext.Encoder, a production.Alert) error { return json.MarshalEncode(e, alert(a)) }),
)))

var read = json.WithUnmarshalers(json.JoinUnmarshalers(
	wholeBack[production.Instant](), wholeBack[production.Celsius](), wholeBack[production.Kilograms](),
	textBack[production.Zone](), textBack[production.Day](),
	json.UnmarshalFromFunc(func(d *jsontext.Decoder, a *production.Alert) error { return json.UnmarshalDecode(d, (*alert)(a)) }),
))

func whole[T ~int32 | ~int64]() *json.Marshalers {
	return json.MarshalToFunc(func(e *jsontext.Encoder, v T) error { return e.WriteToken(jsontext.Int(int64(v))) })
}

// wholeBack reads a number as the digits that it is: no detour, and no check.
func wholeBack[T ~int32 | ~int64]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *T) error {
		digits, err := d.ReadValue()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(digits), 10, 64)
		*v = T(n)
		return err
	})
}

func text[T ~string]() *json.Marshalers {
	return json.MarshalToFunc(func(e *jsontext.Encoder, v T) error { return e.WriteToken(jsontext.String(string(v))) })
}

func textBack[T ~string]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *T) error {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		*v = T(t.String())
		return nil
	})
}

// Number returns the NNNN of a batch number BATCH-YYYYMMDD-NNNN of p's day, or 0 if it has none: an app may number its batches as it likes.
func Number(p *production.Production) int {
	digits, ok := strings.CutPrefix(p.BatchNumber, "BATCH-"+strings.ReplaceAll(string(p.Day), "-", "")+"-")
	if !ok || digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// Search returns the text of p that BatchFilter.Text is looked for in: it matches if it contains Fold(f.Text).
func Search(p *production.Production) string { return Fold(p.BatchNumber) + "\n" + Fold(p.MenuName) }

// Fold returns s as it is compared whatever its case. It has no line break, so that no match reaches from one text into the next.
func Fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "\n", " ") }
