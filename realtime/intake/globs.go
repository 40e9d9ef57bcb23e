package intake

import (
	"slices"
	"strings"
)

// globsExcept returns Redis globs of which exactly one matches each name that begins with none of prefixes, and none
// matches a name that does. So one subscription hears everything but what is ignored, and nothing twice.
//
// They follow the prefixes letter by letter: of "ab" come "[^a]*" (another first letter), "a" (ends there), "a[^b]*".
func globsExcept(prefixes []string) []string {
	if len(prefixes) == 0 {
		return []string{"*"}
	}
	var globs []string
	var walk func(walked string, rest []string)
	walk = func(walked string, rest []string) {
		if slices.Contains(rest, "") {
			return // walked is ignored with all that follows it
		}
		if walked != "" {
			globs = append(globs, quoteGlob(walked))
		}
		next := map[byte][]string{}
		for _, r := range rest {
			next[r[0]] = append(next[r[0]], r[1:])
		}
		letters := []byte{}
		for c := range next {
			letters = append(letters, c)
		}
		slices.Sort(letters)
		class := make([]byte, 0, 2*len(letters))
		for _, c := range letters {
			class = append(class, '\\', c)
		}
		globs = append(globs, quoteGlob(walked)+"[^"+string(class)+"]*")
		for _, c := range letters {
			walk(walked+string([]byte{c}), next[c])
		}
	}
	walk("", prefixes)
	return globs
}

var globQuoter = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

func quoteGlob(s string) string { return globQuoter.Replace(s) }

// starMatch reports whether glob matches name, where "*" is the only mark, as in realtime.Names.Globs.
func starMatch(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) || !strings.HasSuffix(name[len(first):], last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return true
}
