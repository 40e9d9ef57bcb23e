package gateway

import (
	"sync"
	"time"

	"kentongan/realtime"
)

const (
	// maxRecent is how many pages are kept: the two that the screens of each of four large kitchens go through. A page is 512 KiB at most.
	maxRecent = 8

	// recentFor is for how long: five hundred screens have all been sent a page of a hundred after 70 to 100 ms (500,000 to 700,000 messages
	// a second, go run ./bench --only '^replay$').
	recentFor = 250 * time.Millisecond
)

// recent keeps what was read last, for those of the same kitchen who come to it a little later: more than may join one read, or slower
// readers that had room for a part of it.
//
// What is behind a position in its epoch never changes, so an older answer is as good as a new one, as long as there is anything in it.
// Whether there is more, or a gap, only the engine knows.
type recent struct {
	mu    sync.Mutex
	pages [maxRecent]recentPage
	next  int // whose place the next one takes: that of the oldest
}

type recentPage struct {
	channel realtime.Channel
	page    realtime.Page
	read    time.Time
}

// add keeps a page that began to be read at an instant.
func (r *recent) add(ch realtime.Channel, page realtime.Page, read time.Time) {
	if len(page.Publications) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages[r.next] = recentPage{ch, page, read}
	r.next = (r.next + 1) % maxRecent
}

// find returns what there is of an answer to ask; false if there is none.
func (r *recent) find(ask pageAsk, now time.Time) (realtime.Page, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.pages {
		if kept := &r.pages[i]; kept.channel == ask.channel && now.Sub(kept.read) < recentFor {
			if page, ok := behindPosition(&kept.page, ask.since, ask.limit); ok {
				return page, true
			}
		}
	}
	return realtime.Page{}, false
}

// clear gives up all.
func (r *recent) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.pages[:])
}

// behindPosition returns the part of a page that is behind since, at most so many publications; false if it has none, or not the first one.
func behindPosition(page *realtime.Page, since realtime.Position, limit int) (part realtime.Page, ok bool) {
	first := page.Publications[0].Position
	if first.Epoch != since.Epoch || since.Offset+1 < first.Offset {
		return part, false
	}
	at := since.Offset + 1 - first.Offset
	if at >= uint64(len(page.Publications)) {
		return part, false
	}
	rest := page.Publications[at:]
	part = realtime.Page{Head: page.Head, Publications: rest[:min(limit, len(rest))]}
	part.More = page.More || len(part.Publications) < len(rest)
	return part, true
}
