package app

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// feed looks at the same load for some time, and returns how many processors there are then.
func (p *processors) feed(load float64, span time.Duration) int {
	for ; span > 0; span -= loadTick {
		p.look(loadTick, time.Duration(load*float64(loadTick)))
	}
	return p.now
}

func TestProcessors(t *testing.T) {
	p := processors{most: 8, least: 1, now: 8}
	for _, step := range []struct {
		name string
		load float64
		span time.Duration
		want int
	}{
		{"IdleGivesUpOneASecond", 0, roomyFor, 7},
		{"AndTheOthers", 0, 10 * roomyFor, 1},
		{"ALittleNeedsOne", 0.7, time.Minute, 1},
		{"ABurstDoubles", 1, loadTick, 2},
		{"AndDoublesAgain", 2, loadTick, 4},
		{"ASteadyLoadStays", 2, time.Minute, 4},
		{"MoreThanThereAre", 8, time.Second, 8},
		{"NotMoreThanThereAre", 8, time.Minute, 8},
		{"ADipIsNoCalm", 0, roomyFor - loadTick, 8},
		{"AfterADip", 8, loadTick, 8},
	} {
		if got := p.feed(step.load, step.span); got != step.want {
			t.Fatalf("%s: got %d processors, want %d", step.name, got, step.want)
		}
	}
}

// TestProcessorsSettle finds for any steady load a number that fits and stays.
func TestProcessorsSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 128).Draw(t, "most")
		p := processors{most: most, least: 1, now: rapid.IntRange(1, most).Draw(t, "now")}
		load := rapid.Float64Range(0, float64(most)).Draw(t, "load")
		settled := p.feed(load, 3*time.Minute)
		if settled < most && load > float64(settled) {
			t.Fatalf("%d processors for a load of %.2f", settled, load)
		}
		if later := p.feed(load, time.Minute); later != settled {
			t.Fatalf("it swings between %d and %d at a load of %.2f", settled, later, load)
		}
	})
}

// TestProcessorsOfBursts: a third of a processor is a third also if it comes in bursts.
func TestProcessorsOfBursts(t *testing.T) {
	p := processors{most: 2, least: 1, now: 2}
	for range 5 {
		for _, load := range []float64{0.2, 0.7, 0.1, 0.3} {
			p.feed(load, loadTick)
		}
	}
	if p.now != 1 {
		t.Errorf("%d processors after two seconds of bursts that need one", p.now)
	}
}

// TestProcessorsWhileReplaysRun: there are two as long as it lasts, whatever the load is, and more if that needs them.
func TestProcessorsWhileReplaysRun(t *testing.T) {
	p := processors{most: 4, least: 1, now: 1}
	for _, step := range []struct {
		least int
		load  float64
		span  time.Duration
		want  int
	}{
		{1, 0.5, time.Minute, 1}, {2, 0.5, loadTick, 2}, {2, 0.1, time.Minute, 2}, {2, 2, loadTick, 4}, {2, 0.1, time.Minute, 2},
		{1, 0.1, time.Minute, 1},
	} {
		p.least = step.least
		if got := p.feed(step.load, step.span); got != step.want {
			t.Fatalf("with %d at least and a load of %.1f: got %d processors, want %d", step.least, step.load, got, step.want)
		}
	}
}
