package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"kentongan/tenant"
)

// TestTurns has a kitchen with very many, which others do not wait for.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTurns(1)
		if !q.take(t.Context(), "noisy") {
			t.Fatal("there is no first turn")
		}
		var mu sync.Mutex
		var came []string
		var all sync.WaitGroup
		ask := func(kitchen tenant.ID, n int) {
			all.Go(func() {
				if q.take(t.Context(), kitchen) {
					mu.Lock()
					came = append(came, fmt.Sprint(kitchen, n))
					mu.Unlock()
					q.give()
				}
			})
			synctest.Wait() // so that they stand in this order
		}
		for n := range 4 {
			ask("noisy", n)
		}
		ask("a", 0)
		ask("b", 0)
		ask("b", 1)
		q.give()
		all.Wait()
		if want := "[noisy0 a0 b0 noisy1 b1 noisy2 noisy3]"; fmt.Sprint(came) != want {
			t.Errorf("their turns come as %v, want %s", came, want)
		}
		if q.free != 1 || len(q.waiting)+len(q.order) != 0 {
			t.Errorf("at the end %d are free, %v wait", q.free, q.waiting)
		}
	})
}

// TestTurnsKeepTheirBound has some come, go, and give up.
func TestTurnsKeepTheirBound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		atOnce := rapid.IntRange(1, 4).Draw(r, "at once")
		acts := rapid.SliceOfN(rapid.IntRange(0, 8), 1, 60).Draw(r, "acts")
		synctest.Test(t, func(t *testing.T) {
			q := newTurns(atOnce)
			var mu sync.Mutex
			running, waiting := 0, []context.CancelFunc{}
			var done []chan struct{}
			var all sync.WaitGroup
			for i, act := range acts {
				switch {
				case act == 0 && len(waiting) > 0: // somebody gives up, or has had a turn already
					waiting[0]()
					waiting = waiting[1:]
				case act == 1:
					mu.Lock()
					if len(done) > 0 {
						close(done[0])
						done = done[1:]
					}
					mu.Unlock()
				default:
					ctx, cancel := context.WithCancel(t.Context())
					waiting = append(waiting, cancel)
					all.Go(func() {
						if !q.take(ctx, tenant.ID(fmt.Sprint(act, i%2))) {
							return
						}
						end := make(chan struct{})
						mu.Lock()
						if running++; running > atOnce {
							t.Errorf("%d at once, want %d at most", running, atOnce)
						}
						done = append(done, end)
						mu.Unlock()
						<-end
						mu.Lock()
						running--
						mu.Unlock()
						q.give()
					})
				}
				synctest.Wait()
			}
			for ended := false; !ended; synctest.Wait() { // all that are left have their turn
				mu.Lock()
				left := slices.Clone(done)
				done = nil
				mu.Unlock()
				for _, end := range left {
					close(end)
				}
				ended = len(left) == 0
			}
			all.Wait()
			for _, cancel := range waiting {
				cancel()
			}
			if q.free != atOnce || len(q.waiting)+len(q.order) != 0 {
				t.Errorf("at the end %d are free of %d, %v wait in %v", q.free, atOnce, q.waiting, q.order)
			}
		})
	})
}
