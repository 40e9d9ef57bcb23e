package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
	"kentongan/internal/process"
)

// trial is a scene in which something happens to the server or to its clients: lines are cut, a node is killed, an attack begins.
// It is not compared with the floor, which would not survive it.
type trial struct {
	name    string
	engines []string
	long    []string // engines with which it takes more than a minute: measured with --all, or if --only names it
	play    play
}

// play is what happens in a trial. Its fields are its size.
type play interface {
	run(ctx context.Context, st *stage) error
}

// server makes a program of the server, with settings of a trial.
type server func(settings ...string) program

// stage is what a play has to work with, in one round. It is for one goroutine.
type stage struct {
	*lab

	serve  server
	engine string
	report *report
	nodes  []*running       // all that were started
	fleets []*drive.Fleet   // all that were opened
	others []*process.Child // beside the nodes
}

// trials returns what is tried, in the order of the documentation.
func trials(quick bool) []trial {
	both := []string{memory, redis}
	pick := func(full, less play) play {
		if quick {
			return less
		}
		return full
	}
	return []trial{
		{name: "jitter", engines: both, long: both, play: pick(fullJitter, quickJitter)},
		{name: "restart-drain", engines: []string{redis}, play: pick(fullRestart, quickRestart)},
		{name: "restart-kill", engines: []string{redis}, play: pick(fullRestart.killed(), quickRestart.killed())},
		{name: "stamping", engines: []string{redis}, play: pick(fullStamping, quickStamping)},
		{name: "back", engines: both, play: pick(fullBack, quickBack)},
		{name: "crowd", engines: []string{memory}, long: []string{memory}, play: pick(fullCrowd, quickCrowd)},
		{name: "overload", engines: []string{memory}, play: pick(fullOverload, quickOverload)},
		{name: "noisy", engines: both, long: both, play: pick(fullNoisy, quickNoisy)},
		{name: "replay", engines: both, long: []string{redis}, play: pick(fullReplay, quickReplay)},
	}
}

// trial measures t in as many rounds as are wished, and returns what all of them have shown together.
func (l *lab) trial(ctx context.Context, t trial, engine string, serve server, rounds int, progress io.Writer) (report, error) {
	var all []report
	for n := range max(rounds, 1) {
		_, _ = fmt.Fprintf(progress, "%s, %s engine: round %d of %d\n", t.name, engine, n+1, max(rounds, 1))
		r := report{Trial: t.name, Engine: engine}
		st := &stage{lab: l, serve: serve, engine: engine, report: &r}
		before := taken()
		err := t.play.run(ctx, st)
		st.report.add("processors' time that the host took", taken().since(before), "%")
		if err != nil {
			err = errors.Join(err, st.ended())
		}
		if r.Failed != "" {
			r.Log = st.words(ctx)
			_, _ = fmt.Fprintf(progress, "FAILED: %s\n%s", r.Failed, r.Log)
		}
		st.close()
		if err != nil {
			return r, err
		}
		all = append(all, r)
	}
	return merge(all), nil
}

// start empties Redis, and starts a server.
func (st *stage) start(ctx context.Context, settings ...string) (*running, error) {
	if st.engine == redis && len(st.nodes) == 0 {
		if err := publish.Flush(st.redis); err != nil {
			return nil, err
		}
	}
	return st.add(st.serve(settings...).start(ctx, st.engine, st.redis))
}

// alone empties Redis and starts the only server that runs now.
func (st *stage) alone(ctx context.Context, engine string) (*running, error) {
	if err := publish.Flush(st.redis); err != nil {
		return nil, err
	}
	return st.add(st.serve().start(ctx, engine, st.redis))
}

// end stops a server before the trial is over.
func (st *stage) end(r *running) {
	r.stop()
	st.drop(r)
}

// add keeps a node that was started, to be stopped at the end.
func (st *stage) add(r *running, err error) (*running, error) {
	if err == nil {
		st.nodes = append(st.nodes, r)
	}
	return r, err
}

// drop forgets a node that was ended on purpose.
func (st *stage) drop(r *running) {
	st.nodes = slices.DeleteFunc(st.nodes, func(other *running) bool { return other == r })
}

// ended returns why nodes have ended, if some have.
func (st *stage) ended() error {
	var err error
	for _, r := range st.nodes {
		err = errors.Join(err, r.ended())
	}
	return err
}

// words returns what the nodes have said and counted.
func (st *stage) words(ctx context.Context) string {
	var text strings.Builder
	for i, r := range st.nodes {
		_, _ = fmt.Fprintf(&text, "node %d:\n%s", i+1, r.child.Log())
		if r.ended() == nil {
			text.WriteString(counters(ctx, r.admin))
		}
	}
	return text.String()
}

// close ends the clients, so that no server waits for them, and the servers.
func (st *stage) close() {
	for _, fleet := range st.fleets {
		fleet.Close()
	}
	for _, r := range st.nodes {
		r.stop()
	}
	for _, child := range st.others {
		child.Stop(time.Second)
	}
}

// loads says in words what is done.
func (st *stage) loads(format string, args ...any) { st.report.Load = fmt.Sprintf(format, args...) }

// fails keeps the first failure.
func (st *stage) fails(why string) {
	if st.report.Failed == "" {
		st.report.Failed = why
	}
}

// plan returns screens of kitchens from number first on, each of them signed in, and spread over nodes.
func plan(manner drive.Manner, first, kitchens, each int, nodes ...*running) (drive.Plan, error) {
	p := drive.Plan{Manner: manner, Origin: nodes[0].origin, Screens: make([]drive.Screen, kitchens*each)}
	for _, r := range nodes {
		p.Addresses = append(p.Addresses, r.address)
	}
	for i := range p.Screens {
		tenant := first + i%kitchens
		cookie, err := nodes[0].cookie(i, tenant)
		if err != nil {
			return p, err
		}
		p.Screens[i] = drive.Screen{Tenant: tenant, Path: nodes[0].path(tenant), Cookie: cookie}
		if manner == drive.V1 {
			p.Screens[i].Channel = publish.Channel(tenant)
		}
	}
	return p, nil
}

// fleet returns one that is closed at the end of the round.
func (st *stage) fleet() *drive.Fleet {
	fleet := drive.NewFleet(st.driver)
	st.fleets = append(st.fleets, fleet)
	return fleet
}

// open starts a fleet for p and waits until it is connected.
func (st *stage) open(p drive.Plan) (*drive.Fleet, error) {
	fleet := st.fleet()
	if _, err := fleet.Open(p); err != nil {
		return nil, fmt.Errorf("open %d connections: %w", len(p.Screens), err)
	}
	return fleet, nil
}

// delivered adds what arrived of what was to arrive, and fails the trial if that is not everything, once. Lines may end: that is what
// trials are about.
func (st *stage) delivered(c drive.Counts, expected int) {
	r := st.report
	r.add("delivered", 100*over(float64(c.Delivered), float64(expected)), "%", atLeast(100))
	r.add("expected deliveries", float64(expected), "")
	r.add("duplicates", float64(c.Twice), "", atMost(0))
	r.add("missing without a gap", float64(c.Missing), "", atMost(0))
	r.add("gaps told", float64(c.Gaps), "", atMost(0))
	if why := losses(c, expected); why != "" {
		st.fails(why)
	}
}

// losses says in words what is wrong with the deliveries to clients that come back, or nothing. A gap is wrong too: the history holds
// everything that these trials publish, and nothing breaks the way in.
func losses(c drive.Counts, expected int) string {
	if c.Delivered == expected && c.Missing+c.Twice+c.Foreign+c.Broken+c.Gaps+c.Skipped == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d delivered, %d missing without a gap, %d twice, %d of other tenants, %d broken frames or positions, "+
		"%d gaps that cover %d", c.Delivered, expected, c.Missing, c.Twice, c.Foreign, c.Broken, c.Gaps, c.Skipped)
	if c.Why != "" {
		text += "; first trouble: " + c.Why
	}
	return text
}

// patient is await with a silence that clients may be offline in.
func (l *lab) patient(ctx context.Context, fleet *drive.Fleet, expected int, silence time.Duration) (drive.Counts, error) {
	longer := *l
	longer.pace.silence = max(silence, l.pace.silence)
	return longer.await(ctx, fleet, expected)
}
