package storetest

import (
	"bytes"
	"errors"
	"testing"

	"kentongan/production"
	"kentongan/tenant"
)

// photos: each is found by its kitchen, batch and id together, does not change with the caller's memory, outlives the store that took
// it, and is gone with its batch.
func photos(t *testing.T, n *node) {
	ctx := t.Context()
	find := func(k tenant.ID, batch, id string) []byte {
		t.Helper()
		p, err := n.Photo(ctx, k, batch, id)
		if err != nil && !errors.Is(err, production.ErrNotFound) {
			t.Fatal(err)
		}
		return p.Data
	}
	for _, of := range []struct {
		k     tenant.ID
		batch string
		n     int
	}{{k1, "b", 1}, {k1, "c", 2}, {k2, "b", 1}} {
		c := plan(of.k, of.batch, of.n)
		data := []byte(string(of.k) + of.batch)
		c.Photos = []production.Photo{{ID: "p", ProductionID: of.batch, Data: data}}
		n.commit(c)
		clear(data)
	}
	second := next(n.batch(k1, "b"), nil)
	second.Photos = []production.Photo{{ID: "q", ProductionID: "b", Data: bytes.Repeat([]byte("q"), production.MaxPhotoBytes)}}
	n.commit(second)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = n.another()
	for _, c := range []struct {
		k         tenant.ID
		batch, id string
		want      string
	}{
		{k1, "b", "p", string(k1) + "b"}, {k1, "c", "p", string(k1) + "c"}, {k2, "b", "p", string(k2) + "b"},
		{k2, "c", "p", ""}, {k2, "b", "q", ""}, {k1, "c", "q", ""}, {k1, "b", "x", ""}, {k1, "b", "", ""}, {k1, "", "p", ""},
	} {
		if got := find(c.k, c.batch, c.id); string(got) != c.want {
			t.Errorf("photo %q of %s %q is %q, want %q", c.id, c.k, c.batch, got, c.want)
		}
	}
	if got := find(k1, "b", "q"); len(got) != production.MaxPhotoBytes {
		t.Errorf("the largest photo came back with %d bytes", len(got))
	}

	taken := next(n.batch(k1, "b"), nil)
	taken.Photos = []production.Photo{{ID: "p", ProductionID: "b", Data: []byte("another")}}
	n.refused(taken, production.ErrConflict)
	n.commit(next(n.batch(k1, "b"), func(b *production.Batch) { b.Production.DeletedAt = noon }))
	if got := find(k1, "b", "p"); got != nil {
		t.Errorf("the photo of a deleted batch is %q", got)
	}
}
