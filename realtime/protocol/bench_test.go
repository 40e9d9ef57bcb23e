package protocol_test

import (
	"fmt"
	"strings"
	"testing"

	"kentongan/realtime/protocol"
)

// sized is a publication whose payload has about n bytes, in the shape of the app's.
func sized(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"type":"production_update","productionId":"clx9abcdefghijklmnopqrst","data":{`)
	for i := 0; b.Len() < n-40; i++ {
		fmt.Fprintf(&b, `"field%d":{"value":%d,"status":"COOKING"},`, i, i*7919%1000)
	}
	b.WriteString(`"x":1},"timestamp":1700000000000}`)
	return []byte(b.String())
}

func BenchmarkAppend(b *testing.B) {
	p := publication(sized(300))
	dst := make([]byte, 0, 4096)
	for name, f := range map[string]func(){
		"Bare": func() { dst = protocol.AppendBare(dst[:0], p) },
		"V1":   func() { dst = protocol.AppendV1(dst[:0], updates, p) },
		"SSE":  func() { dst = protocol.AppendSSE(dst[:0], updates, cursor7, p) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func BenchmarkAppendDeflated(b *testing.B) {
	for _, n := range []int{300, 1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := sized(n)
			dst := make([]byte, 0, 2*n)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				dst, _ = protocol.AppendDeflated(dst[:0], protocol.OpText, in)
			}
			b.ReportMetric(float64(len(dst))/float64(len(in)), "ratio")
		})
	}
}

type discard struct{}

func (discard) OnMessage(protocol.Opcode, []byte) error { return nil }
func (discard) OnControl(protocol.Opcode, []byte) error { return nil }

func BenchmarkFeed(b *testing.B) {
	deflated, _ := protocol.AppendDeflated(nil, protocol.OpText, sized(1000))
	for name, in := range map[string][]byte{
		"Pong":     frame(0x8a, "12345678"),
		"Text100":  frame(0x81, strings.Repeat("x", 100)),
		"Text16K":  frame(0x81, strings.Repeat("x", 16<<10)),
		"Deflated": frame(0xc1, string(protocol.FramePayload(deflated))),
	} {
		for _, pieces := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", name, pieces), func(b *testing.B) {
				var r protocol.Reader
				o := protocol.ReaderOptions{Deflate: true}
				var h protocol.Handler = discard{}
				buf := make([]byte, len(in))
				b.ReportAllocs()
				b.SetBytes(int64(len(in)))
				for b.Loop() {
					copy(buf, in)
					at := len(buf) * (pieces - 1) / pieces
					if err := r.Feed(buf[:at], &o, h); err != nil {
						b.Fatal(err)
					}
					if err := r.Feed(buf[at:], &o, h); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCursor(b *testing.B) {
	c := protocol.Cursor{}
	for i := range 12 {
		ch := channel
		ch.Name = []string{"production:updates", "production:alerts", "menu:updates", "inventory:updates", "distribution:updates", "hrd:updates",
			"procurement:updates", "notifications", "updates", "sppg:production:created", "dashboard-update", "notification"}[i]
		c[ch] = head7
	}
	b.Run("Encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			protocol.EncodeCursor("sppg_7", c)
		}
	})
	s := protocol.EncodeCursor("sppg_7", c)
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := protocol.DecodeCursor("sppg_7", s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseV1(b *testing.B) {
	in := []byte(`{"id":1,"subscribe":{"channel":"production:updates:sppg_7","since":{"epoch":"e1","offset":12}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.ParseV1(in); err != nil {
			b.Fatal(err)
		}
	}
}
