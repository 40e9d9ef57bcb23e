package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
)

// Header carries the id of a request: a proxy or a client may choose it, and every answer has it.
const Header = "X-Request-Id"

// maxID is the longest id that is taken from a request: twice a UUID, and room for what proxies put in front.
const maxID = 128

// Note is what is known of one request. It belongs to the goroutine that serves the request. The methods of a nil Note do nothing.
type Note struct {
	ID    string
	who   []slog.Attr
	taken bool
}

// NewNote returns the note of a request with header h: with the id that it brings, if that is one, else with a new one.
func NewNote(h http.Header) *Note {
	if ids := h[Header]; len(ids) == 1 && validID(ids[0]) {
		return &Note{ID: strings.Clone(ids[0])} // it stays when the head has gone
	}
	return &Note{ID: newID()}
}

// newID returns 72 random bits, as 12 characters.
func newID() string {
	var random [9]byte
	_, _ = rand.Read(random[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// validID reports whether an id may stand in an answer and in a line of the log: of what is usual in ids, and nothing else.
func validID(id string) bool {
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

// Identify says who asks, for the line.
func (n *Note) Identify(who ...slog.Attr) {
	if n != nil {
		n.who = who
	}
}

// Who returns what Identify was given.
func (n *Note) Who() []slog.Attr {
	if n == nil {
		return nil
	}
	return n.who
}

// Take says that somebody else writes the line: whoever has the connection now.
func (n *Note) Take() {
	if n != nil {
		n.taken = true
	}
}

type noteKey struct{}

// With returns a context with n, for [From].
func With(ctx context.Context, n *Note) context.Context { return context.WithValue(ctx, noteKey{}, n) }

// From returns the note of the request that ctx belongs to; nil if it has none.
func From(ctx context.Context) *Note {
	n, _ := ctx.Value(noteKey{}).(*Note) // nil is what is wanted of others
	return n
}
