package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is what all rounds of one program in one scene have shown together.
type row struct {
	Scene    string    `json:"scene"`
	Engine   string    `json:"engine"`
	Program  string    `json:"program"`
	Screens  int       `json:"screens"`
	Kind     kind      `json:"kind"`
	Ratio    float64   `json:"ratio,omitempty"` // of the CPU time of a unit to the floor's; zero: no floor
	Aim      string    `json:"aim,omitempty"`
	Missed   bool      `json:"aimMissed,omitempty"`
	Median   outcome   `json:"median"` // of each figure by itself; counts are sums, Failed is the first
	Rounds   []outcome `json:"rounds"`
	PerUnit  float64   `json:"cpuUsPerUnit"`               // median CPU time of a delivery, or of a connection, in µs
	PerConn  float64   `json:"memoryBytesPerConnection"`   // median growth of RSS over the connections
	Allocs   float64   `json:"allocationsPerUnit"`         // median; below zero: not told
	RedisPer float64   `json:"redisCPUUsPerMessage"`       // median CPU time of Redis for a published message, in µs
	Messages float64   `json:"messagesPerRound,omitempty"` // published in a window
}

// sum makes a row of rounds.
func sum(s scene, engine, program string, rounds []outcome) row {
	r := row{Scene: s.name, Engine: engine, Program: program, Screens: s.screens(), Kind: s.kind, Rounds: rounds}
	r.Median = outcome{
		CPU:      median(rounds, func(o outcome) time.Duration { return o.CPU }),
		RedisCPU: median(rounds, func(o outcome) time.Duration { return o.RedisCPU }),
		Rate:     median(rounds, func(o outcome) float64 { return o.Rate }),
		Late:     median(rounds, func(o outcome) time.Duration { return o.Late }),
		P50:      median(rounds, func(o outcome) time.Duration { return o.P50 }),
		P99:      median(rounds, func(o outcome) time.Duration { return o.P99 }),
		Max:      median(rounds, func(o outcome) time.Duration { return o.Max }),
		Before:   median(rounds, func(o outcome) int64 { return o.Before }),
		RSS:      median(rounds, func(o outcome) int64 { return o.RSS }),
		PSS:      median(rounds, func(o outcome) int64 { return o.PSS }),
		Opened:   median(rounds, func(o outcome) time.Duration { return o.Opened }),

		Descriptors: median(rounds, func(o outcome) int { return o.Descriptors }),
		Goroutines:  median(rounds, func(o outcome) int { return o.Goroutines }),
		Allocations: median(rounds, func(o outcome) float64 { return o.Allocations }),
	}
	for _, o := range rounds {
		r.Median.Expected += o.Expected
		r.Median.Delivered += o.Delivered
		r.Median.Failed = cmp.Or(r.Median.Failed, o.Failed)
	}
	micros := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	r.PerUnit = median(rounds, func(o outcome) float64 { return over(micros(o.CPU), float64(o.Delivered)) })
	r.PerConn = median(rounds, func(o outcome) float64 { return over(float64(o.RSS-o.Before), float64(s.screens())) })
	r.Allocs = median(rounds, func(o outcome) float64 {
		if o.Allocations < 0 {
			return -1
		}
		return over(o.Allocations, float64(o.Delivered))
	})
	if s.kind == fanOut {
		r.Messages = over(float64(r.Median.Expected), float64(s.each*len(rounds)))
		r.RedisPer = median(rounds, func(o outcome) float64 { return over(micros(o.RedisCPU), float64(o.Expected)/float64(s.each)) })
	}
	return r
}

// compare sets the ratio of r to the floor's row, which may be nil, and looks whether r has reached its scene's aim.
func (r *row) compare(floor *row, a aim) {
	if floor != nil && floor.PerUnit > 0 {
		r.Ratio = r.PerUnit / floor.PerUnit
	}
	switch {
	case a.ratio > 0:
		r.Aim = fmt.Sprintf("≤ %.2f × floor", a.ratio)
		r.Missed = r.Ratio > a.ratio
	case a.bytesEach > 0:
		r.Aim = fmt.Sprintf("≤ %.1f KB", float64(a.bytesEach)/1024)
		r.Missed = r.PerConn > float64(a.bytesEach)
	case a.cpu > 0:
		r.Aim = fmt.Sprintf("≤ %v CPU", a.cpu)
		r.Missed = r.PerUnit > float64(a.cpu)/float64(time.Microsecond)
	}
}

// failed reports whether something was lost in any row.
func failed(rows []row) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.Median.Failed != "" })
}

// median returns the middle figure of rounds, or the mean of the two in the middle.
func median[N int | int64 | float64 | time.Duration](rounds []outcome, figure func(outcome) N) N {
	figures := make([]N, 0, len(rounds))
	for _, o := range rounds {
		figures = append(figures, figure(o))
	}
	if len(figures) == 0 {
		return 0
	}
	slices.Sort(figures)
	return (figures[(len(figures)-1)/2] + figures[len(figures)/2]) / 2
}

// over divides, and makes zero of a division by zero.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// printTable writes rows for a person.
func printTable(w io.Writer, rows []row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")+"\t") }
	of := func(k kind) []row {
		return slices.Collect(func(yield func(row) bool) {
			for _, r := range rows {
				if r.Kind == k && !yield(r) {
					return
				}
			}
		})
	}
	if list := of(idle); len(list) > 0 {
		line("idle", "engine", "program", "connections", "KB each", "aim", "RSS MB", "PSS MB", "goroutines", "descriptors", "open s", "")
		for _, r := range list {
			line(r.Scene, r.Engine, r.Program, fmt.Sprint(r.Screens), fmt.Sprintf("%.2f", r.PerConn/1024), r.aimCell(), megabytes(r.Median.RSS),
				megabytes(r.Median.PSS), told(float64(r.Median.Goroutines), "%.0f"), fmt.Sprint(r.Median.Descriptors),
				fmt.Sprintf("%.1f", r.Median.Opened.Seconds()), r.verdict())
		}
		line()
	}
	if list := of(connect); len(list) > 0 {
		line("connect", "engine", "program", "connections", "rate/s", "CPU µs each", "× floor", "aim", "p50 ms", "p99 ms", "max ms", "allocs", "")
		for _, r := range list {
			line(r.Scene, r.Engine, r.Program, fmt.Sprint(r.Screens), fmt.Sprintf("%.0f", r.Median.Rate), fmt.Sprintf("%.1f", r.PerUnit), r.ratioCell(),
				r.aimCell(), millis(r.Median.P50), millis(r.Median.P99), millis(r.Median.Max), told(r.Allocs, "%.0f"), r.verdict())
		}
		line()
	}
	if list := of(fanOut); len(list) > 0 {
		line("fan-out", "engine", "program", "msg/s", "CPU µs/delivery", "× floor", "aim", "p50 ms", "p99 ms", "max ms", "late ms",
			"delivered", "expected", "RSS MB", "allocs", "redis µs/msg", "")
		for _, r := range list {
			line(r.Scene, r.Engine, r.Program, fmt.Sprintf("%.0f", r.Median.Rate), fmt.Sprintf("%.2f", r.PerUnit), r.ratioCell(), r.aimCell(),
				millis(r.Median.P50), millis(r.Median.P99), millis(r.Median.Max), millis(r.Median.Late), fmt.Sprint(r.Median.Delivered),
				fmt.Sprint(r.Median.Expected), megabytes(r.Median.RSS), told(r.Allocs, "%.2f"), fmt.Sprintf("%.1f", r.RedisPer), r.verdict())
		}
	}
	return table.Flush()
}

func (r *row) aimCell() string {
	if r.Aim != "" && r.Missed {
		return r.Aim + " (missed)"
	}
	return r.Aim
}

func (r *row) ratioCell() string {
	if r.Ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", r.Ratio)
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
