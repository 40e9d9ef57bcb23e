package config

import (
	"log/slog"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/schema"
	"kentongan/tenant"
)

// Config is all that can be set. It holds no pointers into anything shared: a copy may be changed. Printing it is safe,
// see [Secret].
type Config struct {
	Server      Server
	Redis       Redis
	Sentinels   Sentinels
	Cluster     []string // host:port of some nodes of a Redis Cluster; empty: it is none
	Auth        Auth
	Connections Connections
	Limits      Limits
	Edge        Edge
	Channels    Channels
	Cache       Cache
	Production  Production
	Log         Log
	Traces      Traces

	effective []effective // for Show: what Load found, in the order of the table
}

// Server says where and how HTTP is served.
type Server struct {
	Listen         string        // host:port of the public listener
	AdminListen    string        // host:port of metrics, pprof and the connection list; empty: off
	AdminToken     Secret        // what that listener asks for; empty: nothing, and it listens on this machine only
	RedisDoor      string        // host:port of the door that speaks the Redis protocol; empty: off
	DoorPass       []string      // API keys for which that door passes commands on to Redis: "name" or "name@tenant"
	DoorCommands   []string      // which it passes on, in capitals; all are in rediscmd
	PublicURL      string        // how browsers reach the public listener, without a slash at the end; empty: by the Host of each request
	AllowedOrigins []string      // as browsers spell them; empty: only pages of the same host
	TLSCert        string        // path of a PEM file; empty: no TLS. Set together with TLSKey
	TLSKey         string        // path of a PEM file
	DrainTime      time.Duration // how long a stop may take
	HeaderTimeout  time.Duration // how long a client may take for its request header
	IdleTimeout    time.Duration // how long a kept-alive HTTP connection without a request stays open
}

// Redis says how the app's Redis is reached.
type Redis struct {
	Network  string // "tcp", "unix", "sentinel" or "cluster"
	Address  string // host:port, the path of a socket, the name at the sentinels, or nodes of a Cluster; empty: the memory engine
	TLS      bool
	Username string
	Password Secret
	DB       int
}

// Enabled reports whether the redis engine is wanted.
func (r Redis) Enabled() bool { return r.Address != "" }

// Sentinels say where the primary is. Without Addresses there are none.
type Sentinels struct {
	Addresses []string // host:port
	Name      string   // of the primary
	Username  string
	Password  Secret
	TLS       bool
}

// Auth says which credentials are accepted.
type Auth struct {
	SessionSecrets    []Secret // of Auth.js and NextAuth, verbatim; the first is the one that new sessions are made with
	Cookie            string   // a name of the session cookie beside the four usual ones; may be empty
	Claims            Claims
	PlatformRoles     []string // roles that may look into every kitchen
	JWTSecret         Secret   // HS256; empty: such tokens are refused
	JWKSURL           string   // empty: tokens signed by public keys are refused
	JWTIssuer         string   // empty: not checked
	JWTAudience       string   // empty: not checked
	APIKeys           []APIKey
	SocketTokenSecret Secret // of the app's own HMAC token; empty: such tokens are refused
}

// HasSource reports whether anybody could be let in at all.
func (a Auth) HasSource() bool {
	return len(a.SessionSecrets) > 0 || a.JWTSecret != "" || a.JWKSURL != "" || len(a.APIKeys) > 0 || a.SocketTokenSecret != ""
}

// Claims are the paths of the claims that are read, with dots between the names: "user.sppgId".
type Claims struct {
	Subject  string
	Tenant   string
	Role     string
	UserType string
}

// APIKey lets one server in.
type APIKey struct {
	Name   string
	Tenant tenant.ID // tenant.Global: all kitchens
	Key    Secret
}

// Connections says how open connections are treated.
type Connections struct {
	Sockets          Sockets
	PingInterval     time.Duration // a peer that leaves two of them unanswered is gone
	Deflate          bool          // agree to permessage-deflate
	DeflateThreshold int           // bytes; a shorter publication is sent as it is
	BareResume       bool          // remember what bare clients have, by a cookie
}

// Limits bound what one client, one publisher and all together may take.
type Limits struct {
	Connections   int // open at once, on this node
	Subscriptions int // of one connection
	MessageBytes  int // largest message from a client
	PublishBytes  int // largest publication
	PublishRate   int // publications a second of one API key; 0: no limit
	BacklogBytes  int // that may wait for one slow connection before it is closed
	HistoryBytes  int // of the history of all kitchens together; memory engine only
}

// Channels says which names belong to which kitchen, and what they keep.
type Channels struct {
	Patterns          []realtime.Pattern // checked by realtime.NewNames, histories filled in
	ReportUnmatched   bool               // listen to all names of Redis, so that those that match no pattern can be listed
	MoneyFields       []string           // members of JSON objects that only roles with money rights get; nil: all get everything
	IntakeConnections int                // connections that hear plain PUBLISH: 1 or 2

	Validation schema.Mode   // of patterns that have a schema and say nothing else
	Rules      []schema.Rule // one for each of Patterns, in their order
}

// ruleOf returns the rule of a pattern; Off if there is none.
func (c *Channels) ruleOf(spelling string) schema.Rule {
	for _, r := range c.Rules {
		if r.Spelling == spelling {
			return r
		}
	}
	return schema.Rule{Spelling: spelling, Mode: schema.Off}
}

// Cache says what is kept of the app's cache.
type Cache struct {
	On         bool          // serve keeps one
	Bytes      int           // of entries in memory
	Bound      time.Duration // how long memory may answer with what others have changed
	Quarantine time.Duration // how long after an invalidation what the app writes is not trusted
	HoldOff    time.Duration // how far replicas lag that loads read from
}

// Log says how logs look.
type Log struct {
	Level  slog.Level
	Format LogFormat
	Access AccessLog
}

// AccessLog says of which requests a line is written.
type AccessLog string

// The access logs.
const (
	AccessOff    AccessLog = "off"
	AccessErrors AccessLog = "errors" // of those that failed
	AccessOn     AccessLog = "on"
)

// Sockets says what moves the bytes of connections.
type Sockets string

// The ways to move bytes.
const (
	SocketsAuto     Sockets = "auto"     // epoll where it can be, portable elsewhere
	SocketsEpoll    Sockets = "epoll"    // refuses to start where it cannot be
	SocketsPortable Sockets = "portable" // a goroutine for each connection
)

// LogFormat is how a line of the log is written.
type LogFormat string

// The formats of logs.
const (
	LogAuto LogFormat = "auto" // text on a terminal, else JSON
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)
