package brokertest

import (
	"context"
	"math"
	"testing"

	"kentongan/realtime"
)

func historySize(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "five")
	head := n.fill(c, 12)
	page := n.history(c, realtime.Position{}, 100)
	if len(page.Publications) != 5 || page.More || page.Gap != "" {
		t.Fatalf("got %d publications, more %v, gap %q; want the last 5", len(page.Publications), page.More, page.Gap)
	}
	offsets(t, page.Publications, realtime.Position{Epoch: head.Epoch, Offset: 7})
	page = n.history(c, realtime.Position{Epoch: head.Epoch, Offset: 7}, 100)
	offsets(t, page.Publications, realtime.Position{Epoch: head.Epoch, Offset: 7})
	if len(page.Publications) != 5 || page.Gap != "" {
		t.Errorf("after offset 7: %d publications, gap %q; want 5", len(page.Publications), page.Gap)
	}
	wantGap(t, n.history(c, realtime.Position{Epoch: head.Epoch, Offset: 6}, 100), realtime.GapExpired)
}

func historyAge(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "short")
	first := n.publish(c, `{"n":1}`)
	zero := realtime.Position{Epoch: first.Epoch}
	eventually(t, "the only publication to expire", func() bool {
		return len(n.history(c, realtime.Position{}, 10).Publications) == 0
	})
	wantGap(t, n.history(c, zero, 10), realtime.GapExpired)
	if page := n.history(c, first, 10); page.Gap != "" || page.Head != first {
		t.Errorf("at the head: head %v, gap %q; want %v and none", page.Head, page.Gap, first)
	}
	// Offsets go on after everything has expired, and what expired is no part of an answer that still holds something.
	second := n.publish(c, `{"n":2}`)
	if second != (realtime.Position{Epoch: first.Epoch, Offset: 2}) {
		t.Errorf("the next publication is at %v, want offset 2 of %s", second, first.Epoch)
	}
	wantGap(t, n.history(c, zero, 10), realtime.GapExpired)
}

func historyGaps(t *testing.T, e Engine) {
	n := start(t, e)
	kept, none := ch("k1", "a"), ch("k1", "none")
	head := n.fill(kept, 3)
	noneHead := n.fill(none, 3)
	at := func(p realtime.Position, offset uint64) realtime.Position { p.Offset = offset; return p }
	for _, c := range []struct {
		name  string
		ch    realtime.Channel
		since realtime.Position
		want  int
		gap   realtime.GapCause
	}{
		{"start", kept, at(head, 0), 3, ""},
		{"middle", kept, at(head, 2), 1, ""},
		{"head", kept, head, 0, ""},
		{"zero", kept, realtime.Position{}, 3, ""},
		{"ahead", kept, at(head, 4), 0, realtime.GapAhead},
		{"far ahead", kept, at(head, math.MaxUint64), 0, realtime.GapAhead},
		{"beyond what a float holds", kept, at(head, 1<<53+1), 0, realtime.GapAhead},
		{"another epoch", kept, realtime.Position{Epoch: "another", Offset: 2}, 0, realtime.GapEpoch},
		{"another epoch at 0", kept, realtime.Position{Epoch: "another"}, 0, realtime.GapEpoch},
		{"epoch in other letters", kept, realtime.Position{Epoch: head.Epoch + "A", Offset: 3}, 0, realtime.GapEpoch},
		{"no epoch", kept, realtime.Position{Offset: 2}, 0, realtime.GapEpoch},
		{"hostile epoch", kept, realtime.Position{Epoch: "\r\n*1\r\n' \"\x00", Offset: 2}, 0, realtime.GapEpoch},
		{"without history at the head", none, noneHead, 0, ""},
		{"without history behind", none, at(noneHead, 1), 0, realtime.GapNoHistory},
		{"without history ahead", none, at(noneHead, 9), 0, realtime.GapAhead},
		{"without history from zero", none, realtime.Position{}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := n.history(c.ch, c.since, 100)
			if page.Gap != c.gap || len(page.Publications) != c.want || page.More {
				t.Errorf("got %d publications, more %v, gap %q; want %d, false, %q", len(page.Publications), page.More, page.Gap, c.want, c.gap)
			}
			if page.Head.Offset != 3 {
				t.Errorf("the head is %v, want offset 3", page.Head)
			}
			offsets(t, page.Publications, realtime.Position{Epoch: head.Epoch, Offset: 3 - uint64(c.want)})
		})
	}
	t.Run("never published", func(t *testing.T) {
		wantGap(t, n.history(ch("k1", "b"), realtime.Position{Epoch: "another"}, 1), realtime.GapEpoch)
		fresh := n.history(ch("k1", "b"), realtime.Position{}, 1).Head
		wantGap(t, n.history(ch("k1", "b"), at(fresh, 1), 1), realtime.GapAhead)
		if page := n.history(ch("k1", "b"), fresh, 1); page.Gap != "" || page.Head != fresh {
			t.Errorf("at the start: %+v, want head %v and no gap", page, fresh)
		}
	})
}

func historyPages(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "a")
	head := n.fill(c, 50)
	for _, limit := range []int{1, 7, 49, 50, 51} {
		var all []realtime.Publication
		since := realtime.Position{Epoch: head.Epoch}
		for {
			page := n.history(c, since, limit)
			if page.Gap != "" || page.Head != head || len(page.Publications) > limit {
				t.Fatalf("limit %d: %d publications, head %v, gap %q", limit, len(page.Publications), page.Head, page.Gap)
			}
			all = append(all, page.Publications...)
			if !page.More {
				break
			}
			since = all[len(all)-1].Position
		}
		if len(all) != 50 {
			t.Errorf("limit %d: the pages have %d publications, want 50", limit, len(all))
		}
		offsets(t, all, realtime.Position{Epoch: head.Epoch})
	}
	for _, limit := range []int{0, -1} {
		if page := n.history(c, realtime.Position{}, limit); len(page.Publications) != 0 || !page.More || page.Head != head {
			t.Errorf("limit %d: %d publications, more %v, head %v; want just the head, and more", limit, len(page.Publications), page.More, page.Head)
		}
	}
	if page := n.history(c, head, 0); page.More {
		t.Error("at the head there is more, want no more")
	}
}

func endedContext(t *testing.T, e Engine) {
	n := start(t, e)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := n.Publish(ctx, ch("k1", "a"), []byte(`{}`), realtime.PublishOptions{})
	mustBe(t, err, realtime.ErrUnavailable)
	mustBe(t, err, context.Canceled)
	_, err = n.History(ctx, ch("k1", "a"), realtime.Position{}, 1)
	mustBe(t, err, realtime.ErrUnavailable)
	_, err = n.Follow(ctx, "k1")
	mustBe(t, err, realtime.ErrUnavailable)
}
