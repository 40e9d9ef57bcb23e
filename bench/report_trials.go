package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a trial has shown.
type report struct {
	Trial   string   `json:"trial"`
	Engine  string   `json:"engine"`
	Load    string   `json:"load"` // in words
	Figures []figure `json:"figures"`
	Failed  string   `json:"failed,omitempty"` // what was lost or doubled
	Log     string   `json:"log,omitempty"`    // the servers' last words and counters, if it failed
}

// figure is one line of a report.
type figure struct {
	Name   string    `json:"name"`
	Value  float64   `json:"value"` // the median of the rounds
	Unit   string    `json:"unit,omitempty"`
	Aim    limit     `json:"aim,omitzero"`
	Rounds []float64 `json:"rounds"`
	Turns  []float64 `json:"turns,omitempty"` // of all rounds, where it was measured several times in each: Value is their median
}

// limit is what a figure should keep to. The zero value promises nothing.
type limit struct {
	kind  limitKind
	value float64
}

type limitKind uint8

const (
	none limitKind = iota
	least
	most
)

func atLeast(v float64) limit { return limit{least, v} }
func atMost(v float64) limit  { return limit{most, v} }

// missed reports whether v does not keep to l.
func (l limit) missed(v float64) bool {
	return l.kind == least && v < l.value || l.kind == most && v > l.value
}

// String spells l as a table does.
func (l limit) String() string {
	switch l.kind {
	case least:
		return "≥ " + number(l.value)
	case most:
		return "≤ " + number(l.value)
	case none:
	}
	return ""
}

// MarshalJSON writes l as it is spelled.
func (l limit) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// add appends a figure. An aim that is not given promises nothing.
func (r *report) add(name string, value float64, unit string, aim ...limit) {
	f := figure{Name: name, Value: value, Unit: unit, Rounds: []float64{value}}
	if len(aim) > 0 {
		f.Aim = aim[0]
	}
	r.Figures = append(r.Figures, f)
}

// each appends a figure that was measured several times. The median of values is what has to keep to the aim; all are told.
func (r *report) each(name string, values []float64, unit string, aim limit) {
	r.add(name, middle(values), unit, aim)
	r.Figures[len(r.Figures)-1].Turns = values
}

// spans adds the quantiles of a histogram that this bench tells of, in ms. The aim is that of the 99th percentile.
func (r *report) spans(name string, h histogram, aim ...limit) {
	r.add(name+" p50", ms(h.Quantile(0.5)), "ms")
	r.add(name+" p95", ms(h.Quantile(0.95)), "ms")
	r.add(name+" p99", ms(h.Quantile(0.99)), "ms", aim...)
	r.add(name+" max", ms(h.Max()), "ms")
}

// histogram is what spans needs of a latency.Histogram.
type histogram interface {
	Quantile(q float64) time.Duration
	Max() time.Duration
}

// merge makes one report of the rounds of one trial: of each figure the median, of failures the first. All rounds have the same
// figures, for the same code has added them.
func merge(rounds []report) report {
	sum := rounds[0]
	sum.Figures = slices.Clone(sum.Figures)
	for i := range sum.Figures {
		f := &sum.Figures[i]
		f.Rounds, f.Turns = nil, nil
		for _, r := range rounds {
			f.Rounds = append(f.Rounds, r.Figures[i].Value)
			f.Turns = append(f.Turns, r.Figures[i].Turns...)
		}
		if f.Value = middle(f.Rounds); len(f.Turns) > 0 {
			f.Value = middle(f.Turns)
		}
	}
	for _, r := range rounds[1:] {
		if sum.Failed == "" {
			sum.Failed, sum.Log = r.Failed, r.Log
		}
	}
	return sum
}

// printReports writes reports for a person.
func printReports(w io.Writer, reports []report) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range reports {
		_, _ = fmt.Fprintf(out, "%s, %s: %s\n", r.Trial, r.Engine, r.Load)
		for _, f := range r.Figures {
			aim := f.Aim.String()
			if f.Aim.missed(f.Value) {
				aim += " (missed)"
			}
			_, _ = fmt.Fprintf(out, "  %s\t%s\t%s\t%s\n", f.Name, f.spell(), f.Unit, strings.TrimSpace(aim+f.turns()))
		}
		if r.Failed != "" {
			_, _ = fmt.Fprintf(out, "  FAILED: %s\n", r.Failed)
		}
		_, _ = fmt.Fprintln(out)
	}
	return out.Flush()
}

// spell spells the value. A share is rounded down: what is not all must not look like it.
func (f *figure) spell() string {
	if f.Unit != "%" {
		return number(f.Value)
	}
	const tenThousandths = 1e4
	return strconv.FormatFloat(math.Floor(f.Value*tenThousandths)/tenThousandths, 'f', -1, 64)
}

// turns spells all values of a figure that has several.
func (f *figure) turns() string {
	if len(f.Turns) == 0 {
		return ""
	}
	texts := make([]string, len(f.Turns))
	for i, v := range f.Turns {
		texts[i] = number(v)
	}
	return "  of " + strings.Join(texts, ", ")
}

// number spells v with as many digits as are worth reading: a count in full, anything else with three.
func number(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	const digits = 3
	for place, bound := digits-1, 10.0; place > 0; place, bound = place-1, bound*10 {
		if v < bound && v > -bound {
			return strconv.FormatFloat(v, 'f', place, 64)
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
