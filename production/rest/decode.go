package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"kentongan/production"
)

const (
	// MaxBody is how many bytes a body may have: a menu list of a kitchen is a tenth of it.
	MaxBody = 1 << 20

	// maxDepth is how deep a body may nest: the deepest that anything asks for is five.
	maxDepth = 16

	// bodyTimeout is how long a body may take to come. It is 1 MiB at the speed of a bad line.
	bodyTimeout = 30 * time.Second

	mediaJSON = "application/json"
	mediaCSV  = "text/csv"
)

// receive reads the whole body of a request that is to have one of this kind, so that whatever is wrong with it is told in
// our words.
func (a *API) receive(media string) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || got != media {
			write(w, problem(http.StatusUnsupportedMediaType, codeMediaType, "send Content-Type: "+media))
			return
		}
		if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
			write(w, problem(http.StatusUnsupportedMediaType, codeMediaType, "send the body as it is, without Content-Encoding"))
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // what cannot have one has none
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		if err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				write(w, problem(http.StatusRequestEntityTooLarge, codeTooLarge, "a body may have "+strconv.Itoa(MaxBody)+" bytes at most"))
				return
			}
			write(w, problem(http.StatusBadRequest, codeBadRequest, "the body broke off"))
			return
		}
		if len(bytes.TrimSpace(body)) == 0 {
			write(w, problem(http.StatusBadRequest, codeBadRequest, "the body is empty"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(ctx)
	}
}

// decode reads body strictly into v, whose schema is s: it refuses what it does not know (a misspelt field would be lost
// silently), what comes twice, what is no UTF-8, what nests too deeply, and everything that s does not allow. The error is a
// *Problem that names every field that is wrong.
func decode(r huma.Registry, s *huma.Schema, body []byte, v any) error {
	if err := checkText(body); err != nil {
		return problem(http.StatusBadRequest, codeBadRequest, "the body must be one JSON object: "+err.Error())
	}
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		if e, ok := errors.AsType[*json.SemanticError](err); ok { // all that is left to go wrong with JSON that is well formed
			return invalid(pathOf(e.JSONPointer), "is a number out of range")
		}
		return problem(http.StatusBadRequest, codeBadRequest, "the body must be one JSON object: "+plain(err))
	}
	var found huma.ValidateResult
	huma.Validate(r, s, huma.NewPathBuffer([]byte{}, 0), huma.ModeWriteToServer, tree, &found)
	if len(found.Errors) > 0 {
		var details []*huma.ErrorDetail
		for _, e := range found.Errors {
			if d, ok := e.(huma.ErrorDetailer); ok {
				details = append(details, d.ErrorDetail())
			}
		}
		return flawed(details)
	}
	if err := json.Unmarshal(body, v, json.RejectUnknownMembers(true)); err != nil {
		var path, reason = "", plain(err)
		if e, ok := errors.AsType[*json.SemanticError](err); ok {
			path = pathOf(e.JSONPointer)
			if e.Err != nil {
				reason = e.Err.Error()
				if errors.Is(e.Err, json.ErrUnknownName) {
					reason = "is unknown; names are case-sensitive"
				}
			} else {
				reason = "cannot be that: want " + wanted(e.GoType)
			}
		}
		return invalid(path, reason)
	}
	return nil
}

// wanted says in the words of JSON what a Go type is read from.
func wanted(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "a whole number in range"
	}
}

// checkText reports whether body is one JSON text that does not nest too deeply. It looks at tokens only, so depth costs no memory.
func checkText(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		_, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New(plain(err))
		}
		if d.StackDepth() > maxDepth {
			return errors.New("it nests deeper than " + strconv.Itoa(maxDepth) + " levels")
		}
		if d.StackDepth() == 0 { // one value has ended: nothing may follow
			if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
				return errors.New("something follows behind the object")
			}
			return nil
		}
	}
}

// plain is the text of a JSON error without the name of the package that found it.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"jsontext: ", "json: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// pathOf makes dishes[2].name of /dishes/2/name.
func pathOf(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.Atoi(token); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}

// instant reads an instant of a query or header.
func instant(path, text string) (production.Instant, error) {
	if text == "" {
		return 0, nil
	}
	var i production.Instant
	if err := i.UnmarshalJSON([]byte(text)); err != nil || !i.Known() {
		return 0, invalid(path, "want an instant such as 2026-11-26T05:48:20Z, or milliseconds since 1970")
	}
	return i, nil
}

// day reads a day of a query.
func day(path, text string) (production.Day, error) {
	if text == "" {
		return "", nil
	}
	d, err := production.ParseDay(text)
	if err != nil {
		return "", invalid(path, err.Error())
	}
	return d, nil
}
