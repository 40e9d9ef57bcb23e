package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kentongan/realtime"
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
		default:
			return false
		}
		return true
	}, "spelling", "history", "snapshot")
	if ok && p.spelling == "" {
		f.problem(n, key, "has no spelling")
		ok = false
	}
	return p, ok
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
		h := l.d.history
		if p.size != nil {
			h.size = *p.size
		}
		if p.age != nil {
			h.age = *p.age
		}
		next := realtime.Pattern{Spelling: p.spelling, Retention: h.retention(), SnapshotKey: p.snapshot}
		if i := indexOf(patterns, p.spelling); i >= 0 && !fromFile[p.spelling] {
			patterns[i] = next
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
