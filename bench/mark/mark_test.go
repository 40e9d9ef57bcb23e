package mark_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"kentongan/bench/mark"
)

func marks(t *rapid.T) mark.Mark {
	return mark.Mark{
		Sent:   rapid.Int64Min(0).Draw(t, "sent"),
		Tenant: rapid.IntRange(0, mark.MaxTenant).Draw(t, "tenant"),
		Seq:    rapid.IntRange(0, mark.MaxSeq).Draw(t, "seq"),
	}
}

func TestMessageCarriesItsMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(220, 5000).Draw(t, "size")
		msg, err := mark.NewMessage(size)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second stamp must leave nothing of the first
			want := marks(t)
			text := msg.Stamp(want)
			if len(text) != size || !json.Valid(text) {
				t.Fatalf("message of %d bytes, want %d, valid JSON: %s", len(text), size, text)
			}
			if got, ok := mark.Find(text); !ok || got != want {
				t.Fatalf("found %+v %v, want %+v", got, ok, want)
			}
		}
	})
}

func TestFindPassesOverFences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := marks(t)
		text := []byte(rapid.StringMatching(`[~0-9a-z]{0,80}[a-z]`).Draw(t, "before"))
		at := len(text)
		text = append(text, make([]byte, mark.Len)...)
		want.Put(text[at:])
		if got, ok := mark.Find(text); !ok || got != want {
			t.Fatalf("found %+v %v in %s, want %+v", got, ok, text, want)
		}
		for cut := range mark.Len {
			if got, ok := mark.Find(text[:at+cut]); ok {
				t.Fatalf("found %+v in a message cut after %d bytes of its mark", got, cut)
			}
		}
	})
}

func TestNewMessageRefusesShortOnes(t *testing.T) {
	if _, err := mark.NewMessage(100); !errors.Is(err, mark.ErrTooShort) {
		t.Fatalf("got %v, want ErrTooShort", err)
	}
}

func FuzzFind(f *testing.F) {
	msg, err := mark.NewMessage(300)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(msg.Stamp(mark.Mark{Sent: 12, Tenant: 3, Seq: 4}))
	f.Add([]byte("~~~~9223372036854775808000000000000000~"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, ok := mark.Find(payload)
		if !ok {
			return
		}
		back := make([]byte, mark.Len)
		m.Put(back)
		if !bytes.Contains(payload, back) {
			t.Fatalf("found %+v, which is not in %q", m, payload)
		}
	})
}
