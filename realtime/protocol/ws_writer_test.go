package protocol_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

func TestFrameLengths(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 100000} {
		payload := strings.Repeat("x", n)
		want := append(head(0x81, 0, n), payload...)
		if got := protocol.AppendFrame(nil, protocol.OpText, []byte(payload)); !bytes.Equal(got, want) {
			t.Errorf("AppendFrame of %d bytes: got %.20x…, want %.20x…", n, got, want)
		}
		if got := protocol.FramePayload(want); string(got) != payload {
			t.Errorf("FramePayload of %d bytes: got %d bytes", n, len(got))
		}
		want = append(head(0x81, 0x80, n), masked(payload)...)
		if got := protocol.AppendMasked(nil, protocol.OpText, []byte(payload), key); !bytes.Equal(got, want) {
			t.Errorf("AppendMasked of %d bytes: got %.20x…, want %.20x…", n, got, want)
		}
	}
}

// TestV1FrameLengths goes over the sizes at which the header of a frame that is built in place changes its length.
func TestV1FrameLengths(t *testing.T) {
	empty := protocol.AppendV1(nil, "c", &realtime.Publication{Data: []byte{}})
	around := len(protocol.FramePayload(empty))
	for _, n := range []int{1, 125 - around, 126 - around, 127 - around, 65535 - around, 65536 - around, 65537 - around, 100000} {
		data := []byte(strings.Repeat("1", n))
		got := protocol.AppendV1([]byte("before"), "c", &realtime.Publication{Data: data})
		rest, ok := bytes.CutPrefix(got, []byte("before"))
		h := &lastMessage{}
		var r protocol.Reader
		err := r.Feed(rest, &protocol.ReaderOptions{Client: true, MaxMessageBytes: 1 << 20}, h)
		if !ok || err != nil || !r.Idle() || len(h.data) != around+n || !bytes.Contains(h.data, data) {
			t.Errorf("%d bytes of data: read back %d bytes, %v; want %d", n, len(h.data), err, around+n)
		}
	}
}

func TestMaskRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "payload")
		k := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "key"))
		in := protocol.AppendMasked(nil, protocol.OpBinary, payload, k)
		cut := rapid.IntRange(0, len(in)).Draw(rt, "cut")
		h := &lastMessage{}
		var r protocol.Reader
		var o protocol.ReaderOptions
		if err := r.Feed(in[:cut], &o, h); err != nil {
			rt.Fatal(err)
		}
		if err := r.Feed(in[cut:], &o, h); err != nil || !bytes.Equal(h.data, payload) {
			rt.Fatalf("got %x, %v; want %x", h.data, err, payload)
		}
	})
}

func TestAppendClose(t *testing.T) {
	tests := []struct {
		code   protocol.Code
		reason string
		want   string
	}{
		{protocol.CloseSlow, "", "\x0f\xa1reader too slow; come back and resume"},
		{protocol.CloseNormal, "done", "\x03\xe8done"},
		{protocol.CloseNoStatus, "ignored", ""},
		{4999, "", "\x13\x87"},
		{protocol.CloseNormal, strings.Repeat("x", 200), "\x03\xe8" + strings.Repeat("x", 123)},
		{protocol.CloseNormal, strings.Repeat("x", 122) + "é", "\x03\xe8" + strings.Repeat("x", 122)},
		{protocol.CloseNormal, strings.Repeat("x", 121) + "é", "\x03\xe8" + strings.Repeat("x", 121) + "é"},
	}
	for _, tt := range tests {
		got := protocol.AppendClose(nil, tt.code, tt.reason)
		if want := append([]byte{0x88, byte(len(tt.want))}, tt.want...); !bytes.Equal(got, want) {
			t.Errorf("AppendClose(%d, %q) = %q, want %q", tt.code, tt.reason, got, want)
		}
	}
	code, reason := protocol.ParseClose([]byte("\x0f\xa1slow"))
	if code != protocol.CloseSlow || reason != "slow" {
		t.Errorf("ParseClose = %v, %q; want slow", code, reason)
	}
	if code, reason := protocol.ParseClose(nil); code != protocol.CloseNoStatus || reason != "" {
		t.Errorf("ParseClose of nothing = %v, %q; want no status", code, reason)
	}
}

func TestAppendCloseIsAlwaysReadable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reason := rapid.String().Draw(rt, "reason")
		out := protocol.AppendClose(nil, protocol.CloseSlow, reason)
		if payload := protocol.FramePayload(out); len(payload) > 125 || !utf8.Valid(payload[2:]) {
			rt.Fatalf("close frame of %d bytes, reason %q", len(payload), payload[2:])
		}
	})
}
