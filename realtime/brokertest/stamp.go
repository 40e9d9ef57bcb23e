package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kentongan/realtime"
)

func positions(t *testing.T, e Engine) {
	n := start(t, e)
	fresh := n.history(ch("k1", "a"), realtime.Position{}, 10)
	if fresh.Head.Offset != 0 || fresh.Head.Epoch == "" || fresh.Gap != "" || len(fresh.Publications) != 0 || fresh.More {
		t.Fatalf("the page of a channel without publications is %+v, want offset 0 of an epoch and nothing else", fresh)
	}
	if len(fresh.Head.Epoch) > 32 || strings.ContainsFunc(fresh.Head.Epoch, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		t.Errorf("epoch %q is not at most 32 letters and digits", fresh.Head.Epoch)
	}
	for i := range uint64(20) {
		want := realtime.Position{Epoch: fresh.Head.Epoch, Offset: i + 1}
		if got := n.publish(ch("k1", "a"), `{}`); got != want {
			t.Fatalf("publish %d got %v, want %v", i+1, got, want)
		}
	}
	if got := n.history(ch("k1", "a"), realtime.Position{}, 0).Head.Offset; got != 20 {
		t.Errorf("the head is at %d, want 20", got)
	}
}

// independence uses names and ids that are alike when they are glued together.
func independence(t *testing.T, e Engine) {
	n := start(t, e)
	channels := []realtime.Channel{
		ch("x", "a"), ch("x", "b"), ch("x_a", "a"), ch("x-a", "a"), ch("x_a", "b"), ch("xa", "a"), ch("X", "a"), ch("a", "a"), ch("a", "b"),
		ch("x", "orders:a"), ch("x", "orders:x"), ch("x_orders", "a"), ch("", "alert"), ch("o", "a"), ch("epoch", "a"), ch("live", "a"), ch("head", "a"),
	}
	for i, c := range channels {
		n.follow(c.Tenant)
		if got := n.publish(c, fmt.Sprintf(`{"in":%d}`, i)); got.Offset != 1 {
			t.Errorf("the first publication of %v is at %v, want offset 1", c, got)
		}
	}
	for i, c := range channels {
		want := fmt.Sprintf(`{"in":%d}`, i)
		page := n.history(c, realtime.Position{}, 10)
		if len(page.Publications) != 1 || string(page.Publications[0].Data) != want || page.Publications[0].Channel != c {
			t.Errorf("history of %v is %+v, want only %s", c, page.Publications, want)
		}
		if got := n.await(c, 0, 1)[0]; string(got.Data) != want {
			t.Errorf("delivered to %v: %s, want %s", c, got.Data, want)
		}
	}
	for _, c := range channels {
		if got := n.count(c); got != 1 {
			t.Errorf("%v got %d publications, want 1", c, got)
		}
	}
}

func bytesIdentical(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "big")
	n.follow("k1")
	want := []string{
		`{}`, `null`, `0`, `""`, `[]`, ` { "a" : 1 , "a" : 2 } `, "{\n\t\"a\":1\r\n}", `"\u0000\ud83d\ude00"`, `"Nasi goreng 🍛 – selesai"`,
		"\"\u2028\x7f\"", `1e400`, `12345678901234567890123456789`, `{"` + strings.Repeat("k", 70_000) + `":1}`,
		`"` + strings.Repeat("é", 500_000) + `"`, `"` + strings.Repeat("x", 1<<20) + `"`, strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
	}
	for _, data := range want {
		n.publish(c, data)
	}
	page := n.history(c, realtime.Position{}, 1000)
	if len(page.Publications) != len(want) {
		t.Fatalf("history has %d publications, want %d", len(page.Publications), len(want))
	}
	delivered := n.await(c, 0, len(want))
	for i, data := range want {
		if !bytes.Equal(page.Publications[i].Data, []byte(data)) {
			t.Errorf("data %d of %d bytes came out of history changed", i, len(data))
		}
		if !bytes.Equal(delivered[i].Data, []byte(data)) {
			t.Errorf("data %d of %d bytes was delivered changed", i, len(data))
		}
		if !delivered[i].Time.Equal(page.Publications[i].Time) || delivered[i].Time.IsZero() {
			t.Errorf("publication %d was delivered with time %v and is in history with %v", i, delivered[i].Time, page.Publications[i].Time)
		}
	}
}

func invalid(t *testing.T, e Engine) {
	n := start(t, e)
	c := ch("k1", "a")
	for name, f := range map[string]func() error{
		"no data": func() error {
			_, err := n.Publish(context.Background(), c, nil, realtime.PublishOptions{})
			return err
		},
		"too much data": func() error {
			_, err := n.Publish(context.Background(), c, make([]byte, realtime.DefaultMaxDataBytes+1), realtime.PublishOptions{})
			return err
		},
		"key too long": func() error {
			_, err := n.Publish(context.Background(), c, []byte(`{}`), realtime.PublishOptions{Key: strings.Repeat("k", realtime.MaxKeyBytes+1)})
			return err
		},
		"no channel": func() error {
			_, err := n.Publish(context.Background(), ch("k1", ""), []byte(`{}`), realtime.PublishOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { mustBe(t, f(), realtime.ErrInvalid) })
	}
	if got := n.publish(c, `{}`).Offset; got != 1 {
		t.Errorf("after what was refused the first offset is %d, want 1", got)
	}
}

func keys(t *testing.T, e Engine) {
	n := start(t, e)
	c, ctx := ch("k1", "a"), context.Background()
	n.follow("k1")
	put := func(c realtime.Channel, key, data string) (realtime.Published, error) {
		return n.Publish(ctx, c, []byte(data), realtime.PublishOptions{Key: key})
	}
	first, err := put(c, "key", `{"n":1}`)
	if err != nil || first.Duplicate {
		t.Fatalf("first publish: %+v, %v", first, err)
	}
	n.publish(c, `{"n":2}`)
	again, err := put(c, "key", `{"n":1}`)
	if err != nil || !again.Duplicate || again.Position != first.Position {
		t.Errorf("repeated publish: %+v, %v; want the duplicate at %v", again, err, first.Position)
	}
	_, err = put(c, "key", `{"n":9}`)
	mustBe(t, err, realtime.ErrKeyReused)
	// The same key elsewhere is another key, however channel and key may be glued together.
	for _, other := range []struct {
		c   realtime.Channel
		key string
	}{
		{ch("k1", "b"), "key"}, {ch("k2", "a"), "key"}, {c, "key "}, {c, "b:key"}, {ch("k1", "orders:b"), "key"}, {ch("k1", "orders:b:k"), "ey"},
		{c, "key\x00"}, {c, strings.Repeat("k", realtime.MaxKeyBytes)}, {c, "\r\n*1\r\n"},
	} {
		p, err := put(other.c, other.key, `{"n":3}`)
		if err != nil || p.Duplicate {
			t.Errorf("key %q in %v: %+v, %v; want a new publication", other.key, other.c, p, err)
		}
	}
	last := n.publish(c, `{"n":"last"}`)
	got := n.await(c, 0, int(last.Offset))
	offsets(t, got, realtime.Position{Epoch: last.Epoch})
	if n := slices.IndexFunc(got[1:], func(p realtime.Publication) bool { return string(p.Data) == `{"n":1}` }); n >= 0 {
		t.Errorf("the repeated publication was delivered again at %v", got[n+1].Position)
	}
}

func keysConcurrently(t *testing.T, e Engine) {
	n := start(t, e)
	const publishers, rounds = 8, 20
	var mu sync.Mutex
	firsts, places := map[string]int{}, map[string]map[realtime.Position]bool{}
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for i := range rounds {
				key := fmt.Sprint("key", i)
				p, err := n.Publish(context.Background(), ch("k1", "a"), []byte(key), realtime.PublishOptions{Key: key})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if !p.Duplicate {
					firsts[key]++
				}
				if places[key] == nil {
					places[key] = map[realtime.Position]bool{}
				}
				places[key][p.Position] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for key, positions := range places {
		if firsts[key] != 1 || len(positions) != 1 {
			t.Errorf("%s was first %d times and at %d places, want once", key, firsts[key], len(positions))
		}
	}
	if got := n.history(ch("k1", "a"), realtime.Position{}, 0).Head.Offset; got != rounds {
		t.Errorf("the head is at %d, want %d", got, rounds)
	}
}
