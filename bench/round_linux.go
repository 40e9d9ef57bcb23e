package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
	"kentongan/internal/process"
)

// lab is what all rounds share. It is for one goroutine.
type lab struct {
	driver    func() *exec.Cmd // the command of a driver process
	redis     string           // address; empty: there is none
	redisPID  int
	pace      pace
	dir       string        // for what servers keep
	profileTo string        // folder for profiles of the server in this round; empty: none
	shared    bool          // programs share all processors with their load
	own       *process.CPUs // of the programs that are measured; nil: all
}

// outcome is what one round of one program has shown. Figures that do not belong to the scene's kind are zero.
type outcome struct {
	Failed      string        `json:"failed,omitempty"` // what was lost or went wrong with deliveries
	Expected    int           `json:"expected"`         // deliveries; of a connect scene: connections
	Delivered   int           `json:"delivered"`
	CPU         time.Duration `json:"cpuNs"`              // of the program, in the window
	RedisCPU    time.Duration `json:"redisCPUNs"`         // of Redis, in the window
	DriverLoad  float64       `json:"driverLoad"`         // of the drivers' processors in the window: near 1, latencies are theirs
	Allocations float64       `json:"allocations"`        // of the program in the window; below zero: not told
	Rate        float64       `json:"rate"`               // messages or connections a second that were reached
	Late        time.Duration `json:"lateNs"`             // see publish.Sent
	P50         time.Duration `json:"p50Ns"`              // from the publisher's stamp to the driver's read
	P99         time.Duration `json:"p99Ns"`              // the same
	Max         time.Duration `json:"maxNs"`              // the same
	Before      int64         `json:"rssBeforeBytes"`     // RSS before the first connection
	RSS         int64         `json:"rssBytes"`           // at the end
	PSS         int64         `json:"pssBytes"`           // at the end
	Descriptors int           `json:"descriptors"`        // at the end
	Goroutines  int           `json:"goroutines"`         // at the end; below zero: not told
	Opened      time.Duration `json:"openedNs"`           // how long it took to open all connections
	Log         string        `json:"log,omitempty"`      // the program's last words and counters, if the round failed
	Profiled    bool          `json:"profiled,omitempty"` // the figures hold the profiler's own cost
}

// round measures one program in one scene. An error means that it could not be measured; what was lost is in the outcome.
func (l *lab) round(ctx context.Context, s scene, engine string, p program) (out outcome, err error) {
	if engine == redis {
		if err := publish.Flush(l.redis); err != nil {
			return out, err
		}
	}
	r, err := l.start(ctx, engine, p)
	if err != nil {
		return out, err
	}
	defer r.stop()
	before, err := process.MemoryOf(r.child.PID())
	if err != nil {
		return out, err
	}
	out.Before, out.Goroutines, out.Allocations = before.RSS, -1, -1
	if s.tls {
		err = l.overTLS(ctx, s, engine, r, &out)
		return out, err
	}
	fleet := drive.NewFleet(l.driver)
	defer fleet.Close()
	plan, err := s.plan(r)
	if err != nil {
		return out, err
	}
	profiled := l.profileOpening(ctx, s, engine, r)
	watch := l.watch(ctx, r, fleet)
	opened, err := fleet.Open(plan)
	if err := errors.Join(err, <-profiled); err != nil {
		return out, errors.Join(fmt.Errorf("open %d connections to %s: %w", s.screens(), p.name, err), r.ended())
	}
	out.Opened = time.Duration(opened.TookNs)
	switch s.kind {
	case connect:
		watch.read(&out)
		out.Expected, out.Delivered = s.screens(), opened.Up
		out.Rate = float64(opened.Up) / out.Opened.Seconds()
		out.P50, out.P99, out.Max = opened.Latency.Quantile(0.5), opened.Latency.Quantile(0.99), opened.Latency.Max()
		err = watch.err
	case idle:
		err = l.rest(ctx, fleet, &out)
	case fanOut:
		if err = sleep(ctx, r.settle); err != nil {
			break
		}
		err = l.deliver(ctx, s, engine, r, fleet, &out)
	}
	if err != nil {
		return out, errors.Join(fmt.Errorf("measure %s: %w", p.name, err), r.ended())
	}
	if out.Failed != "" {
		out.Log = r.child.Log() // it may know why
		if r.admin != "" {
			out.Log += counters(ctx, r.admin)
		}
	}
	err = l.look(ctx, r, s.name+"-"+engine, &out)
	return out, err
}

// ended returns why the program ended, or nil if it runs.
func (r *running) ended() error {
	select {
	case <-r.child.Done():
		return r.child.Err()
	default:
		return nil
	}
}

// moderate is how long drivers that have read leave what comes next. A server does not wake up its clients, a network card does, and
// cards hold back that long. Over loopback whoever writes wakes the driver up each time that it has read all and sleeps: somebody who
// writes a little more slowly finds it asleep more often, and pays for that too.
const moderate = 100 * time.Microsecond

// plan returns the connections of s to r.
func (s scene) plan(r *running) (drive.Plan, error) {
	plan := drive.Plan{Addresses: []string{r.address}, Origin: r.origin, Hello: r.hello, Deflate: s.deflate}
	plan.Screens = make([]drive.Screen, s.screens())
	switch s.kind {
	case connect:
		plan.Rate = s.rate // zero is as fast as it goes
	case fanOut:
		plan.Moderate = moderate
	case idle:
	}
	for i := range plan.Screens {
		tenant := i % s.tenants
		cookie, err := r.cookie(i, tenant)
		if err != nil {
			return plan, err
		}
		plan.Screens[i] = drive.Screen{Tenant: tenant, Path: r.path(tenant), Cookie: cookie}
		if s.v1 {
			plan.Screens[i].Path += "?channels=" + publish.Channel(tenant) + ",production:alerts:" + publish.Tenant(tenant)
		}
	}
	if s.v1 {
		plan.Protocol = drive.Subprotocol
	}
	return plan, nil
}

// rest lets idle connections settle. None may end meanwhile.
func (l *lab) rest(ctx context.Context, fleet *drive.Fleet, out *outcome) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(l.pace.settle):
	}
	counts, err := fleet.Counts()
	if counts.Closed > 0 {
		out.Failed = fmt.Sprintf("%d idle connections ended: %s", counts.Closed, counts.Why)
	}
	return err
}

// deliver publishes, first to warm up, then for the window, and counts what arrives.
func (l *lab) deliver(ctx context.Context, s scene, engine string, r *running, fleet *drive.Fleet, out *outcome) (err error) {
	door, err := r.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	publisher, err := publish.New(door, s.load(), now)
	if err != nil {
		return err
	}
	warm, err := publisher.Run(ctx, l.pace.warm)
	if err != nil {
		return err
	}
	counts, err := l.await(ctx, fleet, warm.Messages*s.each)
	if err != nil {
		return err
	}
	if out.Failed = fault(counts, warm.Messages*s.each); out.Failed != "" {
		out.Failed = "while warming up: " + out.Failed
	}
	if err := fleet.Reset(); err != nil {
		return err
	}
	profiled := l.profileWhile(ctx, r, s.name+"-"+engine, l.pace.window)
	watch := l.watch(ctx, r, fleet)
	sent, err := publisher.Run(ctx, l.pace.window)
	if err != nil {
		return err
	}
	out.Expected = sent.Messages * s.each
	counts, err = l.await(ctx, fleet, out.Expected)
	watch.read(out)
	if err := errors.Join(err, watch.err, <-profiled); err != nil {
		return err
	}
	out.Profiled = l.profileTo != "" && r.admin != ""
	out.Delivered, out.Rate, out.Late = counts.Delivered, float64(sent.Messages)/sent.Took.Seconds(), sent.Late
	if out.Failed == "" {
		out.Failed = fault(counts, out.Expected)
	}
	latencies, err := fleet.Latency()
	if err != nil {
		return err
	}
	out.P50, out.P99, out.Max = latencies.Quantile(0.5), latencies.Quantile(0.99), latencies.Max()
	return nil
}

// await waits until the fleet has received what is expected, or something that is not expected, or until nothing has come
// for a while.
func (l *lab) await(ctx context.Context, fleet *drive.Fleet, expected int) (drive.Counts, error) {
	last := 0
	for changed := time.Now(); ; {
		counts, err := fleet.Counts()
		if err != nil || counts.Delivered >= expected {
			return counts, err
		}
		// Not all that is counted: lines that are cut and clients that come back would go on for ever.
		if arrived := counts.Delivered + counts.Twice + counts.Foreign + counts.Unmarked; arrived != last {
			last, changed = arrived, time.Now()
		}
		if time.Since(changed) > l.pace.silence {
			return counts, nil
		}
		select {
		case <-ctx.Done():
			return counts, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// fault says in words what is wrong with counts, or nothing.
func fault(c drive.Counts, expected int) string {
	if c.Delivered == expected && c.Missing+c.Twice+c.Foreign+c.Broken+c.Closed == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d delivered, %d missing before a later one, %d twice, %d of other tenants, %d broken frames, "+
		"%d connections ended", c.Delivered, expected, c.Missing, c.Twice, c.Foreign, c.Broken, c.Closed)
	if c.Why != "" {
		text += "; first: " + c.Why
	}
	return text
}

// look reads what the program holds at the end of a round.
func (l *lab) look(ctx context.Context, r *running, name string, out *outcome) error {
	held, err := process.MemoryOf(r.child.PID())
	if err != nil {
		return err
	}
	out.RSS, out.PSS = held.RSS, held.PSS
	if out.Descriptors, err = process.Descriptors(r.child.PID()); err != nil {
		return err
	}
	if r.admin == "" {
		return nil
	}
	if out.Goroutines, err = goroutines(ctx, r.admin); err != nil {
		return err
	}
	if l.profileTo == "" {
		return nil
	}
	return profile(ctx, r.admin, "heap", 0, filepath.Join(l.profileTo, name+".heap.pb.gz"))
}

// profileOpening begins a CPU profile of the connects, if it is they that the scene measures.
func (l *lab) profileOpening(ctx context.Context, s scene, engine string, r *running) <-chan error {
	if s.kind == connect {
		duration := time.Second
		if s.rate > 0 {
			duration = time.Duration(s.screens()) * time.Second / time.Duration(s.rate)
		}
		return l.profileWhile(ctx, r, s.name+"-"+engine, duration)
	}
	done := make(chan error, 1)
	done <- nil
	return done
}

// profileWhile begins a CPU profile, if profiles are wished. The channel has one value, at its end.
func (l *lab) profileWhile(ctx context.Context, r *running, name string, duration time.Duration) <-chan error {
	done := make(chan error, 1)
	if l.profileTo == "" || r.admin == "" {
		done <- nil
		return done
	}
	go func() {
		done <- profile(ctx, r.admin, "profile", max(duration, time.Second), filepath.Join(l.profileTo, name+".cpu.pb.gz"))
	}()
	return done
}

// watch is the accounts of CPU time and allocations at the start of a window.
type watch struct {
	lab                *lab
	ctx                context.Context //nolint:containedctx // lives no longer than the call that made it
	r                  *running
	fleet              *drive.Fleet
	started            time.Time
	cpu, redis, driver time.Duration
	allocated          float64
	err                error
}

func (l *lab) watch(ctx context.Context, r *running, fleet *drive.Fleet) *watch {
	w := &watch{lab: l, ctx: ctx, r: r, fleet: fleet}
	w.allocated = w.allocations() // first: to be asked is work too
	w.started = time.Now()
	w.cpu, w.redis, w.driver = w.used()
	return w
}

// read puts the differences since the start into out.
func (w *watch) read(out *outcome) {
	cpu, redis, driver := w.used()
	out.CPU, out.RedisCPU = cpu-w.cpu, redis-w.redis
	out.DriverLoad = (driver - w.driver).Seconds() / time.Since(w.started).Seconds()
	if w.allocated >= 0 {
		out.Allocations = w.allocations() - w.allocated
	}
}

func (w *watch) used() (program, redis, driver time.Duration) {
	program, err := process.CPU(w.r.child.PID())
	w.err = errors.Join(w.err, err)
	driver, err = w.fleet.CPU()
	w.err = errors.Join(w.err, err)
	if w.lab.redisPID != 0 {
		redis, err = process.CPU(w.lab.redisPID)
		w.err = errors.Join(w.err, err)
	}
	return program, redis, driver
}

// allocations returns the program's count, or -1 if it does not tell.
func (w *watch) allocations() float64 {
	if w.r.admin == "" {
		return -1
	}
	count, err := allocations(w.ctx, w.r.admin)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return -1
	}
	return count
}

// driverCommand returns this program's own command line as a driver.
func driverCommand() (func() *exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	return func() *exec.Cmd { return exec.Command(self, roleDriver) }, nil //nolint:noctx // the fleet ends it
}
