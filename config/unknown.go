package config

import (
	"regexp"
	"slices"
	"strings"
)

// prefix is that of all variables that are ours alone.
const prefix = "KENTONGAN_"

// injected are the variables that Kubernetes and Docker links make for a service that is called kentongan. Nobody set them,
// so they are no mistakes.
var injected = regexp.MustCompile(`^KENTONGAN_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// unknownVariables reports the variables with our prefix that mean nothing: a misspelled one would otherwise be a setting that
// silently stays at its default.
func (l *loader) unknownVariables() {
	var known []string
	for _, s := range settings() {
		known = append(known, s.env...)
	}
	for _, v := range clientVariables() {
		known = append(known, v.name)
	}
	var names []string
	for name := range l.env {
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) && !injected.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "KENTONGAN_PORT" {
			if strings.HasPrefix(l.env[name], "tcp://") || strings.HasPrefix(l.env[name], "udp://") {
				continue // made by Kubernetes too
			}
			l.problems.add(name, "unknown variable; did you mean KENTONGAN_LISTEN=:3001?")
			continue
		}
		if plain := strings.TrimPrefix(name, prefix); slices.Contains(known, plain) {
			l.problems.add(name, "unknown variable; did you mean %s?", plain)
			continue
		}
		l.problems.add(label(name), "unknown variable%s", suggest(name, known))
	}
}

// suggest returns "; did you mean X?" for the name in known that is nearest to s, and "; known are …" when none is near
// and the list is short.
func suggest(s string, known []string) string {
	best, least := "", 1+min(4, max(1, len(s)/3))
	if len(s) <= maxQuoted {
		for _, k := range known {
			if n := distance(s, k); n < least {
				best, least = k, n
			}
		}
	}
	switch {
	case best != "":
		return "; did you mean " + best + "?"
	case len(known) <= 12:
		return "; known here: " + strings.Join(known, ", ")
	}
	return "; see: kentongan config doc"
}

// distance is the number of letters to add, remove, replace or swap to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
