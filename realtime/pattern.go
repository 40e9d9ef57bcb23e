package realtime

import (
	"fmt"
	"strings"

	"kentongan/tenant"
)

func compile(p Pattern) (compiled, error) {
	bad := func(format string, args ...any) (compiled, error) {
		return compiled{}, fmt.Errorf("%w %q: %s", ErrPattern, p.Spelling, fmt.Sprintf(format, args...))
	}
	if p.Spelling == "" || len(p.Spelling) > MaxNameBytes-tenant.MaxBytes {
		return bad("must be 1 to %d bytes long", MaxNameBytes-tenant.MaxBytes)
	}
	if strings.Count(p.Spelling, tenantMark) > 1 {
		return bad("%s may stand in it once at most", tenantMark)
	}
	if p.Retention.Size < 0 || p.Retention.Age < 0 {
		return bad("history size and age must not be negative")
	}
	if (p.Retention.Size > 0) != (p.Retention.Age > 0) {
		return bad("history needs both a size and an age, or neither")
	}
	var snapshotKey []string
	if p.SnapshotKey != "" {
		if p.Retention.Size == 0 {
			return bad("a snapshot needs a history")
		}
		var err error
		if snapshotKey, err = parseKeyPath(p.SnapshotKey); err != nil {
			return bad("%s", err)
		}
	}
	c := compiled{Pattern: p, snapshotKey: snapshotKey, tokens: tokens(p.Spelling)}
	c.global = !strings.Contains(p.Spelling, tenantMark)
	for i, t := range c.tokens {
		switch t {
		case segmentMark:
			c.varies = true
		case tenantMark:
		default:
			if at := strings.IndexFunc(t, outsideLiteral); at >= 0 {
				return bad("%q may not stand in it; write {tenant} for the kitchen and * for one free segment", t[at:at+1])
			}
			if i > 0 && tenant.Alphabet(t[0]) {
				return bad("after %s must come the end, ':' or '.'", c.tokens[i-1])
			}
			continue
		}
		if i > 0 && (c.tokens[i-1] == tenantMark || c.tokens[i-1] == segmentMark) {
			return bad("between %s and %s must stand ':' or '.'", c.tokens[i-1], t)
		}
	}
	c.name = nameOf(c.tokens)
	if c.name == "" {
		return bad("needs some text beside %s", tenantMark)
	}
	return c, nil
}

func outsideLiteral(r rune) bool {
	return r > 127 || !tenant.Alphabet(byte(r)) && r != ':' && r != '.' //nolint:gosec // r is at most 127 there
}

// tokens cuts a spelling into literals and marks.
func tokens(spelling string) []string {
	var out []string
	for spelling != "" {
		at, mark := len(spelling), ""
		for _, m := range []string{tenantMark, segmentMark} {
			if i := strings.Index(spelling, m); i >= 0 && i < at {
				at, mark = i, m
			}
		}
		if at > 0 {
			out = append(out, spelling[:at])
		}
		if mark != "" {
			out = append(out, mark)
		}
		spelling = spelling[at+len(mark):]
	}
	return out
}

// nameOf leaves the tenant out of a spelling, with one of the separators beside it: "production:updates:{tenant}" is
// called "production:updates", "sppg:{tenant}:production:created" is "sppg:production:created".
func nameOf(tokens []string) string {
	for i, t := range tokens {
		if t != tenantMark {
			continue
		}
		before, after := strings.Join(tokens[:i], ""), strings.Join(tokens[i+1:], "")
		if after == "" {
			return strings.TrimRight(before, ":-._")
		}
		if before != "" && strings.ContainsRune(":-._", rune(before[len(before)-1])) {
			before = before[:len(before)-1]
		}
		return strings.TrimLeft(before+after, ":-._")
	}
	return strings.Join(tokens, "")
}

// match reads wire from left to right; a mark takes the longest run of its alphabet, but not what the literal after it
// needs, which is why literals may not begin inside of that alphabet.
func (c *compiled) match(wire string) (Channel, bool) {
	ch := Channel{Name: c.name}
	rest := wire
	var segments []string
	for _, t := range c.tokens {
		switch t {
		case tenantMark, segmentMark:
			end := 0
			for end < len(rest) && tenant.Alphabet(rest[end]) {
				end++
			}
			if t == tenantMark {
				if !tenant.Valid(rest[:end]) {
					return Channel{}, false
				}
				ch.Tenant = tenant.ID(rest[:end])
			} else {
				if end == 0 {
					return Channel{}, false
				}
				segments = append(segments, rest[:end])
			}
			rest = rest[end:]
		default:
			if !strings.HasPrefix(rest, t) {
				return Channel{}, false
			}
			rest = rest[len(t):]
		}
	}
	if rest != "" {
		return Channel{}, false
	}
	if c.varies {
		ch.Name = fill(c.name, segments)
	}
	return ch, true
}

// fill puts segments in place of the marks of a name.
func fill(name string, segments []string) string {
	for _, s := range segments {
		name = strings.Replace(name, segmentMark, s, 1)
	}
	return name
}

// has reports whether ch is a channel of this pattern.
func (c *compiled) has(ch Channel) bool {
	if c.global != (ch.Tenant == tenant.Global) {
		return false
	}
	if !c.varies {
		return ch.Name == c.name
	}
	_, ok := c.segments(ch.Name)
	return ok
}

// segments returns what stands in name where the pattern's name has "*".
func (c *compiled) segments(name string) ([]string, bool) {
	var out []string
	parts := strings.Split(c.name, segmentMark)
	for i, literal := range parts {
		if !strings.HasPrefix(name, literal) {
			return nil, false
		}
		name = name[len(literal):]
		if i == len(parts)-1 {
			break
		}
		end := 0
		for end < len(name) && tenant.Alphabet(name[end]) {
			end++
		}
		if end == 0 {
			return nil, false
		}
		out, name = append(out, name[:end]), name[end:]
	}
	return out, name == ""
}

func (c *compiled) spell(ch Channel) string {
	spelling := c.Spelling
	if c.varies {
		segments, _ := c.segments(ch.Name)
		spelling = fill(spelling, segments)
	}
	return strings.Replace(spelling, tenantMark, string(ch.Tenant), 1)
}
