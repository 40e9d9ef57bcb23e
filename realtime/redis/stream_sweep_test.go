package redis

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kentongan/internal/testenv"
)

// TestStreamSweep forgets the consumers without anything pending, but never the caller.
func TestStreamSweep(t *testing.T) {
	s, err := NewStream(Options{Address: testenv.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	do := func(args ...string) {
		t.Helper()
		if err := s.asker.Do(t.Context(), s.asker.B().Arbitrary(args...).Build()).Error(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	do("XGROUP", "CREATE", s.key, streamGroup, "0", "MKSTREAM")
	do("XADD", s.key, "*", "a", "1")
	do("XREADGROUP", "GROUP", streamGroup, "busy", "STREAMS", s.key, ">")
	for _, name := range []string{"gone", "lost", s.consumer} {
		do("XGROUP", "CREATECONSUMER", s.key, streamGroup, name)
	}
	forget := func(idle string) int64 {
		t.Helper()
		n, err := streamSweepScript.Exec(t.Context(), s.asker, []string{s.key}, []string{streamGroup, s.consumer, idle}).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := forget("3600000"); n != 0 {
		t.Errorf("%d that were here a moment ago are forgotten", n)
	}
	if n := forget("-1"); n != 2 {
		t.Errorf("%d are forgotten, want the 2 that have nothing pending", n)
	}
	list, err := s.asker.Do(t.Context(), s.asker.B().XinfoConsumers().Key(s.key).Group(streamGroup).Build()).ToArray()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range list {
		m, err := list[i].AsMap()
		if err != nil {
			t.Fatal(err)
		}
		name := m["name"]
		text, _ := name.ToString()
		names = append(names, text)
	}
	slices.Sort(names)
	if want := []string{s.consumer, "busy"}; !slices.Contains(names, want[0]) || !slices.Contains(names, want[1]) || len(names) != 2 {
		t.Errorf("left are %v, want %v", names, want)
	}
}

// TestStreamTidy keeps everything from the oldest entry on that somebody has not acknowledged.
func TestStreamTidy(t *testing.T) {
	s, err := NewStream(Options{Address: testenv.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ctx := t.Context()
	if err := s.join(ctx); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 1000 {
		id, err := s.asker.Do(ctx, s.asker.B().Xadd().Key(s.key).Id("*").FieldValue().FieldValue("a", "1").Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	read := func(count int64, consumer string) {
		t.Helper()
		cmd := s.asker.B().Xreadgroup().Group(streamGroup, consumer).Count(count).Streams().Key(s.key).Id(">").Build()
		if err := s.asker.Do(ctx, cmd).Error(); err != nil {
			t.Fatal(err)
		}
	}
	tidy := func(when string, needed int) {
		t.Helper()
		if err := s.Tidy(ctx); err != nil {
			t.Fatal(err)
		}
		left, err := s.asker.Do(ctx, s.asker.B().Xrange().Key(s.key).Start("-").End("+").Build()).AsXRange()
		if err != nil {
			t.Fatal(err)
		}
		// Redis trims whole blocks of a hundred, so some more may be left.
		if first := 1000 - len(left); first > needed || first < needed-100 || left[0].ID != ids[first] {
			t.Errorf("%s: the first %d of the entries are gone, of which the first %d are not needed", when, first, needed)
		}
	}
	tidy("before anything is read", 0)
	read(300, "slow")
	read(400, "fast")
	if err := s.Ack(ctx, ids[300:700]); err != nil {
		t.Fatal(err)
	}
	tidy("while the oldest are pending", 0)
	if err := s.Ack(ctx, ids[:250]); err != nil {
		t.Fatal(err)
	}
	tidy("while some are pending", 250)
	if err := s.Ack(ctx, ids[250:300]); err != nil {
		t.Fatal(err)
	}
	tidy("when all that was read is acknowledged", 700)
}

func TestStreamIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[0-9]{1,19}-[0-9]{1,19}`).Draw(t, "a")
		after, err := streamIDAfter(a)
		if err != nil || !streamIDLess(a, after) || streamIDLess(after, a) || streamIDLess(a, a) {
			t.Errorf("after %s comes %s, %v", a, after, err)
		}
	})
	for _, bad := range []string{"", "1", "1-", "-1", "a-b", "1-18446744073709551616"} {
		if id, err := streamIDAfter(bad); err == nil {
			t.Errorf("after %q comes %s, want an error", bad, id)
		}
		if !streamIDLess(bad, "0-1") {
			t.Errorf("%q does not come first: something might be trimmed for it", bad)
		}
	}
	if id, err := streamIDAfter("7-18446744073709551615"); err != nil || id != "8-0" {
		t.Errorf("after the last of a millisecond comes %s, %v", id, err)
	}
}
