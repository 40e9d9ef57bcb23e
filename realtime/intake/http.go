package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"kentongan/auth"
	"kentongan/internal/answer"
	"kentongan/realtime"
)

// The error codes of the HTTP door, those of docs/protocol.md. The doors do not import the protocol of the other side, so
// the words are written here too, and a test in app compares them.
const (
	codeBadRequest  = "BAD_REQUEST"
	codeNoChannel   = "NO_SUCH_CHANNEL"
	codeForbidden   = "FORBIDDEN"
	codeTooLarge    = "TOO_LARGE"
	codeInvalidData = "INVALID_DATA"
	codeMismatch    = "SCHEMA_MISMATCH"
	codeKeyReused   = "KEY_REUSED"
	codeTooFast     = "RATE_LIMITED"
	codeUnavailable = "UNAVAILABLE"
	codeInternal    = "INTERNAL"
	codeMediaType   = "UNSUPPORTED_MEDIA_TYPE"
)

// The limits of one request.
const (
	// MaxBatch is how many publications one request may bring: more than a second of the busiest kitchen.
	MaxBatch = 1000

	// maxBatchBytes bounds the body of a batch: the server holds it in memory while it is published.
	maxBatchBytes = 8 << 20

	// maxAnnounced is up to which Content-Length memory is set aside before the body comes.
	maxAnnounced = 64 << 10

	publishTimeout = 5 * time.Second
	retryAfter     = time.Second
)

// Authenticator says who a request comes from; auth.Authenticator is one.
type Authenticator interface {
	Admit(ctx context.Context, r *http.Request) (*auth.Identity, error)
}

// Publisher is what the HTTP door needs of a Broker.
type Publisher interface {
	Publish(ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error)
}

// HTTPOptions are the knobs of the HTTP door. The parts are needed.
type HTTPOptions struct {
	Auth      Authenticator
	Names     *realtime.Names
	Publisher Publisher
	Rates     *Publishing   // of publications; nil: as many as come
	MaxBytes  int           // of the data of one publication; zero means 1 MiB
	Count     func(Outcome) // if set, is told of every publication
	Log       *slog.Logger  // nil discards
}

// Outcome says what became of a publication, in the words of metrics.
type Outcome string

// The outcomes at the HTTP door.
const (
	OutcomeStamped Outcome = "stamped"
	OutcomeRefused Outcome = "refused"
	OutcomeLimited Outcome = "limited" // it came too fast
)

// HTTP is the door of POST /api/publish: a publication {"channel","data","id"?} or a list of them, by servers with an
// API key. It answers when all are stored, with the position of each.
type HTTP struct{ opts HTTPOptions }

// NewHTTP returns the door.
func NewHTTP(opts HTTPOptions) *HTTP {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 1 << 20
	}
	if opts.Count == nil {
		opts.Count = func(Outcome) {}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &HTTP{opts}
}

// item is one publication of a request.
type item struct {
	Channel string         `json:"channel"`
	Data    jsontext.Value `json:"data"`
	ID      string         `json:"id"`
}

// result is the answer to one item: a position, or an error.
type result struct {
	Epoch     string   `json:"epoch,omitempty"`
	Offset    uint64   `json:"offset,omitempty"`
	Duplicate bool     `json:"duplicate,omitempty"`
	Error     *problem `json:"error,omitempty"`

	status int
	after  time.Duration // when to come again; zero: that would change nothing
}

// problem is the error of one item. Fields says where the data does not fit its schema.
type problem struct {
	answer.Problem
	Fields []realtime.Fault `json:"fields,omitempty"`
}

func (r *result) outcome() Outcome {
	switch {
	case r.Error == nil:
		return OutcomeStamped
	case r.status == http.StatusTooManyRequests:
		return OutcomeLimited
	}
	return OutcomeRefused
}

// ServeHTTP implements http.Handler.
func (d *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer.Error(w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "publications are sent with POST")
		return
	}
	who, err := d.opts.Auth.Admit(r.Context(), r)
	if err != nil {
		auth.Deny(w, err)
		return
	}
	if !who.Server {
		answer.Error(w, http.StatusForbidden, codeForbidden, "only servers with an API key may publish")
		return
	}
	items, batch, bad := d.read(w, r)
	if bad != nil {
		answer.Error(w, bad.status, bad.Error.Code, bad.Error.Message)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), publishTimeout)
	defer cancel()
	results := d.publish(ctx, who, items)
	if batch {
		if last := results[len(results)-1]; last.after > 0 { // then the last one is told so in any case
			answer.RetryAfter(w, last.after)
		}
		answer.JSON(w, statusOf(results), results)
		return
	}
	one := results[0]
	switch {
	case one.Error == nil:
		answer.JSON(w, http.StatusOK, one)
	case one.after > 0:
		answer.Later(w, one.status, one.Error.Code, one.Error.Message, one.after)
	default:
		answer.JSON(w, one.status, struct {
			Success bool     `json:"success"`
			Error   *problem `json:"error"`
		}{false, one.Error})
	}
}

// statusOf is 200 if all of a batch were stored and 207 if not: the caller then looks at each.
func statusOf(results []result) int {
	for _, r := range results {
		if r.Error != nil {
			return http.StatusMultiStatus
		}
	}
	return http.StatusOK
}

func refuse(status int, code, format string, args ...any) *result {
	return &result{status: status, Error: &problem{Problem: answer.Problem{Code: code, Message: fmt.Sprintf(format, args...)}}}
}

// later refuses what may be sent again after some time.
func later(status int, after time.Duration, code, message string) *result {
	r := refuse(status, code, "%s", message)
	r.after = after
	return r
}

// read returns the publications of the body, and whether they came as a list.
func (d *HTTP) read(w http.ResponseWriter, r *http.Request) ([]item, bool, *result) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, false, refuse(http.StatusUnsupportedMediaType, codeMediaType, "send Content-Type: application/json")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, false, refuse(http.StatusUnsupportedMediaType, codeMediaType, "send the body as it is, without Content-Encoding")
	}
	var buf bytes.Buffer
	if announced := r.ContentLength; announced > 0 && announced <= maxAnnounced {
		buf.Grow(int(announced) + bytes.MinRead) // read in one piece; a longer body has to come before it is believed
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, int64(max(maxBatchBytes, d.opts.MaxBytes+4096))))
	body := buf.Bytes()
	if err != nil {
		if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, false, refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "a request may have %d bytes at most", tooLong.Limit)
		}
		return nil, false, refuse(http.StatusBadRequest, codeBadRequest, "the body broke off")
	}
	body = bytes.TrimLeft(body, " \t\r\n")
	batch := len(body) > 0 && body[0] == '['
	var items []item
	if batch {
		err = strict(body, &items)
	} else {
		items = make([]item, 1)
		err = strict(body, &items[0])
	}
	switch {
	case err != nil:
		return nil, batch, refuse(http.StatusBadRequest, codeBadRequest,
			`the body must be {"channel":"…","data":…,"id":"…"} or a list of such: %s`, err)
	case len(items) == 0:
		return nil, batch, refuse(http.StatusBadRequest, codeBadRequest, "the list is empty")
	case len(items) > MaxBatch:
		return nil, batch, refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "a list may have %d publications at most", MaxBatch)
	}
	return items, batch, nil
}

// strict decodes all of body. It refuses what another reader may understand otherwise: fields that it does not know (a
// misspelt one would be lost silently), names that come twice, text that is not UTF-8, and anything after the value.
func strict(body []byte, v any) error {
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		return err //nolint:wrapcheck // its text goes to the caller, who sent what it is about
	}
	return nil
}

// publish stores the items one after the other, so that those of one channel keep their order. Behind one that shall come again
// later, none is tried: they would overtake it.
func (d *HTTP) publish(ctx context.Context, who *auth.Identity, items []item) []result {
	results := make([]result, len(items))
	var stop *result
	for i, it := range items {
		if stop != nil {
			results[i] = *later(stop.status, stop.after, stop.Error.Code, "not tried, for an earlier one of the list has to come again")
		} else if results[i] = d.publishOne(ctx, who, it); results[i].after > 0 {
			stop = &results[i]
		}
		d.opts.Count(results[i].outcome())
	}
	return results
}

func (d *HTTP) publishOne(ctx context.Context, who *auth.Identity, it item) result {
	ch, _, err := d.opts.Names.Parse(it.Channel)
	if err == nil && !who.MaySee(ch.Tenant) {
		err = realtime.ErrNoChannel // as if it did not exist
	}
	if err == nil && ch.Tenant == "" && who.Tenant != "" {
		err = realtime.ErrNoChannel // a key of one kitchen may hear the global channels but not speak in them
	}
	if err != nil {
		return *refuse(http.StatusUnprocessableEntity, codeNoChannel,
			"no such channel for this key; channel patterns are set in the configuration")
	}
	if len(it.Data) == 0 {
		return *refuse(http.StatusUnprocessableEntity, codeInvalidData, "data is missing; null is written as null")
	}
	if len(it.Data) > d.opts.MaxBytes {
		return *refuse(http.StatusRequestEntityTooLarge, codeTooLarge,
			"data has %d bytes, at most %d are taken", len(it.Data), d.opts.MaxBytes)
	}
	if wait, why := d.opts.Rates.Allow(who.Subject, ch.Tenant); wait > 0 {
		return *later(http.StatusTooManyRequests, wait, codeTooFast, why)
	}
	published, err := d.opts.Publisher.Publish(ctx, ch, it.Data, realtime.PublishOptions{Key: it.ID, Arrived: time.Now()})
	if err == nil {
		return result{Epoch: published.Position.Epoch, Offset: published.Position.Offset, Duplicate: published.Duplicate}
	}
	return d.whyNot(ch, err)
}

// whyNot is the answer to a publication that was not stored.
func (d *HTTP) whyNot(ch realtime.Channel, err error) result {
	if wrong, ok := errors.AsType[*realtime.Mismatch](err); ok {
		r := refuse(http.StatusUnprocessableEntity, codeMismatch, "%s", wrong)
		r.Error.Fields = wrong.Faults
		return *r
	}
	switch {
	case errors.Is(err, realtime.ErrKeyReused):
		return *refuse(http.StatusUnprocessableEntity, codeKeyReused, "this id was used before with other data; use a new one")
	case errors.Is(err, realtime.ErrInvalid):
		return *refuse(http.StatusUnprocessableEntity, codeInvalidData, "%s", err)
	case errors.Is(err, realtime.ErrNotStored):
		return *later(http.StatusServiceUnavailable, retryAfter, codeUnavailable,
			"the engine cannot be reached now; it was not stored, send it again")
	case errors.Is(err, realtime.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return *later(http.StatusServiceUnavailable, retryAfter, codeUnavailable,
			"the engine cannot be reached now; send it again with the same id")
	}
	d.opts.Log.Error("publication broken by a mistake of ours", "tenant", ch.Tenant, "channel", ch.Name, "err", err)
	return *refuse(http.StatusInternalServerError, codeInternal, "something went wrong here; it was logged")
}
