package gateway

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// TestHeadFramesAreFollowed draws frames, and cuts them anywhere: what is due after each piece is what is begun there and has to end.
func TestHeadFramesAreFollowed(t *testing.T) {
	rapid.Check(t, func(draw *rapid.T) {
		var wire bytes.Buffer
		wire.WriteString(http2.ClientPreface)
		framer := http2.NewFramer(&wire, nil)
		framer.AllowIllegalWrites = true
		type drawn struct {
			from, to int
			data     bool
			head     bool // it is a part of a head
			ends     bool // and the last one
		}
		var frames []drawn
		for range rapid.IntRange(0, 8).Draw(draw, "frames") {
			f := drawn{from: wire.Len()}
			payload := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(draw, "payload")
			kind := rapid.SampledFrom([]http2.FrameType{
				http2.FrameData, http2.FrameHeaders, http2.FrameContinuation, http2.FrameSettings, http2.FramePing, 200,
			}).Draw(draw, "kind")
			flags := rapid.SampledFrom([]http2.Flags{0, http2.FlagHeadersEndHeaders, http2.FlagHeadersEndStream, 0xff}).Draw(draw, "flags")
			if err := framer.WriteRawFrame(kind, flags, 1, payload); err != nil {
				draw.Fatal(err)
			}
			f.to, f.data = wire.Len(), kind == http2.FrameData
			f.head = kind == http2.FrameHeaders || kind == http2.FrameContinuation
			f.ends = f.head && flags&http2.FlagHeadersEndHeaders != 0
			frames = append(frames, f)
		}
		// state says what is known of the first at bytes: whether something is due, and how many limits have been kept.
		state := func(at int) (due bool, kept int) {
			asked, open, inside := false, false, false
			for _, f := range frames {
				switch {
				case f.to <= at:
					asked, open = asked || f.ends, f.head && !f.ends || open && !f.head
					if asked && !open {
						kept++
					}
				case f.from < at:
					inside = !f.data || at-f.from < 9
				}
			}
			return !asked || open || inside, kept
		}
		f, text, kept := headFrames{}, wire.Bytes(), 0
		for at := 0; at < len(text); {
			n := rapid.IntRange(1, min(40, len(text)-at)).Draw(draw, "piece")
			ended, ok := f.pass(text[at : at+n])
			at += n
			due, all := state(at)
			if f.due() != due || ended != (all > kept) || !ok {
				draw.Fatalf("after %d of %d bytes: due %v, ended %v; want %v, %v", at, len(text), f.due(), ended, due, all > kept)
			}
			kept = all
		}
	})
}

// TestPrefaceOnly: what is not the preface is found with the byte that is wrong.
func TestPrefaceOnly(t *testing.T) {
	for at := range len(http2.ClientPreface) {
		var f headFrames
		wrong := []byte(http2.ClientPreface)
		wrong[at] ^= 0x20
		if _, ok := f.pass(wrong[:at]); !ok {
			t.Fatalf("the first %d bytes are refused", at)
		}
		if _, ok := f.pass(wrong[at:]); ok {
			t.Errorf("byte %d is wrong, and it is taken", at)
		}
	}
}
