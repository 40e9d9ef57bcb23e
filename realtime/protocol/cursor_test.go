package protocol_test

import (
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

var urlSafe = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

func drawTenant(t *rapid.T) tenant.ID {
	return tenant.ID(rapid.SampledFrom([]string{"", "sppg_7", "sppg_8", "a", "a_b", strings.Repeat("x", 64)}).Draw(t, "tenant"))
}

func drawCursor(t *rapid.T) protocol.Cursor {
	name := rapid.OneOf(rapid.SampledFrom([]string{"", "production:updates", "menu:updates", "system-alert", "orders:7"}), rapid.StringMatching(`[a-z:._-]{1,40}`))
	epoch := rapid.OneOf(rapid.Just("k3v9x2m7q4ab"), rapid.StringMatching(`[A-Za-z0-9]{1,32}`))
	c := protocol.Cursor{}
	for range rapid.IntRange(0, 20).Draw(t, "channels") {
		ch := realtime.Channel{Tenant: drawTenant(t), Name: name.Draw(t, "name")}
		c[ch] = realtime.Position{Epoch: epoch.Draw(t, "epoch"), Offset: rapid.Uint64Range(0, protocol.MaxOffset).Draw(t, "offset")}
	}
	return c
}

// TestCursorEncoder moves positions one after the other, and compares with a cursor that is made anew.
func TestCursorEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id, c := drawTenant(t), drawCursor(t)
		e := protocol.NewCursorEncoder(id, c)
		if rapid.Bool().Draw(t, "another before") {
			e = protocol.NewCursorEncoder(drawTenant(t), drawCursor(t))
			e.Append(nil)
			e.Reset(id)
			for ch, p := range c {
				e.Add(ch, p)
			}
		}
		for range rapid.IntRange(0, 10).Draw(t, "moves") {
			for ch, p := range drawCursor(t) {
				c[ch] = p
				e.Set(ch, p)
			}
			if got, want := string(e.Append([]byte("x"))), "x"+protocol.EncodeCursor(id, c); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

func TestCursorRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id, c := drawTenant(rt), drawCursor(rt)
		s := protocol.EncodeCursor(id, c)
		if !urlSafe.MatchString(s) || s != protocol.EncodeCursor(id, maps.Clone(c)) {
			rt.Fatalf("%q is not URL-safe or not always the same", s)
		}
		got, err := protocol.DecodeCursor(id, s)
		if err != nil || !maps.Equal(got, c) {
			rt.Fatalf("%v became %v, %v", c, got, err)
		}
		if other := drawTenant(rt); other != id {
			if got, err := protocol.DecodeCursor(other, s); !errors.Is(err, protocol.ErrCursor) {
				rt.Fatalf("the cursor of %q gave %q %v, %v", id, other, got, err)
			}
		}
	})
}

func TestCursorIsShort(t *testing.T) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	c := protocol.Cursor{}
	for _, id := range []tenant.ID{"clx0abcdefghijklmnopqrstu", tenant.Global} {
		for _, wire := range names.Of(id) {
			ch, _, err := names.Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			c[ch] = realtime.Position{Epoch: realtime.NewEpoch(), Offset: 100_000}
		}
	}
	epoch := realtime.NewEpoch()
	for ch, p := range c {
		c[ch] = realtime.Position{Epoch: epoch, Offset: p.Offset}
	}
	if s := protocol.EncodeCursor("clx0abcdefghijklmnopqrstu", c); len(s) > 120 {
		t.Errorf("%d default channels of one epoch need %d bytes, want 120 at most: %s", len(c), len(s), s)
	}
}

func TestCursorLeavesOutWhatIsNoPosition(t *testing.T) {
	c := protocol.Cursor{
		channel: head7,
		realtime.Channel{Tenant: "sppg_7", Name: "menu:updates"}:           {},
		realtime.Channel{Tenant: "sppg_7", Name: "a"}:                      {Epoch: "no spaces"},
		realtime.Channel{Tenant: "sppg_7", Name: "b"}:                      {Epoch: "e", Offset: protocol.MaxOffset + 1},
		realtime.Channel{Tenant: "sppg_7", Name: strings.Repeat("x", 256)}: head7,
		realtime.Channel{Tenant: "sppg_7"}:                                 head7,
	}
	got, err := protocol.DecodeCursor("sppg_7", protocol.EncodeCursor("sppg_7", c))
	if want := (protocol.Cursor{channel: head7, realtime.Channel{Tenant: "sppg_7"}: head7}); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestDecodeCursorRefuses(t *testing.T) {
	good := protocol.EncodeCursor("sppg_7", protocol.Cursor{channel: head7})
	tests := map[string]string{
		"Empty": "", "Garbage": "!!!", "Word": "hello", "Padding": good + "=", "LineBreak": good[:4] + "\r\n" + good[4:],
		"Short": good[:len(good)-1], "Long": good + "A", "1MB": strings.Repeat("A", 1<<20), "OverLimit": strings.Repeat("A", protocol.MaxCursorBytes+4),
		"Space": " " + good,
	}
	for i := range good {
		b := []byte(good)
		b[i] ^= 1
		tests["Bit "+string(b)] = string(b)
	}
	for name, s := range tests {
		if got, err := protocol.DecodeCursor("sppg_7", s); !errors.Is(err, protocol.ErrCursor) {
			t.Errorf("%s: got %v, %v; want ErrCursor", name, got, err)
		}
	}
}

func FuzzDecodeCursor(f *testing.F) {
	f.Add("sppg_7", cursor7)
	f.Add("", protocol.EncodeCursor("", protocol.Cursor{}))
	f.Fuzz(func(t *testing.T, id, s string) {
		c, err := protocol.DecodeCursor(tenant.ID(id), s)
		if err != nil {
			if !errors.Is(err, protocol.ErrCursor) || c != nil {
				t.Fatalf("got %v, %v", c, err)
			}
			return
		}
		if again := protocol.EncodeCursor(tenant.ID(id), c); again != s {
			t.Fatalf("%q was read, but is written as %q", s, again)
		}
	})
}
