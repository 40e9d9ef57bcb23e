package protocol

import (
	"slices"

	"kentongan/realtime"
)

// AppendBare appends the payload of p, verbatim, as one text frame.
func AppendBare(dst []byte, p *realtime.Publication) []byte { return AppendFrame(dst, OpText, p.Data) }

// envelopeBytes is room for what an envelope has beside name and data, so that one growth of the slice suffices.
const envelopeBytes = 128

// AppendV1 appends {"message":{"channel","offset","epoch","time","data"}} as one text frame. The data is spliced in
// verbatim; time is in milliseconds since 1970.
func AppendV1(dst []byte, wireName string, p *realtime.Publication) []byte {
	start := len(dst)
	dst = slices.Grow(dst, envelopeBytes+len(wireName)+len(p.Data))
	dst = append(beginFrame(dst), `{"message":`...)
	dst = appendEnvelope(dst, wireName, p)
	return endFrame(append(append(dst, p.Data...), '}', '}'), start, OpText)
}

// appendEnvelope appends {"channel","offset","epoch","time","data": up to where the data stands.
func appendEnvelope(dst []byte, wireName string, p *realtime.Publication) []byte {
	dst = appendStringMember(append(dst, '{'), "channel", wireName)
	dst = appendUintMember(dst, "offset", p.Position.Offset)
	dst = appendStringMember(dst, "epoch", p.Position.Epoch)
	dst = appendMillisMember(dst, "time", p.Time)
	return appendMember(dst, "data")
}

// AppendSSE appends one event of the default type "message": the id, and {"channel","offset","epoch","time","data"} as
// data. Line breaks between the tokens of the payload become several data lines, so the client gets equivalent JSON and
// nothing in a payload can forge an event. An id that is empty or has control characters is left out.
// The event is not yet framed as a chunk, see [AppendChunk].
func AppendSSE[ID string | []byte](dst []byte, wireName string, id ID, p *realtime.Publication) []byte {
	dst = slices.Grow(dst, envelopeBytes+len(wireName)+len(id)+len(p.Data))
	dst = appendSSEID(dst, id)
	dst = append(dst, "data: "...)
	dst = appendEnvelope(dst, wireName, p)
	dst = appendSSELines(dst, p.Data)
	return append(dst, "}\n\n"...)
}
