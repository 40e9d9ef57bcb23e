package hub

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/tenant"
)

func numbered(t tenant.ID, n int) job {
	return job{publication: &realtime.Publication{
		Channel: realtime.Channel{Tenant: t, Name: "updates"}, Position: realtime.Position{Epoch: "e", Offset: uint64(n)},
	}}
}

// TestLanesKeepTheOrder puts jobs in and takes them out in any way: each comes out once, those of one kitchen in their order, and what is
// counted is what is there.
func TestLanesKeepTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weight := func(kitchen tenant.ID) int { return 1 + int(kitchen[0]-'a') }
		q := newLanes(weight)
		put, got := map[tenant.ID]int{}, map[tenant.ID]int{}
		sum := 0
		took := func(l *lane, n int) {
			for _, j := range l.jobs[:n] {
				got[l.tenant]++
				sum--
				if at := int(j.publication.Position.Offset); at != got[l.tenant] {
					t.Fatalf("%d comes out of %q, want %d", at, l.tenant, got[l.tenant])
				}
			}
		}
		add := func(t *rapid.T) {
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 4), 1, 5).Draw(t, "kitchens") {
				kitchen := tenant.ID(string(rune('a' + n)))
				put[kitchen]++
				sum++
				q.add(numbered(kitchen, put[kitchen]))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				waiting := 0
				for _, l := range q.order {
					if len(l.jobs) == 0 || l.taken {
						t.Fatalf("%q waits with %d jobs, taken %v", l.tenant, len(l.jobs), l.taken)
					}
					waiting += len(l.jobs)
				}
				if waiting += len(q.behind); q.count != sum || waiting != sum || sum > 0 && len(q.order) == 0 {
					t.Fatalf("%d are counted and %d wait, want %d; %d lanes", q.count, waiting, sum, len(q.order))
				}
				if sum == 0 && len(q.of) != 0 {
					t.Fatalf("nothing is there, and %d lanes", len(q.of))
				}
			},
			"add": add,
			"serve": func(t *rapid.T) {
				if q.count == 0 {
					return
				}
				l := q.take()
				n := rapid.IntRange(1, len(l.jobs)).Draw(t, "together")
				took(l, n)
				if rapid.Bool().Draw(t, "more come meanwhile") {
					add(t)
				}
				if rapid.Bool().Draw(t, "small ones go first") {
					q.between(func(other *lane) int {
						if other == l {
							t.Fatal("who is served is not between")
						}
						n := rapid.IntRange(0, len(other.jobs)).Draw(t, "of it")
						took(other, n)
						return n
					})
				}
				q.drop(l, n)
				q.charge(l, rapid.IntRange(0, 3000).Draw(t, "deliveries"))
				q.done(l)
			},
		})
		for q.count > 0 {
			l := q.take()
			took(l, 1)
			q.drop(l, 1)
			q.done(l)
		}
		if fmt.Sprint(put) != fmt.Sprint(got) {
			t.Fatalf("put in %v, came out %v", put, got)
		}
	})
}

// TestGlobalKeepsItsPlace: what is global is overtaken by nothing that came behind it, and overtakes nothing.
func TestGlobalKeepsItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newLanes(nil)
		came, out := 0, 0
		var globals []int
		kitchens := []tenant.ID{tenant.Global, "a", "b", "c"}
		for came < 60 || q.count > 0 {
			if came < 60 && (q.count == 0 || rapid.Bool().Draw(t, "one more comes")) {
				came++
				kitchen := rapid.SampledFrom(kitchens).Draw(t, "kitchen")
				if kitchen == tenant.Global {
					globals = append(globals, came)
				}
				q.add(numbered(kitchen, came))
				continue
			}
			l := q.take()
			n := rapid.IntRange(1, len(l.jobs)).Draw(t, "together")
			for _, j := range l.jobs[:n] {
				at := int(j.publication.Position.Offset)
				out++
				for _, g := range globals {
					if (g < at) != (g <= out-1) && g != at {
						t.Fatalf("%d comes out as number %d, and the global %d is on the other side of it", at, out, g)
					}
				}
				if l.tenant == tenant.Global && at != out {
					t.Fatalf("the global %d comes out as number %d", at, out)
				}
			}
			q.drop(l, n)
			q.charge(l, rapid.IntRange(0, 2000).Draw(t, "deliveries"))
			q.done(l)
		}
	})
}

// TestLanesAreFair has kitchens of any weight with rooms of any size that always have something to deliver: at any time the deliveries
// of each by its weight are as many as those of another one, to within one turn of each.
func TestLanesAreFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type kitchen struct{ weight, room, had int }
		kitchens := map[tenant.ID]*kitchen{}
		q := newLanes(func(id tenant.ID) int { return kitchens[id].weight })
		for i := range rapid.IntRange(2, 6).Draw(t, "kitchens") {
			id := tenant.ID(fmt.Sprint("k", i))
			kitchens[id] = &kitchen{weight: rapid.IntRange(1, 100).Draw(t, "weight"), room: rapid.IntRange(0, 5000).Draw(t, "room")}
			q.add(numbered(id, 1))
		}
		turn := func(k *kitchen) float64 { return float64(max(k.room, 1)) / float64(k.weight) }
		share := func(k *kitchen) float64 { return float64(k.had) / float64(k.weight) }
		for range 300 {
			l := q.take()
			q.add(numbered(l.tenant, 1))
			q.drop(l, 1)
			q.charge(l, max(kitchens[l.tenant].room, 1)) // as the shard does
			q.done(l)
			kitchens[l.tenant].had += max(kitchens[l.tenant].room, 1)
			for a, one := range kitchens {
				for b, other := range kitchens {
					if apart := share(one) - share(other); apart > turn(one)+turn(other)+1e-6 {
						t.Fatalf("%s has had %v by weight, %s %v: more than a turn of each apart", a, share(one), b, share(other))
					}
				}
			}
		}
	})
}

// TestLanesForgetWhoHasGone has very many kitchens come once, beside one that always has something.
func TestLanesForgetWhoHasGone(t *testing.T) {
	q := newLanes(nil)
	q.add(numbered("always", 1))
	const many = 10_000
	for i := range many {
		q.add(numbered(tenant.ID(fmt.Sprint("once", i)), 1))
		for range 2 {
			l := q.take()
			if l.tenant == "always" {
				q.add(numbered("always", 1))
			}
			q.drop(l, 1)
			q.charge(l, 5)
			q.done(l)
		}
	}
	if len(q.of) > 3*maxSpare || len(q.spare) > maxSpare {
		t.Errorf("%d of %d kitchens are remembered, %d lanes kept", len(q.of), many, len(q.spare))
	}
}
