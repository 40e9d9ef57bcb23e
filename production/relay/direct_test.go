package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/production"
	"kentongan/production/postgres"
	"kentongan/production/relay"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// moody is a publisher that now and then takes longer than the lease lasts, and now and then fails, before or after it has published.
type moody struct{ relay.Publisher }

func (m moody) Publish(ctx context.Context, ch realtime.Channel, data []byte, key string) (realtime.Published, error) {
	switch rand.IntN(24) {
	case 0:
		return realtime.Published{}, fmt.Errorf("before: %w", realtime.ErrUnavailable)
	case 1:
		_, _ = m.Publisher.Publish(ctx, ch, data, key)
		return realtime.Published{}, fmt.Errorf("after: %w", realtime.ErrUnavailable)
	case 2:
		time.Sleep(rand.N(150 * time.Millisecond))
	}
	return m.Publisher.Publish(ctx, ch, data, key) //nolint:wrapcheck // it stands for the engine
}

// TestDirectOnTwoNodes has two nodes with short leases on one PostgreSQL, each with clients that commit for the same kitchens, and an engine
// that is slow and fails: leases are lost while events are on their way, and yet each is in its channel once, in the order of the database.
func TestDirectOnTwoNodes(t *testing.T) {
	db := testenv.Postgres(t)
	broker := inMemory(t)
	door := moody{intake.NewRelay(names(t), broker, 0)}
	kitchens := []tenant.ID{"k1", "k2", "k3"}
	var stores []*postgres.Store
	for range 2 {
		s, err := postgres.Open(t.Context(), postgres.Options{URL: db})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		defer run(t, relay.New(s, door, broker, relay.Options{Lease: 100 * time.Millisecond, PollEvery: 10 * time.Millisecond}))()
		stores = append(stores, s)
	}
	const each = 30
	var clients sync.WaitGroup
	for n, s := range stores {
		for _, k := range kitchens {
			for c := range 2 {
				clients.Go(func() {
					for i := range each {
						e := event(k, i+1, production.UpdatesChannel)
						e.ID = fmt.Sprintf("%d-%d-%d", n, c, i)
						e.Payload = fmt.Appendf(nil, `{"id":%q}`, e.ID)
						commit(t, s, e)
						time.Sleep(rand.N(8 * time.Millisecond))
					}
				})
			}
		}
	}
	clients.Wait()
	drained(t, stores[0])
	for _, k := range kitchens {
		got, head := held(t, broker, realtime.Channel{Tenant: k, Name: production.UpdatesChannel})
		want := stored(t, db, k)
		if len(want) != len(stores)*2*each || !slices.Equal(got, want) {
			t.Errorf("the channel of %s has %d events, want the %d of the database:\n%s\n%s", k, len(got), len(want),
				strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		snap, err := stores[1].Snapshot(t.Context(), k, "")
		if err != nil || len(snap.Positions) != 1 || snap.Positions[0].Offset != head.Offset {
			t.Errorf("positions of %s are %+v, %v; want that of the newest event, %d", k, snap.Positions, err, head.Offset)
		}
	}
}

// TestDirectNeedsNoClaim has a relay publish what this process commits without asking the store, and ask for the rest.
func TestDirectNeedsNoClaim(t *testing.T) {
	db := testenv.Postgres(t)
	s, err := postgres.Open(t.Context(), postgres.Options{URL: db})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	broker := inMemory(t)
	outbox := unasked{s, make(chan struct{})}
	stop := run(t, relay.New(outbox, intake.NewRelay(names(t), broker, 0), broker, relay.Options{}))
	defer stop()
	<-outbox.open
	ch := realtime.Channel{Tenant: "k", Name: production.UpdatesChannel}
	for n := range 10 {
		commit(t, s, event("k", n+1, production.UpdatesChannel))
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		got, _ := held(t, broker, ch)
		if len(got) == 10 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of 10 events came out", len(got))
		}
	}
	stop() // and what was published is marked
	if n, _, err := s.Backlog(t.Context()); err != nil || n != 0 {
		t.Errorf("%d events wait after the end, %v", n, err)
	}
	commit(t, s, event("k", 11, production.UpdatesChannel)) // nobody is there to take it
	if c, err := s.Claim(t.Context(), "another", time.Minute, 10); err != nil || len(c.Events) != 1 || c.Events[0].Seq != 11 {
		t.Errorf("claimed %+v, %v; want event 11", c, err)
	}
}

// unasked is a store that has nothing for who asks.
type unasked struct {
	*postgres.Store
	open chan struct{} // closed when the direct way is
}

func (u unasked) Direct(owner string, lease time.Duration) production.Way { //nolint:ireturn // as the interface has it
	defer close(u.open)
	return u.Store.Direct(owner, lease)
}

func (unasked) Claim(context.Context, string, time.Duration, int) (production.Claim, error) {
	return production.Claim{}, fmt.Errorf("not here: %w", production.ErrNotFound)
}
