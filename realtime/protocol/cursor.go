package protocol

import (
	"errors"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Cursor is the positions of several channels.
type Cursor map[realtime.Channel]realtime.Position

// MaxCursorBytes is the longest cursor that is read.
const MaxCursorBytes = 8 << 10

// ErrCursor says that a text is no cursor of that tenant.
var ErrCursor = errors.New("bad cursor")

// EncodeCursor returns c as one opaque URL-safe word that only DecodeCursor with the same tenant reads. The same
// positions always give the same word.
func EncodeCursor(t tenant.ID, c Cursor) string { panic("protocol: EncodeCursor") }

// DecodeCursor returns the positions in s, or ErrCursor if s is no cursor, longer than MaxCursorBytes, or was made for
// another tenant. A cursor is not secret and not signed: who holds positions may still not read the channels.
func DecodeCursor(t tenant.ID, s string) (Cursor, error) { panic("protocol: DecodeCursor") }
