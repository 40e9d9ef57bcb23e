package schema

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kentongan/internal/seldom"
	"kentongan/realtime"
	"kentongan/tenant"
)

// Mode says what becomes of a publication that does not fit.
type Mode string

// The modes.
const (
	Off    Mode = "off"    // nobody looks
	Report Mode = "report" // it is counted and logged, and goes on
	Refuse Mode = "refuse" // it goes to no reader
)

// Rule is what holds for the channels of one pattern.
type Rule struct {
	Spelling string // of the pattern
	Mode     Mode
	Schema   *Schema // nil: there is none, and the Mode is Off
}

// Set has the rules of all patterns. It may be used by many at once. A nil Set takes everything.
type Set struct {
	names *realtime.Names
	log   *slog.Logger
	said  seldom.Once[realtime.Channel]

	rules  []*rule
	exact  map[realtime.Channel]*rule // by name, of patterns that do not vary; the tenant is as Names.Fixed has it
	varies map[string]*rule           // by spelling, of those that do
}

type rule struct {
	Rule
	checked, reported, refused atomic.Uint64

	mu   sync.Mutex
	last *Last
}

// Last is the newest publication that did not fit.
type Last struct {
	Time    time.Time        `json:"time"`
	Channel string           `json:"channel"` // as it is spelled in Redis
	Tenant  tenant.ID        `json:"tenant"`
	Faults  []realtime.Fault `json:"faults"`
}

// Stats is what was found with one pattern since the start.
type Stats struct {
	Spelling string `json:"pattern"`
	Mode     Mode   `json:"mode"`
	Schema   string `json:"schema,omitempty"` // its file; empty: none
	Checked  uint64 `json:"checked"`
	Reported uint64 `json:"reported"` // did not fit, and went on
	Refused  uint64 `json:"refused"`  // did not fit, and went nowhere
	Last     *Last  `json:"last,omitempty"`
}

// NewSet returns the rules of names. It is nil if all are Off: then nothing is to be asked. nil log discards.
func NewSet(names *realtime.Names, rules []Rule, log *slog.Logger) (*Set, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Set{names: names, log: log, exact: map[realtime.Channel]*rule{}, varies: map[string]*rule{}}
	on := false
	for _, r := range rules {
		if r.Mode != Off && r.Schema == nil {
			return nil, fmt.Errorf("%w: %s is to be checked and has none", ErrSchema, r.Spelling)
		}
		on = on || r.Mode != Off
		one := &rule{Rule: r}
		s.rules = append(s.rules, one)
		ch, fixed := names.Fixed(r.Spelling)
		if fixed {
			s.exact[ch] = one
		} else {
			s.varies[r.Spelling] = one
		}
	}
	if !on {
		return nil, nil //nolint:nilnil // a Set that has nothing to do is nil, as its docstring says
	}
	return s, nil
}

// of returns the rule of ch; nil: there is none.
func (s *Set) of(ch realtime.Channel) *rule {
	key := realtime.Channel{Name: ch.Name}
	if ch.Tenant != tenant.Global {
		key.Tenant = realtime.AnyTenant
	}
	if r := s.exact[key]; r != nil {
		return r
	}
	if len(s.varies) == 0 {
		return nil
	}
	p, ok := s.names.PatternOf(ch)
	if !ok {
		return nil
	}
	return s.varies[p.Spelling]
}

// Judge returns nil if data, one JSON text, may go on in ch, else what is wrong. What does not fit and goes on all the same is counted,
// and logged once a channel and minute.
func (s *Set) Judge(ch realtime.Channel, data []byte) *realtime.Mismatch {
	if s == nil {
		return nil
	}
	r := s.of(ch)
	if r == nil || r.Mode == Off {
		return nil
	}
	r.checked.Add(1)
	wrong := r.Schema.Check(data)
	if wrong == nil {
		return nil
	}
	now := time.Now()
	last := &Last{Time: now.UTC(), Channel: s.names.Spell(ch), Tenant: ch.Tenant, Faults: wrong.Faults}
	r.mu.Lock()
	r.last = last
	r.mu.Unlock()
	if r.Mode == Refuse {
		r.refused.Add(1)
		return wrong
	}
	r.reported.Add(1)
	if s.said.First(ch, now) {
		s.log.Warn("message does not fit its schema, and was sent", "tenant", ch.Tenant, "channel", ch.Name, "why", wrong.Error())
	}
	return nil
}

// Stats returns what was found with each pattern, in the order of the patterns.
func (s *Set) Stats() []Stats {
	if s == nil {
		return nil
	}
	all := make([]Stats, 0, len(s.rules))
	for _, r := range s.rules {
		st := Stats{
			Spelling: r.Spelling, Mode: r.Mode, Checked: r.checked.Load(), Reported: r.reported.Load(), Refused: r.refused.Load(),
		}
		if r.Schema != nil {
			st.Schema = r.Schema.Name()
		}
		r.mu.Lock()
		st.Last = r.last
		r.mu.Unlock()
		all = append(all, st)
	}
	return all
}
