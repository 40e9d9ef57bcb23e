package check

import (
	"fmt"
	"strings"
)

// Class is a kind of mistake.
type Class uint8

// The classes. Each has to be zero.
const (
	Lost          Class = iota // has to arrive, did not, and no gap covers it
	Twice                      // handed to the application twice, or stamped twice
	Order                      // offsets or sequence numbers do not rise, or two readers see two histories
	Leak                       // to a tenant or a channel that the connection has no right to
	Undeclared                 // offsets jump, or the epoch changes, without a gap
	Needless                   // a gap although nothing was missing or could be
	Phantom                    // never sent, refused, or changed on the way
	Stale                      // delivered after the right had ended
	Stuck                      // not at the end of the channel when everything has been quiet for long
	Indeterminate              // an unknown outcome that appears twice
	classes
)

var classNames = [classes]string{
	"lost", "twice", "order", "leak", "undeclared", "needless", "phantom", "stale", "stuck", "indeterminate",
}

// Classes returns all classes, in the order of the table.
func Classes() []Class {
	all := make([]Class, classes)
	for i := range all {
		all[i] = Class(i)
	}
	return all
}

// String returns the name of c.
func (c Class) String() string { return classNames[c] }

// Finding is one mistake, in words.
type Finding struct {
	Class Class
	Text  string
}

// maxFindings bounds those that are kept in words of each class; all are counted.
const maxFindings = 10

// Verdict is what histories have proven.
type Verdict struct {
	Counts   [classes]int
	Findings []Finding
	Stats    Stats
}

// Stats says how much was looked at.
type Stats struct {
	Publications int
	Acked        int
	Sent         int
	Unknown      int
	Refused      int
	Deliveries   int
	Subscribers  int
	Reconnects   int // connections of subscribers after their first
	Gaps         int // that were told
	Declared     int // publications that did not arrive and that a gap covers, over all subscribers
	Resent       int // repeated to bare clients after a reconnect
	Renewed      int // repeated by their publisher after the history was lost
	Faults       int
}

// Add adds another run's figures.
func (v *Verdict) Add(o Verdict) {
	for i := range v.Counts {
		v.Counts[i] += o.Counts[i]
	}
	v.Findings = append(v.Findings, o.Findings...)
	s, t := &v.Stats, o.Stats
	s.Publications += t.Publications
	s.Acked += t.Acked
	s.Sent += t.Sent
	s.Unknown += t.Unknown
	s.Refused += t.Refused
	s.Deliveries += t.Deliveries
	s.Subscribers += t.Subscribers
	s.Reconnects += t.Reconnects
	s.Gaps += t.Gaps
	s.Declared += t.Declared
	s.Resent += t.Resent
	s.Renewed += t.Renewed
	s.Faults += t.Faults
}

// Empty returns why the run proves nothing, "" if it does prove something.
func (v *Verdict) Empty() string {
	switch {
	case v.Stats.Acked+v.Stats.Sent == 0:
		return "no message was acknowledged"
	case v.Stats.Deliveries == 0:
		return "no message was delivered"
	case v.Stats.Faults == 0:
		return "no fault was injected"
	case v.Stats.Reconnects == 0:
		return "no client had to connect again"
	}
	return ""
}

// Flawless reports whether there was no mistake.
func (v *Verdict) Flawless() bool { return v.Counts == [classes]int{} }

// String names the counts that are not zero, and the first findings.
func (v *Verdict) String() string {
	var b strings.Builder
	for c, n := range v.Counts {
		if n > 0 {
			fmt.Fprintf(&b, "%s %d; ", Class(c), n)
		}
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "\n  %s: %s", f.Class, f.Text)
	}
	return b.String()
}

// Find adds a mistake that something else than the histories has shown.
func (v *Verdict) Find(c Class, format string, args ...any) { v.find(c, format, args...) }

func (v *Verdict) find(c Class, format string, args ...any) {
	v.Counts[c]++
	if v.Counts[c] <= maxFindings {
		v.Findings = append(v.Findings, Finding{c, fmt.Sprintf(format, args...)})
	}
}
