package storetest

import (
	"testing"
	"time"

	"kentongan/production"
)

// Store is a Store that can be closed.
type Store interface {
	production.Store
	Close() error
}

// Database is one database, empty at first.
type Database struct {
	// Open returns a Store on this database, which the test closes. Called twice, the Stores are two nodes.
	Open func(t testing.TB) Store
}

// Run tests that Stores keep the contract. newDatabase is called at least once for each subtest and may use t.Cleanup.
func Run(t *testing.T, newDatabase func(t testing.TB) Database) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *node)
	}{
		{"AnswersWhatItWasGiven", given},
		{"NothingIsThereAtFirst", nothing},
		{"RevisionDecides", revisions},
		{"RevisionOfTheKitchenDecides", kitchenRevisions},
		{"ConflictWritesNothing", conflictWritesNothing},
		{"NumberIsTakenOnce", numbers},
		{"KeyIsTakenOnce", keys},
		{"ObservationIsTakenInOnce", observations},
		{"OneActiveAlertACode", oneActiveAlert},
		{"AlertsOfKitchenAndBatch", alertsOfKitchen},
		{"BrokenCommitsAreRefused", brokenCommits},
		{"ArgumentsAreNotKept", argumentsNotKept},
		{"DeleteOnlyHides", deleteHides},
		{"DayLoad", dayLoads},
		{"RowsInTheOrderOfAdding", rowsInOrder},
		{"PhotosOfABatch", photos},
		{"BatchesByPlace", batchesByPlace},
		{"BatchesByFilter", batchesByFilter},
		{"AlertsByPlaceAndFilter", alertLists},
		{"ReferencesByName", references},
		{"KitchensByID", kitchens},
		{"StandingsOfKitchens", standings},
		{"TenantsNeverSeeEachOther", tenants},
		{"EventsWithoutAHole", eventNumbers},
		{"AuditIsOneChain", auditChain},
		{"OutboxInOrder", outboxOrder},
		{"OutboxOldestTenantFirst", outboxOldestFirst},
		{"OutboxLeases", outboxLeases},
		{"OutboxLeaseExpires", outboxExpiry},
		{"SnapshotHasPositions", snapshotPositions},
		{"SnapshotIsOfOneMoment", snapshotOfOneMoment},
		{"WakeAfterCommits", wake},
		{"ForgetKeepsWhatIsNeeded", forget},
		{"TimersInOrder", timers},
		{"LookAgainConcernsWhatCanStillChange", lookAgain},
		{"NoticesAreLeased", notices},
		{"ManyClientsOneWins", manyClients},
		{"ManyKitchensAtOnce", manyKitchens},
		{"EndedContextIsUnavailable", endedContext},
		{"GivenUpReadsAnswerNobodyElse", givenUpReads},
		{"ReopenedReadsOn", reopened},
		{"ANightOfCooking", night},
		{"LikeTheModel", likeTheModel},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t, newDatabase)) })
	}
}

// patience is how long a test waits for what must come. Only a store that hangs uses it up.
const patience = 30 * time.Second
