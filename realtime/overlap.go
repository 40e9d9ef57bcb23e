package realtime

import (
	"slices"

	"kentongan/tenant"
)

// clash reports whether some wire name would be one channel by p and another one by q. Such patterns make a name of one
// tenant reach another one ("a:{tenant}:b" and "{tenant}:x:b" both match "a:x:b"), and are refused.
//
// Patterns that match the same names and take them for the same channels are fine: "orders:{tenant}:alerts" beside
// "orders:{tenant}:*" keeps its own history, if it comes first.
func clash(p, q *compiled) bool {
	return !alike(p, q) && overlap(units(p.tokens), units(q.tokens))
}

// alike reports whether p and q read the same tenant and the same name out of each name that both match: both are global,
// for then the name is the wire name; or the tenant stands behind the same text, and as much is trimmed.
func alike(p, q *compiled) bool {
	if p.global || q.global {
		return p.global == q.global
	}
	i, j := slices.Index(p.tokens, tenantMark), slices.Index(q.tokens, tenantMark)
	if !slices.Equal(p.tokens[:i], q.tokens[:j]) {
		return false
	}
	return trimmed(p) == trimmed(q)
}

// trimmed is how many bytes nameOf leaves out beside the tenant.
func trimmed(c *compiled) int { return len(c.Spelling) - len(tenantMark) - len(c.name) }

// unit is one step of a pattern: a byte, one byte of the alphabet (any), or any number of them (many).
type unit struct {
	literal   byte
	any, many bool
}

func units(tokens []string) (out []unit) {
	for _, t := range tokens {
		if t == tenantMark || t == segmentMark {
			out = append(out, unit{any: true}, unit{any: true, many: true})
			continue
		}
		for i := range len(t) {
			out = append(out, unit{literal: t[i]})
		}
	}
	return out
}

func (u unit) meets(v unit) bool {
	switch {
	case u.any && v.any:
		return true
	case u.any:
		return tenant.Alphabet(v.literal)
	case v.any:
		return tenant.Alphabet(u.literal)
	}
	return u.literal == v.literal
}

// overlap reports whether some text is matched by both: it walks through both at once. That a tenant id is at most 64
// bytes long is left out of account, which can only find too much.
func overlap(p, q []unit) bool {
	type place struct{ i, j int }
	seen := map[place]bool{}
	var walk func(at place) bool
	walk = func(at place) bool {
		if seen[at] {
			return false
		}
		seen[at] = true
		pEnds, qEnds := at.i == len(p), at.j == len(q)
		if pEnds && qEnds {
			return true
		}
		if !pEnds && p[at.i].many && walk(place{at.i + 1, at.j}) || !qEnds && q[at.j].many && walk(place{at.i, at.j + 1}) {
			return true
		}
		if pEnds || qEnds || !p[at.i].meets(q[at.j]) {
			return false
		}
		next := at
		if !p[at.i].many {
			next.i++
		}
		if !q[at.j].many {
			next.j++
		}
		return next != at && walk(next) || next == at && walk(place{at.i + 1, at.j + 1})
	}
	return walk(place{})
}
