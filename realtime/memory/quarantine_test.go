package memory_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

func TestQuarantine(t *testing.T) {
	brokertest.RunQuarantine(t, func(*testing.T) brokertest.QuarantineEngine {
		return brokertest.QuarantineEngine{Open: func(*testing.T) realtime.Quarantine { return &memory.Quarantine{} }}
	})
}

func TestQuarantineForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &memory.Quarantine{}
		h := realtime.Held{Channel: realtime.Channel{Tenant: "s1", Name: "a"}, Data: []byte("1")}
		if err := q.Hold(context.Background(), &h); err != nil {
			t.Fatal(err)
		}
		time.Sleep(realtime.HeldAge)
		if tenants, _ := q.Tenants(context.Background()); len(tenants) != 1 {
			t.Errorf("at the end of its time got %v, want its tenant", tenants)
		}
		time.Sleep(time.Millisecond)
		if tenants, _ := q.Tenants(context.Background()); len(tenants) != 0 {
			t.Errorf("after its time got %v, want none", tenants)
		}
	})
}

// TestQuarantineIsBoundedInAll fills it from many kitchens: one that has little keeps it.
func TestQuarantineIsBoundedInAll(t *testing.T) {
	q := &memory.Quarantine{}
	hold := func(owner tenant.ID, size int) string {
		h := realtime.Held{Channel: realtime.Channel{Tenant: owner, Name: "a"}, Data: bytes.Repeat([]byte("1"), size)}
		if err := q.Hold(context.Background(), &h); err != nil {
			t.Fatal(err)
		}
		return h.ID
	}
	small := hold("small", 10)
	for i := range 80 {
		for range 4 {
			hold(tenant.ID(fmt.Sprintf("s%d", i)), realtime.MaxHeldBytes)
		}
	}
	total := 0
	for i := range 80 {
		list, err := q.List(context.Background(), tenant.ID(fmt.Sprintf("s%d", i)), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list {
			total += h.Bytes
		}
	}
	if total > 64<<20 || total < 63<<20 {
		t.Errorf("it holds %d bytes, want a little less than 64 MiB", total)
	}
	if _, err := q.Find(context.Background(), "small", small); err != nil {
		t.Errorf("who had little has lost it: %v", err)
	}
}
