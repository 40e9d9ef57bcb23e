package shared

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"
)

// Options say where Redis is. The zero value of what is not the address is what the app has.
type Options struct {
	Network  string // "tcp" or "unix"; empty means tcp
	Address  string // host:port, or the path of a socket; of a Cluster one node, or several with commas between them
	Username string
	Password string
	DB       int
	TLS      *tls.Config // nil: none

	// Sentinels are asked for the primary, whose name is SentinelName; then Address is not used.
	Sentinels        []string
	SentinelName     string
	SentinelUsername string
	SentinelPassword string
	SentinelTLS      *tls.Config

	// Cluster says that Address is a node of a Redis Cluster. No act needs two keys of one slot there; the sets of tags, which only
	// the app reads, are not kept, for the app knows no Cluster. Changes are not listened to, so that memory only answers for the
	// bound after each read.
	Cluster bool

	ConnectTimeout time.Duration // zero means 10 s
	CommandTimeout time.Duration // zero means 5 s
	Retries        int           // of a read whose connection broke; zero means 3

	Prefixes []string // of the names whose changes are told

	MaxFields int // of the epochs of a tenant, before they are folded into one; zero means 1,000

	Log *slog.Logger // nil discards
}

func (o Options) withDefaults() (Options, error) {
	if o.Network == "" {
		o.Network = "tcp"
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	if o.CommandTimeout == 0 {
		o.CommandTimeout = 5 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.MaxFields == 0 {
		o.MaxFields = 1000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Address == "" && len(o.Sentinels) == 0:
		return o, fmt.Errorf("redis of the cache: no address; set Address or Sentinels")
	case len(o.Sentinels) > 0 && o.SentinelName == "":
		return o, fmt.Errorf("redis of the cache: Sentinels without the name of the primary; set SentinelName")
	case o.Cluster && o.DB != 0:
		return o, fmt.Errorf("redis of the cache: a Cluster has only database 0; DB is %d", o.DB)
	}
	return o, nil
}
