package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"kentongan/bench/drive"
	"kentongan/bench/floor"
	"kentongan/bench/mark"
)

// Roles that this program plays as a child of itself, by its first argument.
const (
	roleDriver = "driver"
	roleTwin   = "go-floor"
)

// Exit codes.
const (
	exitLost    = 1 // a message was lost, doubled or misdirected
	exitTrouble = 2 // it could not be measured
)

// now is the clock of the marks.
func now() int64 { return mark.Now() }

// options are the command line.
type options struct {
	Quick   bool          `help:"Fewer connections and short windows: about five minutes."`
	Peers   bool          `help:"Also node ws, Socket.IO and Bun, in big-room, spread and flood with Redis; see make peers."`
	All     bool          `help:"What takes more than a minute too."`
	Only    string        `help:"Scenes and trials whose name matches this regular expression, long ones too." placeholder:"REGEXP"`
	Engine  string        `help:"Measure one engine only: memory or redis." enum:"memory,redis,both" default:"both"`
	Rounds  int           `help:"Rounds of each program in each scene, and of each trial; zero: 3, or 2 if quick, and 1 of a trial."`
	Window  time.Duration `help:"Measured time of a round; zero: 10s, or 2s if quick."`
	Floor   string        `help:"The floor in C, in Go, or C if there is a compiler." enum:"c,go,auto" default:"auto"`
	Server  string        `help:"A server program that is built already." placeholder:"PATH"`
	Env     []string      `help:"A setting of the server for these rounds." placeholder:"NAME=VALUE" sep:"none"`
	HTTP    bool          `name:"http" help:"Publish to the memory engine with POST /api/publish, not through its Redis door."`
	Shared  bool          `help:"Let a program share its processors with driver, publisher and Redis in fan-out scenes too."`
	Profile string        `help:"Keep profiles of the server here, from rounds that do not count." placeholder:"DIR"`
	JSON    string        `help:"Write all figures of all rounds here too, as JSON." name:"json" placeholder:"FILE"`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run plays the role that args name, or measures. It returns the exit code.
func run(args []string, out, progress io.Writer) int {
	var err error
	switch {
	case len(args) == 1 && args[0] == roleDriver:
		err = drive.Run(os.Stdin, os.Stdout)
	case len(args) > 1 && args[0] == roleTwin:
		err = floor.Twin(args[1:], os.Stdout)
	default:
		return measure(args, out, progress)
	}
	if err != nil {
		_, _ = fmt.Fprintln(progress, "bench:", err)
		return exitTrouble
	}
	return 0
}

// description is what --help begins with.
func description() string {
	var names []string
	for _, s := range scenes(false) {
		names = append(names, s.name)
	}
	var all, long []string
	for _, t := range trials(false) {
		all = append(all, t.name)
		for _, engine := range t.long {
			long = append(long, t.name+" ("+engine+")")
		}
	}
	return "Measure the server against a floor, and try what it stands.\n\nScenes, with the floor: " + strings.Join(names, ", ") +
		".\n\nTrials: " + strings.Join(all, ", ") + ". More than a minute take " + strings.Join(long, ", ") +
		": they are left out without --all, unless --only names them."
}

// measure runs the scenes that args choose and prints the result.
func measure(args []string, out, progress io.Writer) int {
	var o options
	parser, err := kong.New(&o, kong.Name("bench"), kong.Description(description()))
	if err == nil {
		_, err = parser.Parse(args)
	}
	if err != nil {
		_, _ = fmt.Fprintln(progress, "bench:", err)
		return exitTrouble
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	r, err := all(ctx, o, progress)
	if len(r.Rows)+len(r.Reports) > 0 { // what was measured before the trouble is still worth reading
		err = errors.Join(err, tell(out, r, o))
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(progress, "bench:", err)
		return exitTrouble
	case failed(r):
		return exitLost
	}
	return 0
}

// results is what was measured.
type results struct {
	Rows    []row    `json:"rows"`
	Reports []report `json:"trials"`
	Taken   float64  `json:"takenPercent"` // of the processors' time, by the host of this virtual machine
}

// tell writes results as tables, and to a file if the options name one, with the machine that they come from and the way in
// of the memory engine's messages: figures of the two ways must not be taken for one another.
func tell(out io.Writer, r results, o options) error {
	door := "memory engine: published with PUBLISH through its Redis door"
	if o.HTTP {
		door = "memory engine: published with POST /api/publish, in lists of what is due"
	}
	processors := "fan-out: a program has half of the processors, driver, publisher and Redis the other half; else all share all"
	if o.Shared || runtime.NumCPU() < 2 {
		processors = "driver, publisher, Redis and server share all processors"
	}
	host := fmt.Sprintf("the host took %.1f %% of the processors' time meanwhile: the longest latencies have that in them", r.Taken)
	_, _ = fmt.Fprintf(out, "\n%s\n%s\n%s\n%s\n\n", machine(), host, processors, door)
	err := errors.Join(printTable(out, r.Rows), printReports(out, r.Reports))
	if o.Peers {
		err = errors.Join(err, printPeers(out, r.Rows))
	}
	if o.JSON == "" {
		return err
	}
	all := map[string]any{"machine": machine(), "processors": processors, "door": door, "time": time.Now().UTC().Format(time.RFC3339),
		"takenPercent": r.Taken, "rows": r.Rows, "trials": r.Reports}
	text, err2 := json.MarshalIndent(all, "", "  ")
	if err2 == nil {
		err2 = os.WriteFile(o.JSON, append(text, '\n'), 0o600)
	}
	if err2 != nil {
		err2 = fmt.Errorf("write figures: %w", err2)
	}
	return errors.Join(err, err2)
}

// machine says on what the figures were measured.
func machine() string {
	var name unix.Utsname
	release := ""
	if unix.Uname(&name) == nil {
		release = unix.ByteSliceToString(name.Release[:])
	}
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if found := regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`).FindSubmatch(text); found != nil {
			model = string(found[1])
		}
	}
	return fmt.Sprintf("%s, %d cores, Linux %s, %s; loopback", model, runtime.NumCPU(), release, runtime.Version())
}

// all measures the chosen scenes and plays the chosen trials. With an error it returns what it has.
func all(ctx context.Context, o options, progress io.Writer) (r results, err error) {
	chosen, err := o.choose()
	if err != nil {
		return r, err
	}
	before := taken()
	defer func() { r.Taken = taken().since(before) }()
	dir, err := os.MkdirTemp("", "kentongan-bench-")
	if err != nil {
		return r, fmt.Errorf("make folder for this run: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := o.server(ctx, dir)
	if err != nil {
		return r, err
	}
	driver, err := driverCommand()
	if err != nil {
		return r, err
	}
	l := &lab{driver: driver, pace: o.pace(), dir: dir, shared: o.Shared}
	if chosen.need(redis) {
		child, address, err := startRedis(ctx, dir)
		if err != nil {
			return r, err
		}
		defer child.Stop(time.Second)
		l.redis, l.redisPID = address, child.PID()
	}
	serve := func(settings ...string) program {
		return serverProgram(path, dir, slices.Concat(settings, o.Env), o.HTTP)
	}
	if len(chosen.scenes) > 0 {
		if r.Rows, err = l.scenes(ctx, o, chosen.scenes, serve, dir, progress); err != nil {
			return r, err
		}
	}
	for _, t := range chosen.trials {
		for _, engine := range t.engines {
			one, err := l.trial(ctx, t, engine, serve, o.Rounds, progress)
			if err != nil {
				return r, fmt.Errorf("trial %s, %s engine: %w", t.name, engine, err)
			}
			r.Reports = append(r.Reports, one)
		}
	}
	return r, nil
}

// scenes measures all of them, with the floor and, if the options wish it, with the peers. With an error it returns the rows that it has.
func (l *lab) scenes(ctx context.Context, o options, list []scene, serve server, dir string, progress io.Writer) ([]row, error) {
	base, err := o.floor(ctx, dir)
	if err != nil {
		return nil, err
	}
	var others []program
	if o.Peers {
		if others, err = peers(peersFolder); err != nil {
			return nil, err
		}
	}
	var rows []row
	for _, s := range list {
		for _, engine := range s.engines {
			settings := s.set
			if s.tls {
				certificate, key, err := selfSigned(dir)
				if err != nil {
					return rows, err
				}
				settings = slices.Concat(settings, []string{tlsCertificate + certificate, "KENTONGAN_TLS_KEY=" + key})
			}
			with := []program{base, serve(settings...)}
			if engine == redis && slices.Contains(peered, s.name) {
				with = append(with, others...)
			}
			more, err := l.scene(ctx, s, engine, with, o.Profile, progress)
			if err != nil {
				return rows, fmt.Errorf("scene %s, %s engine: %w", s.name, engine, err)
			}
			rows = append(rows, more...)
		}
	}
	return rows, nil
}

// scene measures the floor, the server and what else is in programs in turn, so that what changes on the machine meanwhile meets all.
func (l *lab) scene(
	ctx context.Context, s scene, engine string, programs []program, profiles string, progress io.Writer,
) (rows []row, err error) {
	server := programs[1]
	leave, err := l.apart(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	if s.bare {
		programs = programs[1:]
	}
	rounds := make([][]outcome, len(programs))
	for n := range l.pace.rounds {
		for i, p := range programs {
			_, _ = fmt.Fprintf(progress, "%s, %s engine, %s: round %d of %d\n", s.name, engine, p.name, n+1, l.pace.rounds)
			o, err := l.round(ctx, s, engine, p)
			if err != nil {
				return nil, err
			}
			if o.Failed != "" {
				_, _ = fmt.Fprintf(progress, "FAILED: %s\n%s", o.Failed, o.Log)
			}
			rounds[i] = append(rounds[i], o)
		}
	}
	if profiles != "" {
		_, _ = fmt.Fprintf(progress, "%s, %s engine, %s: round with profiles\n", s.name, engine, server.name)
		profiled := *l
		profiled.profileTo = profiles
		if _, err := profiled.round(ctx, s, engine, server); err != nil {
			return nil, err
		}
	}
	rows = make([]row, len(programs))
	for i, p := range programs {
		rows[i] = sum(s, engine, p.name, rounds[i])
		var goal, bound aim // of nobody but the server
		if p.name == server.name {
			goal, bound = s.aim, s.bound
		}
		switch {
		case s.bare:
			rows[i].compare(nil, goal, bound)
		case i > 0:
			rows[i].compare(&rows[0], goal, bound)
		}
	}
	return rows, nil
}

// chosen is what the options name.
type chosen struct {
	scenes []scene
	trials []trial
}

// need reports whether something of it needs an engine.
func (c chosen) need(engine string) bool {
	return slices.ContainsFunc(c.scenes, func(s scene) bool { return slices.Contains(s.engines, engine) }) ||
		slices.ContainsFunc(c.trials, func(t trial) bool { return slices.Contains(t.engines, engine) })
}

// choose returns the scenes, trials and engines that the options name.
func (o options) choose() (chosen, error) {
	var c chosen
	only, err := regexp.Compile(o.Only)
	if err != nil {
		return c, fmt.Errorf("--only: %w", err)
	}
	var names []string
	engines := func(all []string) []string {
		if o.Engine == "both" {
			return all
		}
		return slices.DeleteFunc(slices.Clone(all), func(e string) bool { return e != o.Engine })
	}
	for _, s := range scenes(o.Quick) {
		names = append(names, s.name)
		s.engines = engines(s.engines)
		if only.MatchString(s.name) && len(s.engines) > 0 {
			c.scenes = append(c.scenes, s)
		}
	}
	for _, t := range trials(o.Quick) {
		names = append(names, t.name)
		t.engines = engines(t.engines)
		if !o.All && o.Only == "" {
			t.engines = slices.DeleteFunc(slices.Clone(t.engines), func(e string) bool { return slices.Contains(t.long, e) })
		}
		if only.MatchString(t.name) && len(t.engines) > 0 {
			c.trials = append(c.trials, t)
		}
	}
	if len(c.scenes)+len(c.trials) == 0 {
		return c, fmt.Errorf("nothing is called %q and has the engine; there are %s", o.Only, strings.Join(names, ", "))
	}
	return c, nil
}

// pace returns the options' pace.
func (o options) pace() pace {
	p := fullPace
	if o.Quick {
		p = quickPace
	}
	if o.Rounds > 0 {
		p.rounds = o.Rounds
	}
	if o.Window > 0 {
		p.window = o.Window
	}
	return p
}

// floor returns the floor to compare with.
func (o options) floor(ctx context.Context, dir string) (program, error) {
	if o.Floor != "go" {
		path, err := floor.Compile(ctx, dir)
		if err == nil {
			return floorProgram(func(args ...string) *exec.Cmd {
				return exec.Command(path, args...) //nolint:gosec,noctx // compiled by us; ended by its round
			}), nil
		}
		if o.Floor == "c" || !errors.Is(err, floor.ErrNoCompiler) {
			return program{}, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return program{}, fmt.Errorf("find own program: %w", err)
	}
	p := floorProgram(func(args ...string) *exec.Cmd {
		return exec.Command(self, append([]string{roleTwin}, args...)...) //nolint:gosec,noctx // ourselves; ended by its round
	})
	p.name = "floor (Go)"
	return p, nil
}

// server returns the path of the server, built if the options name none.
func (o options) server(ctx context.Context, dir string) (string, error) {
	path, err := filepath.Abs(o.Server)
	if err != nil {
		return "", fmt.Errorf("find server: %w", err)
	}
	if o.Server == "" {
		path = filepath.Join(dir, "kentongan")
		build := exec.CommandContext(ctx, "go", "build", "-o", path, "kentongan/cmd/kentongan") //nolint:gosec // to our folder
		said, err := build.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build server: %w\n%s", err, said)
		}
	}
	return path, nil
}
