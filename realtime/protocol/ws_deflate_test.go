package protocol_test

import (
	"bytes"
	"compress/flate"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kentongan/realtime/protocol"
)

var deflating = protocol.ReaderOptions{Deflate: true}

func TestInflate(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string
	}{ // the payloads are the examples of RFC 7692, section 7.2.3, and how they can be wrong
		{"Hello", frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), `text "Hello"`},
		{"Fragments", join(frame(0x41, "\xf2\x48\xcd"), frame(0x80, "\xc9\xc9\x07\x00")), `text "Hello"`},
		{"PingBetween", join(frame(0x41, "\xf2\x48\xcd"), frame(0x89, ""), frame(0x80, "\xc9\xc9\x07\x00")), "control ping \"\"\ntext \"Hello\""},
		{"Stored", frame(0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), `text "Hello"`},
		{"FinalBlock", frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), `text "Hello"`},
		{"TwoBlocks", frame(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), `text "Hello"`},
		{"EmptyMessage", frame(0xc1, "\x00"), `text ""`},
		{"NoPayload", frame(0xc1, ""), `text ""`},
		{"PlainMessageBeside", join(frame(0x81, "plain"), frame(0xc2, "\xf2\x48\xcd\xc9\xc9\x07\x00")), "text \"plain\"\nbinary \"Hello\""},
		{"Corrupt", frame(0xc1, "\xff\xff\xff"), "close 1007"},
		{"CutShort", frame(0xc1, "\xf2\x48\xcd"), "close 1007"},
		{"NotUTF8", frame(0xc1, "\x00\x02\x00\xfd\xff\xc0\x80\x00"), "close 1007"},
		{"ManyFinalBlocks", frame(0xc1, strings.Repeat("\x03\x00", 1000)), "close 1007"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(read(t, deflating, tt.in), "\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInflateReferenceBeforeTheMessageIsCorrupt(t *testing.T) {
	// A pooled window still holds what another client sent. A message may not copy from it.
	secret := strings.Repeat("secret of another kitchen ", 1000)
	f, ok := protocol.AppendDeflated(nil, protocol.OpText, []byte(secret))
	if !ok {
		t.Fatal("not compressed")
	}
	for range 100 {
		read(t, deflating, frame(0xc1, string(protocol.FramePayload(f))))
	}
	// With the window of its dictionary the compressor makes the whole message one reference to it.
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.BestCompression, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(secret[:200]))
	_ = w.Flush()
	stolen := strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
	if got := read(t, deflating, frame(0xc1, stolen)); !equal(got, []string{"close 1007"}) {
		t.Errorf("got %.100q, want close 1007", got)
	}
}

// bomb returns the compressed form of n zero bytes. Of a large one it repeats a compressed part, which saves seconds.
func bomb(t testing.TB, n int) string {
	t.Helper()
	const part = 4 << 20
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, min(n, part)))
	_ = w.Flush()
	return strings.TrimSuffix(strings.Repeat(b.String(), max(1, n/part)), "\x00\x00\xff\xff")
}

func TestInflateBombCostsLittle(t *testing.T) {
	payload := bomb(t, 64<<20)
	in := frame(0xc2, payload)
	o := deflating
	if len(payload) > protocol.DefaultMaxMessageBytes {
		t.Fatalf("the bomb has %d bytes, which is refused for its size alone", len(payload))
	}
	for name, cuts := range map[string][]int{"Whole": nil, "InPieces": {10, 100, 1000, 10000}} {
		t.Run(name, func(t *testing.T) {
			read(t, o, frame(0xc1, "\x00")) // fills the pools
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := read(t, o, in, cuts...)
			runtime.ReadMemStats(&after)
			if !equal(got, []string{"close 1009"}) {
				t.Errorf("got %.100q, want close 1009", got)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("allocated %d bytes, want less than 1 MiB", used)
			}
		})
	}
}

func TestInflateLimitIsExact(t *testing.T) {
	for n, want := range map[int]string{1000: "binary", 1001: "close 1009"} {
		o := protocol.ReaderOptions{Deflate: true, MaxMessageBytes: 1000}
		got := strings.Join(read(t, o, frame(0xc2, bomb(t, n))), "\n")
		if !strings.HasPrefix(got, want) {
			t.Errorf("%d bytes: got %.50q, want %q", n, got, want)
		}
	}
}

func TestDeflatedRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`{"type":"production_update"}`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""})).Draw(rt, "part")
		message := strings.Repeat(part, rapid.SampledFrom([]int{1, 2, 50, 2000}).Draw(rt, "times"))
		prefix := []byte("before")
		out, ok := protocol.AppendDeflated(bytes.Clone(prefix), protocol.OpText, []byte(message))
		if !bytes.HasPrefix(out, prefix) {
			rt.Fatal("what was in dst is gone")
		}
		out = out[len(prefix):]
		if !ok {
			if len(out) != 0 {
				rt.Fatalf("refused, but %d bytes were appended", len(out))
			}
			return
		}
		if len(out) >= len(protocol.AppendFrame(nil, protocol.OpText, []byte(message))) {
			rt.Fatalf("%d bytes became %d", len(message), len(out))
		}
		h := &lastMessage{}
		var r protocol.Reader
		o := protocol.ReaderOptions{Client: true, Deflate: true, MaxMessageBytes: 1 << 20}
		if err := r.Feed(out, &o, h); err != nil || string(h.data) != message {
			rt.Fatalf("got %d bytes, %v; want the %d bytes of the message", len(h.data), err, len(message))
		}
	})
}

type lastMessage struct{ data []byte }

func (h *lastMessage) OnMessage(_ protocol.Opcode, data []byte) error {
	h.data = bytes.Clone(data)
	return nil
}
func (h *lastMessage) OnControl(protocol.Opcode, []byte) error { return nil }
