package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"kentongan/bench/latency"
	"kentongan/bench/mark"
	"kentongan/internal/process"
)

// Fleet is as many driver processes as a crowd needs. It is for one goroutine at a time.
type Fleet struct {
	start   func() *exec.Cmd
	drivers []*driver
	opened  bool
}

// NewFleet returns a Fleet without drivers. start makes the command of a driver process: one that calls Run with its
// standard input and output.
func NewFleet(start func() *exec.Cmd) *Fleet { return &Fleet{start: start} }

// driver is the near end of one driver process.
type driver struct {
	child *process.Child
	in    io.WriteCloser
	lines *json.Encoder
	out   *json.Decoder
}

// Launch starts as many drivers as the plan's screens need, and leaves it at that: who measures what a crowd does to others also wants to
// know how they are without it, beside the same processes.
func (f *Fleet) Launch(plan Plan) error {
	for len(f.drivers) < plan.drivers() {
		d, err := launch(f.start())
		if err != nil {
			return err
		}
		f.drivers = append(f.drivers, d)
	}
	return nil
}

// drivers returns how many of them the screens of p need.
func (p *Plan) drivers() int {
	most := p.Most
	if most == 0 {
		most = MaxScreens
	}
	return max((len(p.Screens)+most-1)/most, 1)
}

// Open launches the drivers that the plan's screens need, each with its share of them, and waits until all are up or
// refused. A refused screen is an error. Those of Knock wait for Back, and are up at once.
func (f *Fleet) Open(plan Plan) (Opened, error) {
	if f.opened {
		return Opened{}, errors.New("drive: this fleet has opened already")
	}
	f.opened = true
	total := Opened{Latency: new(latency.Histogram)}
	if err := f.Launch(plan); err != nil {
		return total, err
	}
	count := plan.drivers()
	if len(f.drivers) > count {
		return total, fmt.Errorf("drive: %d drivers were launched for a plan of %d", len(f.drivers), count)
	}
	parts := make([]Plan, count)
	for i := range parts {
		from, to := i*len(plan.Screens)/count, (i+1)*len(plan.Screens)/count
		parts[i] = plan
		parts[i].Screens, parts[i].Source, parts[i].Rate = plan.Screens[from:to], from, plan.Rate/count
	}
	err := f.each(func(i int, d *driver) (answer, error) { return d.ask(command{Act: actOpen, Plan: &parts[i]}) },
		func(a answer) {
			total.Up += a.Opened.Up
			total.Refused += a.Opened.Refused
			total.TookNs = max(total.TookNs, a.Opened.TookNs)
			total.Latency.Add(a.Opened.Latency)
			if total.Why == "" {
				total.Why = a.Opened.Why
			}
		})
	if err == nil && total.Refused > 0 {
		err = fmt.Errorf("%d of %d screens refused, the first: %s", total.Refused, len(plan.Screens), total.Why)
	}
	return total, err
}

// Reset forgets what was counted so far.
func (f *Fleet) Reset() error { return f.tell(command{Act: actReset, Since: mark.Now()}) }

// Live begins to cut the lines of V1 screens, as the plan's Life says.
func (f *Fleet) Live() error { return f.tell(command{Act: actLive}) }

// Cut cuts all lines of V1 screens at once, and breaks off all knocks. Nobody comes back before Back.
func (f *Fleet) Cut() error { return f.tell(command{Act: actCut}) }

// Back lets all screens come back that are down, at once.
func (f *Fleet) Back() error { return f.tell(command{Act: actBack}) }

// tell has all drivers do something that has no answer.
func (f *Fleet) tell(c command) error {
	return f.each(func(_ int, d *driver) (answer, error) { return d.ask(c) }, func(answer) {})
}

// Returns tells how V1 screens came back since the last Reset.
func (f *Fleet) Returns() (*Returns, error) {
	total := &Returns{Away: new(latency.Histogram)}
	err := f.each(func(_ int, d *driver) (answer, error) { return d.ask(command{Act: actReturns}) },
		func(a answer) { total.add(a.Returns) })
	return total, err
}

// Counts returns what arrived since the last Reset.
func (f *Fleet) Counts() (Counts, error) {
	var total Counts
	err := f.each(func(_ int, d *driver) (answer, error) { return d.ask(command{Act: actCount}) },
		func(a answer) { total.Add(*a.Counts) })
	return total, err
}

// Latency returns the latencies since the last Reset, of all drivers together.
func (f *Fleet) Latency() (*latency.Histogram, error) {
	total := new(latency.Histogram)
	err := f.each(func(_ int, d *driver) (answer, error) { return d.ask(command{Act: actLatency}) },
		func(a answer) { total.Add(a.Latency) })
	return total, err
}

// CPU returns the CPU time that all drivers have used since their starts.
func (f *Fleet) CPU() (time.Duration, error) {
	var total time.Duration
	for _, d := range f.drivers {
		used, err := process.CPU(d.child.PID())
		if err != nil {
			return 0, fmt.Errorf("measure driver: %w", err)
		}
		total += used
	}
	return total, nil
}

// Close ends the drivers, and with them their connections.
func (f *Fleet) Close() {
	const patience = 5 * time.Second
	for _, d := range f.drivers {
		_ = d.in.Close()
		select {
		case <-d.child.Done():
		case <-time.After(patience):
			d.child.Stop(0)
		}
	}
	f.drivers = nil
}

// each asks all drivers at once and takes their answers one after the other.
func (f *Fleet) each(ask func(i int, d *driver) (answer, error), take func(answer)) error {
	answers, errs := make([]answer, len(f.drivers)), make([]error, len(f.drivers))
	var all sync.WaitGroup
	for i, d := range f.drivers {
		all.Go(func() { answers[i], errs[i] = ask(i, d) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, a := range answers {
		take(a)
	}
	return nil
}

// launch starts one driver process.
func launch(cmd *exec.Cmd) (*driver, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start driver: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start driver: %w", err)
	}
	child, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start driver: %w", err)
	}
	return &driver{child: child, in: in, lines: json.NewEncoder(in), out: json.NewDecoder(out)}, nil
}

// ask sends one command and waits for its answer.
func (d *driver) ask(c command) (answer, error) {
	var a answer
	if err := d.lines.Encode(c); err != nil {
		return a, fmt.Errorf("tell driver to %s: %w", c.Act, d.why(err))
	}
	if err := d.out.Decode(&a); err != nil {
		return a, fmt.Errorf("ask driver to %s: %w", c.Act, d.why(err))
	}
	if a.Err != "" {
		return a, fmt.Errorf("ask driver to %s: %s", c.Act, a.Err)
	}
	return a, nil
}

// why adds to err what the driver said when it ended, if it has ended: a broken pipe alone explains nothing.
func (d *driver) why(err error) error {
	select {
	case <-d.child.Done():
		return errors.Join(err, d.child.Err())
	case <-time.After(time.Second):
		return err
	}
}
