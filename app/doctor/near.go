package doctor

import "strings"

// nearest returns the pattern that name is most likely a misspelling of; ok is false if it is like none.
func nearest(patterns []string, name string) (pattern string, ok bool) {
	best := -1
	for _, p := range patterns {
		literal := len(p) - len(tenantMark)*strings.Count(p, tenantMark) - strings.Count(p, "*")
		d := distance(p, name)
		if strings.EqualFold(p, name) {
			d = 1
		}
		if limit := min(4, max(1, literal/4)); d <= limit && (best < 0 || d < best) {
			best, pattern = d, p
		}
	}
	return pattern, best >= 0
}

const tenantMark = "{tenant}"

// distance is how many characters of the literal parts of pattern have to be added, left out or replaced so that it matches name; capitals
// and small letters cost as well. A mark takes one character or more of a segment for nothing, and others for one each.
func distance(pattern, name string) int {
	const far = 1 << 20
	if len(name) > 255 {
		return far
	}
	row := make([]int, len(name)+1) // row[j]: the pattern so far against name[:j]
	for j := range row {
		row[j] = j
	}
	for pattern != "" {
		next := make([]int, len(row))
		mark := ""
		switch {
		case strings.HasPrefix(pattern, tenantMark):
			mark = tenantMark
		case pattern[0] == '*':
			mark = "*"
		}
		if mark != "" {
			const missing = 2 // the id was forgotten
			next[0] = row[0] + missing
			for j := 1; j < len(row); j++ {
				next[j] = min(row[j-1], next[j-1]) // it begins here, or goes on
				if !segment(name[j-1]) {
					next[j]++
				}
				next[j] = min(next[j], row[j]+missing)
			}
			pattern = pattern[len(mark):]
		} else {
			next[0] = row[0] + 1
			for j := 1; j < len(row); j++ {
				replaced := row[j-1]
				if pattern[0] != name[j-1] {
					replaced++
				}
				next[j] = min(replaced, row[j]+1, next[j-1]+1)
			}
			pattern = pattern[1:]
		}
		row = next
	}
	return row[len(name)]
}

// segment reports whether c may stand in an id.
func segment(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
