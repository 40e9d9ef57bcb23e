package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// givenUpReads gives up many reads of two kitchens at any moment, while others go on: a connection that still has the answer of one that
// was given up must not hand it to the next.
func givenUpReads(t *testing.T, n *node) {
	for _, k := range []tenant.ID{k1, k2} {
		for i := range 3 {
			c := plan(k, fmt.Sprintf("b%d", i), i+1)
			c.Batch.Production.Notes = string(k)
			n.commit(c)
		}
	}
	const readers, reads = 6, 40
	var answered atomic.Int64
	var wg sync.WaitGroup
	for r := range readers {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(r), 1))
			for i := range reads {
				k := []tenant.ID{k1, k2}[dice.IntN(2)]
				ctx, cancel := context.WithCancel(t.Context())
				wait := func() {}
				if i%2 == 0 {
					given := time.AfterFunc(time.Duration(dice.IntN(1_500))*time.Microsecond, cancel)
					wait = func() { given.Stop() }
				}
				list, err := n.Batches(ctx, k, production.BatchFilter{}, nil, 10)
				wait()
				cancel()
				if err != nil {
					if !errors.Is(err, production.ErrUnavailable) || !errors.Is(err, context.Canceled) {
						t.Errorf("a read that was given up: %v, want ErrUnavailable and Canceled", err)
					}
					continue
				}
				answered.Add(1)
				if len(list) != 3 {
					t.Errorf("kitchen %s has %d batches, want 3", k, len(list))
				}
				for i := range list {
					if list[i].Tenant != k || list[i].Notes != string(k) {
						t.Errorf("kitchen %s is answered with a batch of %s", k, list[i].Tenant)
					}
				}
			}
		})
	}
	wg.Wait()
	if got := answered.Load(); got < readers*reads/2 {
		t.Errorf("%d reads were answered, want at least the %d that nobody gave up", got, readers*reads/2)
	}
}
