package gateway

import (
	"net"
	"slices"
	"time"

	"kentongan/realtime/protocol"
)

// full says why nobody is let in now, whoever it is; empty: somebody is.
func (g *Gateway) full() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fullNow()
}

// fullNow is full with the lock held.
func (g *Gateway) fullNow() string {
	switch {
	case g.draining.Load():
		return goesAway
	case g.opts.MaxConnections > 0 && g.count >= g.opts.MaxConnections:
		return fullNode
	}
	return ""
}

// reserve makes room for s, unless the gateway is full or goes away, or the kitchen, the user or the address has all that it may have: then
// it says which. link or release must follow.
func (g *Gateway) reserve(s *session) (full string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if full = g.fullNow(); full != "" {
		return full
	}
	if full = g.seats.take(g.opts.Quotas, s.who.Load(), g.counted(s.client.addr())); full == "" {
		g.count++
	}
	return full
}

// release gives a reserved place back.
func (g *Gateway) release(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.freed(s)
}

// freed counts s as gone. The lock is held.
func (g *Gateway) freed(s *session) {
	g.count--
	g.seats.giveBack(g.opts.Quotas, s.who.Load(), g.counted(s.client.addr()))
}

// link puts s into the list, at its reserved place. It reports whether that is too late for a drain to see it there.
func (g *Gateway) link(s *session) (late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	late = g.draining.Load()
	g.ids++
	s.id = g.ids
	s.next = g.first
	if g.first != nil {
		g.first.prev = s
	}
	g.first = s
	return late
}

func (g *Gateway) remove(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		g.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	g.freed(s)
}

// leave lets nobody in any more, and returns the sessions of that moment, oldest first.
func (g *Gateway) leave() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining.Store(true)
	return g.listed()
}

// list returns the sessions of this moment, oldest first.
func (g *Gateway) list() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listed()
}

func (g *Gateway) listed() []*session {
	sessions := make([]*session, 0, g.count)
	for s := g.first; s != nil; s = s.next {
		sessions = append(sessions, s)
	}
	slices.Reverse(sessions)
	return sessions
}

// Connections returns how many sessions there are.
func (g *Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// Connection describes one session to an operator.
type Connection struct {
	Session   uint64        `json:"session"`
	Dialect   string        `json:"dialect"`
	Tenant    string        `json:"tenant"`
	User      string        `json:"user"`
	Role      string        `json:"role,omitempty"`
	Kind      string        `json:"credential"`
	Remote    string        `json:"remote"` // the client's address, also behind proxies that are trusted
	Connected time.Time     `json:"connected"`
	Expires   *time.Time    `json:"expires,omitempty"`
	Idle      time.Duration `json:"idleNs"` // since the last frame came
	Queued    int           `json:"queuedBytes"`
	Channels  []string      `json:"channels"`
}

// Filter chooses sessions; what is empty chooses all.
type Filter struct {
	Session uint64
	Tenant  string
	User    string
	Dialect string
	Channel string // that it follows by name, as it is spelled in Redis
	Remote  string // an address; without a port those of all ports
}

// Empty reports whether f chooses all sessions.
func (f Filter) Empty() bool { return f == Filter{} }

// has reports whether f chooses c.
func (f Filter) has(c *Connection) bool {
	remote := c.Remote
	if host, _, err := net.SplitHostPort(c.Remote); err == nil && f.Remote == host {
		remote = host
	}
	return (f.Session == 0 || f.Session == c.Session) && (f.Tenant == "" || f.Tenant == c.Tenant) && (f.User == "" || f.User == c.User) &&
		(f.Dialect == "" || f.Dialect == c.Dialect) && (f.Remote == "" || f.Remote == remote) &&
		(f.Channel == "" || slices.Contains(c.Channels, f.Channel))
}

// List describes at most limit of the sessions that f chooses, oldest first.
func (g *Gateway) List(f Filter, limit int) []Connection {
	connections := []Connection{}
	for _, s := range g.list() {
		if len(connections) == limit {
			break
		}
		if f.Tenant != "" && string(s.who.Load().Tenant) != f.Tenant {
			continue // most of them, and cheaper than to describe them
		}
		if c := s.describe(); f.has(&c) {
			connections = append(connections, c)
		}
	}
	return connections
}

// Kick closes the sessions that f chooses, and returns how many those were. Their clients come back by themselves: who shall not needs a
// revocation.
func (g *Gateway) Kick(f Filter) (n int) {
	for _, s := range g.list() {
		if c := s.describe(); f.has(&c) {
			s.close(protocol.CloseDrain, "")
			n++
		}
	}
	return n
}

func (s *session) describe() Connection {
	who := s.who.Load()
	remote := "none" // a Unix socket, or a pipe
	if from := s.client.addr(); from.IsValid() {
		remote = from.String()
	}
	c := Connection{
		Session: s.id, Dialect: s.dialect.String(), Tenant: string(who.Tenant), User: who.Subject, Role: who.Role,
		Kind: who.Kind.String(), Remote: remote, Connected: s.gw.start.Add(s.came), Channels: []string{},
	}
	if !who.Expires.IsZero() {
		at := who.Expires.Time()
		c.Expires = &at
	}
	if s.dialect != protocol.SSE {
		c.Idle = s.gw.awake() - time.Duration(s.lastRead.Load())
	}
	c.Queued = s.conn.Queued()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		name := sub.Wire()
		if name == "" {
			name = "all of " + string(sub.Channel().Tenant)
		}
		c.Channels = append(c.Channels, name)
	}
	return c
}
