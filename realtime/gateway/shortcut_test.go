package gateway

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/realtime/socket"
)

// TestHeadsThatTimeOutTogether: those who have come together, and never say what they want, are not all hung up on in the same moment, but
// soon; who comes later has his own time.
func TestHeadsThatTimeOutTogether(t *testing.T) {
	const together, limit = 200, 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		sockets := socket.NewPortable(nil)
		s := &shortcut{headTimeout: limit}
		var over atomic.Int32
		var clients sync.WaitGroup
		come := func() {
			client, server := net.Pipe()
			conn, err := sockets.Adopt(server, nil)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetHandler(s.meet(conn, netip.Addr{}))
			conn.Resume()
			clients.Go(func() {
				if _, err := client.Read(make([]byte, 1)); err == nil {
					t.Error("it was told something")
				}
				over.Add(1)
				_ = client.Close()
			})
		}
		for range together {
			come()
		}
		time.Sleep(limit / 2)
		come()
		time.Sleep(limit / 2)
		synctest.Wait()
		if n := over.Load(); n == 0 || n > expireRound {
			t.Errorf("when their time was over %d were hung up on, want %d at most", n, expireRound)
		}
		time.Sleep(together / expireRound * expireRest)
		synctest.Wait()
		if n := over.Load(); n != together {
			t.Errorf("soon after %d were hung up on, want %d", n, together)
		}
		clients.Wait()
		if s.first != nil || s.timer != nil {
			t.Error("somebody is still waited for")
		}
		sockets.Close()
	})
}
