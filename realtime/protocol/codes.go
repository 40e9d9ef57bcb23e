package protocol

import "strconv"

// Code is a WebSocket close code. Its number is the come-back policy: see [Code.ComeBack].
type Code uint16

// The close codes of RFC 6455, section 7.4.1 and of the IANA registry.
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
	Text    string // the reason that goes over the wire where the closing part gives no better one; at most 123 bytes
	Meaning string // for docs/protocol.md
}

var closeTable = []CloseInfo{
	{CloseNormal, "normal", "bye", "The client closed, or the server answers its close."},
	{CloseGoingAway, "going-away", "going away", "A page that is left; the server sends 4000 instead."},
	{CloseProtocolError, "protocol-error", "protocol error", "A frame broke RFC 6455 or RFC 7692; the reason says which rule."},
	{CloseUnsupported, "unsupported-data", "only text is understood", "A binary message: all dialects are text."},
	{CloseInvalidPayload, "invalid-payload", "invalid payload", "Text that is not UTF-8, or compressed data that is corrupt."},
	{ClosePolicy, "policy", "too much traffic",
		"More frames in one message than any client needs."},
	{CloseTooBig, "too-big", "message over the size limit", "A message over the size limit, before or after inflation."},
	{CloseInternal, "internal", "internal error", "A mistake of the server. It is in its log."},
	{CloseDrain, "drain", "server restarts; come back",
		"The server stops or is emptied. In kentongan.v1 and SSE a goaway said when to come back."},
	{CloseSlow, "slow", "reader too slow; come back and resume",
		"The connection did not take what was sent and its queue is full. Nothing is lost to a client that resumes."},
	{CloseSessionExpired, "session-expired", "session expired; come back with a new one",
		"The credential has ended. Come back after renewing it; the upgrade answers 401 until then."},
	{CloseIdle, "idle", "no sign of life", "Nothing came for two intervals of the ping."},
	{CloseNotReady, "not-ready", "not ready; come back later",
		"The engine behind the server is out and the request could not be held."},
	{CloseTooFast, "too-fast", "too many requests; come back later",
		"More messages or pings in a second than any client needs."},
	{CloseRevoked, "revoked", "session revoked", "The session was ended by the app. Sign in anew."},
	{CloseBadRequests, "bad-requests", "too many bad requests",
		"Command after command could not be understood: the client's program is wrong."},
	{CloseForbidden, "forbidden", "no longer allowed", "Reserved: the user may no longer see this kitchen."},
}

// Codes returns the close codes that this server sends or keeps free, in the order of their numbers.
func Codes() []CloseInfo { return append([]CloseInfo(nil), closeTable...) }

func (c Code) info() (CloseInfo, bool) {
	for _, i := range closeTable {
		if i.Code == c {
			return i, true
		}
	}
	return CloseInfo{}, false
}

// String returns the name of c, such as "slow", and its number where the table has none. The codes that are never sent have
// names too, since a client's library may report them.
func (c Code) String() string {
	switch c {
	case CloseNoStatus:
		return "no-status"
	case CloseAbnormal:
		return "abnormal"
	default:
		if i, ok := c.info(); ok {
			return i.Name
		}
		return strconv.Itoa(int(c))
	}
}

// Reason returns the text that goes over the wire with c, "" where the table has none.
func (c Code) Reason() string {
	i, _ := c.info()
	return i.Text
}

// ComeBack reports whether a client that was closed with c should connect again, with jitter: after 4000 to 4499, and after what
// says that the way or the server broke (1001, 1005, 1006, 1011 to 1014). After anything else the same would happen again.
func (c Code) ComeBack() bool {
	switch {
	case 4000 <= c && c <= 4499, CloseInternal <= c && c <= CloseBadGateway:
		return true
	}
	return c == CloseGoingAway || c == CloseNoStatus || c == CloseAbnormal
}

// Sendable reports whether c may stand in a close frame: what RFC 6455 and the IANA registry define for that, and 3000
// to 4999.
func (c Code) Sendable() bool {
	switch {
	case c >= 3000:
		return c <= 4999
	case c == 1004, c == CloseNoStatus, c == CloseAbnormal:
		return false
	}
	return CloseNormal <= c && c <= CloseBadGateway
}
