package auth

import (
	"sync"
	"time"
)

// rate counts uses of a key in windows of fixed length. It forgets all keys at the end of a window, so it holds no more
// than one window's users.
type rate struct {
	limit  int
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex
	began time.Time
	used  map[string]int
}

func newRate(limit int, window time.Duration, now func() time.Time) *rate {
	return &rate{limit: limit, window: window, now: now, used: map[string]int{}}
}

// take counts one use of key. It returns zero, or how long to wait if the limit is reached.
func (r *rate) take(key string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if age := now.Sub(r.began); age < 0 || age >= r.window {
		r.began = now
		clear(r.used)
	}
	if r.used[key] >= r.limit {
		return r.began.Add(r.window).Sub(now)
	}
	r.used[key]++
	return 0
}
