package gateway

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"kentongan/auth"
	"kentongan/internal/answer"
	"kentongan/internal/clientip"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// Quotas bound what one kitchen, one person and one address take. A zero is no bound. What kitchens and people have on other nodes counts
// as far as [Gateway.SetElsewhere] has said it; addresses are counted on this node alone.
//
// Addresses are counted only where they tell somebody apart from all others: not those of private networks and this machine, for a proxy
// that is not in Options.Proxies has one, and so has everybody behind it; nor those of the proxies themselves. Of IPv6 the
// network of 64 bits counts, which is what one customer has.
type Quotas struct {
	PerTenant  int // connections of one kitchen; servers with a key for all kitchens belong to none
	PerUser    int // connections of one user of a kitchen; servers are not counted
	PerAddress int // connections from one address

	// UpgradeRate is how many WebSockets and event streams one address may ask for in a second, whether they are let in or not: each
	// costs the check of a credential. Those of ten seconds may come at once, as when a line comes back.
	UpgradeRate int
}

// upgradeBurst is how many seconds' worth of upgrades may come at once.
const upgradeBurst = 10 * time.Second

// The reasons for which a connection is refused that would be one too many, as in Stats.Denied.
const (
	goesAway    = "draining"
	fullNode    = "full"
	fullTenant  = "tenant-full"
	fullUser    = "user-full"
	fullAddress = "address-full"
	tooOften    = "upgrade-rate"
	badProxy    = "bad-proxy-header"
	badTLS      = "tls-handshake"
)

// Reasons lists the words of Stats.Denied that are about limits and connections, so that their series can begin with 0.
func Reasons() []string {
	return []string{goesAway, fullNode, fullTenant, fullUser, fullAddress, tooOften, badProxy, badTLS}
}

// Person is one user of one kitchen.
type Person struct {
	Tenant  tenant.ID
	Subject string
}

// Seats is how many sessions kitchens and people have.
type Seats struct {
	Tenants map[tenant.ID]int
	People  map[Person]int
}

// seats counts the sessions by whose they are. Only what has a bound is counted. The gateway's lock guards it.
//
// There is a user for each connection or so, so users are counted by a hash of 64 bits, which is a fifth of their names with kitchen. Of a
// million users two share their seats with a probability of one in 30 million, and nobody who does not know the seed can bring that about.
type seats struct {
	tenants   map[tenant.ID]int
	users     map[uint64]int32
	people    map[Person]struct{} // who has so much of his bound that other nodes are told of it: they are few, and told by name
	addresses map[netip.Addr]int
	seed      maphash.Seed // of users
	elsewhere Seats        // on other nodes, as far as it is known; not changed
}

// newSeats returns seats that are all free.
func newSeats() seats { return seats{seed: maphash.MakeSeed()} }

// user returns as what somebody is counted.
func (q *seats) user(who Person) uint64 { return maphash.Comparable(q.seed, who) }

// worthTelling is the part of a bound from which on other nodes are told of it, one of so many: what is below is much to tell and
// little to count.
const worthTelling = 16

// Seats returns what kitchens and people have on this node, of those that have a sixteenth of their bound or more.
func (g *Gateway) Seats() Seats {
	g.mu.Lock()
	defer g.mu.Unlock()
	told := Seats{Tenants: map[tenant.ID]int{}, People: map[Person]int{}}
	for t, n := range g.seats.tenants {
		if n >= g.opts.Quotas.PerTenant/worthTelling {
			told.Tenants[t] = n
		}
	}
	for who := range g.seats.people {
		told.People[who] = int(g.seats.users[g.seats.user(who)])
	}
	return told
}

// SetElsewhere says what they have on other nodes; it counts from now on. s must not be changed any more.
func (g *Gateway) SetElsewhere(s Seats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seats.elsewhere = s
}

// take counts one more session, or says whose seats are all taken.
func (q *seats) take(limits Quotas, who *auth.Identity, address netip.Addr) (full string) {
	at := Person{who.Tenant, who.Subject}
	kitchen, user := limits.PerTenant > 0 && who.Tenant != tenant.Global, limits.PerUser > 0 && !who.Server
	from := limits.PerAddress > 0 && address.IsValid()
	switch {
	case kitchen && q.tenants[who.Tenant]+q.elsewhere.Tenants[who.Tenant] >= limits.PerTenant:
		return fullTenant
	case user && int(q.users[q.user(at)])+q.elsewhere.People[at] >= limits.PerUser:
		return fullUser
	case from && q.addresses[address] >= limits.PerAddress:
		return fullAddress
	}
	if kitchen {
		count(&q.tenants, who.Tenant, 1)
	}
	if user {
		q.countUser(limits, at, 1)
	}
	if from {
		count(&q.addresses, address, 1)
	}
	return ""
}

// giveBack is the opposite of take.
func (q *seats) giveBack(limits Quotas, who *auth.Identity, address netip.Addr) {
	if limits.PerTenant > 0 && who.Tenant != tenant.Global {
		count(&q.tenants, who.Tenant, -1)
	}
	if limits.PerUser > 0 && !who.Server {
		q.countUser(limits, Person{who.Tenant, who.Subject}, -1)
	}
	if limits.PerAddress > 0 && address.IsValid() {
		count(&q.addresses, address, -1)
	}
}

// countUser is count of one more session of somebody, or of one less.
func (q *seats) countUser(limits Quotas, who Person, n int32) {
	key := q.user(who)
	count(&q.users, key, n)
	if has := int(q.users[key]); has == 0 || has < limits.PerUser/worthTelling {
		delete(q.people, who)
		return
	}
	if q.people == nil {
		q.people = map[Person]struct{}{}
	}
	q.people[who] = struct{}{}
}

// count adds n to what m has of key; what has come to nothing is forgotten.
func count[K comparable, N int | int32](m *map[K]N, key K, n N) { //nolint:gocritic // the first one makes the map
	if *m == nil {
		*m = map[K]N{}
	}
	if (*m)[key] += n; (*m)[key] == 0 {
		delete(*m, key)
	}
}

// client returns the address of who sent r. It is not valid if there is none, over a Unix socket for example.
func (g *Gateway) client(w http.ResponseWriter, r *http.Request) netip.Addr {
	var peer netip.Addr
	if short, ok := w.(*handshake); ok {
		peer = short.client
	} else if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = at.Addr()
	}
	if !peer.IsValid() {
		return peer
	}
	return g.opts.Proxies.Client(peer, r.Header)
}

// counted returns as what an address is counted; not valid: it is not.
func (g *Gateway) counted(client netip.Addr) netip.Addr {
	if !g.opts.Proxies.Tells(client) {
		return netip.Addr{}
	}
	if client.Is6() {
		if network, err := client.WithZone("").Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return client
}

// mayAsk charges an upgrade to the address that it comes from. It answers the refusal itself.
func (g *Gateway) mayAsk(w http.ResponseWriter, client netip.Addr) bool {
	address := g.counted(client)
	if !address.IsValid() {
		return true
	}
	wait := g.pace.take(address, g.clock())
	if wait == 0 {
		return true
	}
	g.stats.deny(tooOften)
	answer.Later(w, http.StatusTooManyRequests, string(protocol.ErrRateLimited),
		fmt.Sprintf("this address opens more than %d connections a second", g.opts.Quotas.UpgradeRate), wait)
	return false
}

// refuseSeat answers whoever would be one too many.
func (g *Gateway) refuseSeat(w http.ResponseWriter, full string) {
	g.stats.deny(full)
	limits := g.opts.Quotas
	var most int
	var whose string
	switch full {
	case fullTenant:
		most, whose = limits.PerTenant, "kitchen"
	case fullUser:
		most, whose = limits.PerUser, "user"
	case fullAddress:
		most, whose = limits.PerAddress, "address"
	case goesAway:
		answer.Later(w, http.StatusServiceUnavailable, string(protocol.ErrUnavailable), "this server is going away; try again", retryAfter)
		return
	default:
		answer.Later(w, http.StatusServiceUnavailable, string(protocol.ErrFull), "this server takes no more connections now", retryAfter)
		return
	}
	answer.Later(w, http.StatusTooManyRequests, string(protocol.ErrTooManyConnections),
		fmt.Sprintf("this %s may have %d connections, and has them", whose, most), retryAfter)
}

// pace bounds how often addresses come: a bucket for each, which is forgotten when it is full again.
type pace struct {
	every time.Duration // one more upgrade; zero: no bound

	mu    sync.Mutex
	full  map[netip.Addr]time.Duration // when the bucket is full again, as Gateway.clock
	swept time.Duration
}

// maxPaced is how many addresses are remembered: 4 MB at most. With more that came within the last seconds, the newest are let pass: a
// flood from so many addresses is none that counting them could stop.
const maxPaced = 64 << 10

// take takes one upgrade out of the bucket of an address, and returns zero; or nothing, and after how long there is one again.
func (p *pace) take(address netip.Addr, now time.Duration) (wait time.Duration) {
	if p.every == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full, known := p.full[address]
	if full = max(full, now) + p.every; full-now > upgradeBurst {
		return full - now - upgradeBurst
	}
	if !known && len(p.full) >= maxPaced {
		p.sweep(now)
		if len(p.full) >= maxPaced {
			return 0
		}
	}
	if p.full == nil {
		p.full = map[netip.Addr]time.Duration{}
	}
	p.full[address] = full
	return 0
}

// sweep forgets the buckets that are full, at most once a second.
func (p *pace) sweep(now time.Duration) {
	if p.swept > 0 && now-p.swept < time.Second {
		return
	}
	p.swept = now
	for address, full := range p.full {
		if full <= now {
			delete(p.full, address)
		}
	}
}

// fromProxy reports whether a connection from peer begins with a header of the PROXY protocol.
func (g *Gateway) fromProxy(peer netip.Addr) bool {
	return len(g.opts.ProxyPeers) > 0 && peer.IsValid() && clientip.Within(g.opts.ProxyPeers, peer)
}
