package app

import (
	"context"
	"log/slog"
)

// audited returns log for lines that no level takes away: who did what with the powers of an operator, of the platform or of a link.
// Somebody may have to know that later, also of a server that writes nothing but errors; and they are few.
func audited(log *slog.Logger) *slog.Logger { return slog.New(everyLevel{log.Handler()}) }

// everyLevel writes whatever it is given. The handlers of log/slog look at the level in Enabled alone.
type everyLevel struct{ slog.Handler }

// Enabled implements slog.Handler.
func (everyLevel) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h everyLevel) WithAttrs(attrs []slog.Attr) slog.Handler {
	return everyLevel{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h everyLevel) WithGroup(name string) slog.Handler { return everyLevel{h.Handler.WithGroup(name)} }
