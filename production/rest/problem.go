package rest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"kentongan/auth"
	"kentongan/production"
)

// Problem is what is answered instead of what was asked for, by RFC 9457 (application/problem+json).
//
//nolint:errname // it is what RFC 9457 calls it
type Problem struct {
	Type   string `json:"type"`             // where the code is explained
	Title  string `json:"title"`            // what the code means
	Status int    `json:"status"`           // of HTTP
	Detail string `json:"detail,omitempty"` // what is wrong this time
	Code   string `json:"code"`             // stable, made for programs

	Unmet   []string    `json:"unmet,omitempty"`
	Errors  []FieldFlaw `json:"errors,omitempty"`
	Current int64       `json:"currentVersion,omitempty"`

	retryAfter int // seconds; 0: that would change nothing
}

// FieldFlaw says what is wrong with one field.
type FieldFlaw struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="kentongan"`) // RFC 9110 wants one with every 401
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// The codes of this package; those of refusals are production's.
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeNoTenant        = "NO_TENANT"
	codeOrigin          = "ORIGIN_NOT_ALLOWED"
	codeTokenInQuery    = "TOKEN_IN_QUERY" //nolint:gosec // a code, not a token
	codeTooMany         = "TOO_MANY_ATTEMPTS"
	codeUnavailable     = "UNAVAILABLE"
	codeTimeout         = "TIMEOUT"
	codeBadRequest      = "BAD_REQUEST"
	codeTooLarge        = "TOO_LARGE"
	codeMediaType       = "UNSUPPORTED_MEDIA_TYPE"
	codeMethod          = "METHOD_NOT_ALLOWED"
	codeInternal        = "INTERNAL"
)

// retrySeconds is after how long a store that was out is worth another try: longer than a restart of a database's connection,
// shorter than anybody at a tablet waits.
const retrySeconds = 2

// statuses is the only place where an error becomes a status. Errors that carry no code of their own get the one of their row.
var statuses = []struct {
	err    error
	status int
	code   string
	detail string // empty: the error's own sentence, which was made for who asked
}{
	{production.ErrNotFound, http.StatusNotFound, string(production.CodeNotFound), "no such thing in this kitchen"},
	{production.ErrInvalid, http.StatusUnprocessableEntity, string(production.CodeInvalid), ""},
	{production.ErrForbidden, http.StatusForbidden, string(production.CodeForbidden), "this role may not do that"},
	{production.ErrConflict, http.StatusConflict, string(production.CodeVersionConflict), "somebody else was quicker: load it again"},
	{production.ErrRefused, http.StatusConflict, string(production.CodeGuards), ""},
	{production.ErrKeyReused, http.StatusUnprocessableEntity, string(production.CodeKeyReused),
		"this Idempotency-Key was used with another change"},
	{production.ErrUnavailable, http.StatusServiceUnavailable, codeUnavailable,
		"the records cannot be reached now; send it again with the same Idempotency-Key"},
	{auth.ErrNoCredential, http.StatusUnauthorized, codeUnauthenticated, unauthenticated},
	{auth.ErrBadCredential, http.StatusUnauthorized, codeUnauthenticated, unauthenticated},
	{auth.ErrExpired, http.StatusUnauthorized, codeUnauthenticated, unauthenticated},
	{auth.ErrRevoked, http.StatusUnauthorized, codeUnauthenticated, unauthenticated},
	{auth.ErrNoTenant, http.StatusForbidden, codeNoTenant, "this account belongs to no kitchen"},
	{auth.ErrOrigin, http.StatusForbidden, codeOrigin, "pages of this origin may not ask here"},
	{auth.ErrForbidden, http.StatusForbidden, string(production.CodeForbidden), "this account may not do that"},
	{auth.ErrTokenInQuery, http.StatusBadRequest, codeTokenInQuery,
		"a token may not stand in the address: use the Authorization header, or buy a ticket with POST /api/ticket"},
	{auth.ErrTooManyGuesses, http.StatusTooManyRequests, codeTooMany, "too many wrong credentials came from your address: wait a minute"},
	{auth.ErrUnavailable, http.StatusServiceUnavailable, codeUnavailable, "the credential cannot be checked just now; try again"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, codeTimeout,
		"that took too long and may or may not have happened; send it again with the same Idempotency-Key"},
	{context.Canceled, http.StatusServiceUnavailable, codeTimeout, "the request was given up"},
}

// unauthenticated is one text for everything that is a 401, as in package auth.
const unauthenticated = "sign in: the request brought no valid credential"

// titles explain the codes; /docs and docs/rest.md list them.
var titles = map[string]string{
	string(production.CodeNotFound):        "Not found, or not of this kitchen",
	string(production.CodeInvalid):         "A field is wrong",
	string(production.CodeForbidden):       "The role has no right to this",
	string(production.CodePINRequired):     "A shared tablet has to say who stands there",
	string(production.CodePINWrong):        "The PIN is wrong",
	string(production.CodePINLocked):       "Too many wrong PINs",
	string(production.CodeVersionConflict): "Somebody else has changed it",
	string(production.CodeKeyReused):       "The idempotency key was used with another change",
	string(production.CodeGuards):          "The batch does not fulfil what this step asks",
	string(production.CodeNoSuchStep):      "There is no such step",
	string(production.CodeFinal):           "The batch is final",
	string(production.CodeWrongStatus):     "Not in this status",
	string(production.CodeProgressFalls):   "Progress falls on rework only",
	string(production.CodeTooManyPhotos):   "The batch has as many photos as it can have",
	string(production.CodeClockRestarts):   "The four hours never begin anew",
	string(production.CodeNotOurs):         "Another app keeps this batch",
	string(production.CodeAlertClosed):     "The alert is resolved already",
	codeUnauthenticated:                    "Not signed in",
	codeNoTenant:                           "The account belongs to no kitchen",
	codeOrigin:                             "Pages of this origin may not ask here",
	codeTokenInQuery:                       "A token stands in the address",
	codeTooMany:                            "Too many wrong credentials",
	codeUnavailable:                        "Out of reach just now",
	codeTimeout:                            "Took too long",
	codeBadRequest:                         "The request cannot be read",
	codeTooLarge:                           "Too large",
	codeMediaType:                          "This kind of body is not taken",
	codeMethod:                             "This path does not take that method",
	codeInternal:                           "Something went wrong here",
}

func problem(status int, code, detail string) *Problem {
	return &Problem{Type: docsPath + "#" + code, Title: titles[code], Status: status, Detail: detail, Code: code}
}

// invalid says that one field is wrong.
func invalid(path, reason string) *Problem {
	p := problem(http.StatusUnprocessableEntity, string(production.CodeInvalid), path+" "+reason)
	p.Errors = []FieldFlaw{{path, reason}}
	return p
}

// problemOf returns what the caller is told of err. What no row of the table knows is logged here, and the caller is told no more.
func (a *API) problemOf(ctx context.Context, operation string, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	for _, row := range statuses {
		if !errors.Is(err, row.err) {
			continue
		}
		p := problem(row.status, row.code, row.detail)
		if r, ok := errors.AsType[*production.Refusal](err); ok {
			p = problem(row.status, string(r.Code), r.Message)
			p.Unmet, p.Current = r.Unmet, r.Version
			for _, f := range r.Fields {
				p.Errors = append(p.Errors, FieldFlaw{f.Path, f.Reason})
			}
		}
		if guessed, ok := errors.AsType[*auth.TooManyGuessesError](err); ok {
			p.retryAfter = int(guessed.After/time.Second) + 1
		}
		if p.Status == http.StatusServiceUnavailable {
			p.retryAfter = retrySeconds
			if !errors.Is(err, context.Canceled) {
				a.opts.Log.WarnContext(ctx, "request not served", "operation", operation, "err", err)
			}
		}
		return p
	}
	a.opts.Log.ErrorContext(ctx, "request broken by a mistake of ours", "operation", operation, "err", err)
	return problem(http.StatusInternalServerError, codeInternal, "something went wrong here; it was logged")
}

// write answers with p where huma does not.
func write(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	maps.Copy(h, p.GetHeaders())
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body, err := json.Marshal(p)
	if err != nil {
		panic("rest: " + err.Error())
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// translate makes Problems of the errors that huma finds by itself: in parameters, and while it reads a body. It leaves out the
// values that it found, which may be anything.
func translate(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	switch e.Status {
	case http.StatusUnprocessableEntity:
		return flawed(e.Errors), nil
	case http.StatusRequestEntityTooLarge:
		return problem(e.Status, codeTooLarge, "a body may have "+strconv.Itoa(MaxBody)+" bytes at most"), nil
	case http.StatusRequestTimeout:
		return problem(e.Status, codeTimeout, "the body did not come in time"), nil
	case http.StatusBadRequest:
		return problem(e.Status, codeBadRequest, e.Detail), nil
	default:
		return problem(e.Status, codeInternal, "the request could not be read"), nil
	}
}

// flawed is a Problem with what huma found, in its order.
func flawed(details []*huma.ErrorDetail) *Problem {
	p := problem(http.StatusUnprocessableEntity, string(production.CodeInvalid), "")
	for _, d := range details {
		p.Errors = append(p.Errors, flawOf(d))
	}
	if len(p.Errors) > 0 {
		p.Detail = strings.TrimSpace(p.Errors[0].Path + " " + p.Errors[0].Reason)
	}
	return p
}

// flawOf says in our words what huma found. A field that is missing or unknown is named itself, and not what it should stand in.
func flawOf(d *huma.ErrorDetail) FieldFlaw {
	path := strings.TrimPrefix(strings.TrimPrefix(d.Location, "body"), ".")
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		name, _, _ = strings.Cut(name, " ")
		if path != "" {
			path += "."
		}
		return FieldFlaw{path + name, "is missing"}
	}
	if d.Message == validation.MsgUnexpectedProperty {
		return FieldFlaw{path, "is unknown; names are case-sensitive"}
	}
	return FieldFlaw{path, d.Message}
}
