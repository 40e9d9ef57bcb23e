package stamping

// places remembers where the last marks were met.
type places struct {
	marks [maxPlaces]string
	at    [maxPlaces]int64
	next  int
}

// maxPlaces is how many marks are remembered. Each node sends one a second, and up to ten while it looks for its place; an answer
// comes within two tenths of a second. 64 are enough for thirty nodes with room to spare, and who misses an answer asks again.
const maxPlaces = 64

func (p *places) put(mark string, at int64) {
	p.marks[p.next], p.at[p.next] = mark, at
	p.next = (p.next + 1) % maxPlaces
}

func (p *places) get(mark string) (int64, bool) {
	for i := range p.marks {
		if p.marks[i] == mark && mark != "" {
			return p.at[i], true
		}
	}
	return 0, false
}

func (p *places) clear() { *p = places{} }
