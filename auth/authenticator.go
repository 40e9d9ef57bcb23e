package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"kentongan/internal/access"
)

// The platform roles of the app, whose holders belong to no kitchen.
const (
	RoleSuperadmin = "PLATFORM_SUPERADMIN"
	RoleSupport    = "PLATFORM_SUPPORT"
)

// minHMACBytes is the shortest key for HS256: RFC 7518 §3.2 wants one as long as the hash.
const minHMACBytes = 32

// Options says which credentials are accepted. What is not set is off; the zero value lets nobody in.
type Options struct {
	SessionSecrets []string // AUTH_SECRET and its like, verbatim, in the app's order; all are tried
	SessionCookie  string   // a cookie name beside the four usual ones; it is the salt of its tokens
	Claims         ClaimPaths
	PlatformRoles  []string // may look into any kitchen; nil means RoleSuperadmin and RoleSupport
	RevokeRoles    []string // may use RevokeHandler; nil means RoleSuperadmin

	JWTSecret     string            // key of HS256 tokens, as bearer or in the session cookie; at least 32 bytes
	JWKSURL       string            // public keys of other tokens; https, or http on this machine
	JWKSTransport http.RoundTripper // nil: own connections, the proxy of the environment
	Issuer        string            // if set, bearer JWTs must have it as iss
	Audience      string            // if set, bearer JWTs must have it in aud

	APIKeys           []APIKey
	SocketTokenSecret string // switches the app's own socket token on; its key, at least MinSecretBytes

	AllowedOrigins []string // scheme://host[:port] each; empty: only pages of the host that the request names

	// Client tells the address of who sent a request, for the bound on guesses; one that is not valid is not counted. Nil: the peer of
	// the connection, unless that is on this machine or in a private network, where it is a proxy.
	Client func(*http.Request) netip.Addr

	Tickets     TicketStore  // nil: in this process, which serves one node
	Revocations *Revocations // nil: an own list, reached by Authenticator.Revocations

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil discards

	Audit *slog.Logger // of who revoked what; nil: Log
}

// LogValue leaves the secrets out, and with them everything: what is set is the business of config.
func (o Options) LogValue() slog.Value { return slog.StringValue("auth options") }

// Authenticator finds out who sent a request. It is safe for concurrent use.
type Authenticator struct {
	sessions      *sessions
	tree          *claimTree
	platformRoles []string
	revokeRoles   []string

	hmacKey          []byte
	jwks             *keySet
	issuer, audience string

	keys      apiKeys
	socketKey []byte

	origins map[origin]bool

	tickets     TicketStore
	ticketRate  *rate
	guesses     *guesses
	client      func(*http.Request) netip.Addr
	revocations *Revocations

	now   func() time.Time
	log   *slog.Logger
	audit *slog.Logger
}

// New checks all options, derives the session keys and does no I/O. Its error names every option that is wrong and holds
// no secret.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{
		platformRoles: o.PlatformRoles, revokeRoles: o.RevokeRoles,
		issuer: o.Issuer, audience: o.Audience,
		tickets: o.Tickets, revocations: o.Revocations, client: o.Client, now: o.Now, log: o.Log, audit: o.Audit,
	}
	a.setDefaults()
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for i, secret := range o.SessionSecrets {
		keep(checkSecret(fmt.Sprintf("session secret %d", i+1), secret, MinSecretBytes))
	}
	if o.JWTSecret != "" {
		keep(checkSecret("JWT secret", o.JWTSecret, minHMACBytes))
		a.hmacKey = []byte(o.JWTSecret)
	}
	if o.SocketTokenSecret != "" {
		keep(checkSecret("socket token secret", o.SocketTokenSecret, MinSecretBytes))
		a.socketKey = []byte(o.SocketTokenSecret)
	}
	var err error
	a.sessions, err = newSessions(o.SessionSecrets, o.SessionCookie)
	keep(err)
	a.tree, err = newClaimTree(o.Claims)
	keep(err)
	a.keys, err = newAPIKeys(o.APIKeys)
	keep(err)
	a.origins, err = parseOrigins(o.AllowedOrigins)
	keep(err)
	if o.JWKSURL != "" {
		a.jwks, err = newKeySet(o.JWKSURL, o.JWKSTransport, a.now, a.log)
		keep(err)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("auth options: %w", errors.Join(errs...))
	}
	return a, nil
}

func (a *Authenticator) setDefaults() {
	if a.platformRoles == nil {
		a.platformRoles = []string{RoleSuperadmin, RoleSupport}
	}
	if a.revokeRoles == nil {
		a.revokeRoles = []string{RoleSuperadmin}
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.audit == nil {
		a.audit = a.log
	}
	if a.tickets == nil {
		a.tickets = NewMemoryTickets(0)
	}
	if a.revocations == nil {
		a.revocations = NewRevocations(RevocationOptions{Now: a.now})
	}
	if a.client == nil {
		a.client = peerOf
	}
	a.guesses = newGuesses(a.now)
	a.ticketRate = newRate(ticketsPerLife, TicketLife, a.now)
}

// checkSecret refuses secrets that can be guessed: too short ones, and the one that the app falls back to when none is set.
func checkSecret(what, secret string, least int) error {
	switch {
	case secret == "default-secret":
		return fmt.Errorf("%s: is the well-known fallback of the app; set a random one", what)
	case len(secret) < least:
		return fmt.Errorf("%s: has %d bytes, want at least %d", what, len(secret), least)
	}
	return nil
}

// Revocations returns the list that a consults.
func (a *Authenticator) Revocations() *Revocations { return a.revocations }

// Authenticate returns who sent r, or an error that wraps one of this package's sentinels. A ticket is used up by it. It does
// not look at the Origin; [Authenticator.Admit] does both.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (*Identity, error) {
	id, err := a.authenticate(ctx, r)
	if err == nil {
		if note := access.From(ctx); note != nil {
			note.Identify(slog.String("tenant", string(id.Tenant)), slog.String("user", id.Subject))
		}
	}
	return id, err
}

func (a *Authenticator) authenticate(ctx context.Context, r *http.Request) (*Identity, error) {
	ticket, socketToken, err := a.fromQuery(r)
	if err != nil {
		return nil, err
	}
	token, bears := bearerToken(r.Header)
	if !bears && ticket == "" && socketToken == "" {
		return a.fromCookies(r)
	}
	return a.guarded(a.client(r), func() (*Identity, error) {
		switch {
		case bears:
			return a.fromBearer(ctx, token)
		case ticket != "":
			return a.fromTicket(ctx, ticket)
		}
		return a.fromSocketToken(socketToken)
	})
}

// Admit is Authenticate together with CheckOrigin: what every door that a browser can reach asks first.
func (a *Authenticator) Admit(ctx context.Context, r *http.Request) (*Identity, error) {
	named := len(r.Header["Origin"]) > 0
	if named {
		// A foreign page is turned away before its ticket is used up and before anything costs time.
		if err := a.CheckOrigin(r, KindSession); err != nil {
			return nil, err
		}
	}
	id, err := a.Authenticate(ctx, r)
	if err != nil {
		return nil, err
	}
	if !named { // then it depends on the credential
		if err := a.CheckOrigin(r, id.Kind); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// MayWait reports whether Authenticate may have to wait over r: for the store of tickets, or for public keys.
func (a *Authenticator) MayWait(r *http.Request) bool {
	if a.jwks != nil && len(r.Header["Authorization"]) > 0 {
		return true
	}
	ticket, _, err := a.fromQuery(r)
	return err == nil && ticket != ""
}

// fromQuery returns the ticket and the socket token in the address of r. Tickets are for what a page cannot give a header to,
// WebSocket and EventSource, and both are GET. Any other token in an address would end in logs, in the browser's history and
// in Referer headers, so it is an error even beside a good credential: whoever sends it should learn of it.
func (a *Authenticator) fromQuery(r *http.Request) (ticket, socketToken string, err error) {
	if r.URL == nil {
		return "", "", nil
	}
	raw := r.URL.RawQuery
	if !strings.Contains(raw, "%") && !strings.Contains(raw, "ticket") && !strings.Contains(raw, "token") {
		return "", "", nil // most requests; a percent sign may be one of these words in disguise
	}
	q := r.URL.Query()
	socketToken = firstOf(q["token"])
	if firstOf(q["access_token"]) != "" || socketToken != "" && a.socketKey == nil {
		return "", "", ErrTokenInQuery
	}
	if r.Method == http.MethodGet {
		ticket = firstOf(q["ticket"])
	}
	return ticket, socketToken, nil
}

// firstOf returns the first value that is not empty, or "".
func firstOf(values []string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
