package auth

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"kentongan/internal/answer"
	"kentongan/tenant"
)

// retryRevoke is when to send a revocation again that did not reach all nodes.
const retryRevoke = time.Second

// RevokeHandler answers POST /api/revoke, whose body is a Revocation. API keys may use it, those of one kitchen for that kitchen, and
// people with a revoke role (PLATFORM_SUPERADMIN).
//
// announce takes the Revocation to every node, this one included, and returns when that is on its way; its error becomes 503.
// With a nil announce it is only added to the list of this node.
func (a *Authenticator) RevokeHandler(announce func(context.Context, Revocation) error) http.Handler {
	if announce == nil {
		announce = func(_ context.Context, r Revocation) error { return a.revocations.Add(r) }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !onlyPost(w, r) {
			return
		}
		id, err := a.Admit(r.Context(), r)
		if err != nil {
			a.deny(w, r, err)
			return
		}
		if !id.Server && !slices.Contains(a.revokeRoles, id.Role) {
			a.deny(w, r, fmt.Errorf("revoke with role %q: %w", id.Role, ErrForbidden))
			return
		}
		revocation, ok := readRevocation(w, r)
		if !ok {
			return
		}
		if revocation, err = revocation.boundTo(id); err != nil {
			a.deny(w, r, err)
			return
		}
		if err := revocation.notAhead(a.now()); err != nil {
			answer.Error(w, http.StatusUnprocessableEntity, "bad_revocation", err.Error())
			return
		}
		if err := announce(r.Context(), revocation); err != nil {
			a.log.ErrorContext(r.Context(), "revocation not announced", "tenant", revocation.Tenant, "err", err)
			answer.Later(w, http.StatusServiceUnavailable, "revoke_unavailable",
				"The revocation did not reach all nodes. Send it again.", retryRevoke)
			return
		}
		a.audit.InfoContext(r.Context(), "revoked", "by", id, "sub", revocation.Subject, "tenant", revocation.Tenant,
			"issued_before", revocation.IssuedBefore)
		answer.JSON(w, http.StatusOK, success{true, revocation})
	})
}

// readRevocation reads the body of r, or answers what is wrong with it.
func readRevocation(w http.ResponseWriter, r *http.Request) (Revocation, bool) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		answer.Error(w, http.StatusUnsupportedMediaType, "unsupported_media_type", "Send application/json.")
		return Revocation{}, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRevocationBytes))
	if err != nil {
		answer.Error(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("Send at most %d bytes.", maxRevocationBytes))
		return Revocation{}, false
	}
	revocation, err := ParseRevocation(body)
	if err != nil {
		answer.Error(w, http.StatusUnprocessableEntity, "bad_revocation", err.Error())
		return Revocation{}, false
	}
	return revocation, true
}

// boundTo keeps a key of one kitchen to that kitchen.
func (r Revocation) boundTo(id *Identity) (Revocation, error) {
	if !id.Server || id.Tenant == tenant.Global {
		return r, nil
	}
	if r.Tenant == tenant.Global {
		r.Tenant = id.Tenant
	}
	if r.Tenant != id.Tenant {
		return r, fmt.Errorf("revoke in another kitchen: %w", ErrForbidden)
	}
	return r, nil
}
