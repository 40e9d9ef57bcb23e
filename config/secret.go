package config

import (
	"fmt"
	"log/slog"
)

// Secret is a text that must not be seen. However it is printed, logged or marshalled, it comes out as "set (32 bytes)";
// only Reveal gives the text.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String tells only whether there is a secret, and its length.
func (s Secret) String() string {
	if s == "" {
		return "not set"
	}
	return fmt.Sprintf("set (%d bytes)", len(s))
}

// Format makes every verb of fmt print what String returns, %q and %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the text out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
