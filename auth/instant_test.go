package auth

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// TestInstant: an instant is its time without parts of a millisecond, never later, and what one node writes in a ticket another one reads,
// also one that has a time.Time there.
func TestInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		i := At(at)
		if back := i.Time(); back.After(at) || at.Sub(back) >= time.Millisecond || i.IsZero() {
			t.Fatalf("%v became %v", at, back)
		}
		text, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		var again Instant
		var older time.Time
		if err := json.Unmarshal(text, &again); err != nil || again != i {
			t.Fatalf("%s is read as %v, %v; want %v", text, again, err, i)
		}
		if err := json.Unmarshal(text, &older); err != nil || !older.Equal(i.Time()) {
			t.Fatalf("%s is read as the time %v, %v; want %v", text, older, err, i.Time())
		}
	})
}

func TestInstantOfNothing(t *testing.T) {
	i := At(time.Time{})
	if !i.IsZero() || !i.Time().IsZero() {
		t.Errorf("no time became %v", i.Time())
	}
	text, err := json.Marshal(i)
	var again Instant
	if err != nil || string(text) != `"0001-01-01T00:00:00Z"` || json.Unmarshal(text, &again) != nil || !again.IsZero() {
		t.Errorf("no time is written as %s, %v, and read as %v", text, err, again)
	}
	if err := json.Unmarshal([]byte(`"yesterday"`), &again); err == nil {
		t.Error("what is no time was read")
	}
}

// TestIdentityIsSmall: there is one for each connection, and Go's allocator has room of 96 and of 112 bytes.
func TestIdentityIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Identity{}); size > 96 {
		t.Errorf("an Identity has %d bytes, want 96 at most", size)
	}
}

// TestKindIsWrittenByName: a ticket has the word and not the number, which may be another one in another version.
func TestKindIsWrittenByName(t *testing.T) {
	for k, name := range map[Kind]string{
		KindSession: "session", KindBearer: "bearer", KindTicket: "ticket", KindAPIKey: "api-key", KindSocketToken: "socket-token",
	} {
		text, err := json.Marshal(k)
		var again Kind
		if err != nil || string(text) != strconv.Quote(name) || k.String() != name || json.Unmarshal(text, &again) != nil || again != k {
			t.Errorf("%q is written as %s, %v, called %q and read as %q", name, text, err, k, again)
		}
	}
	var k Kind
	if err := json.Unmarshal([]byte(`"passport"`), &k); err == nil {
		t.Error("an unknown kind was read")
	}
}
