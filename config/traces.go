package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Traces says whether traces are recorded, which, and where they go.
type Traces struct {
	On         bool
	URL        string            // of the collector, with its path
	Headers    map[string]Secret // of each request to it
	Service    string            // service.name
	Attributes map[string]string // of the resource
	Ratio      float64           // of the traces that begin here, 0 to 1
	Parent     bool              // the decision of who sends a request counts for it
}

// tracesParts are what Traces is made of. A wrong value of a variable that is not ours alone is no problem while traces are off: it may be
// meant for the app beside this server.
type tracesParts struct {
	endpoint, protocol, sampler, ratio string

	wrong map[string]error // by key
}

func (p *tracesParts) note(key string, err error) {
	if p.wrong == nil {
		p.wrong = map[string]error{}
	}
	p.wrong[key] = err
}

// tracesSwitch is off or otlp.
type tracesSwitch struct{}

func (tracesSwitch) takes() string { return "`off` or `otlp`" }

func (tracesSwitch) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	switch strings.ToLower(s) {
	case "off":
		d.Traces.On = false
	case "otlp":
		d.Traces.On = true
	default:
		return fmt.Errorf("%s is neither off nor otlp", quote(s))
	}
	return nil
}

func (tracesSwitch) show(d *draft) []string {
	if d.Traces.On {
		return []string{"otlp"}
	}
	return []string{"off"}
}

// tracesText is a text whose mistakes matter only while traces are on.
type tracesText struct {
	key string
	text
}

func (k tracesText) set(d *draft, items []string) error {
	if err := k.text.set(d, items); err != nil {
		d.traces.note(k.key, err)
	}
	return nil
}

// tracesPairs is a list of name=value, whose mistakes matter only while traces are on.
type tracesPairs struct {
	key   string
	store func(d *draft, v map[string]string)
}

func (k tracesPairs) takes() string           { return "list of `name=value`, values percent-encoded" }
func (k tracesPairs) split(s string) []string { return strings.Split(s, ",") }

var pairName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,128}$")

func (k tracesPairs) set(d *draft, items []string) error {
	pairs := map[string]string{}
	for i, item := range items {
		name, value, ok := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		switch {
		case !ok || !pairName.MatchString(name):
			err = fmt.Errorf("entry %d is no name=value", i+1)
		case err != nil || strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }):
			err = fmt.Errorf("entry %d has a value that cannot be read: percent-encode what is special (a space is %%20, a comma %%2C)",
				i+1)
		}
		if err != nil {
			d.traces.note(k.key, err)
			return nil
		}
		pairs[name] = plain
	}
	k.store(d, pairs)
	return nil
}

func (tracesPairs) show(d *draft) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Traces.Attributes)) {
		lines = append(lines, name+"="+d.Traces.Attributes[name])
	}
	return lines
}

// tracesHeaders are tracesPairs whose values must not be seen.
type tracesHeaders struct{ tracesPairs }

func (tracesHeaders) masked() {}

func (tracesHeaders) show(d *draft) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Traces.Headers)) {
		lines = append(lines, name+": "+d.Traces.Headers[name].String())
	}
	return lines
}

func secrets(v map[string]string) map[string]Secret {
	all := make(map[string]Secret, len(v))
	for name, value := range v {
		all[name] = Secret(value)
	}
	return all
}

// checkCollector accepts the URL of a collector.
func checkCollector(s string) (string, error) {
	u, err := parseWeb(s)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// otlpHTTP is the one protocol that is spoken.
const otlpHTTP = "http/protobuf"

func checkProtocol(s string) (string, error) {
	if s != otlpHTTP {
		return "", fmt.Errorf("%s is not spoken here; write http/protobuf, and the port of the collector for it, which is usually 4318",
			quote(s))
	}
	return s, nil
}

func checkSampler(s string) (string, error) {
	switch strings.TrimPrefix(s, parentBased) {
	case alwaysOn, alwaysOff, byRatio:
		return s, nil
	}
	return "", fmt.Errorf("%s is no sampler that is known here; write always_on, always_off or traceidratio, or parentbased_ and one "+
		"of them", quote(s))
}

const (
	parentBased = "parentbased_"
	alwaysOn    = "always_on"
	alwaysOff   = "always_off"
	byRatio     = "traceidratio"
)

func checkRatio(s string) (string, error) {
	if v, err := strconv.ParseFloat(s, 64); err != nil || !(v >= 0 && v <= 1) {
		return "", fmt.Errorf("%s is no number from 0 to 1; write for example 0.01", quote(s))
	}
	return s, nil
}

// joinTraces makes Traces out of its parts, and tells what is wrong with them if traces are on.
func (l *loader) joinTraces() {
	t, parts := &l.d.Traces, &l.d.traces
	if !t.On {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(parts.wrong)) {
		l.problems.add(l.sources[key].where(key), "%s", parts.wrong[key])
	}
	if t.URL == "" {
		t.URL = strings.TrimSuffix(parts.endpoint, "/") + "/v1/traces"
	}
	sampler, parent := strings.CutPrefix(parts.sampler, parentBased)
	t.Parent = parent
	switch sampler {
	case alwaysOn:
		t.Ratio = 1
	case alwaysOff:
		t.Ratio = 0
	default:
		t.Ratio, _ = strconv.ParseFloat(parts.ratio, 64) // it was checked
	}
}
