package payload_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"kentongan/chaos/payload"
)

var key = payload.Key{1, 2, 3}

func TestReadsWhatItAppends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.IntRange(0, 1<<40)
		m := payload.Mark{Channel: number.Draw(t, "channel"), Publisher: number.Draw(t, "publisher"), Seq: number.Draw(t, "seq")}
		text := payload.Append([]byte("before"), key, m, rapid.IntRange(0, 9).Draw(t, "pad"))
		if string(text[:6]) != "before" || !json.Valid(text[6:]) {
			t.Fatalf("got %s, want JSON behind what was there", text)
		}
		if got, ok := payload.Read(key, text[6:]); !ok || got != m {
			t.Fatalf("got %+v, %v; want %+v", got, ok, m)
		}
	})
}

// TestSeesEveryChange: no byte can be changed, and no message of another run is taken for one of this.
func TestSeesEveryChange(t *testing.T) {
	text := payload.Append(nil, key, payload.Mark{Channel: 3, Publisher: 12, Seq: 345}, 3)
	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		if m, ok := payload.Read(key, changed); ok {
			t.Errorf("byte %d changed, and read as %+v: %s", i, m, changed)
		}
	}
	if _, ok := payload.Read(payload.Key{9}, text); ok {
		t.Error("a message of another run is taken for one of this")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(payload.Append(nil, key, payload.Mark{Channel: 1, Publisher: 2, Seq: 3}, 0))
	f.Add([]byte(`","data":{"status":"COOKING","mark":"1/2/3/0123456789abcdef","portions":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, ok := payload.Read(key, text)
		if least := payload.Append(nil, key, m, 0); ok && len(text) < len(least) {
			t.Fatalf("%q is read as %+v", text, m)
		}
	})
}
