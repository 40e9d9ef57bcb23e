package realtime

import (
	"context"
	"time"

	"kentongan/internal/tracing"
	"kentongan/tenant"
)

// PublishOptions are the extras of one publish. The zero value is a plain publish.
type PublishOptions struct {
	// Key makes a repeated publish harmless: within [IdempotencyWindow] the same key on the same channel is answered
	// with the first position and published no second time; with other data it is ErrKeyReused. At most 255 bytes;
	// empty: no such check.
	Key string

	// Arrived is handed through to Publication.Arrived on the node that publishes, where possible.
	Arrived time.Time

	// Trace is handed through to Publication.Trace, on every node that gets the publication when it is published; nil: it belongs to no
	// trace that is recorded.
	Trace *tracing.Context

	// Within is how long whoever calls PublishAsync waits for done: it is called by then, with ErrUnavailable if nothing is known yet.
	// Zero waits for as long as the broker tries, which is right where nobody could send it again.
	Within time.Duration

	// More says that the caller of PublishAsync has more at once, and calls Flush before it waits for anything: an engine that is a
	// BurstPublisher may keep the delivery until then.
	More bool
}

// IdempotencyWindow is how long a broker remembers keys. Five minutes is what Centrifugo uses, and longer than any
// retry loop of the clients that we know.
const IdempotencyWindow = 5 * time.Minute

// Published is the answer to a publish.
type Published struct {
	Position  Position
	Duplicate bool // Position is that of an earlier publish with the same key
}

// Page is an answer from the history of one channel.
type Page struct {
	Head         Position      // the newest position when the answer was made
	Publications []Publication // after the asked position, oldest first, without a hole
	More         bool          // the limit cut the answer: ask again from the last publication
	Gap          GapCause      // not empty: the answer would have a hole. Publications is empty and Head is where to go on
}

// Heads are the newest positions of one tenant's channels as one node knows them.
type Heads struct {
	Channels map[string]Position // by channel name; what is not in here has never had a publication
	Fresh    Position            // the position of every channel that is not in Channels; its offset is 0
}

// At returns the newest position of the channel called name.
func (h Heads) At(name string) Position {
	if p, ok := h.Channels[name]; ok {
		return p
	}
	return h.Fresh
}

// Broker carries publications between nodes, gives each its position and keeps their history. Nothing above it knows
// which technology runs below. brokertest has what every Broker must pass. All methods may be called concurrently.
//
// A node follows whole tenants, not channels: the screens of a kitchen follow nearly all of its channels, and one
// subscription for each tenant keeps the number of subscriptions a tenth.
type Broker interface {
	// Publish stamps data with the next position of ch, stores it, and hands it to every node that follows the
	// tenant. It returns when the publication is stored: ErrInvalid, ErrKeyReused, or ErrUnavailable. The broker keeps
	// data; the caller must not write to it afterwards.
	Publish(ctx context.Context, ch Channel, data []byte, opts PublishOptions) (Published, error)

	// History returns what came after since, oldest first, at most limit publications (0: none, just the head). It is
	// all or gap: Publications never has a hole, and when since cannot be continued from, Page.Gap says why. A zero
	// since asks for the oldest that is still held, which is never a gap. ErrUnavailable if the engine is out.
	History(ctx context.Context, ch Channel, since Position, limit int) (Page, error)

	// Follow starts the delivery of all channels of t to the Sink and returns the heads. Every publication after
	// these heads is delivered to the Sink, in order, and none before or at them. A tenant that is followed already is not
	// an error and the heads are again exact with regard to the Sink: they are read in the order of deliveries.
	Follow(ctx context.Context, t tenant.ID) (Heads, error)

	// Unfollow ends the delivery of t. A few publications may still come.
	Unfollow(t tenant.ID)

	// Run connects, delivers to sink, and reconnects by itself, until ctx ends; then it closes everything that it opened and
	// returns nil. It is called once. Publish and History may be called before and work as soon as the engine
	// answers.
	Run(ctx context.Context, sink Sink) error
}

// Sink is what a Broker delivers to: the hub of this node. Calls for one tenant never overlap. They must not block for
// long: the next message of the engine waits behind them.
type Sink interface {
	// Deliver takes the next publication of a followed tenant. For one channel the offsets rise by exactly 1 from the
	// heads of Follow on, unless Gap told otherwise.
	Deliver(p *Publication)

	// Gap says that publications of g.Channel may be missing, and that the next delivered one follows g.Position.
	Gap(g Gap)
}

// Gatherer is the extra ability of a Sink to take several publications before it does anything about them. An engine that has read
// many at once gives them to Gather and calls Flush behind the last, and before it waits for anything: what is then done at one go costs
// less than what is done in between.
type Gatherer interface {
	// Gather is Deliver, but the publication may be kept until Flush. The order is kept with regard to Deliver and Gap as well.
	Gather(p *Publication)

	// Flush delivers what was gathered, by whoever it was. It costs next to nothing if that is nothing.
	Flush()
}

// AsyncPublisher is the extra ability of a Broker to take in many publications without a goroutine for each: the doors
// through which the app pours use it.
type AsyncPublisher interface {
	// PublishAsync is Publish that does not wait. It never blocks; it calls done exactly once, from a goroutine of the
	// broker or before it returns, with what Publish would have answered, or with ErrOverloaded if its bounded queue
	// is full. Calls for one channel by one goroutine are stamped in their order. done must not block; nil is allowed.
	PublishAsync(ch Channel, data []byte, opts PublishOptions, done func(Published, error))
}

// BurstPublisher is an AsyncPublisher that delivers on the goroutine of its caller, and at one go what was published with
// PublishOptions.More, which costs less than in between.
type BurstPublisher interface {
	AsyncPublisher

	// Flush delivers what was published with PublishOptions.More, by whoever it was. It costs next to nothing if that is nothing.
	Flush()
}

// EpochTurner is the extra ability of a Broker to declare that something may be missing in channels, so that every
// reader is told: those who follow now by Sink.Gap, those who come back later by the gap in the answer to their position.
type EpochTurner interface {
	// TurnEpoch gives ch a new epoch, in which nothing was published yet. A Channel without a name means all channels of
	// its tenant, those that never had a publication included.
	TurnEpoch(ctx context.Context, ch Channel, cause GapCause) error

	// TurnAll does it for every tenant that the engine knows, some at a time, so that their readers do not come back all
	// at once. What it has done before an error stays done, and it may be called again.
	TurnAll(ctx context.Context, cause GapCause) error
}

// Snapshotter is the extra ability of a Broker to keep the newest publication of each key, in the channels whose pattern asks for it.
type Snapshotter interface {
	// Snapshot returns the newest publication of each key of ch, in the order of their offsets, and the position at which they
	// are the newest. At most [MaxSnapshotKeys] keys and about [MaxSnapshotBytes] of data are kept; beyond that those that were
	// not published for the longest are let go, and so are those that are older than the channel's history. A new epoch begins
	// without any. It is empty for a channel that keeps none. ErrUnavailable if the engine is out.
	Snapshot(ctx context.Context, ch Channel) (Snapshot, error)
}

// Snapshot is what a Snapshotter answers.
type Snapshot struct {
	Head         Position
	Publications []Publication
}

// The bounds of one channel's snapshot. A kitchen cooks a dozen productions a day; a thousand of 1 KB are a megabyte, and another
// one is for those that are larger. An engine may keep a tenth less.
const (
	MaxSnapshotKeys  = 1000
	MaxSnapshotBytes = 2 << 20
)

// Health is the extra ability of a Broker to say whether its engine can be reached.
type Health interface {
	// Ready returns nil, or what is wrong in words for an operator, without secrets. It does no I/O.
	Ready() error
}

// Retention says how much history a channel keeps. The zero value keeps none; offsets still count.
type Retention struct {
	Size int           // publications at most
	Age  time.Duration // older ones are not handed out; zero with Size > 0 is an error of configuration
}

// DefaultRetention is what a channel keeps when its pattern does not say otherwise. 500 publications are two days of
// a kitchen that enters by hand (240 a day) and an hour of one with probes; 24 h is one serving day.
var DefaultRetention = Retention{Size: 500, Age: 24 * time.Hour}
