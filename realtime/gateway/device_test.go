package gateway

import (
	"maps"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

func TestOldest(t *testing.T) {
	a, b, all := realtime.Channel{Tenant: "k", Name: "a"}, realtime.Channel{Tenant: "k", Name: "b"}, realtime.Channel{Tenant: "k"}
	at := func(epoch string, offset uint64) realtime.Position {
		return realtime.Position{Epoch: epoch, Offset: offset}
	}
	heads := protocol.Cursor{a: at("now", 9), b: at("now", 3), all: at("now", 0)}
	for name, c := range map[string]struct {
		cursors []protocol.Cursor
		want    protocol.Cursor
	}{
		"One": {
			[]protocol.Cursor{{a: at("now", 5), all: at("now", 0)}},
			protocol.Cursor{a: at("now", 5), b: at("now", 0), all: at("now", 0)},
		},
		"TheLeastOfEachChannel": {
			[]protocol.Cursor{{a: at("now", 5), b: at("now", 3), all: at("now", 0)}, {a: at("now", 8), b: at("now", 1), all: at("now", 0)}},
			protocol.Cursor{a: at("now", 5), b: at("now", 1), all: at("now", 0)},
		},
		"ABygoneEpochIsOlder": {
			[]protocol.Cursor{{a: at("now", 5), all: at("now", 0)}, {a: at("then", 70), all: at("then", 0)}},
			protocol.Cursor{a: at("then", 70), b: at("then", 0), all: at("then", 0)},
		},
		"NoEntryIsTheStart": {
			[]protocol.Cursor{{a: at("now", 5), b: at("now", 3), all: at("now", 0)}, {b: at("now", 3), all: at("now", 0)}},
			protocol.Cursor{a: at("now", 0), b: at("now", 3), all: at("now", 0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				words := make([]string, len(c.cursors))
				for i, cursor := range c.cursors {
					words[i] = protocol.EncodeCursor("k", cursor)
				}
				got, _ := oldest("k", words, heads)
				if !maps.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
				if len(c.cursors) == 2 {
					c.cursors[0], c.cursors[1] = c.cursors[1], c.cursors[0]
				}
			}
		})
	}
	t.Run("UnreadableIsOlderThanAll", func(t *testing.T) {
		for _, word := range []string{"", "x", protocol.EncodeCursor("other", heads)} {
			if got, _ := oldest("k", []string{protocol.EncodeCursor("k", heads), word}, heads); len(got) > 0 {
				t.Errorf("with %q: %v, want nothing", word, got)
			}
		}
	})
	t.Run("IsNeverAfterAnyOfThem", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			position := rapid.Custom(func(t *rapid.T) realtime.Position {
				return at(rapid.SampledFrom([]string{"now", "then"}).Draw(t, "epoch"), rapid.Uint64Range(0, 9).Draw(t, "offset"))
			})
			var words []string
			var cursors []protocol.Cursor
			for range rapid.IntRange(1, 4).Draw(t, "tabs") {
				c := protocol.Cursor{all: at(rapid.SampledFrom([]string{"now", "then"}).Draw(t, "fresh"), 0)}
				for i := range rapid.IntRange(0, 3).Draw(t, "channels") {
					c[realtime.Channel{Tenant: "k", Name: strconv.Itoa(i)}] = position.Draw(t, "position")
				}
				cursors = append(cursors, c)
				words = append(words, protocol.EncodeCursor("k", c))
			}
			heads := protocol.Cursor{all: at("now", 0), {Tenant: "k", Name: "0"}: at("now", 9)}
			got, _ := oldest("k", words, heads)
			for i := range 5 {
				ch := realtime.Channel{Tenant: "k", Name: strconv.Itoa(i)}
				p, head := got.At(ch), heads.At(ch)
				for _, c := range cursors {
					if o := c.At(ch); p.Epoch == head.Epoch && (o.Epoch != head.Epoch || o.Offset < p.Offset) {
						t.Fatalf("channel %d: goes on from %v, and a tab stands at %v", i, p, o)
					}
				}
			}
		})
	})
}
