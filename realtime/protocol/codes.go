package protocol

import (
	"strconv"
	"time"
)

// Code is a WebSocket close code. Its number is the come-back policy: a client comes back after 1001, 1006, 1011 to
// 1014 and 4000 to 4499, with jitter, and it does not after any other code. See [Code.ComeBack].
type Code uint16

// The close codes of RFC 6455 and the IANA registry.
const (
	CloseNormal           Code = 1000
	CloseGoingAway        Code = 1001
	CloseProtocolError    Code = 1002
	CloseUnsupported      Code = 1003
	CloseNoStatus         Code = 1005 // never on the wire: the close frame had no code
	CloseAbnormal         Code = 1006 // never on the wire: the connection ended without a close frame
	CloseInvalidPayload   Code = 1007
	ClosePolicy           Code = 1008
	CloseTooBig           Code = 1009
	CloseMissingExtension Code = 1010
	CloseInternal         Code = 1011
	CloseRestart          Code = 1012
	CloseTryLater         Code = 1013
	CloseBadGateway       Code = 1014
	CloseTLS              Code = 1015 // never on the wire
)

// Our close codes. 4000 to 4499: come back. 4500 to 4999: do not.
const (
	CloseDrain          Code = 4000
	CloseSlow           Code = 4001
	CloseSessionExpired Code = 4002
	CloseIdle           Code = 4003
	CloseNotReady       Code = 4004
	CloseTooFast        Code = 4005

	CloseRevoked     Code = 4500
	CloseBadRequests Code = 4501
	CloseForbidden   Code = 4503
)

// CloseInfo is one row of the table of close codes.
type CloseInfo struct {
	Code    Code
	Name    string // stable, for programs, metrics and logs: "slow"
	Text    string // the reason that goes over the wire, at most 123 bytes
	Meaning string // for docs/protocol.md
}

// Codes returns the close codes that this server sends, in the order of their numbers.
func Codes() []CloseInfo { return nil }

// String returns the name of c, such as "slow", and its number where the table has none.
func (c Code) String() string { return strconv.Itoa(int(c)) }

// Reason returns the text that goes over the wire with c, "" where the table has none.
func (c Code) Reason() string { return "" }

// ComeBack reports whether a client that was closed with c should connect again.
func (c Code) ComeBack() bool { return 4000 <= c && c < 4500 }

// Sendable reports whether RFC 6455 and the IANA registry allow c in a close frame.
func (c Code) Sendable() bool { return 1000 <= c && c < 5000 }

// ErrorCode is the stable word for a program in an error reply or an HTTP answer.
type ErrorCode string

// The error codes of the dialects and of the upgrade.
const (
	ErrBadRequest      ErrorCode = "BAD_REQUEST"       // the command cannot be read, or a field of it is wrong
	ErrUnknownCommand  ErrorCode = "UNKNOWN_COMMAND"   // no such command
	ErrNoChannel       ErrorCode = "NO_SUCH_CHANNEL"   // unknown, foreign or outside of the grammar: all look the same
	ErrNotSubscribed   ErrorCode = "NOT_SUBSCRIBED"    // unsubscribe of a channel that is not followed
	ErrForbidden       ErrorCode = "FORBIDDEN"         // this credential may not do that
	ErrTooManyChannels ErrorCode = "TOO_MANY_CHANNELS" // the limit of channels of one connection
	ErrTooFast         ErrorCode = "TOO_FAST"          // the limit of commands, publications or history reads
	ErrTooLarge        ErrorCode = "TOO_LARGE"         // the data is over the limit of one publication
	ErrInvalidData     ErrorCode = "INVALID_DATA"      // the data can never be published
	ErrKeyReused       ErrorCode = "KEY_REUSED"        // idempotency key came before with other data
	ErrUnavailable     ErrorCode = "UNAVAILABLE"       // the engine is out; try again
	ErrInternal        ErrorCode = "INTERNAL"          // our mistake

	ErrMethod           ErrorCode = "METHOD_NOT_ALLOWED"    // upgrade: not a GET
	ErrUpgradeRequired  ErrorCode = "UPGRADE_REQUIRED"      // upgrade: no WebSocket handshake, or over HTTP/1.0
	ErrWebSocketVersion ErrorCode = "UNSUPPORTED_WEBSOCKET" // upgrade: not version 13
	ErrBadUpgrade       ErrorCode = "BAD_UPGRADE"           // upgrade: key, headers or body are wrong
)

// ErrorInfo is one row of the table of error codes.
type ErrorInfo struct {
	Code      ErrorCode
	Status    int  // the HTTP status where it is answered over HTTP
	Temporary bool // the same request may succeed later
	Meaning   string
}

// ErrorCodes returns all error codes in the order of docs/protocol.md.
func ErrorCodes() []ErrorInfo { return nil }

// Temporary reports whether the same request may succeed later.
func (c ErrorCode) Temporary() bool { return false }

// Status returns the HTTP status of c, 500 if the table has none.
func (c ErrorCode) Status() int { return 500 }

// RetrySpread is over how long clients should spread their return when a server goes away and no better number is known.
const RetrySpread = 10 * time.Second
