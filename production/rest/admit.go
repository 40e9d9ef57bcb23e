package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"kentongan/auth"
	"kentongan/production"
	"kentongan/tenant"
)

// Who is what every operation takes. (Exported because huma looks into exported fields only.)
type Who struct {
	Tenant string `query:"tenant" maxLength:"64" doc:"The kitchen to look into, for credentials that belong to none: platform roles, which may only read (each look is written into the kitchen's audit trail), and API keys for all kitchens. For all others it is their own kitchen."` //nolint:lll // a tag cannot be broken
	Ticket string `query:"ticket" doc:"A ticket of POST /api/ticket, for pages to which our cookies are not sent."`
}

// caller is who asks, about which kitchen.
type caller struct {
	tenant tenant.ID
	actor  production.Actor
	visits bool // the credential belongs to no kitchen
}

func (c *caller) role() production.Role { return c.actor.Role }

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	c, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		panic("rest: an operation was not admitted")
	}
	return c
}

// need says what an operation asks of who wants it: one of these rights.
type need struct {
	rights []production.Right

	// look is what the platform is written down to have looked at; empty for operations that write, where the Service writes
	// down everything.
	look string

	// self says that the operation is about no kitchen.
	self bool

	// timeout is how long it may take, if that is longer than the usual time.
	timeout time.Duration
}

// admit lets a request through to the next step if n is fulfilled, with its caller and a deadline in the context.
func (a *API) admit(n need) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		h := w.Header()
		h.Set("Cache-Control", "no-store") // answers are about one caller
		h.Set("X-Content-Type-Options", "nosniff")
		limited, cancel := context.WithTimeout(ctx.Context(), max(n.timeout, a.opts.Timeout))
		defer cancel()
		c, err := a.identify(limited, r, n)
		if err != nil {
			write(w, a.problemOf(limited, ctx.Operation().OperationID, err))
			return
		}
		next(huma.WithValue(huma.WithContext(ctx, limited), callerKey{}, c))
	}
}

func (a *API) identify(ctx context.Context, r *http.Request, n need) (*caller, error) {
	who, err := a.opts.Auth.Admit(ctx, r)
	if err != nil {
		return nil, err //nolint:wrapcheck // the table of problems knows it
	}
	c := &caller{tenant: who.Tenant, actor: production.Actor{User: who.Subject, Role: production.Role(who.Role)}}
	if who.Server {
		c.actor.Role = production.Server
	}
	asked := r.URL.Query()["tenant"]
	switch {
	case len(asked) > 1:
		return nil, invalid("query.tenant", "is there more than once: want one kitchen")
	case len(asked) == 1:
		t, err := tenant.Parse(asked[0])
		if err != nil {
			return nil, invalid("query.tenant", err.Error())
		}
		if !who.MaySee(t) {
			return nil, fmt.Errorf("kitchen %s: %w", t, production.ErrNotFound) // as if it did not exist
		}
		c.visits = c.tenant == tenant.Global
		c.tenant = t
	case c.tenant == tenant.Global && !n.self:
		return nil, invalid("query.tenant", "is missing: this credential belongs to no kitchen, so say which one to look into")
	}
	if !c.may(n.rights...) {
		return nil, fmt.Errorf("role %s: %w", c.actor.Role, production.ErrForbidden)
	}
	if n.look != "" && who.Platform && !n.self {
		if err := a.opts.Service.Looked(ctx, production.Request{Tenant: c.tenant, Actor: c.actor}, n.look); err != nil {
			return nil, fmt.Errorf("write down a look at %s: %w", n.look, err)
		}
	}
	return c, nil
}

// may reports whether the role has one of the rights.
func (c *caller) may(rights ...production.Right) bool {
	return slices.ContainsFunc(rights, c.actor.Role.May)
}

var _ Authenticator = (*auth.Authenticator)(nil)
