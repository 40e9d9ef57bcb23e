package app_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kentongan/config"
	"kentongan/internal/testenv"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// instructions are the lines of a Dockerfile, continued ones as one.
func instructions(text string) (out []string) {
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// pinned is an image with a whole version: 1.26.8-bookworm, or 17.2 of PostgreSQL, which has no third number; not 1.26 and not latest.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:(?:v?\d+\.\d+\.\d+|1\d\.\d+)[a-z0-9.-]*$`)

// lintDockerfile returns what is wrong with one, by the rules that linters of such files have.
func lintDockerfile(text string) (flaws []string) {
	flaw := func(f string) { flaws = append(flaws, f) }
	var stages []string
	last := map[string]string{} // of the last stage, by instruction
	for _, line := range instructions(text) {
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "FROM":
			image, stage, _ := strings.Cut(rest, " AS ")
			if image != "scratch" && !slices.Contains(stages, image) && !pinned.MatchString(image) {
				flaw("image " + image + " is not pinned")
			}
			stages = append(stages, strings.TrimSpace(stage))
			last = map[string]string{"FROM": image}
		case "ADD":
			flaw("ADD fetches and unpacks: use COPY")
		case "RUN":
			if strings.Contains(rest, "sudo") || strings.Contains(rest, "curl") || strings.Contains(rest, "wget") {
				flaw("RUN fetches something that is not pinned: " + rest)
			}
		case "ENV", "ARG":
			if regexp.MustCompile(`(?i)(secret|password|token|_key)`).MatchString(rest) {
				flaw("a secret would stay in the image: " + rest)
			}
		}
		last[word] = rest
	}
	if user := last["USER"]; !regexp.MustCompile(`^[1-9]\d*(:[1-9]\d*)?$`).MatchString(user) {
		flaw("USER is " + user + ", want a number above 0")
	}
	for _, word := range []string{"ENTRYPOINT", "CMD"} {
		if !strings.HasPrefix(last[word], "[") {
			flaw(word + " is no list: a shell would take the signals")
		}
	}
	if !strings.Contains(last["HEALTHCHECK"], `CMD ["/kentongan", "health"]`) {
		flaw("no HEALTHCHECK by the program itself")
	}
	return flaws
}

func TestDockerfile(t *testing.T) {
	text := readText(t, "../deploy/docker/Dockerfile")
	for _, flaw := range lintDockerfile(text) {
		t.Error(flaw)
	}
	// The rules find what they are for.
	for old, bad := range map[string]string{
		"golang:1.26.8-bookworm": "golang:latest", "USER 65532:65532": "USER root", "COPY . .": "ADD https://example.org/x.tar .",
		`["/kentongan"]`: "/kentongan", `["/kentongan", "health"]`: "curl localhost", "ARG VERSION=devel": "ARG AUTH_SECRET=x",
	} {
		if !strings.Contains(text, old) || len(lintDockerfile(strings.Replace(text, old, bad, 1))) == 0 {
			t.Errorf("nothing is found with %s instead of %s", bad, old)
		}
	}
	// The image is built with the Go of go.mod, or a newer one.
	mod := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "../go.mod"))
	if mod == nil || !strings.Contains(text, "golang:"+mod[1]+".") {
		t.Errorf("the Dockerfile has another Go than go.mod: %v", mod)
	}
}

// compose is what we look at in a compose file.
type compose struct {
	Services map[string]struct {
		Image       string
		Profiles    []string
		User        string
		ReadOnly    bool `yaml:"read_only"`
		Privileged  bool
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Command     []string
		Ports       []string
		Networks    []string
		Volumes     []string
		Environment map[string]string
		Grace       string `yaml:"stop_grace_period"`
		Healthcheck map[string]any
		DependsOn   any `yaml:"depends_on"`
	}
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
}

// TestCompose checks that the file is whole, hardened, and that the servers start with its settings.
func TestCompose(t *testing.T) {
	var c compose
	if err := yaml.Unmarshal([]byte(readText(t, "../deploy/compose/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if own := strings.HasPrefix(name, "kentongan-"); !own && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s is not pinned", name, s.Image)
		}
		if s.Privileged || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may get more rights than it has", name)
		}
		if len(s.Ports) > 0 && name != "caddy" {
			t.Errorf("%s is open to the outside: %v", name, s.Ports)
		}
		for _, network := range s.Networks {
			if _, ok := c.Networks[network]; !ok {
				t.Errorf("%s is on %s, which is no network", name, network)
			}
		}
		for _, v := range s.Volumes {
			if source, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(source, ".") {
				if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s mounts %s, which is no volume", name, source)
				}
			}
		}
	}
	if !c.Networks["inside"].Internal || slices.Contains(c.Services["redis"].Networks, "outside") || slices.Contains(c.Services["postgres"].Networks, "outside") {
		t.Error("Redis or PostgreSQL can be reached from outside")
	}
	for _, name := range []string{"kentongan-1", "kentongan-2"} {
		s := c.Services[name]
		if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s is not hardened: %+v", name, s)
		}
		cfg := composed(t, s.Environment, nil)
		if cfg.Traces.On {
			t.Errorf("%s sends traces, and nobody has asked for that", name)
		}
		if s.Grace != "30s" || cfg.Server.DrainTime.Seconds() >= 30 {
			t.Errorf("%s drains for %v and is killed after %s", name, cfg.Server.DrainTime, s.Grace)
		}
	}
}

// variable is how a compose file names one of .env: ${NAME}, ${NAME:?what it is} or ${NAME:-what it is otherwise}.
var variable = regexp.MustCompile(`\$\{([A-Z_]+)(?::([-?])([^}]*))?\}`)

// composed loads the settings of a server with what stands in .env; what has to stand there and is not given is some digits.
func composed(t *testing.T, environment, dotenv map[string]string) config.Config {
	t.Helper()
	given := map[string]string{"KENTONGAN_API_KEYS": "app:0123456789abcdef"}
	maps.Copy(given, dotenv)
	var environ []string
	for key, value := range environment {
		value = variable.ReplaceAllStringFunc(value, func(v string) string {
			part := variable.FindStringSubmatch(v)
			switch written, ok := given[part[1]]; {
			case ok:
				return written
			case part[2] == "-":
				return part[3]
			}
			return "0123456789abcdef"
		})
		environ = append(environ, key+"="+value)
	}
	cfg, err := config.Load(config.Input{Environ: environ, Serve: true})
	if err != nil {
		t.Errorf("it would not start: %v", err)
	}
	return cfg
}

// TestComposeTraces follows a span from a server to where the collector hands it on.
func TestComposeTraces(t *testing.T) {
	var c compose
	if err := yaml.Unmarshal([]byte(readText(t, "../deploy/compose/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	s := c.Services["collector"]
	if !slices.Equal(s.Profiles, []string{"traces"}) || !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("the collector runs without being asked for, or is not hardened: %+v", s)
	}
	for _, name := range []string{"kentongan-1", "kentongan-2"} {
		cfg := composed(t, c.Services[name].Environment, map[string]string{"KENTONGAN_TRACES": "otlp"})
		if !cfg.Traces.On || cfg.Traces.URL != "http://collector:4318/v1/traces" || !slices.Contains(c.Services[name].Networks, "outside") {
			t.Errorf("%s sends traces to %q, in the networks %v", name, cfg.Traces.URL, c.Services[name].Networks)
		}
	}
	if !slices.Equal(s.Networks, []string{"outside"}) || !slices.Equal(s.Volumes, []string{"./collector.yaml:/etc/otelcol/config.yaml:ro"}) ||
		!slices.Equal(s.Command, []string{"--config=/etc/otelcol/config.yaml"}) || s.Environment["TRACES_TO"] != "${TRACES_TO:-}" {
		t.Errorf("the collector is not reached, or does not read its file: %+v", s)
	}
	var file struct {
		Receivers struct {
			OTLP struct {
				Protocols map[string]struct{ Endpoint string }
			}
		}
		Processors map[string]any
		Exporters  map[string]struct{ Endpoint string }
		Service    struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(readText(t, "../deploy/compose/collector.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if got := file.Receivers.OTLP.Protocols["http"].Endpoint; got != "0.0.0.0:4318" {
		t.Errorf("the collector listens at %q", got)
	}
	if got := file.Exporters["otlphttp"].Endpoint; got != "${env:TRACES_TO}" {
		t.Errorf("the collector hands on to %q", got)
	}
	p := file.Service.Pipelines["traces"]
	for _, name := range p.Processors {
		if _, ok := file.Processors[name]; !ok {
			t.Errorf("the processor %s is not there", name)
		}
	}
	if len(file.Service.Pipelines) != 1 || !slices.Equal(p.Receivers, []string{"otlp"}) || !slices.Equal(p.Exporters, []string{"otlphttp"}) ||
		!slices.Equal(p.Processors, []string{"memory_limiter", "batch"}) { // in this order: the limit comes first
		t.Errorf("the pipelines are %+v", file.Service.Pipelines)
	}
}

// TestComposeRedis starts a Redis with the arguments of the compose file: the server finds nothing in it by which it could lose something.
func TestComposeRedis(t *testing.T) {
	var c compose
	if err := yaml.Unmarshal([]byte(readText(t, "../deploy/compose/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	args := slices.Clone(c.Services["redis"].Command[1:])
	at := slices.Index(args, "--requirepass")
	if at < 0 {
		t.Fatal("Redis has no password")
	}
	args = slices.Delete(args, at, at+2) // the test's own client has none
	r := testenv.StartRedis(t, args...)
	s := start(t, "REDIS_URL=redis://"+r.Addr)
	eventually(t, "readiness", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return status == http.StatusOK
	})
	_, body := s.do(http.MethodGet, s.public+"/readyz", "", nil)
	var ready struct {
		Checks []struct {
			Name, Detail string
			Weak         bool
		}
	}
	if err := json.Unmarshal([]byte(body), &ready); err != nil {
		t.Fatal(err)
	}
	for _, check := range ready.Checks {
		if check.Weak {
			t.Errorf("the Redis of the compose file is weak: %+v", check)
		}
	}
}

// TestUnitIsHardened asks systemd how exposed the service is: 0 is best, 10 a service without any hardening. Where the score is higher than
// what docs/deployment.md says, systemd-analyze fails.
func TestUnitIsHardened(t *testing.T) {
	const most = "15" // tenths; the documentation says 1.2, and newer versions of systemd look at more
	said, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+most,
		"../deploy/systemd/kentongan.service").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if score := lines[len(lines)-1]; err != nil || !strings.Contains(score, "exposure level") {
		t.Fatalf("%v; want a score of at most 1.5:\n%s", err, said)
	}
	t.Log(lines[len(lines)-1])
}

// TestUnitStopsAfterTheDrain compares the unit with the settings.
func TestUnitStopsAfterTheDrain(t *testing.T) {
	unit := readText(t, "../deploy/systemd/kentongan.service")
	for _, want := range []string{
		"\nTimeoutStopSec=30s\n", "\nDynamicUser=yes\n", "\nNoNewPrivileges=yes\n", "\nCapabilityBoundingSet=\n", "\nProtectSystem=strict\n",
		"\nLimitNOFILE=100512\n", "\nRestartPreventExitStatus=2\n", "\nLimitCORE=0\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no %q", want)
		}
	}
	cfg, err := config.Load(config.Input{})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Server.DrainTime.Seconds() >= 30 || cfg.Limits.Connections*2 > 100512 {
		t.Errorf("the unit does not fit a drain of %v and %d connections", cfg.Server.DrainTime, cfg.Limits.Connections)
	}
}
