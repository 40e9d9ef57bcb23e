package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"kentongan/chaos/check"
)

// join adds another round of the same scene.
func (r *row) join(o *row) {
	r.verdict.Add(o.verdict)
	r.silences = append(r.silences, o.silences...)
	slices.Sort(r.silences)
	r.took += o.took
	if r.why == "" {
		r.why = o.why
	}
}

// printTable writes what was proven, a line for each scene.
func printTable(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := []string{"fault", "engine", "count"}
	for _, c := range check.Classes() {
		head = append(head, c.String())
	}
	head = append(head, "acked", "sent", "unknown", "delivered", "reconnects", "gaps", "silence p50", "p99", "max ms", "took s", "")
	_, _ = fmt.Fprintln(w, strings.Join(head, "\t")+"\t")
	for i := range rows {
		r := &rows[i]
		s := &r.verdict.Stats
		cells := []any{r.scene.name, fmt.Sprintf("%s×%d", r.scene.engine, r.scene.nodes), s.Faults}
		for _, c := range check.Classes() {
			cells = append(cells, r.verdict.Counts[c])
		}
		cells = append(cells, s.Acked, s.Sent, s.Unknown, s.Deliveries, s.Reconnects, s.Gaps)
		for _, part := range []float64{0.5, 0.99, 1} {
			cells = append(cells, check.Quantile(r.silences, part).Milliseconds())
		}
		cells = append(cells, int(r.took/time.Second), r.word())
		for _, c := range cells {
			_, _ = fmt.Fprintf(w, "%v\t", c)
		}
		_, _ = fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for i := range rows {
		if len(rows[i].steps) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(out, "\n%s\n\n", rows[i].kitchen)
		if err := printSteps(out, rows[i].steps); err != nil {
			return err
		}
	}
	return nil
}

// word says whether the row is good.
func (r *row) word() string {
	switch {
	case r.why != "":
		return "EMPTY: " + r.why
	case !r.verdict.Flawless():
		return "WRONG"
	}
	return "ok"
}
