package rows

import (
	"fmt"

	"kentongan/production"
)

// Kind is a sort of row that is added to a batch.
type Kind string

// The kinds.
const (
	Reading      Kind = "reading"
	QualityCheck Kind = "check"
	Sample       Kind = "sample"
	Dispatch     Kind = "dispatch"
	Correction   Kind = "correction"
	Photo        Kind = "photo"
)

// Entry is a row that is added to a batch.
type Entry struct {
	Kind         Kind
	ID           string
	ProductionID string
	Value        any // a pointer to the row
}

// Entries returns the rows that c adds, each kind in the order of c.
func Entries(c *production.Commit) []Entry {
	list := make([]Entry, 0, len(c.Readings)+len(c.Checks)+len(c.Samples)+len(c.Dispatches)+len(c.Corrections)+len(c.Photos))
	for i := range c.Readings {
		r := &c.Readings[i]
		list = append(list, Entry{Reading, r.ID, r.ProductionID, r})
	}
	for i := range c.Checks {
		r := &c.Checks[i]
		list = append(list, Entry{QualityCheck, r.ID, r.ProductionID, r})
	}
	for i := range c.Samples {
		r := &c.Samples[i]
		list = append(list, Entry{Sample, r.ID, r.ProductionID, r})
	}
	for i := range c.Dispatches {
		r := &c.Dispatches[i]
		list = append(list, Entry{Dispatch, r.ID, r.ProductionID, r})
	}
	for i := range c.Corrections {
		r := &c.Corrections[i]
		list = append(list, Entry{Correction, r.ID, r.ProductionID, r})
	}
	for i := range c.Photos {
		r := &c.Photos[i]
		list = append(list, Entry{Photo, r.ID, r.ProductionID, r})
	}
	return list
}

// Add decodes the JSON of an entry of kind k and adds it to rows.
func Add(to *production.Rows, k Kind, doc []byte) error {
	switch k {
	case Reading:
		return add(&to.Readings, doc)
	case QualityCheck:
		return add(&to.Checks, doc)
	case Sample:
		return add(&to.Samples, doc)
	case Dispatch:
		return add(&to.Dispatches, doc)
	case Correction:
		return add(&to.Corrections, doc)
	case Photo:
		return add(&to.Photos, doc)
	default:
		return fmt.Errorf("entry of unknown kind %q: the database is of a newer program", k)
	}
}

func add[T any](list *[]T, doc []byte) error {
	var v T
	if err := Decode(doc, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}
