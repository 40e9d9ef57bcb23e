package brokertest

import (
	"testing"
	"time"

	"kentongan/realtime"
)

// Engine is one instance of what Brokers store in: a namespace of its own, empty at first.
type Engine struct {
	// Open returns a Broker on this engine that was not run yet. Called twice, the Brokers are two nodes.
	Open func(t *testing.T, names *realtime.Names) realtime.Broker

	// Shared says that Brokers on this engine see each other's publications, and that these outlive the Brokers. Without it each
	// Broker has a history of its own, which has to show in its epochs.
	Shared bool
}

// Run tests that Brokers keep the contract. newEngine is called once for each subtest and may use t.Cleanup.
func Run(t *testing.T, newEngine func(t *testing.T) Engine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Engine)
	}{
		{"PositionsCountFromOne", positions},
		{"TenantsAndChannelsAreIndependent", independence},
		{"DataIsByteIdentical", bytesIdentical},
		{"InvalidIsRefused", invalid},
		{"HistoryIsBoundedBySize", historySize},
		{"HistoryIsBoundedByAge", historyAge},
		{"HistoryIsAllOrGap", historyGaps},
		{"HistoryPagesHaveNoHole", historyPages},
		{"KeyMakesRepeatHarmless", keys},
		{"KeyUnderConcurrency", keysConcurrently},
		{"FollowDeliversAllAfterTheHeads", follow},
		{"FollowTwiceIsExactAgain", followTwice},
		{"UnfollowEndsDelivery", unfollow},
		{"FollowRaces", followRaces},
		{"FollowManyTenants", followMany},
		{"GlobalIsATenantOfItsOwn", global},
		{"AsyncKeepsOrder", async},
		{"TurnedEpochIsTold", turned},
		{"TurnedAllIsTold", turnedAll},
		{"TurnsLoseNothingForWhoFollows", turnedUnderTraffic},
		{"SnapshotHasTheNewestOfEachKey", snapshotNewest},
		{"SnapshotOutlivesHistory", snapshotOutlivesHistory},
		{"SnapshotIsBoundedByAge", snapshotAge},
		{"SnapshotIsBounded", snapshotBounds},
		{"SnapshotBeginsAnewInANewEpoch", snapshotTurn},
		{"SnapshotOfTwoNodes", snapshotNodes},
		{"SnapshotNeedsAContext", snapshotContext},
		{"ListsChannels", listed},
		{"EndedContextIsUnavailable", endedContext},
		{"RunEndsCleanly", runEnds},
		{"TwoNodes", twoNodes},
		{"TwoNodesKeepOneOrder", twoNodesOrder},
		{"ReopenedReadsOn", reopened},
		{"TraceComesAlong", traced},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newEngine(t)) })
	}
}

// patience is how long a test waits for what must come. Only an engine that hangs uses it up.
const patience = 30 * time.Second

// shortAge is the age of the channel "short". Tests only wait for its end, never for something to happen before it.
const shortAge = 100 * time.Millisecond

func testNames(t *testing.T) *realtime.Names {
	t.Helper()
	keep := realtime.Retention{Size: 100, Age: time.Hour}
	names, err := realtime.NewNames([]realtime.Pattern{
		{Spelling: "a:{tenant}", Retention: keep},
		{Spelling: "b:{tenant}", Retention: keep},
		{Spelling: "orders:{tenant}:*", Retention: keep},
		{Spelling: "big:{tenant}", Retention: realtime.Retention{Size: 100_000, Age: time.Hour}},
		{Spelling: "five:{tenant}", Retention: realtime.Retention{Size: 5, Age: time.Hour}},
		{Spelling: "short:{tenant}", Retention: realtime.Retention{Size: 100, Age: shortAge}},
		{Spelling: "none:{tenant}"},
		{Spelling: "keyed:{tenant}", Retention: keep, SnapshotKey: "data.id"},
		{Spelling: "keyedshort:{tenant}", Retention: realtime.Retention{Size: 100, Age: shortAge}, SnapshotKey: "id"},
		{Spelling: "alert", Retention: keep},
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
