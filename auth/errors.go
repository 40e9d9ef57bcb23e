package auth

import (
	"errors"
	"net/http"

	"kentongan/internal/answer"
)

// The reasons for which somebody is turned away. Every error of this package wraps one of them.
var (
	ErrNoCredential   = errors.New("no credential")
	ErrBadCredential  = errors.New("bad credential")         // forged, damaged, of an unknown key, or not understood
	ErrExpired        = errors.New("credential has expired") // was good once
	ErrRevoked        = errors.New("credential was revoked")
	ErrNoTenant       = errors.New("credential names no kitchen")  // and has no platform role either
	ErrOrigin         = errors.New("origin is not allowed")        // see CheckOrigin
	ErrForbidden      = errors.New("not allowed to this identity") // known, but without the right
	ErrTokenInQuery   = errors.New("token in the query string")    // it would end in logs; a ticket may
	ErrTooManyGuesses = errors.New("too many wrong credentials came from this address")
	ErrUnavailable    = errors.New("the credential cannot be checked just now") // keys or tickets out of reach
)

// denial is one row of the table that turns an error into an answer.
type denial struct {
	err     error
	reason  string // for metrics and logs
	status  int
	code    string // for the client
	message string
}

// unauthenticated is one text for everything that is a 401: who tries tokens learns nothing from the answer, and an
// honest client has to do the same in all cases.
const unauthenticated = "Sign in: the request brought no valid credential."

// denials is the only place where an error of this package becomes a status, a metric label or a text for a client.
var denials = []denial{
	{ErrNoCredential, "no_credential", http.StatusUnauthorized, "unauthenticated", unauthenticated},
	{ErrBadCredential, "bad_credential", http.StatusUnauthorized, "unauthenticated", unauthenticated},
	{ErrExpired, "expired", http.StatusUnauthorized, "unauthenticated", unauthenticated},
	{ErrRevoked, "revoked", http.StatusUnauthorized, "unauthenticated", unauthenticated},
	{ErrNoTenant, "no_tenant", http.StatusForbidden, "no_tenant", "This account belongs to no kitchen (SPPG)."},
	{ErrOrigin, "origin", http.StatusForbidden, "origin_not_allowed", "Pages of this origin may not connect here."},
	{ErrForbidden, "forbidden", http.StatusForbidden, "forbidden", "This account may not do that."},
	{ErrTokenInQuery, "token_in_query", http.StatusBadRequest, "token_in_query",
		"A token may not stand in the address. Use the Authorization header, or buy a ticket with POST /api/ticket."},
	{ErrTooManyGuesses, "too_many_guesses", http.StatusTooManyRequests, "too_many_attempts",
		"Too many wrong credentials came from your address. Wait a minute."},
	{ErrUnavailable, "unavailable", http.StatusServiceUnavailable, "auth_unavailable",
		"The credential cannot be checked just now. Try again."},
}

// ReasonOther is the Reason of errors that are not of this package.
const ReasonOther = "other"

// Reason returns a stable word for err, one of [Reasons]; "" for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if d := find(err); d != nil {
		return d.reason
	}
	return ReasonOther
}

// Reasons returns all words that [Reason] can return, so that a metric can show each of them from the start.
func Reasons() []string {
	all := make([]string, 0, len(denials)+1)
	for _, d := range denials {
		all = append(all, d.reason)
	}
	return append(all, ReasonOther)
}

// Status returns the HTTP status for err: 500 for errors that are not of this package, 200 for nil.
func Status(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if d := find(err); d != nil {
		return d.status
	}
	return http.StatusInternalServerError
}

// Deny answers a request that was turned away with err. All 401 answers are the same to the byte.
func Deny(w http.ResponseWriter, err error) {
	d := find(err)
	if d == nil {
		answer.Error(w, http.StatusInternalServerError, "internal", "Something went wrong here.")
		return
	}
	if d.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="kentongan"`) // RFC 9110 wants one with every 401
	}
	if guessed, ok := errors.AsType[*TooManyGuessesError](err); ok {
		answer.RetryAfter(w, guessed.After)
	}
	if d.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer.Error(w, d.status, d.code, d.message)
}

// find returns the row for err, or nil.
func find(err error) *denial {
	for i := range denials {
		if errors.Is(err, denials[i].err) {
			return &denials[i]
		}
	}
	return nil
}

// rank orders errors of several cookies by how much they say; the one that says most is returned.
func rank(err error) int {
	for i, sentinel := range []error{ErrNoTenant, ErrRevoked, ErrExpired, ErrBadCredential} {
		if errors.Is(err, sentinel) {
			return 10 - i
		}
	}
	return 0
}
