package production

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func trail(n int) []AuditEntry {
	var all []AuditEntry
	var last AuditEntry
	for i := range n {
		last = AuditEntry{
			Tenant: sppg, At: Instant(1000 + i), User: "u", Role: Head, Action: "update", ProductionID: "p", Version: int64(i), Reason: "r",
			Detail: json.RawMessage(`{"a":1}`), TakenAt: 5, Person: "x",
		}.Sealed(last)
		all = append(all, last)
	}
	return all
}

func verify(entries []AuditEntry) (int64, error) {
	n, _, err := VerifyAudit(func(yield func(AuditEntry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	})
	return n, err
}

// TestAuditFindsEachChange changes every field of an entry, leaves entries out, and exchanges them.
func TestAuditFindsEachChange(t *testing.T) {
	if n, err := verify(trail(5)); n != 5 || err != nil {
		t.Fatalf("verified %d of 5: %v", n, err)
	}
	for name, change := range map[string]func(*AuditEntry){
		"Tenant": func(e *AuditEntry) { e.Tenant = other }, "Seq": func(e *AuditEntry) { e.Seq++ }, "At": func(e *AuditEntry) { e.At++ },
		"TakenAt": func(e *AuditEntry) { e.TakenAt = 0 }, "User": func(e *AuditEntry) { e.User = "v" }, "Role": func(e *AuditEntry) { e.Role = Admin },
		"Person": func(e *AuditEntry) { e.Person = "" }, "Action": func(e *AuditEntry) { e.Action = "x" }, "Production": func(e *AuditEntry) { e.ProductionID = "q" },
		"Version": func(e *AuditEntry) { e.Version = 9 }, "Reason": func(e *AuditEntry) { e.Reason = "s" }, "Detail": func(e *AuditEntry) { e.Detail = json.RawMessage(`{"a": 1}`) },
		"Prev": func(e *AuditEntry) { e.Prev[0]++ }, "Hash": func(e *AuditEntry) { e.Hash[0]++ },
		"FieldsMoved": func(e *AuditEntry) { e.User, e.Role = "u1", "" },
	} {
		all := trail(5)
		change(&all[2])
		if n, err := verify(all); n != 2 || err == nil || !strings.Contains(err.Error(), "audit entry 3") && !strings.Contains(err.Error(), "audit entry") {
			t.Errorf("%s: verified %d, %v; want 2", name, n, err)
		}
	}
	if n, err := verify(slices.Delete(trail(5), 2, 3)); n != 2 || err == nil {
		t.Errorf("one left out: verified %d, %v", n, err)
	}
	if n, err := verify(trail(5)[1:]); n != 0 || err == nil {
		t.Errorf("the first left out: verified %d, %v", n, err)
	}
	resealed := trail(5)
	resealed[2].User = "v"
	resealed[2] = resealed[2].Sealed(resealed[1])
	if n, err := verify(resealed); n != 3 || err == nil {
		t.Errorf("changed and sealed again: verified %d, %v; the next one gives it away", n, err)
	}
	broken := errors.New("disk")
	n, _, err := VerifyAudit(func(yield func(AuditEntry, error) bool) {
		_ = yield(trail(1)[0], nil) && yield(AuditEntry{}, broken)
	})
	if n != 1 || !errors.Is(err, broken) {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestNoTwoEntriesHaveOneHash moves text from one field to the next.
func TestNoTwoEntriesHaveOneHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9:]{2,12}`).Draw(t, "text")
		i, j := rapid.IntRange(0, len(text)).Draw(t, "i"), rapid.IntRange(0, len(text)).Draw(t, "j")
		a := AuditEntry{User: text[:i], Role: Role(text[i:])}.Sealed(AuditEntry{})
		b := AuditEntry{User: text[:j], Role: Role(text[j:])}.Sealed(AuditEntry{})
		if (a.Hash == b.Hash) != (i == j) {
			t.Fatalf("%q cut at %d and %d: %s, %s", text, i, j, a.Hash, b.Hash)
		}
	})
}
