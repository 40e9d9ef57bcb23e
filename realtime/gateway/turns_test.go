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

// queue has somebody of each kitchen in asks ask for a turn, in this order, while somebody else has the only one, and returns in which order
// they have had theirs.
func queue(t *testing.T, weight func(tenant.ID) int, asks ...tenant.ID) (came []tenant.ID) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q := newTurns(1, 1, weight)
		if !q.take(t.Context(), "first") {
			t.Fatal("there is no first turn")
		}
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, kitchen := range asks {
			all.Go(func() {
				if q.take(t.Context(), kitchen) {
					mu.Lock()
					came = append(came, kitchen)
					mu.Unlock()
					q.give(kitchen)
				}
			})
			synctest.Wait() // so that they stand in this order
		}
		q.give("first")
		all.Wait()
		if q.free != 1 || len(q.lines)+len(q.order) != 0 {
			t.Errorf("at the end %d are free, %v wait", q.free, q.lines)
		}
	})
	return came
}

// TestTurns has a kitchen with very many, which others do not wait for.
func TestTurns(t *testing.T) {
	came := queue(t, nil, "noisy", "noisy", "noisy", "noisy", "a", "b", "b")
	if want := "[noisy a b noisy b noisy noisy]"; fmt.Sprint(came) != want {
		t.Errorf("their turns come as %v, want %s", came, want)
	}
}

// TestTurnsByWeight has a kitchen that counts for three.
func TestTurnsByWeight(t *testing.T) {
	weight := func(kitchen tenant.ID) int {
		if kitchen == "large" {
			return 3
		}
		return 1
	}
	came := queue(t, weight, "a", "a", "a", "large", "large", "large", "large", "large", "b", "b")
	want := []tenant.ID{"a", "large", "large", "large", "b", "a", "large", "large", "b", "a"}
	if !slices.Equal(came, want) {
		t.Errorf("their turns come as %v, want %v", came, want)
	}
}

// TestTurnsOfOneKitchen: what one kitchen may not have is there for the others, and for it when it has given one back.
func TestTurnsOfOneKitchen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTurns(3, 2, nil)
		var mu sync.Mutex
		came := map[tenant.ID]int{}
		ask := func(kitchen tenant.ID, n int) {
			for range n {
				go func() {
					if q.take(t.Context(), kitchen) {
						mu.Lock()
						defer mu.Unlock()
						came[kitchen]++
					}
				}()
			}
			synctest.Wait()
		}
		ask("noisy", 5)
		if came["noisy"] != 2 {
			t.Errorf("one kitchen has %d turns, want 2", came["noisy"])
		}
		ask("quiet", 2)
		if came["quiet"] != 1 {
			t.Errorf("the other one has %d turns, want the last", came["quiet"])
		}
		q.give("noisy")
		synctest.Wait()
		if came["noisy"] != 3 || came["quiet"] != 1 {
			t.Errorf("the turn that was given back went to nobody who waited first: %v", came)
		}
		for kitchen, n := range map[tenant.ID]int{"noisy": 4, "quiet": 2} {
			for range n {
				q.give(kitchen)
				synctest.Wait()
			}
		}
		if came["noisy"] != 5 || came["quiet"] != 2 || q.free != 3 || len(q.lines)+len(q.order) != 0 {
			t.Errorf("in the end %v, %d are free, %v wait", came, q.free, q.lines)
		}
	})
}

// TestTurnsKeepTheirBounds has some come, go, and give up.
func TestTurnsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		atOnce := rapid.IntRange(1, 4).Draw(r, "at once")
		each := rapid.IntRange(1, 4).Draw(r, "each")
		acts := rapid.SliceOfN(rapid.IntRange(0, 8), 1, 60).Draw(r, "acts")
		weight := func(kitchen tenant.ID) int { return 1 + int(kitchen[0]-'0')%3 }
		synctest.Test(t, func(t *testing.T) {
			q := newTurns(atOnce, each, weight)
			var mu sync.Mutex
			running, of, waiting := 0, map[tenant.ID]int{}, []context.CancelFunc{}
			var done []chan struct{}
			var all sync.WaitGroup
			for _, act := range acts {
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
					kitchen := tenant.ID(fmt.Sprint(act))
					all.Go(func() {
						if !q.take(ctx, kitchen) {
							return
						}
						end := make(chan struct{})
						mu.Lock()
						running++
						of[kitchen]++
						if running > atOnce || of[kitchen] > each {
							t.Errorf("%d at once, %d of one kitchen, want %d and %d at most", running, of[kitchen], atOnce, each)
						}
						done = append(done, end)
						mu.Unlock()
						<-end
						mu.Lock()
						running--
						of[kitchen]--
						mu.Unlock()
						q.give(kitchen)
					})
				}
				synctest.Wait()
				q.mu.Lock()
				for _, l := range q.order { // nobody waits for what is there
					if q.free > 0 && l.running < each {
						t.Errorf("%d are free, and %q, which has %d of %d, waits", q.free, l.kitchen, l.running, each)
					}
				}
				q.mu.Unlock()
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
			if q.free != atOnce || len(q.lines)+len(q.order) != 0 {
				t.Errorf("at the end %d are free of %d, %v wait", q.free, atOnce, q.lines)
			}
		})
	})
}
