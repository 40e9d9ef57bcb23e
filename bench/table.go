package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// column is one column of a table.
type column struct {
	head string
	cell func(r *row) string
}

// tables are what is shown of the scenes of each kind.
var tables = []struct {
	kind    kind
	columns []column
}{
	{idle, []column{
		{"idle", func(r *row) string { return r.Scene }},
		{"engine", func(r *row) string { return r.Engine }},
		{"program", func(r *row) string { return r.Program }},
		{"connections", func(r *row) string { return fmt.Sprint(r.Screens) }},
		{"KB each", func(r *row) string { return fmt.Sprintf("%.2f", r.PerConn/1024) }},
		{"aim", (*row).aimCell},
		{"bound", (*row).boundCell},
		{"RSS MB", func(r *row) string { return megabytes(r.Median.RSS) }},
		{"PSS MB", func(r *row) string { return megabytes(r.Median.PSS) }},
		{"goroutines", func(r *row) string { return told(float64(r.Median.Goroutines), "%.0f") }},
		{"descriptors", func(r *row) string { return fmt.Sprint(r.Median.Descriptors) }},
		{"open s", func(r *row) string { return fmt.Sprintf("%.1f", r.Median.Opened.Seconds()) }},
		{"", (*row).verdict},
	}},
	{connect, []column{
		{"connect", func(r *row) string { return r.Scene }},
		{"engine", func(r *row) string { return r.Engine }},
		{"program", func(r *row) string { return r.Program }},
		{"connections", func(r *row) string { return fmt.Sprint(r.Screens) }},
		{"rate/s", func(r *row) string { return fmt.Sprintf("%.0f", r.Median.Rate) }},
		{"CPU µs each", func(r *row) string { return fmt.Sprintf("%.1f", r.PerUnit) }},
		{"× floor", (*row).ratioCell},
		{"aim", (*row).aimCell},
		{"bound", (*row).boundCell},
		{"p50 ms", func(r *row) string { return millis(r.Median.P50) }},
		{"p99 ms", func(r *row) string { return millis(r.Median.P99) }},
		{"max ms", func(r *row) string { return millis(r.Median.Max) }},
		{"allocs", func(r *row) string { return told(r.Allocs, "%.0f") }},
		{"", (*row).verdict},
	}},
	{fanOut, []column{
		{"fan-out", func(r *row) string { return r.Scene }},
		{"engine", func(r *row) string { return r.Engine }},
		{"program", func(r *row) string { return r.Program }},
		{"msg/s", func(r *row) string { return fmt.Sprintf("%.0f", r.Median.Rate) }},
		{"CPU µs each", func(r *row) string { return fmt.Sprintf("%.2f", r.PerUnit) }},
		{"× floor", (*row).ratioCell},
		{"aim", (*row).aimCell},
		{"bound", (*row).boundCell},
		{"p50 ms", func(r *row) string { return millis(r.Median.P50) }},
		{"p99 ms", func(r *row) string { return millis(r.Median.P99) }},
		{"max ms", func(r *row) string { return millis(r.Median.Max) }},
		{"driver %", func(r *row) string { return fmt.Sprintf("%.0f", 100*r.Median.DriverLoad) }},
		{"late ms", func(r *row) string { return millis(r.Median.Late) }},
		{"delivered", func(r *row) string { return fmt.Sprint(r.Median.Delivered) }},
		{"expected", func(r *row) string { return fmt.Sprint(r.Median.Expected) }},
		{"RSS MB", func(r *row) string { return megabytes(r.Median.RSS) }},
		{"allocs", func(r *row) string { return told(r.Allocs, "%.2f") }},
		{"redis µs/msg", (*row).redisCell},
		{"", (*row).verdict},
	}},
}

// printTable writes rows for a person, those of each kind in a table of their own.
func printTable(w io.Writer, rows []row) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, table := range tables {
		begun := false
		for i := range rows {
			if rows[i].Kind != table.kind {
				continue
			}
			if !begun {
				begun = true
				_, _ = fmt.Fprintln(out, line(table.columns, func(c column) string { return c.head }))
			}
			_, _ = fmt.Fprintln(out, line(table.columns, func(c column) string { return c.cell(&rows[i]) }))
		}
		if begun {
			_, _ = fmt.Fprintln(out)
		}
	}
	return out.Flush() // it has the first error of the writes before
}

func line(columns []column, text func(column) string) string {
	var cells strings.Builder
	for _, c := range columns[:len(columns)-1] {
		cells.WriteString(text(c) + "\t")
	}
	return cells.String() + "  " + text(columns[len(columns)-1]) // a verdict is long, and must not widen a column
}

func (r *row) aimCell() string { return promised(r.Aim, r.Missed) }

func (r *row) boundCell() string { return promised(r.Bound, r.Beyond) }

func promised(text string, missed bool) string {
	if missed {
		return text + " (missed)"
	}
	return text
}

func (r *row) ratioCell() string {
	if r.Ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", r.Ratio)
}

func (r *row) redisCell() string {
	if r.Engine != redis {
		return "–"
	}
	return fmt.Sprintf("%.1f", r.RedisPer)
}

func (r *row) verdict() string {
	if r.Median.Failed != "" {
		return "FAILED: " + r.Median.Failed
	}
	return ""
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// told spells a figure that a program may not tell.
func told(v float64, format string) string {
	if v < 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
