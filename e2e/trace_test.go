//go:build unix

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// traced is an event of Chromium's own trace; times are in µs.
type traced struct {
	Name  string  `json:"name"`
	Phase string  `json:"ph"`
	Proc  int     `json:"pid"`
	Thr   int     `json:"tid"`
	At    float64 `json:"ts"`
	Wall  float64 `json:"dur"`
	CPU   float64 `json:"tdur"` // of the thread: what it had of a processor
	Args  struct {
		Name string `json:"name"`
	} `json:"args"`
}

// trace has Chromium write down what its threads do while do runs, and returns that, oldest first.
func (s *screen) trace(do func()) []traced {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.page)
	defer stop()
	var chunks []*tracing.EventDataCollected // until complete is closed, the browser's
	complete := make(chan struct{})
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *tracing.EventDataCollected:
			chunks = append(chunks, ev)
		case *tracing.EventTracingComplete:
			close(complete)
		}
	})
	if err != nil {
		s.t.Fatalf("trace: %v", err)
	}
	_, err = chromedp.Call(s.page, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{
		IncludedCategories: []string{"toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"},
		ExcludedCategories: []string{"*"},
	}})
	if err != nil {
		s.t.Fatalf("trace: %v", err)
	}
	do()
	if _, err := chromedp.Call(s.page, tracing.End, cdp.Empty{}); err != nil {
		s.t.Fatalf("end the trace: %v", err)
	}
	select {
	case <-complete:
	case <-time.After(patience):
		s.t.Fatal("the trace does not end")
	}
	var all []traced
	for _, chunk := range chunks {
		text, err := json.Marshal(chunk.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		var events []traced
		if err := json.Unmarshal(text, &events); err != nil {
			s.t.Fatalf("trace: %v", err)
		}
		all = append(all, events...)
	}
	slices.SortFunc(all, func(a, b traced) int { return cmp.Compare(a.At, b.At) })
	return all
}

// frameWork is what the page's main thread did for frames.
type frameWork struct {
	frames    int
	late      int       // came more than one and a half vertical blanks after the one before
	overdue   int       // of these: the page's own work took longer than a frame has
	work      []float64 // ms of processor time between a frame and the next, sorted
	long      int       // tasks of more than 50 ms by the clock
	longWork  int       // of these: with more than 50 ms of processor time
	wall, cpu float64   // ms of all tasks, by the clock and of a processor
}

// Bounds of a frame at 60 Hz, in ms.
const (
	frameBudget = 1000.0 / 60
	lateAfter   = 1.5 * frameBudget
	longTask    = 50.0
)

// framesOf tells frames that the page's main thread delayed from those that it had no processor for, or that something else held up:
// for each pair of commits to the compositor it sums up the processor time of the tasks in between.
func framesOf(events []traced) frameWork {
	type thread struct{ proc, thr int }
	names := map[thread]string{}
	busy := map[thread]float64{}
	for _, e := range events {
		of := thread{e.Proc, e.Thr}
		switch e.Name {
		case "thread_name":
			names[of] = e.Args.Name
		case "RunTask":
			busy[of] += e.Wall
		}
	}
	var page thread // there are others, which are idle
	for of, name := range names {
		if name == "CrRendererMain" && busy[of] > busy[page] {
			page = of
		}
	}
	var w frameWork
	var last, work float64
	for _, e := range events {
		switch {
		case (thread{e.Proc, e.Thr}) != page || e.Phase != "X":
		case e.Name == "RunTask":
			wall, cpu := e.Wall/1000, e.CPU/1000
			w.wall, w.cpu, work = w.wall+wall, w.cpu+cpu, work+cpu
			if wall > longTask {
				w.long++
			}
			if cpu > longTask {
				w.longWork++
			}
		case e.Name == "Commit":
			at := e.At / 1000
			if last > 0 {
				w.frames++
				w.work = append(w.work, work)
				if at-last > lateAfter {
					w.late++
					if work > frameBudget {
						w.overdue++
					}
				}
			}
			last, work = at, 0
		}
	}
	slices.Sort(w.work)
	return w
}

// share returns the value below which this share of a sorted list lies.
func share(sorted []float64, of float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*of))]
}

func (w frameWork) String() string {
	return fmt.Sprintf("%d frames, %d of them late: in %d the page's main thread had more work than a frame has time for, in %d it had not; "+
		"work a frame p50 %.1f ms, p95 %.1f ms, at most %.1f ms of processor time; main thread %.0f ms by the clock, %.0f ms of a processor; "+
		"tasks over 50 ms: %d by the clock, %d of work", w.frames, w.late, w.overdue, w.late-w.overdue, share(w.work, 0.5), share(w.work, 0.95),
		share(w.work, 1), w.wall, w.cpu, w.long, w.longWork)
}

// TestFramesOf: a frame is the page's fault only if it had more to do than a frame has time for.
func TestFramesOf(t *testing.T) {
	const ms = 1000
	main := func(name string, at, wall, cpu float64) traced {
		return traced{Name: name, Phase: "X", Proc: 7, Thr: 1, At: at * ms, Wall: wall * ms, CPU: cpu * ms}
	}
	named := func(proc int, name string) traced {
		e := traced{Name: "thread_name", Phase: "M", Proc: proc, Thr: 1}
		e.Args.Name = name
		return e
	}
	w := framesOf([]traced{
		named(7, "CrRendererMain"), named(8, "CrRendererMain"), named(9, "CrBrowserMain"),
		{Name: "RunTask", Phase: "X", Proc: 9, Thr: 1, At: 0, Wall: 900 * ms, CPU: 900 * ms}, // not a page's
		{Name: "RunTask", Phase: "X", Proc: 8, Thr: 1, At: 0, Wall: 1 * ms, CPU: 1 * ms},     // another page's
		main("Commit", 1, 0, 0),
		main("RunTask", 2, 9, 6), main("Commit", 18, 0, 0), // in time
		main("RunTask", 19, 60, 7), main("Commit", 80, 0, 0), // it had to wait for a processor
		main("RunTask", 81, 9, 8), main("RunTask", 91, 55, 52), main("Commit", 150, 0, 0), // its own fault
		main("Commit", 190, 0, 0), // nothing was asked of it
	})
	if w.frames != 4 || w.late != 3 || w.overdue != 1 || w.long != 2 || w.longWork != 1 || w.wall != 133 || w.cpu != 73 || share(w.work, 1) != 60 {
		t.Errorf("got %s", w)
	}
}
