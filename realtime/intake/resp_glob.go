package intake

// globMatch reports whether name matches a pattern of PSUBSCRIBE: "*", "?", "[abc]", "[^a-c]", and "\" before what stands for
// itself. It takes len(glob) × len(name) steps at most; a star is gone back to only if no later one was met.
func globMatch(glob, name string) bool {
	g, n := 0, 0
	star, from := -1, 0 // the last star, and where in name what it stands for ends
	for n < len(name) {
		if g < len(glob) && glob[g] == '*' {
			star, from = g, n
			g++
			continue
		}
		if width, ok := globOne(glob[g:], name[n]); ok {
			g, n = g+width, n+1
			continue
		}
		if star < 0 {
			return false
		}
		from++
		g, n = star+1, from
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// globOne reports whether the first part of glob, which is no star, matches c, and how long that part is.
func globOne(glob string, c byte) (width int, ok bool) {
	switch {
	case glob == "":
		return 0, false
	case glob[0] == '?':
		return 1, true
	case glob[0] == '[':
		return globClass(glob, c)
	case glob[0] == '\\' && len(glob) > 1:
		return 2, glob[1] == c
	}
	return 1, glob[0] == c
}

// globClass matches "[…]". One that is not closed goes to the end of the pattern, as in Redis.
func globClass(glob string, c byte) (width int, ok bool) {
	i := 1
	not := i < len(glob) && glob[i] == '^'
	if not {
		i++
	}
	found := false
	for ; i < len(glob) && glob[i] != ']'; i++ {
		switch {
		case glob[i] == '\\' && i+1 < len(glob):
			i++
			found = found || glob[i] == c
		case i+2 < len(glob) && glob[i+1] == '-':
			low, high := min(glob[i], glob[i+2]), max(glob[i], glob[i+2])
			found = found || low <= c && c <= high
			i += 2
		default:
			found = found || glob[i] == c
		}
	}
	return min(i+1, len(glob)), found != not
}
