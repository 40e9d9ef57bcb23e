package realtime

import (
	"fmt"
	"strings"
)

// Fault is one place where the data of a publication differs from the schema of its channel. It holds names, but no values.
type Fault struct {
	Path    string `json:"path"`    // a JSON Pointer into the data; "" is all of it
	Problem string `json:"problem"` // what would be right
}

// Mismatch is the error of a publication that was refused because it does not fit the schema of its channel. It is an ErrInvalid.
type Mismatch struct{ Faults []Fault } //nolint:errname // it is what was found, and read as such

// Error says what is wrong, without any value of the data.
func (m *Mismatch) Error() string {
	var b strings.Builder
	b.WriteString("the data does not fit the schema of this channel: ")
	for i, f := range m.Faults {
		if i > 0 {
			b.WriteString("; ")
		}
		path := f.Path
		if path == "" {
			path = "all of it"
		}
		fmt.Fprintf(&b, "%s %s", path, f.Problem)
	}
	return b.String()
}

// Unwrap makes it an ErrInvalid.
func (*Mismatch) Unwrap() error { return ErrInvalid }
