package rest

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/production"
)

// Write is what a change of a batch or alert takes, beside its body.
type Write struct {
	Key    string `header:"Idempotency-Key" maxLength:"255" doc:"A text that is new for each change, such as a UUID. The same key with the same change is answered with the first result, so that a change whose answer was lost can be sent again. Send one always."`                       //nolint:lll // a tag cannot be broken
	Device string `header:"Device-Time" maxLength:"40" doc:"What the clock of the device says while it sends the change, as RFC 3339 or in milliseconds since 1970. Send it with every takenAt: a clock that is wrong by more than five minutes is flagged, and guards go by the server's."` //nolint:lll // as above
	Seen
	Proof
}

// Seen is what an operation takes that overwrites something.
type Seen struct {
	IfMatch string `header:"If-Match" maxLength:"40" doc:"The version that the sender has seen, as the ETag of an answer. The field version of the body says the same. Another one than the stored is 409 VERSION_CONFLICT."` //nolint:lll // a tag cannot be broken
}

// Proof is what every operation takes that changes something.
type Proof struct {
	Person string `header:"Person-Id" maxLength:"128" doc:"Of a shared tablet: the id of the member of staff who stands there. Their rights count then, and the record names them."` //nolint:lll // a tag cannot be broken
	PIN    string `header:"Person-Pin" maxLength:"12" doc:"The PIN of Person-Id."`
}

// Entry is what every body of a change may have, beside the act itself.
type Entry struct {
	// Version is the version that the sender has seen.
	Version int64 `json:"version,omitempty"`

	// TakenAt is when it happened, by the clock of the device.
	TakenAt production.Instant `json:"takenAt,omitzero"`
}

func (e *Entry) entry() *Entry { return e }

// request makes the Request of a change.
func (in *Write) request(c *caller, e *Entry) (production.Request, error) {
	r, err := in.Proof.request(c)
	if err != nil {
		return r, err
	}
	r.Key, r.TakenAt = in.Key, e.TakenAt
	if r.Version, err = in.version(e.Version); err != nil {
		return r, err
	}
	r.DeviceNow, err = instant("header.Device-Time", in.Device)
	return r, err
}

// request makes the Request of somebody who changes something.
func (in *Proof) request(c *caller) (production.Request, error) {
	r := production.Request{Tenant: c.tenant, Actor: c.actor}
	switch {
	case in.Person == "" && in.PIN == "":
	case in.Person == "" || in.PIN == "":
		return r, invalid("header.Person-Pin", "and Person-Id come together: want both, or neither")
	default:
		r.PIN = &production.PIN{Person: in.Person, Digits: in.PIN}
	}
	return r, nil
}

// version returns the version that the sender has seen, by header or by body; 0: it does not say.
func (in *Seen) version(body int64) (int64, error) {
	if body < 0 {
		return 0, invalid("version", "want a version, a whole number above 0")
	}
	if in.IfMatch == "" {
		return body, nil
	}
	v, err := parseETag(in.IfMatch)
	if err != nil {
		return 0, err
	}
	if body != 0 && body != v {
		return 0, invalid("version", "is another one than If-Match: want one of them, or both the same")
	}
	return v, nil
}

// etag is the ETag of a version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// parseETag reads what etag writes. Proxies that compress answers mark their tags as weak; the version in it is as good.
func parseETag(text string) (int64, error) {
	inner := strings.TrimPrefix(text, "W/")
	if len(inner) > 2 && inner[0] == '"' && inner[len(inner)-1] == '"' {
		if v, err := strconv.ParseInt(inner[1:len(inner)-1], 10, 64); err == nil && v > 0 && etag(v) == inner {
			return v, nil
		}
	}
	return 0, invalid("header.If-Match", `want the ETag of an answer, such as "3"`)
}

// Changed is the answer to a change.
type Changed struct {
	Production *production.Production `json:"production,omitempty"`
	RowID      string                 `json:"rowId,omitempty"`
	Alert      *production.Alert      `json:"alert,omitempty"`
	Warnings   []production.Warning   `json:"warnings,omitempty"`
}

type changedOutput struct {
	ETag     string `header:"ETag" doc:"The version of the batch after the change."`
	Location string `header:"Location" doc:"Of what is new."`
	Repeated string `header:"Idempotency-Replayed" doc:"true: the key had come before, and this is the first answer."`
	Body     Changed
}

// changeInput is the input of a change with a body.
type changeInput struct {
	Who
	Write
	ID      string `path:"id" maxLength:"128" doc:"The id of the batch."`
	RawBody []byte
}

// operation is what the table of routes says of an operation.
type operation struct {
	id, method, path string
	tag, summary     string
	more             string // a longer description
	status           int    // of success; 0: 200, or 204 if there is no body
	need             need
}

// declare makes huma's operation, with every answer that it can give.
func (a *API) declare(op operation, errs ...int) huma.Operation {
	o := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary, Description: op.more,
		DefaultStatus: op.status,
		Responses:     map[string]*huma.Response{},
		Middlewares:   huma.Middlewares{a.admit(op.need)},
	}
	errs = append(errs, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable)
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	for _, status := range errs {
		o.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	return o
}

// takes makes o an operation with a body of the type B.
func takes[B any](a *API, o *huma.Operation) *huma.Schema {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[B](), true, "")
	o.Middlewares = append(o.Middlewares, a.receive(mediaJSON))
	o.SkipValidateBody = true // decode does it, with all paths
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{mediaJSON: {Schema: schema}}}
	return schema
}

// register adds an operation whose errors become Problems.
func register[I, O any](a *API, o huma.Operation, do func(ctx context.Context, c *caller, in *I) (*O, error)) {
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, callerOf(ctx), in)
		if err != nil {
			return nil, a.problemOf(ctx, o.OperationID, err)
		}
		return out, nil
	})
	if o.RequestBody != nil { // huma puts the raw body's type beside ours
		delete(o.RequestBody.Content, "application/octet-stream")
	}
}

// acts is what a body of a change is: an act of production, with an Entry embedded.
type acts[B any] interface {
	*B
	entry() *Entry
}

// change adds an operation that changes a batch, or an alert.
func change[B any, P acts[B]](a *API, op operation,
	do func(ctx context.Context, r production.Request, id string, body *B) (production.Result, error),
) {
	o := a.declare(op, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType)
	schema := takes[B](a, &o)
	register(a, o, func(ctx context.Context, c *caller, in *changeInput) (*changedOutput, error) {
		var body B
		if err := decode(a.huma.OpenAPI().Components.Schemas, schema, in.RawBody, &body); err != nil {
			return nil, err
		}
		r, err := in.request(c, P(&body).entry())
		if err != nil {
			return nil, err
		}
		result, err := do(ctx, r, in.ID, &body)
		if err != nil {
			return nil, err
		}
		return changed(c, result), nil
	})
}

// changed is what c may see of a result.
func changed(c *caller, r production.Result) *changedOutput {
	out := &changedOutput{Body: Changed{RowID: r.RowID, Alert: alertFor(r.Alert, c.role()), Warnings: r.Warnings}}
	if r.Production.ID != "" {
		p := r.Production.For(c.role())
		out.Body.Production, out.ETag = &p, etag(p.Version)
	}
	if r.Repeated {
		out.Repeated = "true"
	}
	return out
}
