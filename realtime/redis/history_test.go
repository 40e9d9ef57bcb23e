package redis

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"kentongan/realtime"
)

func TestScriptKnowsTheBoundsOfSnapshots(t *testing.T) {
	want := fmt.Sprintf("local maxKeys, maxBeyond = %d, %d\n", realtime.MaxSnapshotKeys, realtime.MaxSnapshotBytes-realtime.MaxSnapshotKeys<<10)
	if !strings.Contains(publishScript.source, want) {
		t.Errorf("publish.lua has other bounds than %q", want)
	}
}

func FuzzCutEntry(f *testing.F) {
	entry := func(offset, ms uint64, data string) []byte {
		b := binary.BigEndian.AppendUint64(nil, offset)
		b = binary.BigEndian.AppendUint64(b, ms)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
	}
	f.Add(entry(1, 1_700_000_000_000, `{"n":1}`))
	f.Add(append(entry(1, 0, ""), entry(2, 1<<63, "x")...))
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, left := 0, b
		for len(left) > 0 {
			p, rest, err := cutEntry(left)
			if err != nil {
				break
			}
			head := left[:len(left)-len(rest)]
			if got := entry(p.Position.Offset, uint64(p.Time.UnixMilli()), string(p.Data)); !bytes.Equal(got, head) {
				t.Fatalf("%x is read as %x", head, got)
			}
			if cap(p.Data) != len(p.Data) {
				t.Fatal("who appends to the data of one entry writes into the next")
			}
			left = rest
			n++
		}
		if got := countEntries(b); got != n {
			t.Fatalf("counts %d entries, want %d", got, n)
		}
	})
}
