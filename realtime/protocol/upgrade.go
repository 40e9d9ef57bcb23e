package protocol

import (
	"fmt"
	"net/http"
)

// UpgradeOptions are what a server offers to clients that ask for a WebSocket.
type UpgradeOptions struct {
	Deflate   bool     // agree to permessage-deflate
	Protocols []string // subprotocols that the server speaks; the client's order decides
}

// Upgrade is what client and server agreed on.
type Upgrade struct {
	Key      string // Sec-WebSocket-Key
	Protocol string // the subprotocol; "" for none
	Deflate  bool   // permessage-deflate, both sides without context takeover

	windowBits bool // the accepted offer had server_max_window_bits=15, which must be repeated
}

// UpgradeError is how a handshake is refused.
type UpgradeError struct {
	Status  int         // 400, 405 or 426
	Code    ErrorCode   // for programs
	Message string      // for people: what is wrong and what would be right
	Header  http.Header // what the answer must carry beside: Allow, Upgrade, Sec-WebSocket-Version. May be nil
}

// Error returns status and message.
func (e *UpgradeError) Error() string { return fmt.Sprintf("upgrade refused with %d: %s", e.Status, e.Message) }

// IsUpgrade reports whether r is meant as a WebSocket handshake, however broken: ParseUpgrade says what is wrong with it.
func IsUpgrade(r *http.Request) bool { panic("protocol: IsUpgrade") }

// ParseUpgrade checks the handshake and negotiates. It does not look at Origin or credentials. Bad offers of compression
// mean a connection without compression, never a refusal. All errors are *UpgradeError.
func ParseUpgrade(r *http.Request, offer UpgradeOptions) (Upgrade, error) { panic("protocol: ParseUpgrade") }

// AppendUpgradeResponse appends the whole 101 response. Header may add fields (a cookie); it cannot replace those of the
// handshake.
func AppendUpgradeResponse(dst []byte, u Upgrade, header http.Header) []byte {
	panic("protocol: AppendUpgradeResponse")
}

// AcceptKey returns the Sec-WebSocket-Accept that answers key; clients compare with it.
func AcceptKey(key string) string { panic("protocol: AcceptKey") }
