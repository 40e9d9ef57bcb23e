package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
	"kentongan/tenant"
)

// takes asks Redis what the history of a kitchen takes.
func takes(t *testing.T, c rueidis.Client, prefix string, kitchen tenant.ID) (bytes int64) {
	t.Helper()
	keys, err := do(t, c, "KEYS", prefix+"{"+string(kitchen)+"}:h:*").AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		n, err := do(t, c, "MEMORY", "USAGE", key, "SAMPLES", "0").AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		bytes += n
	}
	return bytes
}

// TestHistoryOfAKitchenIsBounded publishes several times of what a kitchen may keep, through the doors that answer and as plain PUBLISH is
// stamped: it keeps the newest of its large channel within the bound, all of its small one, and its neighbour all it has. Who needs what
// has gone is told.
func TestHistoryOfAKitchenIsBounded(t *testing.T) {
	const (
		bound    = 1 << 20
		bytes    = 40 << 10
		messages = 4 * bound / bytes
		few      = 5
	)
	addr := testenv.Redis(t)
	c := admin(t, addr)
	data := []byte(`"` + strings.Repeat("x", bytes) + `"`)
	for name, publish := range map[string]func(t *testing.T, b *redis.Broker, prefix string, ch realtime.Channel){
		"published": func(t *testing.T, b *redis.Broker, _ string, ch realtime.Channel) {
			for range messages {
				if _, err := b.Publish(t.Context(), ch, data, realtime.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		},
		"stamped": func(t *testing.T, b *redis.Broker, prefix string, ch realtime.Channel) {
			stampAll(t, c, b, prefix, ch, data, messages)
		},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix()
			b := open(t, redis.Options{Address: addr, Prefix: prefix, MaxTenantBytes: bound})
			run(t, b, nothing{})
			large := realtime.Channel{Tenant: "noisy", Name: "menu:updates"}
			small := realtime.Channel{Tenant: "noisy", Name: "production:updates"}
			neighbour := realtime.Channel{Tenant: "quiet", Name: "menu:updates"}
			for range few {
				for _, ch := range []realtime.Channel{small, neighbour} {
					if _, err := b.Publish(t.Context(), ch, []byte(`1`), realtime.PublishOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			publish(t, b, prefix, large)
			eventually(t, "the kitchen to be within its bound", func() bool { return takes(t, c, prefix, "noisy") <= bound })
			page, err := b.History(t.Context(), large, realtime.Position{}, messages)
			if err != nil || page.Head.Offset != messages || len(page.Publications) == 0 {
				t.Fatalf("%d of the large channel up to %v, %v", len(page.Publications), page.Head, err)
			}
			if last := page.Publications[len(page.Publications)-1].Position.Offset; !page.More && last != messages {
				t.Errorf("the newest that is kept is %d, want %d", last, messages)
			}
			since := realtime.Position{Epoch: page.Head.Epoch, Offset: 1}
			if page, err := b.History(t.Context(), large, since, messages); err != nil || page.Gap != realtime.GapExpired {
				t.Errorf("after the first: gap %q, %v; want %s", page.Gap, err, realtime.GapExpired)
			}
			for _, ch := range []realtime.Channel{small, neighbour} {
				if page, err := b.History(t.Context(), ch, realtime.Position{}, 2*few); err != nil || len(page.Publications) != few {
					t.Errorf("%d of %v are left, %v; want all %d", len(page.Publications), ch, err, few)
				}
			}
			if gone := b.Stats().Evicted; gone < messages/2 || gone >= messages {
				t.Errorf("%d have gone early, of %d", gone, messages)
			}
		})
	}
}

// stampAll has messages of plain PUBLISH stamped, as the node that may.
func stampAll(t *testing.T, c rueidis.Client, b *redis.Broker, prefix string, ch realtime.Channel, data []byte, count int) {
	t.Helper()
	report := stamping.Report{Node: "n", Token: "t", Globs: "g", Mark: "n.1", Trusted: true, Feeds: []string{prefix + "intake:feed:f"}}
	conn, release := c.Dedicate()
	t.Cleanup(release)
	if err := conn.Do(t.Context(), conn.B().Subscribe().Channel(report.Feeds[0]).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if state, err := b.Ledger().Report(t.Context(), report); err != nil || !state.Mine {
		t.Fatalf("%+v, %v", state, err)
	}
	for n := int64(1); n <= int64(count); n++ {
		r, err := b.Ledger().Stamp(t.Context(), stamping.Batch{Token: "t", Numbering: "n.1", Prev: n - 1, Last: n, Messages: []stamping.Numbered{
			{Number: n, Message: stamping.Message{Channel: ch, Data: data, Arrived: time.Now()}},
		}})
		if err != nil || r.Count != 1 {
			t.Fatalf("message %d: %+v, %v", n, r, err)
		}
	}
}
