package gateway_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/hub"
	"kentongan/realtime/memory"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

// slowToFollow is a Broker that takes its time over the first tenant.
type slowToFollow struct {
	*memory.Broker
	once             sync.Once
	entered, proceed chan struct{}
}

func (b *slowToFollow) Follow(ctx context.Context, t tenant.ID) (realtime.Heads, error) {
	b.once.Do(func() { close(b.entered) })
	<-b.proceed
	return b.Broker.Follow(ctx, t)
}

// TestStopDuringAHandshake stops the gateway while a client is let in, which takes longer than that. The session that begins too late to be
// sent away by the drain, or hung up on at the end, must not keep the gateway from stopping.
func TestStopDuringAHandshake(t *testing.T) {
	for _, stop := range []string{"Drain", "End"} {
		t.Run(stop, func(t *testing.T) {
			names := namesOf(t, realtime.DefaultPatterns()...)
			inner, err := memory.New(memory.Options{Names: names})
			if err != nil {
				t.Fatal(err)
			}
			broker := &slowToFollow{Broker: inner, entered: make(chan struct{}), proceed: make(chan struct{})}
			sockets, err := socket.Open(socket.Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := hub.New(broker, hub.Options{Names: names})
			g := gateway.New(gateway.Options{
				Auth: &door{}, Names: names, Broker: broker, Presence: &memory.Presence{}, Hub: h, Sockets: sockets,
			})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			front := g.Listen(l, 0)
			ctx, cancel := context.WithCancel(context.Background())
			var parts sync.WaitGroup
			parts.Go(func() { _ = inner.Run(ctx, h) })
			parts.Go(func() { _ = h.Run(ctx) })
			gatewayCtx, endGateway := context.WithCancel(context.Background())
			ended := make(chan struct{})
			parts.Go(func() {
				defer close(ended)
				_ = g.Run(gatewayCtx)
			})
			parts.Go(func() {
				dialCtx, stopDialing := context.WithTimeout(context.Background(), 3*patience) // it does not leave by itself
				defer stopDialing()
				conn, _, err := websocket.Dial(dialCtx, "ws://"+l.Addr().String()+"/api/ws", &websocket.DialOptions{
					HTTPHeader: http.Header{"X-Test-User": {"u1@a"}},
				})
				if err == nil {
					_, _, _ = conn.Read(dialCtx) // until it is closed
					_ = conn.CloseNow()
				}
			})
			<-broker.entered
			if stop == "Drain" {
				g.Drain(context.Background(), time.Millisecond)
			} else {
				endGateway()
				time.Sleep(10 * time.Millisecond) // it has looked at its sessions by then, or the test proves nothing
			}
			close(broker.proceed)
			if stop == "Drain" {
				for begin := time.Now(); g.Connections() > 0; time.Sleep(time.Millisecond) {
					if time.Since(begin) > patience {
						t.Fatal("a session that began during the drain was not sent away")
					}
				}
			}
			endGateway()
			_ = front.Close()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the gateway does not end")
			}
			cancel()
			parts.Wait()
			sockets.Close()
		})
	}
}
