package production

import (
	"context"
	"time"
)

// Direct is what an Outbox may be able to do beside: give events to the relay of the same process as they are committed, so that nobody has
// to ask the database for them, and have their marks written with later commits.
type Direct interface {
	// Direct opens the way. From then on a commit of this process that has events also leases its tenant to owner, for the time
	// of lease by the store's clock, if nothing of it waits and nobody has it leased. What cannot be handed on like that waits for
	// Outbox.Claim. There is one way at a time, and owner is nobody who claims.
	Direct(owner string, lease time.Duration) Way
}

// Way is how events go directly. Its methods may be called concurrently.
type Way interface {
	// Next waits for events and returns them. Those of one tenant are handed out to one caller at a time, in their order. The error is that
	// of ctx.
	Next(ctx context.Context) (Handed, error)

	// Close ends the way once all that was handed out is done: what was published is marked, the rest is left to Outbox.Claim. It returns
	// ErrUnavailable, wrapped, if that could not be written before ctx ended; the leases end by themselves then.
	Close(ctx context.Context) error
}

// Handed is what Way.Next has to publish.
type Handed struct {
	Claim
	Began time.Time // the lease is counted from a moment that is not before it

	// Done is called once: events up to number seq, included, were published (0: none), and the newest of each channel stands there. They
	// are marked soon. If seq is not the last of Claim the rest is left to Outbox.Claim.
	Done func(seq int64, at []Sent)
}
