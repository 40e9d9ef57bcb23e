package realtime

import "context"

// Lister is a Broker that can say which channels something was published in. It is for operators, who look for names that go astray.
type Lister interface {
	// Channels returns at most limit channels that hold a position above 0, in no order, with their heads. It is ErrUnavailable if the
	// engine does not answer.
	Channels(ctx context.Context, limit int) ([]ChannelHead, error)
}

// ChannelHead is one channel and its newest position.
type ChannelHead struct {
	Channel Channel
	Head    Position
}
