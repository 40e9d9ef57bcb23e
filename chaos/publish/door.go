package publish

import (
	"context"

	"kentongan/chaos/check"
)

// Item is one publication on its way in.
type Item struct {
	Channel string // wire name
	Data    []byte
	Key     string // idempotency key, for doors that take one
}

// Result is what a door said about an item.
type Result struct {
	Outcome check.Outcome
	At      check.Position // where the door tells it
}

// Door is a way in. It is for one goroutine.
type Door interface {
	// Publish sends the items in their order and returns a result for each. Tried is false if nothing was sent, as when
	// there is nobody to connect to: the outcome of an attempt that was not made is not unknown.
	Publish(ctx context.Context, items []Item) (results []Result, tried bool)

	// Repeats reports whether an unknown outcome may be sent again.
	Repeats() bool

	// Close gives up the connection.
	Close()
}
