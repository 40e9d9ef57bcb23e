package production

import (
	"context"
	"iter"
	"time"

	"kentongan/tenant"
)

// Store keeps the kitchens' records. The interfaces of this file are the contract of every Store, by who needs them;
// storetest is what it must pass. All methods may be called concurrently.
//
// What is of another tenant does not exist for a call: it is ErrNotFound, or not in the list. A store that cannot be
// reached, is locked for too long or has no room left answers ErrUnavailable, wrapped; then nothing was written, or
// nobody knows, and the same Commit may be tried again: if it was written after all, its Base no longer matches.
//
// What a Store was given it answers exactly as it was given: bytes of JSON too, for they are hashed and published. It does not
// keep slices and pointers of arguments, and callers do not write through what it answers.
type Store interface {
	Changes
	Lists
	Standings
	Outbox
	Timers
}

// Changes is what Service needs.
type Changes interface {
	// Load reads everything that a change has to know, all of one moment (one read transaction), in as few round trips
	// as possible. What w asks for and does not exist is ErrNotFound for the batch only; see Loaded for the rest.
	Load(ctx context.Context, t tenant.ID, w Want) (Loaded, error)

	// Commit writes all of c in one transaction, durably, or nothing of it. Events get the next numbers of the tenant,
	// audit entries are Sealed behind the newest of the tenant; what it returns are these events with their numbers.
	// Outbox.Wake fires after it if there are events or notices.
	//
	// It returns ErrConflict if the stored revision of the batch or of the kitchen is not the one that c is based on,
	// if a new batch's number is taken, if c.Remember's key or the id of an observation is there already, or if an alert
	// would be the second active one of its batch and code: load again, decide again.
	// Several commits of different batches may share one flush to the disk.
	//
	// A commit that is broken in itself is ErrInvalid, and nothing is written: something in it is of another tenant, a row or an
	// alert is of a batch (or kitchen) that the commit does not have with it, or a Revision does not follow its base.
	Commit(ctx context.Context, c Commit) ([]Event, error)
}

// Want is what Load should read beside the kitchen. Zero fields are not wanted.
type Want struct {
	Production string // with its facts and active alerts, and the load of its day
	Key        string // what is remembered of an idempotency key
	Day        Day    // the load of a day on which a batch is to be planned; without Production
	Menu       string
	Programme  string
	People     []string
	Alert      string // an alert, whatever its status: which batch is it of?
	Reading    string // a reading of Production
	Observed   string // an observation's id: is it there?
}

// Loaded is what Load read.
type Loaded struct {
	Kitchen    KitchenState      // of a tenant that never set anything: the tenant's id and defaults, Revision 0
	Batch      Batch             // if Want.Production is set
	Day        DayLoad           // of the batch's day, or of Want.Day
	Remembered *Remembered       // nil: the key is not known
	Menu       *Menu             // nil: does not exist
	Programme  *Programme        // nil: does not exist
	People     map[string]Person // those that exist
	Alert      *Alert            // nil: does not exist
	Reading    *Reading          // nil: does not exist, or is of another batch
	Observed   bool              // Want.Observed is there

	Recalled uint64 // not zero: see Recaller
}

// Commit is everything that one change writes.
type Commit struct {
	Tenant tenant.ID

	// Batch is the batch as it shall be; nil: no batch is concerned. Base is the Revision that it was decided on: 0
	// inserts it, and Batch.Revision is Base+1. Batch.Alerts is not written from here: Alerts is.
	Batch *Batch
	Base  int64

	// Kitchen and KitchenBase are the same for a kitchen.
	Kitchen     *KitchenState
	KitchenBase int64

	// LookAgain, if set, becomes the NextLook of all batches of the tenant that are open or have one: their limits have
	// changed. Their revisions stay.
	LookAgain Instant

	Alerts []Alert // to insert, or to replace by ID

	// Rows to add.
	Readings    []Reading
	Checks      []Check
	Samples     []Sample
	Dispatches  []Dispatch
	Corrections []Correction
	Photos      []Photo // with their bytes
	Events      []Event // in this order
	Notices     []Notice
	Audit       []AuditEntry // in this order

	Observations []Observation

	Recalled uint64 // of the Loaded that it was decided on; a Store that is no Recaller does not look at it

	Put      References // lists: insert, or replace by ID. An empty Person.PIN leaves the stored one as it is
	Remember *Remembered
}

// Observation is a message about productions that an app published by itself, kept as it came. See Observe.
type Observation struct {
	ID           string // where it came from: unique in the tenant, so that nothing is taken in twice; at most 128 bytes
	At           Instant
	ProductionID string   // empty: the message does not say
	Payload      []byte   // as it came; it may be no JSON
	Flags        []string // what is wrong with it, by code; nil: nothing
}

// Remembered is the answer to an idempotency key.
type Remembered struct {
	Key         string  // unique in the tenant
	Fingerprint Hash    // of the change
	At          Instant // when it was committed; Store.Forget deletes by it
	Result      []byte  // one JSON text
}

// Lists is what reading needs: screens, logs, exports.
type Lists interface {
	// Batches returns the batches that match f, in the order of (Day, PlannedStart, ID), at most limit of them, after
	// the place of after (nil: from the start). Backwards turns the order round.
	Batches(ctx context.Context, t tenant.ID, f BatchFilter, after *BatchPlace, limit int) ([]Production, error)

	// Batch returns one batch with its facts and active alerts. ErrNotFound.
	Batch(ctx context.Context, t tenant.ID, id string) (Batch, error)

	// Rows returns what was added to a batch, each list in the order in which it was added. ErrNotFound if the batch is
	// not there. Readings are at most limit, from the one after the id `after` on (empty: from the start).
	Rows(ctx context.Context, t tenant.ID, id string, after string, limit int) (Rows, error)

	// Photo returns one photo of a batch, with its bytes. ErrNotFound.
	Photo(ctx context.Context, t tenant.ID, production, id string) (Photo, error)

	// Snapshot returns all open batches, the final ones of the serving days from since on, all active alerts, and the
	// place of the outbox that they reflect, all of one moment. See Snapshot.
	Snapshot(ctx context.Context, t tenant.ID, since Day) (Snapshot, error)

	// Alerts returns the alerts that match f in the order of (RaisedAt, ID), newest first, at most limit of them, after
	// the place of after (nil: from the newest).
	Alerts(ctx context.Context, t tenant.ID, f AlertFilter, after *AlertPlace, limit int) ([]Alert, error)

	// Facts is as Batches, with the facts of each batch, for KPIs and day logs; without alerts.
	Facts(ctx context.Context, t tenant.ID, f BatchFilter, after *BatchPlace, limit int) ([]Batch, error)

	// References returns the lists of the tenant, each in the order of names.
	References(ctx context.Context, t tenant.ID) (References, error)

	// Observations returns what apps published by themselves, newest first, at most limit of them, after the id `after`
	// (empty: from the newest); flagged ones only, if that is asked for.
	Observations(ctx context.Context, t tenant.ID, flagged bool, after string, limit int) ([]Observation, error)

	// Audit returns the trail of the tenant from entry number `from` on, oldest first. It may be long: it is read in
	// pages, each of one moment. An error ends it.
	Audit(ctx context.Context, t tenant.ID, from int64) iter.Seq2[AuditEntry, error]

	// Kitchens returns all tenants that have anything stored, in the order of ids, at most limit of them after `after`.
	Kitchens(ctx context.Context, after tenant.ID, limit int) ([]Kitchen, error)
}

// BatchFilter says which batches are wanted. The zero value is all of them.
type BatchFilter struct {
	From, To  Day      // serving days, both included; empty: no bound
	Statuses  []Status // nil: all
	MenuID    string
	Text      string // the batch number or the menu's name contains it, whatever its case
	Backwards bool
}

// BatchPlace is a place between two batches: after the one with these values.
type BatchPlace struct {
	Day          Day
	PlannedStart Instant
	ID           string
}

// AlertFilter says which alerts are wanted. The zero value is all of them.
type AlertFilter struct {
	ProductionID string
	Active       bool // open and acknowledged ones only
	MinSeverity  Severity
	Codes        []AlertCode
	From, To     Instant // raised in [From, To); zero: no bound
}

// AlertPlace is a place between two alerts: after the one with these values.
type AlertPlace struct {
	RaisedAt Instant
	ID       string
}

// Rows is what was added to a batch.
type Rows struct {
	Readings    []Reading
	Checks      []Check
	Samples     []Sample
	Dispatches  []Dispatch
	Corrections []Correction
	Photos      []Photo // without their bytes
	Alerts      []Alert // all, in the order in which they were raised
}

// Snapshot is what a screen begins with. Whoever has it and follows the channels from Positions on has everything: each event that
// is not in the state comes after them. Some that are in it come too; their Version tells.
type Snapshot struct {
	Batches   []Batch // in the order of Lists.Batches
	Alerts    []Alert // active ones, of batches and of the kitchen, oldest first
	Seq       int64   // the number of the newest event that the state reflects; 0: none
	Positions []Sent  // of each channel, the newest event that was marked sent
}

// Outbox is what the relay needs: events out of the store, each at least once, in the order of their numbers.
type Outbox interface {
	// Wake returns a channel that gets a value soon after commits with events or notices, by this process or another
	// one on the same database. Values merge; one that is missed is no harm to who also looks from time to time.
	Wake() <-chan struct{}

	// Claim leases a tenant that has unsent events to owner, for the time of lease by the store's clock, and returns its
	// oldest unsent events, at most limit. Of those that nobody else has leased it takes the one whose event waits longest; a lease of
	// owner itself is renewed. It returns ErrNotFound if there is nothing to do. What was leased before and not marked comes again.
	Claim(ctx context.Context, owner string, lease time.Duration, limit int) (Claim, error)

	// MarkSent says that the events of t up to number seq, included, were published, and where the newest of each channel
	// stands. It ends the lease of owner. If owner has no lease any more it is ErrConflict, and nothing is marked: somebody else
	// publishes them, too, and each has its idempotency key.
	MarkSent(ctx context.Context, owner string, t tenant.ID, seq int64, at []Sent) error

	// Release ends the lease of owner without a mark.
	Release(ctx context.Context, owner string, t tenant.ID) error

	// Backlog returns how many events wait, and since when the oldest does (zero: none waits).
	Backlog(ctx context.Context) (n int64, oldest Instant, err error)

	// Forget deletes what is older than b says, at most limit rows of each sort, and returns how many rows went. Events
	// that were not sent and the newest event of each tenant stay; so do notices that are not settled.
	Forget(ctx context.Context, b Before, limit int) (int, error)
}

// Before says how old a thing may get. Zero: it is kept.
type Before struct {
	Events       Instant // sent events, settled notices
	Keys         Instant // idempotency keys
	Observations Instant
}

// Claim is what a relay has to publish.
type Claim struct {
	Tenant tenant.ID
	Events []Event // oldest first, without a hole
	More   bool    // there are more
}

// Sent is where an event stands in the channel that it went to. Epoch and Offset are a realtime.Position.
type Sent struct {
	Channel string
	Epoch   string
	Offset  uint64
}

// Timers is what the alert engine needs.
type Timers interface {
	// DueBatches returns batches of all tenants whose NextLook is not after now, with their facts, active alerts and
	// kitchens, the longest due first, at most limit. Its cost depends on how many are due, not on how many there are.
	DueBatches(ctx context.Context, now Instant, limit int) ([]Due, error)

	// DueKitchens is the same for kitchens; Due.Batch is empty.
	DueKitchens(ctx context.Context, now Instant, limit int) ([]Due, error)

	// NextDue returns the earliest NextLook of all batches and kitchens, or zero.
	NextDue(ctx context.Context) (Instant, error)

	// ClaimNotices leases notices whose NextTry is not after now to owner, oldest first, at most limit, for the time of lease by
	// the store's clock. Those that somebody else has leased are left out; a lease of owner itself is renewed.
	ClaimNotices(ctx context.Context, owner string, now Instant, lease time.Duration, limit int) ([]Notice, error)

	// SettleNotice writes down how a delivery went and ends the lease: done, or to be tried again at n.NextTry, with
	// n.Attempts and n.LastError. If owner has no lease of it any more it is ErrConflict, and nothing is written.
	SettleNotice(ctx context.Context, owner string, n Notice, done bool) error
}

// Due is a batch or a kitchen that somebody has to look at.
type Due struct {
	Kitchen KitchenState
	Batch   Batch
	Day     DayLoad
}
