package protocol

import "net/http"

// ErrorCode is the stable word for a program in an error reply or an HTTP answer.
type ErrorCode string

// The error codes of commands.
const (
	ErrBadRequest      ErrorCode = "BAD_REQUEST"
	ErrUnknownCommand  ErrorCode = "UNKNOWN_COMMAND"
	ErrNoChannel       ErrorCode = "NO_SUCH_CHANNEL"
	ErrNotSubscribed   ErrorCode = "NOT_SUBSCRIBED"
	ErrForbidden       ErrorCode = "FORBIDDEN"
	ErrTooManyChannels ErrorCode = "TOO_MANY_CHANNELS"
	ErrTooLarge        ErrorCode = "TOO_LARGE"
	ErrInvalidData     ErrorCode = "INVALID_DATA"
	ErrMismatch        ErrorCode = "SCHEMA_MISMATCH"
	ErrKeyReused       ErrorCode = "KEY_REUSED"
	ErrRateLimited     ErrorCode = "RATE_LIMITED"
	ErrUnavailable     ErrorCode = "UNAVAILABLE"
	ErrInternal        ErrorCode = "INTERNAL"
)

// The error codes that only HTTP answers with, beside those of the commands.
const (
	ErrFull               ErrorCode = "FULL"
	ErrTooManyConnections ErrorCode = "TOO_MANY_CONNECTIONS"
	ErrNotAcceptable      ErrorCode = "NOT_ACCEPTABLE"
	ErrMediaType          ErrorCode = "UNSUPPORTED_MEDIA_TYPE"
	ErrTooManyHeaders     ErrorCode = "TOO_MANY_HEADERS"
	ErrNotFound           ErrorCode = "NOT_FOUND"
)

// The error codes of a refused upgrade.
const (
	ErrMethod           ErrorCode = "METHOD_NOT_ALLOWED"
	ErrUpgradeRequired  ErrorCode = "UPGRADE_REQUIRED"
	ErrWebSocketVersion ErrorCode = "WEBSOCKET_VERSION"
	ErrBadUpgrade       ErrorCode = "BAD_UPGRADE"
)

// ErrorInfo is one row of the table of error codes.
type ErrorInfo struct {
	Code      ErrorCode
	Status    int    // the HTTP status where it is answered over HTTP
	Temporary bool   // the same request may succeed later
	Meaning   string // for docs/protocol.md
}

var errorTable = []ErrorInfo{
	{ErrBadRequest, http.StatusBadRequest, false,
		"The command cannot be read, or a field of it is wrong. The message says which and what would be right."},
	{ErrUnknownCommand, http.StatusBadRequest, false, "No such command. The message names those that are known."},
	{ErrNoChannel, http.StatusNotFound, false,
		"The channel is unknown, belongs to another kitchen, or its name is outside of the grammar. All three look the same."},
	{ErrNotSubscribed, http.StatusConflict, false, "Unsubscribe of a channel that is not followed."},
	{ErrForbidden, http.StatusForbidden, false, "This credential may not do that: publishing is for servers."},
	{ErrTooManyChannels, http.StatusTooManyRequests, false, "The connection follows as many channels as it may."},
	{ErrTooLarge, http.StatusRequestEntityTooLarge, false, "The data is over the size limit of a publication."},
	{ErrInvalidData, http.StatusUnprocessableEntity, false, "The data can never be published."},
	{ErrMismatch, http.StatusUnprocessableEntity, false,
		"The data does not fit the schema of its channel. The message says where, and what would be right."},
	{ErrKeyReused, http.StatusUnprocessableEntity, false, "The idempotency key came before with other data."},
	{ErrRateLimited, http.StatusTooManyRequests, true,
		"This API key, or this kitchen, publishes faster than it may: nothing was stored, and the message says after how many " +
			"milliseconds to send it again. Or this address opens connections faster than it may."},
	{ErrUnavailable, http.StatusServiceUnavailable, true,
		"The engine cannot be reached now. A publish may or may not have been stored: repeat it with its key. Or the server is " +
			"going away, and takes no more connections."},
	{ErrInternal, http.StatusInternalServerError, true, "A mistake of the server. It is in its log."},
	{ErrFull, http.StatusServiceUnavailable, true, "The server holds as many connections as it may. Retry-After says when to come back."},
	{ErrTooManyConnections, http.StatusTooManyRequests, true,
		"This kitchen, this user or this address has as many connections as it may. Retry-After says when to try again."},
	{ErrNotAcceptable, http.StatusNotAcceptable, false, "An event stream was asked for in another format."},
	{ErrMediaType, http.StatusUnsupportedMediaType, false, "A publish that is not JSON."},
	{ErrTooManyHeaders, http.StatusRequestHeaderFieldsTooLarge, false, "More header lines than any client needs."},
	{ErrNotFound, http.StatusNotFound, false, "There is nothing at this path."},
	{ErrMethod, http.StatusMethodNotAllowed, false, "Not the method of this path; for an upgrade it is GET."},
	{ErrUpgradeRequired, http.StatusUpgradeRequired, false, "Upgrade: not a WebSocket handshake over HTTP/1.1."},
	{ErrWebSocketVersion, http.StatusUpgradeRequired, false, "Upgrade: not version 13."},
	{ErrBadUpgrade, http.StatusBadRequest, false,
		"Upgrade: the key is missing, doubled or malformed, or the handshake has a body."},
}

// ErrorCodes returns all error codes in the order of docs/protocol.md.
func ErrorCodes() []ErrorInfo { return append([]ErrorInfo(nil), errorTable...) }

func (c ErrorCode) info() ErrorInfo {
	for _, i := range errorTable {
		if i.Code == c {
			return i
		}
	}
	return ErrorInfo{Code: c, Status: http.StatusInternalServerError}
}

// Temporary reports whether the same request may succeed later.
func (c ErrorCode) Temporary() bool { return c.info().Temporary }

// Status returns the HTTP status of c, 500 if the table has none.
func (c ErrorCode) Status() int { return c.info().Status }
