package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"kentongan/internal/tracing"
	"kentongan/realtime"
)

// Options are the knobs of a Broker. The zero value is a Redis without password at 127.0.0.1:6379.
type Options struct {
	Network  string      // "tcp" or "unix"; empty means tcp
	Address  string      // host:port, or the path of a socket; empty means 127.0.0.1:6379. With Sentinels or Cluster it is not used
	Username string      // of Redis ACLs; empty: the default user
	Password string      // empty: none is sent
	DB       int         // database number; Pub/Sub does not know databases
	TLS      *tls.Config // nil: no TLS

	Sentinels        []string // host:port of each; none: Address is the primary
	SentinelName     string   // of the primary there; empty means mymaster
	SentinelUsername string
	SentinelPassword string
	SentinelTLS      *tls.Config // nil: no TLS

	// Cluster lists some nodes of a Redis Cluster, host:port of each; none: it is no Cluster. Address is not used then. All that is kept
	// is in one of its slots, and the node that has that is the primary.
	Cluster []string

	// Primary is shared by all that are made with these Options, so that they leave a primary that was replaced together. Nil:
	// each follows it by itself.
	Primary *Primary

	ConnectTimeout time.Duration // zero means 10 s
	CommandTimeout time.Duration // the longest that a call lasts, its retries included; zero means 5 s
	Retries        int           // repeats of a publish whose answer was lost; zero means 3, negative none

	Prefix string // of keys and Pub/Sub channels; empty means "kentongan:"

	Names *realtime.Names // says what each channel keeps; nil: the default patterns

	// SilenceLimit is after how long without a sign of life the subscribing connection is given up; it is pinged three times as
	// often. Zero means 2.8 s, which makes 3 s with the last look at it: a half-open link loses messages that Redis counts as delivered.
	SilenceLimit time.Duration

	// AnswerLimit is after how long without an answer a connection that asks or publishes is given up, and who publishes gets an error
	// instead. Zero means 2 s: long for a Redis that is well, and short for whoever waits.
	AnswerLimit time.Duration

	// GatherFor is the shortest time from one batch of publications to the next. Zero means 3 ms: at 4,000 messages a second it
	// halves the CPU for each and adds one and a half milliseconds on the average; who comes alone does not wait. Negative does not wait.
	GatherFor time.Duration

	// MaxTenantBytes is about how much the history of one kitchen may take in Redis, by what Redis says; 0: its channels' own bounds alone.
	// With more its largest channels lose their oldest publications, within seconds.
	MaxTenantBytes int64

	MaxDataBytes  int          // largest data of a publication; zero means realtime.DefaultMaxDataBytes
	MaxQueue      int          // publications that wait to be sent; zero means 65,536 (16 s of 4,000/s)
	MaxQueueBytes int          // their data; zero means 64 MiB
	Log           *slog.Logger // nil discards

	Traces *tracing.Tracer // has a span for each batch in which something is traced; nil: off

	// OnExtension is called with each extension that is announced anywhere. It must not block; nil ignores them.
	OnExtension func(payload []byte)

	// OnRevocation is called with each revocation: when it is announced anywhere, and with all that are remembered after
	// each connect. It must not block; nil ignores them.
	OnRevocation func(payload []byte)
}

// RevocationAge is how long revocations are remembered: 30 days, which is how long an Auth.js session lives.
const RevocationAge = 30 * 24 * time.Hour

var prefixGrammar = regexp.MustCompile(`^[A-Za-z0-9:._-]{1,64}$`)

func (o Options) withDefaults() (Options, error) {
	if o.Network == "" {
		o.Network = "tcp"
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:6379"
	}
	if o.SentinelName == "" {
		o.SentinelName = "mymaster"
	}
	if o.DB < 0 {
		return o, fmt.Errorf("database number %d", o.DB)
	}
	if len(o.Cluster) > 0 && (o.DB != 0 || len(o.Sentinels) > 0 || o.Network != "tcp") {
		return o, errors.New("a Cluster has only database 0, no Sentinels and no sockets of this machine")
	}
	setDefault(&o.ConnectTimeout, 10*time.Second)
	setDefault(&o.CommandTimeout, 5*time.Second)
	setDefault(&o.SilenceLimit, 2800*time.Millisecond)
	setDefault(&o.AnswerLimit, 2*time.Second)
	setDefault(&o.MaxDataBytes, realtime.DefaultMaxDataBytes)
	setDefault(&o.MaxQueue, 65_536)
	setDefault(&o.MaxQueueBytes, 64<<20)
	if o.GatherFor == 0 {
		o.GatherFor = 3 * time.Millisecond
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.Prefix == "" {
		o.Prefix = "kentongan:"
	}
	if !prefixGrammar.MatchString(o.Prefix) {
		return o, errors.New("prefix must be 1 to 64 of A-Z a-z 0-9 : . _ -")
	}
	if o.Names == nil {
		names, err := realtime.NewNames(realtime.DefaultPatterns())
		if err != nil {
			return o, err
		}
		o.Names = names
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Primary == nil {
		o.Primary = newPrimary(o)
	}
	return o, nil
}

func setDefault[N int | time.Duration](v *N, d N) {
	if *v <= 0 {
		*v = d
	}
}

// where names what is connected to, for people.
func (o Options) where() string {
	switch {
	case len(o.Cluster) > 0:
		return "Cluster of " + strings.Join(o.Cluster, ", ")
	case len(o.Sentinels) > 0:
		return o.SentinelName + " of " + strings.Join(o.Sentinels, ", ")
	}
	return o.Address
}

// LogValue keeps the password out of logs.
func (o Options) LogValue() slog.Value {
	return slog.GroupValue(slog.String("address", o.where()), slog.String("username", o.Username),
		slog.Bool("password", o.Password != ""), slog.Int("db", o.DB), slog.Bool("tls", o.TLS != nil))
}
