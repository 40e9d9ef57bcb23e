package brokertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kentongan/realtime"
	"kentongan/tenant"
)

// QuarantineEngine is one instance of what a Quarantine stores in, empty at first.
type QuarantineEngine struct {
	Open   func(t *testing.T) realtime.Quarantine // called twice, they are two nodes
	Shared bool                                   // they hold together, and longer than they live
}

// RunQuarantine tests that a Quarantine keeps the contract. newEngine is called once for each subtest.
func RunQuarantine(t *testing.T, newEngine func(t *testing.T) QuarantineEngine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, QuarantineEngine)
	}{
		{"HoldsFindsAndDrops", heldAndDropped},
		{"TenantsAreApart", heldApart},
		{"BoundedByCount", heldCount},
		{"BoundedByBytes", heldBytes},
		{"LargeDataIsNotKept", heldLarge},
		{"BoundedByTenants", heldTenants},
		{"Concurrently", heldConcurrently},
		{"TwoNodes", heldNodes},
		{"StrangeIDs", heldIDs},
		{"EndedContextIsUnavailable", heldContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newEngine(t)) })
	}
}

func hold(t *testing.T, q realtime.Quarantine, owner tenant.ID, data []byte) realtime.Held {
	t.Helper()
	h := realtime.Held{Channel: realtime.Channel{Tenant: owner, Name: "a"}, Door: "pubsub", Reason: "/x must be y", Data: data}
	if err := q.Hold(context.Background(), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func list(t *testing.T, q realtime.Quarantine, owner tenant.ID, limit int) []realtime.Held {
	t.Helper()
	held, err := q.List(context.Background(), owner, limit)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func heldAndDropped(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	ctx := context.Background()
	data := []byte("{\"a\":\"\xff\x00\"}") // byte for byte, also what is no text
	first, second := hold(t, q, "s1", data), hold(t, q, "s1", []byte(`2`))
	if first.ID == "" || first.Time.IsZero() || first.Bytes != len(data) {
		t.Fatalf("Hold has set %+v", first)
	}
	got := list(t, q, "s1", 10)
	if len(got) != 2 || got[0].ID != second.ID || got[1].ID != first.ID || got[0].Data != nil {
		t.Fatalf("got %+v, want both without data, the newest first", got)
	}
	if one := list(t, q, "s1", 1); len(one) != 1 || one[0].ID != second.ID {
		t.Errorf("got %+v, want the newest", one)
	}
	h, err := q.Find(ctx, "s1", first.ID)
	if err != nil || !bytes.Equal(h.Data, data) || h.Reason != first.Reason || h.Door != "pubsub" || h.Channel != first.Channel ||
		!h.Time.Equal(first.Time) {
		t.Errorf("got %+v, %v, want %+v", h, err, first)
	}
	if n, err := q.Drop(ctx, "s1", first.ID, first.ID); n != 1 || err != nil {
		t.Errorf("Drop: got %d, %v, want 1", n, err)
	}
	if _, err := q.Find(ctx, "s1", first.ID); !errors.Is(err, realtime.ErrNotHeld) {
		t.Errorf("after Drop: got %v, want ErrNotHeld", err)
	}
	if n, err := q.Drop(ctx, "s1", second.ID); n != 1 || err != nil {
		t.Errorf("Drop: got %d, %v, want 1", n, err)
	}
	if tenants, err := q.Tenants(ctx); len(tenants) != 0 || err != nil {
		t.Errorf("got %v, %v, want no tenants", tenants, err)
	}
	if next := hold(t, q, "s1", []byte("3")); next.ID == second.ID {
		t.Error("an id was given out twice")
	}
}

func heldApart(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	ctx := context.Background()
	owners := []tenant.ID{"s1", "s2", tenant.Global}
	var ids []string
	for _, owner := range owners {
		ids = append(ids, hold(t, q, owner, []byte(`"`+string(owner)+`"`)).ID)
	}
	for i, owner := range owners {
		got := list(t, q, owner, 10)
		if len(got) != 1 || got[0].Channel.Tenant != owner {
			t.Errorf("%q: got %+v, want its own alone", owner, got)
		}
		for j, id := range ids {
			if i == j || id == ids[i] { // ids are a tenant's own, and may be the same
				continue
			}
			if h, err := q.Find(ctx, owner, id); !errors.Is(err, realtime.ErrNotHeld) {
				t.Errorf("%q finds %+v of %q", owner, h, owners[j])
			}
			if n, err := q.Drop(ctx, owner, id); n != 0 || err != nil {
				t.Errorf("%q drops %d of %q: %v", owner, n, owners[j], err)
			}
		}
	}
	tenants, err := q.Tenants(ctx)
	slices.Sort(tenants)
	if want := []tenant.ID{tenant.Global, "s1", "s2"}; err != nil || !slices.Equal(tenants, want) {
		t.Errorf("got %q, %v, want %q", tenants, err, want)
	}
}

func heldCount(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	other := hold(t, q, "s2", []byte("0"))
	var last realtime.Held
	for i := range realtime.MaxHeld + 5 {
		last = hold(t, q, "s1", []byte(fmt.Sprint(i)))
	}
	got := list(t, q, "s1", 10*realtime.MaxHeld)
	if len(got) != realtime.MaxHeld || got[0].ID != last.ID {
		t.Errorf("got %d, the newest %s, want %d and %s", len(got), got[0].ID, realtime.MaxHeld, last.ID)
	}
	oldest, err := q.Find(context.Background(), "s1", got[len(got)-1].ID)
	if err != nil || string(oldest.Data) != "5" {
		t.Errorf("the oldest is %q, %v, want 5", oldest.Data, err)
	}
	if _, err := q.Find(context.Background(), "s2", other.ID); err != nil {
		t.Errorf("what another kitchen has went too: %v", err)
	}
}

func heldBytes(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	data := bytes.Repeat([]byte("1"), realtime.MaxHeldBytes)
	for range 9 {
		hold(t, q, "s1", data)
	}
	got := list(t, q, "s1", 100)
	if want := realtime.MaxHeldTotal / realtime.MaxHeldBytes; len(got) != want {
		t.Fatalf("got %d, want %d", len(got), want)
	}
	// What is dropped makes room: the bytes are counted down again.
	if _, err := q.Drop(context.Background(), "s1", got[0].ID, got[1].ID); err != nil {
		t.Fatal(err)
	}
	hold(t, q, "s1", data)
	if got := list(t, q, "s1", 100); len(got) != realtime.MaxHeldTotal/realtime.MaxHeldBytes-1 {
		t.Errorf("after two went and one came there are %d", len(got))
	}
}

func heldLarge(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	h := hold(t, q, "s1", bytes.Repeat([]byte("1"), realtime.MaxHeldBytes+1))
	empty := hold(t, q, "s1", []byte{})
	got, err := q.Find(context.Background(), "s1", h.ID)
	if err != nil || got.Data != nil || got.Bytes != realtime.MaxHeldBytes+1 {
		t.Errorf("got %d bytes of %d, %v, want none of %d", len(got.Data), got.Bytes, err, realtime.MaxHeldBytes+1)
	}
	if got, err = q.Find(context.Background(), "s1", empty.ID); err != nil || got.Bytes != 0 {
		t.Errorf("got %+v, %v, want an empty one", got, err)
	}
}

func heldTenants(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	owner := func(i int) tenant.ID { return tenant.ID(fmt.Sprintf("s%d", i)) }
	for i := range realtime.MaxHeldTenants {
		hold(t, q, owner(i), []byte("1"))
	}
	tenants, err := q.Tenants(context.Background())
	if err != nil || len(tenants) != realtime.MaxHeldTenants {
		t.Fatalf("got %d tenants, %v, want %d", len(tenants), err, realtime.MaxHeldTenants)
	}
	hold(t, q, "one-more", []byte("1"))
	tenants, err = q.Tenants(context.Background())
	if err != nil || len(tenants) != realtime.MaxHeldTenants || !slices.Contains(tenants, "one-more") {
		t.Errorf("got %d tenants, %v, want %d with the newest", len(tenants), err, realtime.MaxHeldTenants)
	}
	left := 0
	for i := range realtime.MaxHeldTenants {
		left += len(list(t, q, owner(i), 1))
	}
	if left != realtime.MaxHeldTenants-1 {
		t.Errorf("something is left of %d of the first kitchens, want %d", left, realtime.MaxHeldTenants-1)
	}
}

func heldConcurrently(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 8 {
		wg.Go(func() {
			for range 20 {
				h := realtime.Held{Channel: realtime.Channel{Tenant: "s1", Name: "a"}, Data: []byte("1")}
				if err := q.Hold(context.Background(), &h); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[h.ID] {
					t.Errorf("%s was given out twice", h.ID)
				}
				seen[h.ID] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := list(t, q, "s1", 1000); len(got) != 160 {
		t.Errorf("got %d, want 160", len(got))
	}
}

func heldNodes(t *testing.T, e QuarantineEngine) {
	a, b := e.Open(t), e.Open(t)
	h := hold(t, a, "s1", []byte("1"))
	got, err := b.Find(context.Background(), "s1", h.ID)
	if e.Shared && (err != nil || string(got.Data) != "1") {
		t.Errorf("another node has %+v, %v", got, err)
	}
	if !e.Shared && !errors.Is(err, realtime.ErrNotHeld) {
		t.Errorf("another engine has %+v, %v", got, err)
	}
}

func heldIDs(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	h := hold(t, q, "s1", []byte("1"))
	for _, id := range []string{"", "-", "+", "0", "0-0", "x", h.ID + " ", "*", "99999999999999999999-1", strings.Repeat("1", 1000)} {
		if _, err := q.Find(context.Background(), "s1", id); !errors.Is(err, realtime.ErrNotHeld) {
			t.Errorf("Find %q: got %v, want ErrNotHeld", id, err)
		}
		if n, err := q.Drop(context.Background(), "s1", id); n != 0 || err != nil {
			t.Errorf("Drop %q: got %d, %v, want none", id, n, err)
		}
	}
	if got := list(t, q, "s1", 0); len(got) != 0 {
		t.Errorf("a list of none has %d", len(got))
	}
}

func heldContext(t *testing.T, e QuarantineEngine) {
	q := e.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	errs := map[string]error{}
	errs["Hold"] = q.Hold(ctx, &realtime.Held{Channel: realtime.Channel{Tenant: "s1", Name: "a"}})
	_, errs["Tenants"] = q.Tenants(ctx)
	_, errs["List"] = q.List(ctx, "s1", 1)
	_, errs["Find"] = q.Find(ctx, "s1", "1-1")
	_, errs["Drop"] = q.Drop(ctx, "s1", "1-1")
	for name, err := range errs {
		if !errors.Is(err, realtime.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}
