package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
	Bound    string    `json:"bound,omitempty"`
	Beyond   bool      `json:"boundMissed,omitempty"`
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
		CPU:        median(rounds, func(o outcome) time.Duration { return o.CPU }),
		RedisCPU:   median(rounds, func(o outcome) time.Duration { return o.RedisCPU }),
		Rate:       median(rounds, func(o outcome) float64 { return o.Rate }),
		DriverLoad: median(rounds, func(o outcome) float64 { return o.DriverLoad }),
		Late:       median(rounds, func(o outcome) time.Duration { return o.Late }),
		P50:        median(rounds, func(o outcome) time.Duration { return o.P50 }),
		P99:        median(rounds, func(o outcome) time.Duration { return o.P99 }),
		Max:        median(rounds, func(o outcome) time.Duration { return o.Max }),
		Before:     median(rounds, func(o outcome) int64 { return o.Before }),
		RSS:        median(rounds, func(o outcome) int64 { return o.RSS }),
		PSS:        median(rounds, func(o outcome) int64 { return o.PSS }),
		Opened:     median(rounds, func(o outcome) time.Duration { return o.Opened }),

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
	}
	if s.kind == fanOut && engine == redis {
		r.RedisPer = median(rounds, func(o outcome) float64 { return over(micros(o.RedisCPU), float64(o.Expected)/float64(s.each)) })
	}
	return r
}

// compare sets the ratio of r to the floor's row, which may be nil, and looks whether r has reached its scene's aim, and kept to its bound.
func (r *row) compare(floor *row, goal, bound aim) {
	if floor != nil && floor.PerUnit > 0 {
		r.Ratio = r.PerUnit / floor.PerUnit
	}
	r.Aim, r.Missed = r.against(goal)
	r.Bound, r.Beyond = r.against(bound)
}

// against spells a, and says whether r does not keep to it.
func (r *row) against(a aim) (text string, missed bool) {
	var texts []string
	keep := func(at, most float64, format string, args ...any) {
		if most > 0 {
			texts = append(texts, "≤ "+fmt.Sprintf(format, args...))
			missed = missed || at > most
		}
	}
	keep(r.Ratio, a.ratio, "%.2f × floor", a.ratio)
	keep(r.PerConn, float64(a.bytesEach), "%.1f KB", float64(a.bytesEach)/1024)
	keep(r.PerUnit, float64(a.cpu)/float64(time.Microsecond), "%v CPU", a.cpu)
	keep(float64(r.Median.Goroutines), float64(a.goroutines), "%d goroutines", a.goroutines)
	return strings.Join(texts, ", "), missed
}

// failed reports whether something was lost in any row or trial.
func failed(r results) bool {
	return slices.ContainsFunc(r.Rows, func(r row) bool { return r.Median.Failed != "" }) ||
		slices.ContainsFunc(r.Reports, func(r report) bool { return r.Failed != "" })
}

// median returns the middle figure of rounds, or the mean of the two in the middle.
func median[N int | int64 | float64 | time.Duration](rounds []outcome, figure func(outcome) N) N {
	figures := make([]N, 0, len(rounds))
	for _, o := range rounds {
		figures = append(figures, figure(o))
	}
	return middle(figures)
}

// middle returns the middle one of values, or the mean of the two in the middle; zero of none.
func middle[N int | int64 | float64 | time.Duration](values []N) N {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// over divides, and makes zero of a division by zero.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
