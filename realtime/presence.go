package realtime

import (
	"context"
	"time"
)

// Member is one user who is on a channel now. Several tabs, screens or phones of one user are one Member.
type Member struct {
	User     string    `json:"user"`     // the credential's subject
	Sessions int       `json:"sessions"` // connections of this user, on all nodes
	Since    time.Time `json:"since"`    // when the oldest of them came
}

// Presence knows who is on which channel, over all nodes. brokertest has what every Presence must pass. All methods
// may be called concurrently. A Channel without a name means all channels of its tenant.
type Presence interface {
	// Join counts one more session of user on ch, and Leave one less. They do no I/O and never fail: other nodes learn of
	// it within a second, and of a vanished node's sessions within [PresenceExpiry].
	Join(ch Channel, user string)
	Leave(ch Channel, user string)

	// Members returns who is on ch, sorted by user: those who joined ch itself and those who joined all channels of
	// its tenant. ErrUnavailable if the engine is out.
	Members(ctx context.Context, ch Channel) ([]Member, error)
}

// PresenceExpiry is how long the sessions of a vanished node are still shown: three missed reports of 20 s, the
// usual compromise (Centrifugo 60 s too).
const PresenceExpiry = 60 * time.Second
