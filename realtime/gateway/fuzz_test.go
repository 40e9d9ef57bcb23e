package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

func FuzzSplitWish(f *testing.F) {
	for _, s := range []string{"updates:a", "updates:a@e/1", "updates:a@", "@", "@/", "a@e/18446744073709551616", "a@e/-1", "a@e/+1", "a@b@c/1", "a@e/1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		wire, since, resume, unreadable := splitWish(s)
		if !strings.HasPrefix(s, wire) || strings.Contains(wire, "@") || resume != strings.Contains(s, "@") || unreadable && !resume {
			t.Fatalf("%q is read as %q, %v, %v, %v", s, wire, since, resume, unreadable)
		}
		if (unreadable || !resume) && since != (realtime.Position{}) {
			t.Fatalf("%q gives the position %v, which was not read", s, since)
		}
		if resume && !unreadable {
			back := wire + "@" + since.Epoch + "/" + strconv.FormatUint(since.Offset, 10)
			if again, position, _, _ := splitWish(back); again != wire || position != since {
				t.Fatalf("%q is read as %q at %v, and that as %q at %v", s, wire, since, again, position)
			}
		}
	})
}

// FuzzQuery reads any query as that of each dialect. Whatever it is, nobody gets to see another kitchen.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{
		"", "channels=updates:a", "channels=updates:b", "channels=system-alert,updates:a@e/1", "tenant=b", "tenant=a&channels=updates:a,updates:a",
		"channels=,,", "cursor=AAAA", "channels=%zz", "tenant=%00", "channels=updates:a&channels=updates:b&tenant=",
	} {
		f.Add(q, "")
	}
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		f.Fatal(err)
	}
	g := New(Options{Names: names, MaxChannels: 3})
	who := &auth.Identity{Kind: auth.KindSession, Subject: "u", Tenant: "a"}
	f.Fuzz(func(t *testing.T, query, lastID string) {
		for _, d := range []protocol.Dialect{protocol.Bare, protocol.V1, protocol.SSE} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/sse", http.NoBody)
			r.URL = &url.URL{Path: "/api/sse", RawQuery: query}
			r.Header["Last-Event-Id"] = []string{lastID}
			req, problem := g.parse(r, who, d)
			if problem != nil {
				if problem.Code == "" || problem.Message == "" {
					t.Fatalf("%q is refused without a word: %+v", query, problem)
				}
				continue
			}
			if req.tenant != "a" || len(req.wishes) > 3 {
				t.Fatalf("%q follows %d channels of %q", query, len(req.wishes), req.tenant)
			}
			for _, w := range req.wishes {
				if w.channel.Name == "" || w.channel.Tenant != "a" && w.channel.Tenant != tenant.Global {
					t.Fatalf("%q follows %+v", query, w.channel)
				}
			}
			for ch := range req.cursor {
				if ch.Tenant != "a" && ch.Tenant != tenant.Global {
					t.Fatalf("%q resumes %+v", query, ch)
				}
			}
		}
	})
}

// TestBudget spends at any times: never more than the burst and the rate allow, and never less.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBudget(0)
		pauses := rapid.SliceOfN(rapid.Int64Range(0, int64(100*time.Millisecond)), 1, 2000).Draw(t, "pauses")
		taken := 0
		now := time.Duration(0)
		for i, p := range pauses {
			now += time.Duration(p)
			allowed := commandBurst + commandRate*now.Seconds()
			switch got := b.take(now, frameTime); {
			case got:
				if taken++; float64(taken) > allowed+1 {
					t.Fatalf("%d frames in %v are let through, %v are allowed", taken, now, allowed)
				}
			case i < commandBurst:
				t.Fatalf("frame %d is refused, within the burst", i+1)
			}
		}
	})
	t.Run("TheRateIsSustained", func(t *testing.T) {
		b := newBudget(0)
		for i := range 100_000 {
			if !b.take(time.Duration(i+1)*time.Second/commandRate*101/100, frameTime) {
				t.Fatalf("frame %d is refused, slightly below the rate", i+1)
			}
		}
	})
}
