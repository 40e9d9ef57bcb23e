package main

import (
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	course := func(from, to float64) (all []sample) {
		for n := range 50 {
			all = append(all, sample{aliveMiB: from + (to-from)*float64(n)/50})
		}
		return all
	}
	rest := sample{goroutines: 30, descriptors: 20}
	for name, c := range map[string]struct {
		after   sample
		samples []sample
		want    string
	}{
		"flat":                 {rest, course(50, 51), ""},
		"history fills first":  {rest, append(course(10, 60)[:10], course(60, 60)[10:]...), ""},
		"grows":                {rest, course(50, 90), "memory grows"},
		"goroutines are left":  {sample{goroutines: 300, descriptors: 20}, course(50, 50), "goroutines are left: 30 before, 300 after"},
		"descriptors are left": {sample{goroutines: 30, descriptors: 200}, course(50, 50), "descriptors are left"},
		"too short":            {rest, course(50, 50)[:5], "only 5 samples"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := verdict(rest, c.after, c.samples); err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
