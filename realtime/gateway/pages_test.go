package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/auth"
	"kentongan/internal/giveway"
	"kentongan/realtime"
)

// slowHistory answers each read after a while with the moment at which it began.
type slowHistory struct {
	realtime.Broker

	moment atomic.Uint64
	reads  atomic.Int64
	now    atomic.Int64 // that run
	most   atomic.Int64
	takes  time.Duration
	err    error
}

func (h *slowHistory) History(context.Context, realtime.Channel, realtime.Position, int) (realtime.Page, error) {
	h.reads.Add(1)
	began := h.moment.Add(1)
	for n := h.now.Add(1); ; {
		most := h.most.Load()
		if n <= most || h.most.CompareAndSwap(most, n) {
			break
		}
	}
	time.Sleep(h.takes)
	h.now.Add(-1)
	return realtime.Page{Head: realtime.Position{Offset: began}}, h.err
}

func ask(name string) pageAsk {
	return pageAsk{channel: realtime.Channel{Tenant: "a", Name: name}, limit: 100}
}

// TestPagesAreOfAfterTheyWereAskedFor has many ask for few pages at any time: whatever is shared, nobody gets a page that began to be read
// before he asked, and no more reads run at once than may.
func TestPagesAreOfAfterTheyWereAskedFor(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			h := &slowHistory{takes: 5 * time.Millisecond}
			p := newPages(h, nil)
			const readers = 3000
			var answered atomic.Int64
			var wg sync.WaitGroup
			for range readers {
				a, pause := ask(string(rune('a'+rng.IntN(300)))), time.Duration(rng.IntN(100_000))*time.Microsecond
				wg.Go(func() {
					time.Sleep(pause)
					since, calls := h.moment.Add(1), 0
					p.read(t.Context(), "a", a, func(page *sharedPage, err error) {
						calls++
						if err != nil || page.Head.Offset <= since {
							t.Errorf("seed %d: asked at %d, and got a page of %d, %v", seed, since, page.Head.Offset, err)
						}
					})
					if calls == 1 {
						answered.Add(1)
					}
				})
			}
			wg.Wait()
			if answered.Load() != readers || len(p.waiting) > 0 {
				t.Errorf("seed %d: %d of %d were answered once; %d reads are left", seed, answered.Load(), readers, len(p.waiting))
			}
			if most := h.most.Load(); most > kitchenReads {
				t.Errorf("seed %d: %d reads at once", seed, most)
			}
			if n := h.reads.Load(); n == readers {
				t.Errorf("seed %d: nothing was shared", seed)
			}
		})
	}
}

// TestPagesAreShared: those who wait behind others for the same page cost a read for each maxJoined and the one who reads.
func TestPagesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &slowHistory{takes: time.Second, err: errors.New("no engine")}
		p := newPages(h, nil)
		var wg sync.WaitGroup
		var failed atomic.Int64
		read := func(name string) {
			wg.Go(func() {
				p.read(t.Context(), "a", ask(name), func(_ *sharedPage, err error) {
					if errors.Is(err, h.err) {
						failed.Add(1)
					}
				})
			})
			synctest.Wait()
		}
		for i := range kitchenReads {
			read("other" + string(rune('a'+i)))
		}
		const herd = 3 * (maxJoined + 1)
		for range herd {
			read("same")
		}
		wg.Wait()
		if n := h.reads.Load(); n != kitchenReads+3 || failed.Load() != kitchenReads+herd {
			t.Errorf("%d reads, and %d were told of their failure; want %d, %d", n, failed.Load(), kitchenReads+3, kitchenReads+herd)
		}
	})
}

// TestPagesEnd: when all ends, who waits for a turn is told, and so is who has joined.
func TestPagesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(&slowHistory{takes: time.Hour}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var ended atomic.Int64
		for i := range kitchenReads + 10 {
			name := "same"
			if i < kitchenReads {
				name = string(rune('a' + i))
			}
			wg.Go(func() {
				p.read(ctx, "a", ask(name), func(_ *sharedPage, err error) {
					if errors.Is(err, errSessionEnds) {
						ended.Add(1)
					}
				})
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if ended.Load() != 10 || len(p.waiting) > 0 {
			t.Errorf("%d of the 10 who waited were told; %d reads are left", ended.Load(), len(p.waiting))
		}
		wg.Wait()
	})
}

// TestOneReaderGivesWay reads page after page for one client, none of which takes long: it gives way all the same, and rests for as long as
// it works.
func TestOneReaderGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(&slowHistory{}, nil)
		defer p.close()
		const (
			pages = 200
			work  = giveway.Slice / 5
		)
		began := time.Now()
		for range pages {
			p.read(t.Context(), "a", ask("one"), func(*sharedPage, error) { time.Sleep(work) })
		}
		took := time.Since(began)
		gave := 0
		for range cap(p.idle) {
			w := <-p.idle
			gave += w.way.Gave()
			p.idle <- w
		}
		if want := pages / 5; gave < want-1 || gave > want+1 {
			t.Errorf("it gave way %d times, want %d", gave, want)
		}
		rests := int(pages * work / writeTurn)
		if rest := time.Duration(rests) * writeRest; took != pages*work+rest {
			t.Errorf("it took %v, want %v of work and %v of rest", took, pages*work, rest)
		}
	})
}

// TestSharedPageIsHiddenOnce: what not all may see is looked for once in a page, however many ask for it; and who may see it does.
func TestSharedPageIsHiddenOnce(t *testing.T) {
	hidden, err := realtime.NewHiddenFields([]string{"cost"})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{opts: Options{Hidden: hidden}}
	p := &sharedPage{Page: realtime.Page{Publications: []realtime.Publication{{Data: []byte(`{"cost":5,"n":1}`)}, {Data: []byte(`{"n":2}`)}}}}
	first, second := p.as(g, &auth.Identity{}), p.as(g, &auth.Identity{})
	if string(first[0].Data) != `{"n":1}` || &first[0] != &second[0] {
		t.Errorf("the first gets %s, and the second another copy: %v", first[0].Data, &first[0] != &second[0])
	}
	if all := p.as(g, &auth.Identity{Server: true}); string(all[0].Data) != `{"cost":5,"n":1}` {
		t.Errorf("a server gets %s", all[0].Data)
	}
}
