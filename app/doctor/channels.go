package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// channelList is the answer of /channels.
type channelList struct {
	Patterns []string `json:"patterns"`
	Channels []struct {
		Channel, Pattern, Tenant string
		Offset                   uint64
		Followers                int
	} `json:"channels"`
	More bool `json:"more"`
}

// unmatchedList is the answer of /channels/unmatched.
type unmatchedList struct {
	Total uint64 `json:"total"`
	Names []struct {
		Name  string
		Count uint64
	} `json:"names"`
}

// connectionList is the answer of /connections.
type connectionList struct {
	Connections []struct {
		Tenant   string
		Channels []string
	} `json:"connections"`
}

// traffic of one pattern, on all servers that were asked.
type flow struct {
	published map[string]bool // channels that something was published in
	heard     map[string]bool // of these, those that somebody follows
	wanted    map[string]bool // channels that somebody follows by name
}

// maxConnectionsAsked bounds the list of connections that is read from one server.
const maxConnectionsAsked = 20_000

// channels looks for names that go astray: published and followed by nobody, followed and never published, and nearly those of a pattern.
func (p *patient) channels(ctx context.Context) error {
	if len(p.running) == 0 {
		return skip("no server that runs was reached")
	}
	flows := map[string]*flow{}
	var patterns []string
	astray := map[string]uint64{}
	for _, base := range slices.Sorted(maps.Keys(p.running)) {
		var list channelList
		var unmatched unmatchedList
		var who connectionList
		for path, v := range map[string]any{
			"/channels": &list, "/channels/unmatched": &unmatched, fmt.Sprintf("/connections?limit=%d", maxConnectionsAsked): &who,
		} {
			if err := p.admin(ctx, base, path, v); err != nil {
				p.found(Broken, base+path, err.Error(), "the admin listener of a running server of this version")
				return nil
			}
		}
		patterns = list.Patterns
		collect(flows, &list, &who)
		for _, n := range unmatched.Names {
			astray[n.Name] += n.Count
		}
	}
	p.detail = fmt.Sprintf("%d patterns, %d names that none of them matches", len(patterns), len(astray))
	p.astray(patterns, astray)
	for _, pattern := range patterns {
		f := flows[pattern]
		if f == nil {
			continue
		}
		if len(f.published) > 0 && len(f.heard) == 0 {
			p.found(Note, pattern, fmt.Sprintf("something was published in %d of its channels, and nobody follows one of them now",
				len(f.published)),
				"nothing, if no kitchen is at work; else look whether the pages connect, and to which names")
		}
		if len(f.wanted) > 0 && len(f.published) == 0 {
			p.found(Note, pattern, fmt.Sprintf("%d of its channels are followed by name, and nothing was ever published in any",
				len(f.wanted)),
				"the name that the app publishes to")
		}
	}
	return nil
}

// collect adds what one server says.
func collect(flows map[string]*flow, list *channelList, who *connectionList) {
	of := func(pattern string) *flow {
		if flows[pattern] == nil {
			flows[pattern] = &flow{map[string]bool{}, map[string]bool{}, map[string]bool{}}
		}
		return flows[pattern]
	}
	for _, c := range list.Channels {
		if c.Pattern == "" {
			continue
		}
		f := of(c.Pattern)
		f.published[c.Channel] = true
		if c.Followers > 0 {
			f.heard[c.Channel] = true
		}
	}
	for _, c := range who.Connections {
		for _, name := range c.Channels {
			if i := slices.IndexFunc(list.Patterns, func(pattern string) bool { return distance(pattern, name) == 0 }); i >= 0 {
				of(list.Patterns[i]).wanted[name] = true
			}
		}
	}
}

// astray tells of names that no pattern matches: nearly one of a pattern is most likely a mistake, others are listed together.
func (p *patient) astray(patterns []string, names map[string]uint64) {
	var others []string
	order := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(cmp.Compare(names[b], names[a]), cmp.Compare(a, b))
	})
	near := 0
	const most = 20 // of each kind
	for _, name := range order {
		pattern, ok := nearest(patterns, name)
		switch {
		case !ok:
			others = append(others, printable(name))
		case near < most:
			near++
			p.found(Warning, printable(name), fmt.Sprintf("%d messages were published to it and reached nobody; it is nearly %s",
				names[name], pattern),
				"the spelling of the pattern in the app, or a pattern for this name in channels.patterns")
		}
	}
	if len(others) > 0 {
		p.found(Note, "/channels/unmatched", fmt.Sprintf("%d other names are published to and belong to no pattern: %s", len(others),
			strings.Join(others[:min(len(others), most)], ", ")), "nothing, if they are another program's; else a pattern in "+
			"channels.patterns")
	}
}

// printable makes a name fit for one line.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}
