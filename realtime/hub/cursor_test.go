package hub_test

import (
	"testing"
	"unsafe"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

// TestCursorIsSharedUntilAHeadMoves compares the cursor that is kept with one that is made anew, after everything that
// moves a head.
func TestCursorIsSharedUntilAHeadMoves(t *testing.T) {
	h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(t), Shards: 1})
	defer stop()
	updates, global := realtime.Channel{Tenant: "a", Name: "production:updates"}, realtime.Channel{Name: "system-alert"}
	r := &reader{}
	sub := subscribe(t, h, r, realtime.Channel{Tenant: "a"})
	h.GoLive(sub, always)
	look := func() (kept, made string) {
		h.View(sub, func(v hub.Heads) { kept, made = v.Cursor(), protocol.EncodeCursor("a", v.Positions()) })
		return kept, made
	}
	last := ""
	check := func(after string) {
		t.Helper()
		kept, made := look()
		again, _ := look()
		if kept != made || kept == last {
			t.Errorf("after %s the cursor is %q, want %q, and another one than %q", after, kept, made, last)
		}
		if unsafe.StringData(kept) != unsafe.StringData(again) {
			t.Errorf("after %s a second reader gets a cursor of his own", after)
		}
		last = kept
	}
	check("the start")
	h.Deliver(publication(updates, "e", 1))
	check("a publication")
	h.Deliver(publication(updates, "e", 1)) // stale
	if kept, _ := look(); kept != last {
		t.Error("a stale publication changed the cursor")
	}
	h.Deliver(publication(global, "e", 1))
	h.Deliver(publication(updates, "e", 2))
	for len(r.offsets(global)) == 0 || len(r.offsets(updates)) < 3 {
		h.Stats() // the global one went through the queue
	}
	check("a global publication")
	h.Gap(realtime.Gap{Channel: updates, Cause: realtime.GapIntake, Position: realtime.Position{Epoch: "f"}})
	for kept, _ := look(); kept == last; kept, _ = look() {
		h.Stats()
	}
	check("a gap")
}
