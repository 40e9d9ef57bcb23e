package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"kentongan/realtime"
)

// PresenceEngine is one instance of what Presences share.
type PresenceEngine struct {
	// Open returns a Presence that is running, and a function that ends it in good order. Called twice, the Presences are
	// two nodes.
	Open   func(t *testing.T) (p realtime.Presence, stop func())
	Shared bool // Presences see each other's members
}

// RunPresence tests that Presences keep the contract. newEngine is called once for each subtest.
func RunPresence(t *testing.T, newEngine func(t *testing.T) PresenceEngine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, PresenceEngine)
	}{
		{"CountsSessionsOfUsers", presenceCounts},
		{"ScopesAreIndependent", presenceScopes},
		{"Concurrently", presenceConcurrently},
		{"TwoNodes", presenceNodes},
		{"EndedContextIsUnavailable", presenceContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newEngine(t)) })
	}
}

// who spells members as "ani:2 budi:1".
func who(members []realtime.Member) []string {
	got := []string{}
	for _, m := range members {
		got = append(got, fmt.Sprintf("%s:%d", m.User, m.Sessions))
	}
	return got
}

func wantMembers(t *testing.T, p realtime.Presence, c realtime.Channel, want ...string) {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprintf("members %v of %v", want, c), func() bool {
		members, err := p.Members(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.Since.IsZero() {
				t.Errorf("%s has been there since the zero time", m.User)
			}
		}
		got = who(members)
		return slices.Equal(got, append([]string{}, want...))
	})
}

func presenceCounts(t *testing.T, e PresenceEngine) {
	p, stop := e.Open(t)
	defer stop()
	c := ch("k1", "a")
	wantMembers(t, p, c)
	p.Join(c, "budi")
	p.Join(c, "ani")
	first, err := p.Members(context.Background(), c)
	if err != nil || len(first) != 2 {
		t.Fatalf("own members are there at once: got %v, %v", first, err)
	}
	p.Join(c, "ani")
	wantMembers(t, p, c, "ani:2", "budi:1")
	again, err := p.Members(context.Background(), c)
	if err != nil || !again[0].Since.Equal(first[0].Since) {
		t.Errorf("with a second session ani is there since %v, want %v; %v", again[0].Since, first[0].Since, err)
	}
	p.Leave(c, "ani")
	p.Leave(c, "budi")
	p.Leave(c, "budi") // one too many
	p.Leave(c, "citra")
	wantMembers(t, p, c, "ani:1")
	p.Join(c, "budi")
	wantMembers(t, p, c, "ani:1", "budi:1")
}

func presenceScopes(t *testing.T, e PresenceEngine) {
	p, stop := e.Open(t)
	defer stop()
	p.Join(ch("k1", "a"), "ani")
	p.Join(ch("k1", "b"), "budi")
	p.Join(ch("k1", ""), "citra") // all channels of k1
	p.Join(ch("k1", ""), "ani")
	p.Join(ch("k_1", "a"), "dewi")
	p.Join(ch("k", "1a"), "eko")
	p.Join(ch("k1", "a\x00x"), "fitri")
	p.Join(ch("k1", "a"), "user:with\x00odd \"letters\"\r\n")
	wantMembers(t, p, ch("k1", "a"), "ani:2", "citra:1", "user:with\x00odd \"letters\"\r\n:1")
	wantMembers(t, p, ch("k1", "b"), "ani:1", "budi:1", "citra:1")
	wantMembers(t, p, ch("k1", ""), "ani:1", "citra:1")
	wantMembers(t, p, ch("k_1", "a"), "dewi:1")
	wantMembers(t, p, ch("k2", "a"))
}

func presenceConcurrently(t *testing.T, e PresenceEngine) {
	p, stop := e.Open(t)
	defer stop()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			user := fmt.Sprintf("u%02d", i%4)
			for range 50 {
				p.Join(ch("k1", "a"), user)
				if _, err := p.Members(context.Background(), ch("k1", "a")); err != nil {
					t.Error(err)
				}
				p.Leave(ch("k1", "a"), user)
			}
			p.Join(ch("k1", "a"), user)
		})
	}
	wg.Wait()
	wantMembers(t, p, ch("k1", "a"), "u00:5", "u01:5", "u02:5", "u03:5")
}

func presenceNodes(t *testing.T, e PresenceEngine) {
	if !e.Shared {
		t.Log("the engine has one node only")
		return
	}
	one, stopOne := e.Open(t)
	defer stopOne()
	two, stopTwo := e.Open(t)
	c := ch("k1", "a")
	one.Join(c, "ani")
	two.Join(c, "ani")
	two.Join(c, "budi")
	two.Join(ch("k1", ""), "citra")
	for _, p := range []realtime.Presence{one, two} {
		wantMembers(t, p, c, "ani:2", "budi:1", "citra:1")
	}
	two.Leave(c, "budi")
	wantMembers(t, one, c, "ani:2", "citra:1")
	stopTwo() // who leaves in good order takes its sessions with it
	wantMembers(t, one, c, "ani:1")
}

func presenceContext(t *testing.T, e PresenceEngine) {
	p, stop := e.Open(t)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.Members(ctx, ch("k1", "a"))
	mustBe(t, err, realtime.ErrUnavailable)
}
