package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kentongan/realtime"
	"kentongan/realtime/schema"
)

// Bounds of a history. A hundred thousand publications of the largest kitchen are a month; longer is the work of a database.
const (
	maxHistorySize = 100_000
	minHistoryAge  = time.Second
	maxHistoryAge  = 30 * 24 * time.Hour
)

// history is what channels keep unless their pattern says otherwise.
type history struct {
	size int
	age  time.Duration
}

func (h history) retention() realtime.Retention {
	if h.size == 0 {
		return realtime.Retention{}
	}
	return realtime.Retention{Size: h.size, Age: h.age}
}

// filePattern is one item of channels.patterns.
type filePattern struct {
	spelling string
	size     *int           // nil: as history.size
	age      *time.Duration // nil: as history.age
	snapshot string         // where the key of its snapshot stands; "": none
	mode     schema.Mode    // "": as channels.validation
	schema   string         // path of its schema; "": the one that the binary has for it, if any
	where    string         // for problems
}

// patternList is channels.patterns. Its items are no texts, so the file hands it nodes.
type patternList struct{}

func (patternList) takes() string { return "list of patterns" }

func (patternList) split(s string) []string { return splitList(s) }

// set takes spellings alone, as the example of the table has them.
func (patternList) set(d *draft, items []string) error {
	for _, s := range items {
		d.patterns = append(d.patterns, filePattern{spelling: s})
	}
	return nil
}

func (patternList) show(d *draft) []string {
	var lines []string
	for _, p := range d.Channels.Patterns {
		kept := "keeps none"
		if p.Retention.Size > 0 {
			kept = fmt.Sprintf("keeps %d for %s", p.Retention.Size, short(p.Retention.Age))
		}
		if p.SnapshotKey != "" {
			kept += ", and the newest of each " + p.SnapshotKey
		}
		if r := d.Channels.ruleOf(p.Spelling); r.Mode != schema.Off {
			kept += ", validation " + string(r.Mode) + " by " + r.Schema.Name()
		}
		lines = append(lines, p.Spelling+" "+kept)
	}
	return lines
}

// readNode reads the list of the file.
func (patternList) readNode(f *file, key string, n *yaml.Node, d *draft) {
	if n.Kind != yaml.SequenceNode {
		f.problem(n, key, "takes a list; write each pattern on a line of its own, after a dash")
		return
	}
	for _, item := range n.Content {
		if p, ok := f.pattern(key, item); ok {
			d.patterns = append(d.patterns, p)
		}
	}
}

func (f *file) pattern(key string, n *yaml.Node) (filePattern, bool) {
	p := filePattern{where: f.where(n, key)}
	if n.Kind == yaml.ScalarNode {
		s, ok := f.scalar(n, key)
		p.spelling = s
		return p, ok
	}
	ok := f.mapping(n, key, func(name string, v *yaml.Node) bool {
		switch name {
		case "spelling":
			p.spelling, _ = f.scalar(v, key+".spelling")
		case "history":
			f.patternHistory(&p, key+".history", v)
		case "snapshot":
			p.snapshot, _ = f.scalar(v, key+".snapshot")
		case "validation":
			f.patternMode(&p, key+".validation", v)
		case "schema":
			p.schema, _ = f.scalar(v, key+".schema")
		default:
			return false
		}
		return true
	}, "spelling", "history", "snapshot", "validation", "schema")
	if ok && p.spelling == "" {
		f.problem(n, key, "has no spelling")
		ok = false
	}
	return p, ok
}

func (f *file) patternMode(p *filePattern, key string, n *yaml.Node) {
	s, ok := f.scalar(n, key)
	if !ok {
		return
	}
	mode, err := checkMode(s)
	if err != nil {
		f.problem(n, key, "%s", err)
		return
	}
	p.mode = schema.Mode(mode)
}

func (f *file) patternHistory(p *filePattern, key string, n *yaml.Node) {
	var d draft
	read := func(name string, v *yaml.Node, k kind) bool {
		s, ok := f.scalar(v, key+"."+name)
		if !ok {
			return false
		}
		if err := k.set(&d, []string{s}); err != nil {
			f.problem(v, key+"."+name, "%s", err)
			return false
		}
		return true
	}
	f.mapping(n, key, func(name string, v *yaml.Node) bool {
		switch name {
		case "size":
			if read(name, v, count{func(d *draft) *int { return &d.history.size }, 0, maxHistorySize}) {
				p.size = &d.history.size
			}
		case "age":
			if read(name, v, duration{func(d *draft) *time.Duration { return &d.history.age }, minHistoryAge, maxHistoryAge}) {
				p.age = &d.history.age
			}
		default:
			return false
		}
		return true
	}, "size", "age")
}

// joinPatterns makes the list of patterns. Each new one is tried in turn, so that a problem has the line of its cause.
func (l *loader) joinPatterns() {
	var patterns []realtime.Pattern
	if l.d.extend {
		patterns = realtime.DefaultPatterns()
		for i := range patterns {
			if patterns[i].Retention = l.d.history.retention(); l.d.history.size == 0 {
				patterns[i].SnapshotKey = ""
			}
		}
	} else if len(l.d.patterns) == 0 {
		l.problems.add(l.sources["channels.extend"].where("channels.extend"), "is off and channels.patterns is empty: no name "+
			"would belong to any kitchen")
	}
	fromFile := map[string]bool{}
	for _, p := range l.d.patterns {
		next := realtime.Pattern{Spelling: p.spelling, Retention: l.retentionOf(p), SnapshotKey: p.snapshot}
		if i := indexOf(patterns, p.spelling); i >= 0 && !fromFile[p.spelling] {
			if p.size != nil || p.age != nil || p.snapshot != "" { // else what a default pattern keeps is not what was written about
				patterns[i] = next
			}
			fromFile[p.spelling] = true
			continue
		}
		if _, err := realtime.NewNames(append(slices.Clip(patterns), next)); err != nil {
			l.problems.add(p.where, "%s", reason(err))
			continue
		}
		patterns = append(patterns, next)
		fromFile[p.spelling] = true
	}
	l.d.Channels.Patterns = patterns
	l.joinRules()
}

// retentionOf is what the channels of p keep.
func (l *loader) retentionOf(p filePattern) realtime.Retention {
	h := l.d.history
	if p.size != nil {
		h.size = *p.size
	}
	if p.age != nil {
		h.age = *p.age
	}
	return h.retention()
}

// joinRules finds the schema and the mode of each pattern.
func (l *loader) joinRules() {
	for _, pattern := range l.d.Channels.Patterns {
		r := schema.Rule{Spelling: pattern.Spelling, Mode: l.d.Channels.Validation}
		r.Schema, _ = schema.Default(pattern.Spelling)
		var own *filePattern
		for i := range l.d.patterns {
			if l.d.patterns[i].spelling == pattern.Spelling {
				own = &l.d.patterns[i]
			}
		}
		if own != nil {
			l.joinRule(&r, own)
		}
		if r.Schema == nil {
			r.Mode = schema.Off
		}
		l.d.Channels.Rules = append(l.d.Channels.Rules, r)
	}
}

// joinRule applies what the file says of one pattern.
func (l *loader) joinRule(r *schema.Rule, own *filePattern) {
	if own.mode != "" {
		r.Mode = own.mode
	}
	if own.schema != "" {
		name := own.schema
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(l.path), name)
		}
		text, err := readBounded(name)
		if err != nil {
			l.problems.add(own.where+".schema", "%s cannot be read: %s", quote(own.schema), err)
			return
		}
		if r.Schema, err = schema.Compile(own.schema, text); err != nil {
			l.problems.add(own.where+".schema", "%s", reason(err))
			return
		}
	}
	if own.mode != "" && own.mode != schema.Off && r.Schema == nil {
		l.problems.add(own.where+".validation", "is %s, and there is no schema for %s; name a file in schema", own.mode, own.spelling)
	}
}

func indexOf(patterns []realtime.Pattern, spelling string) int {
	for i, p := range patterns {
		if p.Spelling == spelling {
			return i
		}
	}
	return -1
}

// reason returns the first line of err: with one new pattern there is only one that matters.
func reason(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}
