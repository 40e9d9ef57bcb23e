package protocol_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"kentongan/realtime/protocol"
)

const (
	fin  = 0x80
	rsv1 = 0x40
)

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 65536)
	tests := []struct {
		name string
		o    protocol.ReaderOptions
		in   []byte
		want []string
	}{
		{"Text", protocol.ReaderOptions{}, frame(0x81, "Hello"), []string{`text "Hello"`}},
		{"ExampleOfTheRFC", protocol.ReaderOptions{}, []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, []string{`text "Hello"`}},
		{"Binary", protocol.ReaderOptions{}, frame(0x82, "\x00\xff"), []string{`binary "\x00\xff"`}},
		{"Empty", protocol.ReaderOptions{}, frame(0x81, ""), []string{`text ""`}},
		{"TwoMessages", protocol.ReaderOptions{}, join(frame(0x81, "a"), frame(0x81, "b")), []string{`text "a"`, `text "b"`}},
		{"Fragments", protocol.ReaderOptions{}, join(frame(0x01, "a"), frame(0x00, "b"), frame(0x80, "c")), []string{`text "abc"`}},
		{"EmptyFragments", protocol.ReaderOptions{}, join(frame(0x01, ""), frame(0x00, ""), frame(0x80, "")), []string{`text ""`}},
		{"PingBetweenFragments", protocol.ReaderOptions{}, join(frame(0x01, "a"), frame(0x89, "p"), frame(0x80, "b")),
			[]string{`control ping "p"`, `text "ab"`}},
		{"Pong", protocol.ReaderOptions{}, frame(0x8a, strings.Repeat("p", 125)), []string{`control pong "` + strings.Repeat("p", 125) + `"`}},
		{"Length16", protocol.ReaderOptions{}, frame(0x81, long[:65535]), []string{`text "` + long[:65535] + `"`}},
		{"Length64", protocol.ReaderOptions{}, frame(0x81, long), []string{`text "` + long + `"`}},
		{"Client", protocol.ReaderOptions{Client: true}, []byte{0x81, 2, 'o', 'k'}, []string{`text "ok"`}},
		{"CloseThenMore", protocol.ReaderOptions{}, join(frame(0x88, "\x03\xe8bye"), frame(0x81, "late")), []string{`control close "\x03\xe8bye"`}},
		{"CloseInsideOfMessage", protocol.ReaderOptions{}, join(frame(0x01, "a"), frame(0x88, ""), frame(0x80, "b")), []string{`control close ""`}},
		{"TextOverFragmentsCutInsideOfRune", protocol.ReaderOptions{}, join(frame(0x01, "\xf0\x9f"), frame(0x00, "\x8d"), frame(0x80, "\x9a")), []string{`text "🍚"`}},
		{"ReplacementCharacter", protocol.ReaderOptions{}, join(frame(0x01, "\xef"), frame(0x80, "\xbf\xbd")), []string{`text "` + "\ufffd" + `"`}},

		{"AtLimit", protocol.ReaderOptions{MaxMessageBytes: 5}, frame(0x81, "12345"), []string{`text "12345"`}},
		{"OverLimit", protocol.ReaderOptions{MaxMessageBytes: 5}, head(0x81, 0x80, 6), []string{"close 1009"}},
		{"OverLimitInFragments", protocol.ReaderOptions{MaxMessageBytes: 5}, join(frame(0x01, "123"), head(0x80, 0x80, 3)), []string{"close 1009"}},
		{"OverDefaultLimit", protocol.ReaderOptions{}, head(0x82, 0x80, 65537), []string{"close 1009"}},
		{"Length2To40", protocol.ReaderOptions{}, []byte{0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}, []string{"close 1009"}},
		{"AtFrameLimit", protocol.ReaderOptions{MaxFrames: 2}, join(frame(0x01, "a"), frame(0x80, "b")), []string{`text "ab"`}},
		{"OverFrameLimit", protocol.ReaderOptions{MaxFrames: 2}, join(frame(0x01, ""), frame(0x00, ""), frame(0x80, "")), []string{"close 1008"}},
		{"FrameLimitCountsOneMessage", protocol.ReaderOptions{MaxFrames: 1}, join(frame(0x81, "a"), frame(0x81, "b")), []string{`text "a"`, `text "b"`}},

		{"Unmasked", protocol.ReaderOptions{}, []byte{0x81, 1, 'a'}, []string{"close 1002"}},
		{"MaskedAtClient", protocol.ReaderOptions{Client: true}, frame(0x81, "a"), []string{"close 1002"}},
		{"LengthNotShortest16", protocol.ReaderOptions{}, []byte{0x81, 0xfe, 0, 125, 0, 0, 0, 0}, []string{"close 1002"}},
		{"LengthNotShortest64", protocol.ReaderOptions{}, []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, []string{"close 1002"}},
		{"Length2To63", protocol.ReaderOptions{}, []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []string{"close 1002"}},
		{"RSV1", protocol.ReaderOptions{}, frame(0xc1, "a"), []string{"close 1002"}},
		{"RSV2", protocol.ReaderOptions{Deflate: true}, frame(0xa1, "a"), []string{"close 1002"}},
		{"RSV3", protocol.ReaderOptions{Deflate: true}, frame(0x91, "a"), []string{"close 1002"}},
		{"RSV1OnContinuation", protocol.ReaderOptions{Deflate: true}, join(frame(0x41, "a"), frame(0xc0, "b")), []string{"close 1002"}},
		{"RSV1OnPing", protocol.ReaderOptions{Deflate: true}, frame(0xc9, ""), []string{"close 1002"}},
		{"FragmentedPing", protocol.ReaderOptions{}, frame(0x09, ""), []string{"close 1002"}},
		{"LongPing", protocol.ReaderOptions{}, head(0x89, 0x80, 126), []string{"close 1002"}},
		{"ContinuationOfNothing", protocol.ReaderOptions{}, frame(0x80, "a"), []string{"close 1002"}},
		{"ContinuationAfterEnd", protocol.ReaderOptions{}, join(frame(0x81, "a"), frame(0x80, "b")), []string{`text "a"`, "close 1002"}},
		{"NewMessageInsideOfMessage", protocol.ReaderOptions{}, join(frame(0x01, "a"), frame(0x81, "b")), []string{"close 1002"}},
		{"NothingAfterError", protocol.ReaderOptions{}, join(frame(0x83, "a"), frame(0x81, "b")), []string{"close 1002"}},

		{"InvalidUTF8", protocol.ReaderOptions{}, frame(0x81, "a\xc0\x80"), []string{"close 1007"}},
		{"Surrogate", protocol.ReaderOptions{}, frame(0x81, "\xed\xa0\x80"), []string{"close 1007"}},
		{"IncompleteUTF8", protocol.ReaderOptions{}, frame(0x81, "a\xf0\x9f\x8d"), []string{"close 1007"}},
		{"IncompleteUTF8AtEndOfFragments", protocol.ReaderOptions{}, join(frame(0x01, "\xe2\x82"), frame(0x80, "")), []string{"close 1007"}},
		{"InvalidUTF8FailsBeforeTheEnd", protocol.ReaderOptions{}, append(head(0x01, 0x80, 100), masked("ok\xff")...), []string{"close 1007"}},
		{"ImpossibleRuneFailsBeforeItsEnd", protocol.ReaderOptions{}, append(head(0x01, 0x80, 100), masked("\xf4\x90")...), []string{"close 1007"}},
		{"BinaryIsNotText", protocol.ReaderOptions{}, frame(0x82, "\xc0\x80"), []string{`binary "\xc0\x80"`}},

		{"CloseOfOneByte", protocol.ReaderOptions{}, frame(0x88, "\x03"), []string{"close 1002"}},
		{"CloseReasonNotUTF8", protocol.ReaderOptions{}, frame(0x88, "\x03\xe8\xff"), []string{"close 1007"}},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests, struct {
			name string
			o    protocol.ReaderOptions
			in   []byte
			want []string
		}{"Reserved" + protocol.Opcode(op).String(), protocol.ReaderOptions{}, frame(fin|op, ""), []string{"close 1002"}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(t, tt.o, tt.in); !equal(got, tt.want) {
				t.Errorf("got %.200q, want %.200q", got, tt.want)
			}
			if len(tt.in) > 1000 {
				return
			}
			each := make([]int, len(tt.in))
			for i := range each {
				each[i] = i
			}
			if got := read(t, tt.o, tt.in, each...); !equal(got, tt.want) {
				t.Errorf("byte by byte: got %.200q, want %.200q", got, tt.want)
			}
		})
	}
}

func TestReaderCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		want := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		got := read(t, protocol.ReaderOptions{}, frame(0x88, string([]byte{byte(code >> 8), byte(code)})))
		if ok := !slices.Contains(got, "close 1002"); ok != want {
			t.Fatalf("code %d: accepted %v, want %v", code, ok, want)
		}
	}
}

func TestReaderIsSmallAndHoldsNothingWhenIdle(t *testing.T) {
	if n := unsafe.Sizeof(protocol.Reader{}); n > 64 {
		t.Errorf("a Reader has %d bytes, want 64 at most", n)
	}
	var r protocol.Reader
	var o protocol.ReaderOptions
	released := false
	feed := func(p []byte, idle bool) {
		t.Helper()
		if err := r.Feed(p, &o, &record{}); err != nil || r.Idle() != idle || r.Fresh() != (idle && !released) {
			t.Errorf("after %x: Idle() = %v, Fresh() = %v, %v; want %v, and fresh as well unless it has ended", p, r.Idle(), r.Fresh(), err, idle)
		}
	}
	feed(frame(0x81, "a"), true)
	feed([]byte{0x81}, false)
	feed(frame(0x81, "a")[1:], true)
	feed(frame(0x01, "a"), false)
	feed(frame(0x89, "p")[:7], false)
	feed(frame(0x89, "p")[7:], false)
	feed(frame(0x80, "b"), true)
	feed(frame(0x89, "pp")[:7], false)
	feed(frame(0x89, "pp")[7:], true)
	feed(frame(0x01, "a"), false)
	r.Release()
	released = true
	feed(frame(0x81, "ignored"), true)
}

func TestReaderReturnsTheHandlersError(t *testing.T) {
	wanted := errors.New("enough")
	for name, in := range map[string][]byte{
		"Message": frame(0x81, "a"), "Fragments": join(frame(0x01, "a"), frame(0x80, "b")), "Ping": frame(0x89, ""), "Close": frame(0x88, ""),
	} {
		t.Run(name, func(t *testing.T) {
			var r protocol.Reader
			h := &record{fail: wanted}
			err := r.Feed(join(in, frame(0x81, "more")), &protocol.ReaderOptions{}, h)
			if !errors.Is(err, wanted) || len(h.events) != 1 {
				t.Errorf("got %v after %q, want %v after one event", err, h.events, wanted)
			}
			if err := r.Feed(frame(0x81, "more"), &protocol.ReaderOptions{}, h); err != nil || len(h.events) != 1 {
				t.Errorf("after the error: %v, %q; want nothing", err, h.events)
			}
		})
	}
}

// drawFrames draws a sequence of frames, mostly of good ones.
func drawFrames(t *rapid.T) []byte {
	var in []byte
	for range rapid.IntRange(1, 8).Draw(t, "frames") {
		b0 := rapid.SampledFrom([]byte{0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x80, 0x89, 0x8a, 0xc1, 0x41, 0x88, 0x83, 0xa1}).Draw(t, "b0")
		payload := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{strings.Repeat("x", 66000), strings.Repeat("é", 300)}), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "payload")
		if b0&rsv1 != 0 && rapid.Bool().Draw(t, "deflate") {
			if f, ok := protocol.AppendDeflated(nil, protocol.OpText, []byte(payload)); ok {
				payload = string(protocol.FramePayload(f))
			}
		}
		in = append(in, frame(b0, payload)...)
	}
	return in
}

func TestReaderGivesTheSameHoweverTheInputIsCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in := drawFrames(rt)
		o := protocol.ReaderOptions{Deflate: rapid.Bool().Draw(rt, "negotiated"), MaxMessageBytes: rapid.SampledFrom([]int{0, 3, 300}).Draw(rt, "limit"), MaxFrames: 5}
		whole := read(t, o, in)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(in)), 0, 20).Draw(rt, "cuts")
		slices.Sort(cuts)
		if got := read(t, o, in, cuts...); !equal(got, whole) {
			rt.Fatalf("cut at %v: got %.300q, in one piece %.300q", cuts, got, whole)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add(frame(0x81, "Hello"), uint16(3), true)
	f.Add(join(frame(0x01, "a"), frame(0x89, "p"), frame(0x80, "b")), uint16(9), false)
	f.Add(frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), uint16(7), true)
	f.Fuzz(func(t *testing.T, in []byte, at uint16, deflate bool) {
		o := protocol.ReaderOptions{Deflate: deflate, MaxMessageBytes: 1 << 12}
		cut := int(at) % (len(in) + 1)
		if got, want := read(t, o, in, cut), read(t, o, in); !equal(got, want) {
			t.Fatalf("cut at %d: got %q, in one piece %q", cut, got, want)
		}
	})
}
