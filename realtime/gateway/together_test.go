package gateway_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
)

// TestManyAtOnceToALargeRoom publishes faster than a large room is written to, so that sessions get several messages at once: each has all of
// them once and in order, in whatever dialect, without money if it may not see any, and with ids that tell of no more than what came.
func TestManyAtOnceToALargeRoom(t *testing.T) {
	const messages = 300
	n := start(t, gateway.Options{Hidden: hiding(t), Deflate: true})
	var readers sync.WaitGroup
	reads := func(name string, money bool, next func() string) {
		readers.Go(func() {
			for i := range messages {
				got := next()
				if !strings.Contains(got, fmt.Sprintf(`"n":%d,`, i)) || strings.Contains(got, secret) != (money && i%3 == 0) {
					t.Errorf("%s, money %v: message %d is %.200s", name, money, i, got)
					return
				}
			}
		})
	}
	for range 100 {
		reads("one of many", false, n.dial("u@a SPPG_VIEWER", "/api/ws").read)
	}
	for user, money := range map[string]bool{"u@a SPPG_KEPALA": true, "u@a SPPG_VIEWER": false} {
		reads("bare", money, n.dial(user, "/api/ws").read)
		reads("bare, compressed", money, n.dialCompressed(user, "/api/ws").read)
		reads("bare, named", money, n.dial(user, "/api/ws?channels="+boardChannel).read)
		named := "/api/ws?channels=" + boardChannel
		for name, c := range map[string]*client{
			"v1": n.dial(user, named, "kentongan.v1"), "v1, compressed": n.dialCompressed(user, named, "kentongan.v1"),
		} {
			c.readKey("subscribed")
			reads(name, money, func() string { return c.text("message") })
		}
		for name, query := range map[string]string{"sse": "", "sse, named": "?channels=" + boardChannel} {
			s, offset := n.stream(user, query, ""), uint64(0)
			reads(name, money, func() string {
				e := s.next("")
				offset++
				cursor, err := protocol.DecodeCursor("a", e.id)
				if at := cursor.At(realtime.Channel{Tenant: "a", Name: "production:updates"}).Offset; err != nil || at != offset {
					t.Errorf("%s: the id of event %d tells of %d, %v", name, offset, at, err)
				}
				return e.data
			})
		}
	}
	for i := range messages {
		cost := ""
		if i%3 == 0 {
			cost = `"actualCost":` + secret + `,`
		}
		n.publish("a", "production:updates", fmt.Sprintf(`{%s"n":%d,"text":"%s"}`, cost, i, strings.Repeat("x", i)))
	}
	readers.Wait()
}
