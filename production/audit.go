package production

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"

	"kentongan/tenant"
)

// Hash is SHA-256.
type Hash [sha256.Size]byte

// String returns h in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns h in hexadecimal.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("hash of %d digits: want %d", len(text), 2*len(h))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	return nil
}

// AuditEntry is one line of a kitchen's audit trail. Each holds the hash of the one before it, so that no line can be
// changed, left out or put in without a trace from there to the end.
type AuditEntry struct {
	Tenant       tenant.ID       `json:"sppgId"`
	Seq          int64           `json:"seq"` // 1, 2, 3 … a tenant, without a hole. The Store gives it
	At           Instant         `json:"at"`  // by the server's clock
	TakenAt      Instant         `json:"takenAt,omitzero"`
	User         string          `json:"user"` // of the credential; "system" for what time brought about
	Role         Role            `json:"role"`
	Person       string          `json:"person,omitempty"` // proved by PIN
	Action       string          `json:"action"`           // create, update, transition, look …
	ProductionID string          `json:"productionId,omitempty"`
	Version      int64           `json:"version,omitempty"` // of the production, or of the kitchen, after it
	Reason       string          `json:"reason,omitempty"`
	Detail       json.RawMessage `json:"detail,omitempty"` // what was asked for, one JSON text; money in it
	Prev         Hash            `json:"prev"`             // of the entry before; zero for the first
	Hash         Hash            `json:"hash"`             // of this one
}

// Sealed returns e as the entry that follows prev, the newest entry of the tenant (its zero value for none): with number and
// hashes. A Store calls it in the transaction of the commit, while no other commit of the tenant can come between.
func (e AuditEntry) Sealed(prev AuditEntry) AuditEntry {
	e.Seq, e.Prev = prev.Seq+1, prev.Hash
	e.Hash = e.digest()
	return e
}

// digest hashes every field with its length before it, so that no two entries have one text.
func (e AuditEntry) digest() Hash {
	h := sha256.New()
	h.Write(e.Prev[:])
	for _, field := range []string{
		"1", string(e.Tenant), fmt.Sprint(e.Seq), fmt.Sprint(int64(e.At)), fmt.Sprint(int64(e.TakenAt)), e.User, string(e.Role), e.Person,
		e.Action, e.ProductionID, fmt.Sprint(e.Version), e.Reason, string(e.Detail),
	} {
		h.Write(fmt.Appendf(nil, "%d:%s", len(field), field))
	}
	return Hash(h.Sum(nil))
}

// VerifyAudit reads a whole trail of one tenant, oldest first, and returns how many entries are in order and the newest of them.
// The error says at which entry the chain breaks. Who wants to know that the end was not cut off compares the last hash with one
// that was written down elsewhere.
func VerifyAudit(trail iter.Seq2[AuditEntry, error]) (n int64, last AuditEntry, err error) {
	for e, err := range trail {
		if err != nil {
			return n, last, err
		}
		switch {
		case e.Tenant != last.Tenant && n > 0:
			return n, last, fmt.Errorf("audit entry %d: is of tenant %s, want %s", n+1, e.Tenant, last.Tenant)
		case e.Seq != last.Seq+1:
			return n, last, fmt.Errorf("audit entry %d: has number %d", n+1, e.Seq)
		case e.Prev != last.Hash:
			return n, last, fmt.Errorf("audit entry %d: does not follow the entry before it", e.Seq)
		case e.Hash != e.digest():
			return n, last, fmt.Errorf("audit entry %d: was changed after it was written", e.Seq)
		}
		n, last = n+1, e
	}
	return n, last, nil
}
