package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
)

// latecomer is an engine of which this node hears late: its history is in another epoch than what was delivered here.
type latecomer struct {
	realtime.Broker
	newest atomic.Pointer[realtime.Position] // what history says; nil: this node has heard of it
}

func (l *latecomer) History(ctx context.Context, ch realtime.Channel, since realtime.Position, limit int) (realtime.Page, error) {
	head := l.newest.Load()
	if head == nil {
		return l.Broker.History(ctx, ch, since, limit)
	}
	_, cause := realtime.Resume(since, *head, 0, true)
	return realtime.Page{Head: *head, Gap: cause}, nil
}

// TestLaggingNode has a client come from a node that knew a newer epoch than this one, with a still newer one in the engine.
func TestLaggingNode(t *testing.T) {
	const name = "production:updates"
	updates := realtime.Channel{Tenant: "a", Name: name}
	connect := func(n *clocked, late *latecomer) *page {
		n.publish("a", name, `"of the old epoch"`)
		late.newest.Store(&realtime.Position{Epoch: "third", Offset: 2})
		p := &page{peer: n.request("/api/ws?channels="+name+":a@second/5", handshake+"Sec-WebSocket-Protocol: kentongan.v1\r\n"), ended: make(chan struct{})}
		p.peer.status(http.StatusSwitchingProtocols)
		go p.read()
		return p
	}
	head := func(n *clocked) string {
		page, err := n.broker.History(t.Context(), updates, realtime.Position{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`"epoch":%q,"offset":%d`, page.Head.Epoch, page.Head.Offset)
	}
	answers := func(p *page) (told []string) {
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.texts {
			if strings.Contains(text, `"subscribed"`) || strings.Contains(text, `"gap"`) || strings.Contains(text, `"message"`) {
				told = append(told, text)
			}
		}
		return told
	}
	once := func(t *testing.T, n *clocked, p *page) {
		t.Helper()
		got := answers(p)
		if len(got) != 1 || !strings.Contains(got[0], head(n)) || !strings.Contains(got[0], `"recovered":false,"gap":"epoch"`) {
			t.Errorf("the client is told %q, want one gap, up to %s", got, head(n))
		}
	}

	t.Run("ThatCatchesUp", func(t *testing.T) {
		late := &latecomer{}
		inBubble(t, gateway.Options{Broker: late}, func(t *testing.T, n *clocked) {
			p := connect(n, late)
			time.Sleep(time.Second)
			if got := answers(p); len(got) != 0 {
				t.Errorf("before this node has the epoch the client is told %q, want nothing", got)
			}
			if err := n.broker.TurnEpoch(t.Context(), updates, realtime.GapIntake); err != nil {
				t.Fatal(err)
			}
			late.newest.Store(nil)
			time.Sleep(time.Second)
			once(t, n, p)
			p.close(ws.StatusGoingAway)
		})
	})
	t.Run("ThatDoesNot", func(t *testing.T) {
		late := &latecomer{}
		inBubble(t, gateway.Options{Broker: late}, func(t *testing.T, n *clocked) {
			p := connect(n, late)
			time.Sleep(3 * time.Second) // it is not kept waiting for ever
			once(t, n, p)
			p.close(ws.StatusGoingAway)
		})
	})
}
