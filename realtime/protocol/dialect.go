package protocol

// Dialect is a way of speaking to a client. Docs/protocol.md has the whole of each.
type Dialect uint8

// The dialects.
const (
	Bare Dialect = iota // WebSocket without a subprotocol: payloads verbatim, what the existing app's hook expects
	V1                  // WebSocket with the subprotocol kentongan.v1: an envelope, commands, positions
	SSE                 // server-sent events: the envelope as data, a cursor as id
)

// SubprotocolV1 is what a client offers in Sec-WebSocket-Protocol to speak [V1].
const SubprotocolV1 = "kentongan.v1"

// String returns the label of d in metrics and logs.
func (d Dialect) String() string {
	switch d {
	case Bare:
		return "bare"
	case V1:
		return "v1"
	case SSE:
		return "sse"
	}
	return "unknown"
}
