package production

import "kentongan/tenant"

// The channels of events; "production:updates:{sppgId}" and "production:alerts:{sppgId}" on the wire.
const (
	UpdatesChannel = "production:updates"
	AlertsChannel  = "production:alerts"
)

// Event is what has happened, as it goes to the screens. It is stored with the row that it tells of, in one transaction,
// and published afterwards.
type Event struct {
	// ID is "production.revision.n": it follows from the commit and is unique, so it is the idempotency key of the
	// publication. Events of a kitchen have its tenant id in place of the production's, and begin with "kitchen.".
	ID string

	Tenant       tenant.ID
	Seq          int64  // 1, 2, 3 … a tenant, without a hole, in the order of commits. The Store gives it
	Channel      string // UpdatesChannel or AlertsChannel
	ProductionID string
	Version      int64 // of the production after the change
	At           Instant
	Payload      []byte // one JSON text: {"type":"production_update","productionId":…,"data":{…},"timestamp":ms,"updatedBy":…}
	Money        bool   // Payload has fields that only MaySeeMoney may see: WithoutMoney takes them out
}

// Notice is a call for Head and Nutritionist, because nobody answered an alert. It is for webhooks; screens get the
// alert's event. It is stored in the transaction that counts the escalation, and delivered at least once.
type Notice struct {
	ID        string // "alert.n" with n = the count of the escalation: the receiver's key against duplicates
	Tenant    tenant.ID
	AlertID   string
	At        Instant
	Payload   []byte  // one JSON text
	Attempts  int     // how often its delivery was tried
	NextTry   Instant // not before; zero: now
	LastError string  // of the last try, at most 200 bytes
}
