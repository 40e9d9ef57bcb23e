package realtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kentongan/tenant"
)

// Pattern tells how one family of channels is spelled by the app, and how its history is kept.
//
// A spelling is literal text of A-Z a-z 0-9 : _ - . with at most one "{tenant}", which stands for a tenant id. Without it the
// channel is global: it belongs to no kitchen and goes to all of them. "*" stands for one segment of A-Z a-z 0-9 _ -,
// which becomes part of the channel's name ("orders:{tenant}:*").
type Pattern struct {
	Spelling  string    // "production:updates:{tenant}"
	Retention Retention // what its channels keep

	// SnapshotKey is where in the data of a publication stands what it is about: "productionId", or "data.id" for a member of a
	// member. The channels then keep the newest publication of each key, for clients that were away for too long. Empty: they do
	// not. It needs a Retention, whose Age holds for it as well.
	SnapshotKey string
}

// DefaultPatterns are the names that the existing app publishes to. The order is the order in which connection info
// lists them.
func DefaultPatterns() []Pattern {
	spellings := []string{
		"production:updates:{tenant}", "production:alerts:{tenant}",
		"menu:updates:{tenant}", "inventory:updates:{tenant}", "distribution:updates:{tenant}",
		"hrd:updates:{tenant}", "procurement:updates:{tenant}",
		"notifications:{tenant}", "updates:{tenant}",
		"sppg:{tenant}:production:created", "dashboard-update-{tenant}", "notification-{tenant}",
		"system-alert",
	}
	patterns := make([]Pattern, len(spellings))
	for i, s := range spellings {
		patterns[i] = Pattern{Spelling: s, Retention: DefaultRetention}
	}
	patterns[0].SnapshotKey = "productionId" // the board of a kitchen is the newest of each production
	return patterns
}

const (
	tenantMark  = "{tenant}"
	segmentMark = "*"
)

// Names maps wire names to channels and back. It is immutable after NewNames, so that everybody may use it at once.
type Names struct {
	patterns []compiled
}

// compiled is a Pattern cut at its marks. The tenant and every segment are runs of one alphabet, and what follows a mark is a
// literal that starts outside of it, or the end: so a spelling matches in one way at most, without backtracking.
type compiled struct {
	Pattern
	name   string // of the channel: the spelling without the tenant; with "*" where it varies
	tokens []string
	global bool
	varies bool

	snapshotKey []string // the path of Pattern.SnapshotKey; nil: none
}

// ErrPattern says that a pattern cannot be used; errors that wrap it say why.
var ErrPattern = errors.New("bad channel pattern")

// NewNames checks patterns and makes Names of them. All mistakes are reported at once, joined; each wraps ErrPattern.
func NewNames(patterns []Pattern) (*Names, error) {
	var errs []error
	n := &Names{}
	seen := map[string]string{}
	for _, p := range patterns {
		c, err := compile(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		key := c.name
		if c.global {
			key += " (global)"
		}
		if other, ok := seen[key]; ok {
			errs = append(errs, fmt.Errorf("%w %q: its channels would have the same name %q as those of %q",
				ErrPattern, p.Spelling, c.name, other))
			continue
		}
		if i := slices.IndexFunc(n.patterns, func(other compiled) bool { return clash(&other, &c) }); i >= 0 {
			errs = append(errs, fmt.Errorf("%w %q: some name is a channel of it and another one of %q",
				ErrPattern, p.Spelling, n.patterns[i].Spelling))
			continue
		}
		seen[key] = p.Spelling
		n.patterns = append(n.patterns, c)
	}
	return n, errors.Join(errs...)
}

// Parse returns the channel that wire is the name of. It is ErrNoChannel if no pattern matches: an unknown name, a
// name outside of the grammar and a bad tenant id look the same. The earlier pattern wins where two match. It allocates only
// for names that vary ("*").
func (n *Names) Parse(wire string) (Channel, Pattern, error) {
	if wire == "" || len(wire) > MaxNameBytes {
		return Channel{}, Pattern{}, ErrNoChannel
	}
	for i := range n.patterns {
		if ch, ok := n.patterns[i].match(wire); ok {
			return ch, n.patterns[i].Pattern, nil
		}
	}
	return Channel{}, Pattern{}, ErrNoChannel
}

// Spell returns the wire name of ch, and "" for a channel that none of the patterns has.
func (n *Names) Spell(ch Channel) string {
	for i := range n.patterns {
		if p := &n.patterns[i]; p.has(ch) {
			return p.spell(ch)
		}
	}
	return ""
}

// PatternOf returns the pattern that has ch; ok is false if none has.
func (n *Names) PatternOf(ch Channel) (p Pattern, ok bool) {
	for i := range n.patterns {
		if n.patterns[i].has(ch) {
			return n.patterns[i].Pattern, true
		}
	}
	return Pattern{}, false
}

// AnyTenant stands for any kitchen in what Fixed returns. No tenant.ID is spelled so.
const AnyTenant tenant.ID = "*"

// Fixed returns the one name that the channels of a pattern have, by its spelling: the Channel has that Name, and as Tenant AnyTenant,
// or tenant.Global if it is a global one. ok is false if the names vary, or no pattern is spelled so.
func (n *Names) Fixed(spelling string) (ch Channel, ok bool) {
	for i := range n.patterns {
		p := &n.patterns[i]
		if p.Spelling != spelling || p.varies {
			continue
		}
		if p.global {
			return Channel{Tenant: tenant.Global, Name: p.name}, true
		}
		return Channel{Tenant: AnyTenant, Name: p.name}, true
	}
	return Channel{}, false
}

// Retention returns what ch keeps; none for a channel that none of the patterns has.
func (n *Names) Retention(ch Channel) Retention {
	for i := range n.patterns {
		if p := &n.patterns[i]; p.has(ch) {
			return p.Retention
		}
	}
	return Retention{}
}

// SnapshotKey returns the key of data by the pattern of ch, see [SnapshotKey]; ok is false if its channels keep no snapshot, or data has
// no key.
func (n *Names) SnapshotKey(ch Channel, data []byte) (key string, ok bool) {
	if path := n.SnapshotPath(ch); path != nil {
		return SnapshotKey(data, path)
	}
	return "", false
}

// KeepsSnapshot reports whether ch keeps the newest publication of each key.
func (n *Names) KeepsSnapshot(ch Channel) bool { return n.SnapshotPath(ch) != nil }

// SnapshotPath returns where the key of a publication on ch stands, for [AppendSnapshotKey]; nil: its channels keep no snapshot. It is
// shared, and not to be written to.
func (n *Names) SnapshotPath(ch Channel) []string {
	for i := range n.patterns {
		if p := &n.patterns[i]; p.has(ch) {
			return p.snapshotKey
		}
	}
	return nil
}

// Of returns the wire names of the channels of t that are known by their spelling alone, in the order of the patterns; those
// with a varying segment cannot be listed. For tenant.Global these are the global ones.
func (n *Names) Of(t tenant.ID) []string {
	var names []string
	for i := range n.patterns {
		if p := &n.patterns[i]; !p.varies && p.global == (t == tenant.Global) {
			names = append(names, p.spell(Channel{Tenant: t, Name: p.name}))
		}
	}
	return names
}

// Patterns returns the patterns in their order.
func (n *Names) Patterns() []Pattern {
	patterns := make([]Pattern, len(n.patterns))
	for i := range n.patterns {
		patterns[i] = n.patterns[i].Pattern
	}
	return patterns
}

// Globs returns what to PSUBSCRIBE to in Redis so that every name that Parse accepts is received: each pattern with
// its marks as "*".
func (n *Names) Globs() []string {
	globs := make([]string, len(n.patterns))
	for i := range n.patterns {
		globs[i] = strings.ReplaceAll(n.patterns[i].Spelling, tenantMark, "*")
	}
	return globs
}
