package gateway_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
)

// TestIDsTellOfNothingThatIsToCome reads an event stream of two channels, of which one is caught up with while the other one is live. At
// each event the id must stand where the client does: one that is ahead makes a client whose line breaks there lose what is in between,
// without a word.
func TestIDsTellOfNothingThatIsToCome(t *testing.T) {
	const history, most = 1000, 2000
	whole := realtime.Retention{Size: 1 << 20, Age: time.Hour} // nothing expires meanwhile
	n := start(t, gateway.Options{Names: namesOf(t, realtime.Pattern{Spelling: "production:updates:{tenant}", Retention: whole},
		realtime.Pattern{Spelling: "menu:updates:{tenant}", Retention: whole})})
	n.publish("a", "menu:updates", `{"n":1}`)
	from := n.fill(history)
	live := realtime.Channel{Tenant: "a", Name: "menu:updates"}
	old := realtime.Channel{Tenant: "a", Name: "production:updates"}
	page, err := n.broker.History(t.Context(), live, realtime.Position{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	at := protocol.Cursor{live: page.Head, old: from}
	next := n.events(fmt.Sprintf("/api/sse?channels=production:updates:a@%s/0,menu:updates:a@%s/1", from.Epoch, page.Head.Epoch), "")
	if e := next(); e.name != "welcome" {
		t.Fatalf("first came %+v", e)
	}
	var done atomic.Bool
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := 0; i < most && !done.Load(); i++ {
			n.publish("a", "menu:updates", `{"n":2}`)
		}
	}()
	defer func() {
		done.Store(true)
		<-published
	}()
	for at[old].Offset < history {
		e := next()
		var got struct {
			Channel string
			Offset  uint64
		}
		if err := json.Unmarshal([]byte(e.data), &got); err != nil || e.name != "" {
			t.Fatalf("came %+v (%v)", e, err)
		}
		ch := old
		if got.Channel == "menu:updates:a" {
			ch = live
		}
		if got.Offset != at[ch].Offset+1 {
			t.Fatalf("%s %d comes after %d", got.Channel, got.Offset, at[ch].Offset)
		}
		at[ch] = realtime.Position{Epoch: at[ch].Epoch, Offset: got.Offset}
		id, err := protocol.DecodeCursor("a", e.id)
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range []realtime.Channel{old, live} {
			if id[ch] != at[ch] {
				t.Fatalf("with %s %d the id says that %s is at %v; it is at %v", got.Channel, got.Offset, ch.Name, id[ch], at[ch])
			}
		}
	}
}
