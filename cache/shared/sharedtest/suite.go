package sharedtest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/cache/shared"
)

// Run checks what every tier has to do. open returns two nodes of one tier that is empty; they tell of changes of names that begin
// with "t:".
func Run(t *testing.T, open func(t *testing.T) (shared.Tier, shared.Tier)) {
	for name, test := range map[string]func(t *testing.T, a, b shared.Tier){
		"LeaseIsTakenOnce": testLease, "CommitNeedsTheLease": testCommit, "FloorRefusesOlder": testFloor, "VersionsOnlyRise": testVersions,
		"EpochsAreMadeAndKept": testEpochs, "BumpRemovesWhatTheAppFinds": testBump, "ManyEntriesOfATagAreAChore": testTrash,
		"TenantIsCleared": testTenant, "DroppedTwice": testAgain, "ChangesAreToldBeforeTheFence": testFence, "ClaimOnce": testClaim,
		"InvalidationsAreRecorded": testRecord, "DeadNamesAreRemoved": testDead, "ReleaseKeepsTheFloor": testRelease,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			test(t, a, b)
		})
	}
}

const entry = `{"version":0,"epochs":{"*":1},"createdAt":"2026-01-02T03:04:05.000Z",` +
	`"expiresAt":"2026-01-02T03:09:05.000Z","tags":[],"data":1}`

func versioned(n string) string { return strings.Replace(entry, `"version":0`, `"version":`+n, 1) }

func get(t *testing.T, a shared.Tier, key string) string {
	t.Helper()
	values, _, err := a.Read(t.Context(), []string{key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return values[0]
}

func swap(t *testing.T, a shared.Tier, s shared.Swap) shared.Swapped {
	t.Helper()
	if s.TTL == 0 {
		s.TTL = time.Minute
	}
	if s.TagTTL == 0 {
		s.TagTTL = time.Hour
	}
	out, err := a.Swap(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if out.Now == 0 {
		t.Fatal("Swap does not tell the time")
	}
	return out
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func testLease(t *testing.T, a, b shared.Tier) {
	token := shared.NewToken()
	first := swap(t, a, shared.Swap{Key: "t:x", Token: token})
	want(t, "first", first.Done, true)
	want(t, "lease", first.Current, shared.LeaseOf(0, token))
	want(t, "it is one", shared.IsLease(get(t, b, "t:x")), true)
	second := swap(t, b, shared.Swap{Key: "t:x", Token: shared.NewToken()})
	want(t, "second", second.Done, false)
	want(t, "what is there", second.Current, first.Current)
	third := swap(t, b, shared.Swap{Key: "t:x", Expect: first.Current, Token: shared.NewToken()})
	want(t, "who knows the lease may take it", third.Done, true)
}

func testCommit(t *testing.T, a, b shared.Tier) {
	lease := swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()}).Current
	do(t, b.Drop(t.Context(), shared.Drop{Key: "t:x"}))
	want(t, "after a drop", swap(t, a, shared.Swap{Key: "t:x", Expect: lease, Value: entry}).Done, false)
	lease = swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()}).Current
	want(t, "a write of anybody", swap(t, b, shared.Swap{Key: "t:x", Any: true, Value: versioned("3")}).Done, true)
	want(t, "after a write", swap(t, a, shared.Swap{Key: "t:x", Expect: lease, Value: entry}).Done, false)
	want(t, "what is there", get(t, a, "t:x"), versioned("3"))

	long := strings.Replace(entry, `"data":1`, `"data":"`+strings.Repeat("x", 100_000)+`"`, 1)
	swap(t, a, shared.Swap{Key: "t:y", Any: true, Value: long})
	want(t, "long value", get(t, b, "t:y"), long)
	want(t, "its identity", swap(t, b, shared.Swap{Key: "t:y", Expect: shared.Identity(long), Value: entry}).Done, true)
	want(t, "once", swap(t, b, shared.Swap{Key: "t:y", Expect: shared.Identity(long), Value: entry}).Done, false)
}

func testFloor(t *testing.T, a, b shared.Tier) {
	swap(t, a, shared.Swap{Key: "t:x", Any: true, Value: versioned("3"), Version: 3})
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 3, TTL: time.Minute}))
	want(t, "as new as that", get(t, a, "t:x"), versioned("3"))
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 5, TTL: time.Minute}))
	want(t, "older", get(t, a, "t:x"), shared.FloorOf(5))
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 4, TTL: time.Minute}))
	want(t, "a floor does not sink", get(t, a, "t:x"), shared.FloorOf(5))

	lease := swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()})
	want(t, "a floor is no lease", lease.Done, true)
	late := swap(t, a, shared.Swap{Key: "t:x", Expect: lease.Current, Value: versioned("4"), Version: 4})
	want(t, "an older load", late.Done || !late.Outdated, false)
	want(t, "the floor stays, the lease goes", get(t, a, "t:x"), shared.FloorOf(5))
	lease = swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()})
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 6, TTL: time.Minute}))
	late = swap(t, a, shared.Swap{Key: "t:x", Expect: lease.Current, Value: versioned("6"), Version: 6})
	want(t, "a floor ends the lease", late.Done, false)
	lease = swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()})
	want(t, "as new as the floor", swap(t, a, shared.Swap{Key: "t:x", Expect: lease.Current, Value: versioned("6"), Version: 6}).Done, true)

	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 8, TTL: time.Minute}))
	do(t, b.Drop(t.Context(), shared.Drop{Key: "t:x"}))
	want(t, "a drop leaves the floor", get(t, a, "t:x"), shared.FloorOf(8))

	foreign := `{"data":{"version":99},"createdAt":"x","expiresAt":"y","version":"7","sppgId":"k1","tags":["a"]}`
	swap(t, a, shared.Swap{Key: "t:f", Any: true, Value: foreign})
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:f", Version: 7, TTL: time.Minute}))
	want(t, "the app's version is read", get(t, a, "t:f"), foreign)
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:f", Version: 8, TTL: time.Minute}))
	want(t, "and is older", get(t, a, "t:f"), shared.FloorOf(8))
}

func testVersions(t *testing.T, a, b shared.Tier) {
	want(t, "first", swap(t, a, shared.Swap{Key: "t:x", Any: true, Value: versioned("9"), Version: 9}).Done, true)
	older := swap(t, b, shared.Swap{Key: "t:x", Any: true, Value: versioned("8"), Version: 8})
	want(t, "older", older.Done || !older.Outdated, false)
	want(t, "equal", swap(t, b, shared.Swap{Key: "t:x", Any: true, Value: versioned("9"), Version: 9}).Done, true)
	want(t, "ten is more than nine", swap(t, b, shared.Swap{Key: "t:x", Any: true, Value: versioned("10"), Version: 10}).Done, true)
	want(t, "without a version", swap(t, b, shared.Swap{Key: "t:x", Any: true, Value: entry}).Done, true)
}

func testRelease(t *testing.T, a, b shared.Tier) {
	lease := swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()}).Current
	do(t, b.Release(t.Context(), "t:x", shared.LeaseOf(0, shared.NewToken())))
	want(t, "of somebody else", get(t, a, "t:x"), lease)
	do(t, b.Release(t.Context(), "t:x", lease))
	want(t, "released", get(t, a, "t:x"), "")
	do(t, a.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 5, TTL: time.Minute}))
	lease = swap(t, a, shared.Swap{Key: "t:x", Token: shared.NewToken()}).Current
	do(t, a.Release(t.Context(), "t:x", lease))
	want(t, "floor", get(t, a, "t:x"), shared.FloorOf(5))
}

func testEpochs(t *testing.T, a, b shared.Tier) {
	epochs := func(x shared.Tier) shared.Epochs {
		t.Helper()
		_, tables, err := x.Read(t.Context(), nil, []string{"t:epochs"})
		do(t, err)
		return tables[0]
	}
	first := epochs(a)
	if age := time.Since(time.UnixMicro(first[shared.Star])); age > time.Minute || age < -time.Minute {
		t.Fatalf("the first number is no time of now: %v", first)
	}
	want(t, "kept", epochs(b)[shared.Star], first[shared.Star])
	bumped, err := b.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "menus"})
	do(t, err)
	second := epochs(a)
	want(t, "bumped", second["menus"], bumped.Number)
	want(t, "the others stay", second[shared.Star], first[shared.Star])
	for range 20 {
		next, err := a.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "menus"})
		do(t, err)
		if next.Number <= bumped.Number {
			t.Fatalf("%d comes after %d", next.Number, bumped.Number)
		}
		bumped = next
	}
}

func testBump(t *testing.T, a, b shared.Tier) {
	for _, key := range []string{"t:x", "t:y"} {
		swap(t, a, shared.Swap{Key: key, Any: true, Value: entry, TagSets: []string{"tag:menus"}})
	}
	swap(t, a, shared.Swap{Key: "t:z", Any: true, Value: entry})
	lease := swap(t, a, shared.Swap{Key: "t:l", Token: shared.NewToken(), TagSets: []string{"tag:menus"}}).Current
	_, err := b.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "menus", TagSet: "tag:menus"})
	do(t, err)
	want(t, "x", get(t, a, "t:x"), "")
	want(t, "y", get(t, a, "t:y"), "")
	want(t, "z", get(t, a, "t:z"), entry)
	want(t, "a load that runs", swap(t, a, shared.Swap{Key: "t:l", Expect: lease, Value: entry}).Done, false)
}

// chores does all that is due.
func chores(t *testing.T, a shared.Tier) {
	t.Helper()
	for {
		more, err := a.Chore(t.Context())
		do(t, err)
		if !more {
			return
		}
	}
}

func testTrash(t *testing.T, a, b shared.Tier) {
	const many = 700 // more than either removes at once
	key := func(i int) string { return "t:many:" + shared.FloorOf(int64(i)) }
	for i := range many {
		swap(t, a, shared.Swap{Key: key(i), Any: true, Value: entry, TagSets: []string{"tag:many"}})
	}
	_, err := b.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "many", TagSet: "tag:many"})
	do(t, err)
	swap(t, a, shared.Swap{Key: "t:new", Any: true, Value: entry, TagSets: []string{"tag:many"}})
	chores(t, b)
	for i := range many {
		want(t, "left over", get(t, a, key(i)), "")
	}
	want(t, "written since", get(t, a, "t:new"), entry)
	_, err = b.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "many", TagSet: "tag:many"})
	do(t, err)
	want(t, "it is in the new set", get(t, a, "t:new"), "")
}

func testTenant(t *testing.T, a, b shared.Tier) {
	for _, key := range []string{"t:k1:x", "t:k1:y", "t:k10:x"} {
		swap(t, a, shared.Swap{Key: key, Any: true, Value: entry})
	}
	_, err := a.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: shared.Star, Prefix: "t:k1:"})
	do(t, err)
	chores(t, b)
	want(t, "x", get(t, a, "t:k1:x"), "")
	want(t, "y", get(t, a, "t:k1:y"), "")
	want(t, "of another", get(t, a, "t:k10:x"), entry)
}

func testAgain(t *testing.T, a, b shared.Tier) {
	const foreign = `{"data":1,"createdAt":"x","expiresAt":"y","version":"1.0","sppgId":"k1","tags":[]}`
	for _, key := range []string{"t:x", "t:y"} {
		do(t, a.Drop(t.Context(), shared.Drop{Key: key, Again: 300 * time.Millisecond}))
	}
	swap(t, a, shared.Swap{Key: "t:v", Any: true, Value: versioned("9"), Version: 9})
	do(t, a.Forget(t.Context(), shared.Forget{Key: "t:v", Version: 9, TTL: time.Minute, Again: 300 * time.Millisecond}))
	want(t, "as new as that", get(t, b, "t:v"), versioned("9"))
	swap(t, a, shared.Swap{Key: "t:v", Any: true, Value: foreign}) // and then the app writes what it read before
	at, err := b.DroppedAt(t.Context(), "t:x")
	do(t, err)
	if age := time.Since(time.UnixMicro(at)); age > time.Minute || age < -time.Minute {
		t.Fatalf("dropped at %d", at)
	}
	at, err = b.DroppedAt(t.Context(), "t:other")
	do(t, err)
	want(t, "never", at, 0)
	swap(t, a, shared.Swap{Key: "t:x", Any: true, Value: foreign})
	swap(t, a, shared.Swap{Key: "t:y", Any: true, Value: entry})
	chores(t, b)
	want(t, "too early", get(t, a, "t:x"), foreign)
	time.Sleep(350 * time.Millisecond)
	chores(t, b)
	want(t, "the app's", get(t, a, "t:x"), "")
	want(t, "the app's, over a newer one", get(t, a, "t:v"), "")
	want(t, "ours", get(t, a, "t:y"), entry)
}

// heard writes down what a tier tells.
type heard struct {
	mu   sync.Mutex
	keys []string
	lost int
}

func (h *heard) Changed(keys []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = append(h.keys, keys...)
}

func (h *heard) Lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost++
}

func (h *heard) has(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.keys, key)
}

func testFence(t *testing.T, a, b shared.Tier) {
	h := &heard{}
	b.Listen(h)
	first, err := b.Fence(t.Context())
	do(t, err)
	for i := range 200 {
		key := "t:" + shared.FloorOf(int64(i))
		switch i % 3 {
		case 0:
			swap(t, a, shared.Swap{Key: key, Any: true, Value: entry})
		case 1:
			_, err = a.Bump(t.Context(), shared.Bump{Hash: key, Field: "x"})
		default:
			swap(t, a, shared.Swap{Key: key, Token: shared.NewToken()})
		}
		do(t, err)
		passed, err := b.Fence(t.Context())
		do(t, err)
		want(t, "connection", passed.Connection, first.Connection)
		if !h.has(key) {
			t.Fatalf("change %d was not told before the fence", i)
		}
	}
	do(t, a.AwaitNodes(t.Context(), 300*time.Millisecond))
}

func testRecord(t *testing.T, a, b shared.Tier) {
	note := func(what, name string) shared.Note { return shared.Note{Stream: "record:k1", What: what, Name: name} }
	do(t, a.Drop(t.Context(), shared.Drop{Key: "t:x", Note: note("key", "x")}))
	_, err := b.Bump(t.Context(), shared.Bump{Hash: "t:epochs", Field: "menus", Note: note("tag", "menus")})
	do(t, err)
	do(t, b.Forget(t.Context(), shared.Forget{Key: "t:x", Version: 1, TTL: time.Minute, Note: note("version", "x")}))
	record, err := a.Record(t.Context(), "record:k1")
	do(t, err)
	want(t, "how many", len(record), 3)
	want(t, "newest", record[0].What+" "+record[0].Name, "version x")
	want(t, "oldest", record[2].What+" "+record[2].Name, "key x")
	want(t, "two nodes", record[0].Node != record[2].Node && record[0].Node == record[1].Node, true)
	if age := time.Since(record[0].At); age > time.Minute || age < -time.Minute {
		t.Fatalf("it is of %s", record[0].At)
	}
	none, err := a.Record(t.Context(), "record:k2")
	do(t, err)
	want(t, "of another", len(none), 0)
}

func testClaim(t *testing.T, a, b shared.Tier) {
	mine, err := a.Claim(t.Context(), "claim:x", 200*time.Millisecond)
	do(t, err)
	theirs, err := b.Claim(t.Context(), "claim:x", 200*time.Millisecond)
	do(t, err)
	want(t, "one has it", mine && !theirs, true)
	time.Sleep(250 * time.Millisecond)
	theirs, err = b.Claim(t.Context(), "claim:x", 200*time.Millisecond)
	do(t, err)
	want(t, "and then another", theirs, true)
}

// testDead writes 2,000 entries of a tag that end at once: the set must not keep them.
func testDead(t *testing.T, a, b shared.Tier) {
	dead, sampled := 0, 0
	for i := range 600 {
		key := "t:" + shared.FloorOf(int64(i))
		out := swap(t, a, shared.Swap{Key: key, Any: true, Value: entry, TagSets: []string{"tag:hot"}})
		dead, sampled = dead+out.Dead, sampled+out.Sampled
		do(t, b.Drop(t.Context(), shared.Drop{Key: key}))
	}
	if sampled < 600 || dead < 300 {
		t.Fatalf("%d looked at, %d removed; nearly all of 600 should be", sampled, dead)
	}
}
