package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	in := `pkg: kentongan/production/sqlite
BenchmarkChanges/clients=8-2  	1	 874.9 bare/s	 840.1 changes/s	 12.5 p99-ms	 0.9602 ×bare
PASS
pkg: kentongan/production/postgres
BenchmarkChanges/clients=1/bare=tx-2  	1	 1000 bare/s	 300 changes/s	 3.25 p99-ms	 0.3 ×bare
BenchmarkDay-2  	300	 0 ns/op	 2.5 ×one-key
Benchmark of nothing
`
	aims := []aim{
		{"sqlite", "BenchmarkChanges/", "×bare", false, 0.5, "changes"},
		{"postgres", "BenchmarkChanges/", "×bare", false, 0.5, "changes"},
		{"postgres", "BenchmarkDay", "×one-key", true, 2.5, "day"},
		{"watch", "BenchmarkPass/", "pass-ms", true, 50, "pass"},
	}
	var out strings.Builder
	if err := report(strings.NewReader(in), &out, aims); err != nil {
		t.Fatal(err)
	}
	passed, table, _ := strings.Cut(out.String(), "\n\n")
	if passed+"\n" != in {
		t.Errorf("what came was not passed on: %q", passed)
	}
	var got []string
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"what where figure aim beside it",
		"changes sqlite clients=8 0.9602 ×bare ≥ 0.5 met 874.9 bare/s, 840.1 changes/s, 12.5 p99-ms",
		"changes postgres clients=1 bare=tx 0.3 ×bare ≥ 0.5 MISSED 1000 bare/s, 300 changes/s, 3.25 p99-ms",
		"day postgres 2.5 ×one-key ≤ 2.5 met",
		"pass watch - ≤ 50 MISSED: not measured",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestReportOfAFailure(t *testing.T) {
	var out strings.Builder
	if err := report(strings.NewReader("--- FAIL: BenchmarkDay\nFAIL\n"), &out, aims); err == nil {
		t.Error("no error")
	}
	if !strings.Contains(out.String(), "MISSED: not measured") {
		t.Errorf("got %s", out.String())
	}
}
