package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

// Backup has a night recorded in store, and copies it with backup while other kitchens go on to write. What backup returns, a store on the
// restored copy, is to have all of the night, and of the others what was there at some moment: whole, chained, and with its events.
func Backup(t *testing.T, store Store, backup func() Store) {
	n := &node{Store: store, t: t}
	cook(n)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	defer func() {
		stop()
		writing.Wait()
	}()
	const others = 3
	acked := make([]int64, others)
	written := make(chan struct{}, others)
	for i := range others {
		k, id := tenant.ID(fmt.Sprint("other", i)), fmt.Sprint("batch", i)
		writing.Go(func() {
			c := planned(k, id)
			for ctx.Err() == nil {
				if _, err := store.Commit(context.Background(), c); err != nil {
					t.Error(err)
					return
				}
				if acked[i]++; acked[i] == 5 {
					written <- struct{}{}
				}
				c = changed(c)
			}
		})
	}
	for range others {
		<-written
	}
	copied := &node{Store: backup(), t: t}
	defer copied.Close()
	stop()
	writing.Wait()
	same(t, "snapshot", copied.snapshot(k1), n.snapshot(k1))
	same(t, "audit", copied.trail(k1), n.trail(k1))
	for _, b := range n.snapshot(k1).Batches {
		same(t, "rows", copied.rows(k1, b.Production.ID), n.rows(k1, b.Production.ID))
	}
	copied.verified(k1)
	for i := range others {
		k := tenant.ID(fmt.Sprint("other", i))
		b := copied.batch(k, fmt.Sprint("batch", i))
		entries, _, err := production.VerifyAudit(copied.Audit(t.Context(), k, 1))
		if err != nil || entries != b.Revision || b.Revision < 5 || b.Revision > acked[i] {
			t.Errorf("%s has revision %d and %d audit entries, %v; %d were acknowledged in the end, 5 before the copy began", k, b.Revision,
				entries, err, acked[i])
		}
		if got := copied.snapshot(k).Seq; got != b.Revision {
			t.Errorf("%s has %d events, and revision %d", k, got, b.Revision)
		}
	}
	if _, err := copied.Commit(t.Context(), production.Commit{Tenant: k1, Audit: []production.AuditEntry{{Tenant: k1, Action: "restored"}}}); err != nil {
		t.Errorf("the copy takes no commit: %v", err)
	}
	copied.verified(k1)
}

// planned is a commit of a new batch with an event and an audit entry, changed the one that follows it.
func planned(k tenant.ID, id string) production.Commit {
	return withNews(production.Commit{Tenant: k, Batch: &production.Batch{
		Production: production.Production{ID: id, Tenant: k, BatchNumber: "BATCH-20261126-0001", Day: day, Status: production.Planned, Version: 1},
		Revision:   1,
	}})
}

func changed(c production.Commit) production.Commit {
	b := *c.Batch
	b.Revision++
	b.Production.Version++
	return withNews(production.Commit{Tenant: c.Tenant, Batch: &b, Base: c.Batch.Revision})
}

func withNews(c production.Commit) production.Commit {
	p := &c.Batch.Production
	c.Events = []production.Event{{
		ID: fmt.Sprint(p.ID, ".", p.Version), Tenant: c.Tenant, Channel: production.UpdatesChannel, ProductionID: p.ID, Version: p.Version,
		At: noon, Payload: []byte(`{}`),
	}}
	c.Audit = []production.AuditEntry{{Tenant: c.Tenant, At: noon, Action: "work", ProductionID: p.ID, Version: p.Version}}
	return c
}
