package protocol

import "kentongan/realtime"

// AppendBare appends the payload of p, verbatim, as one text frame.
func AppendBare(dst []byte, p *realtime.Publication) []byte { return AppendFrame(dst, OpText, p.Data) }

// AppendV1 appends {"message":{"channel","offset","epoch","time","data"}} as one text frame. The data is spliced in
// verbatim; time is in milliseconds since 1970.
func AppendV1(dst []byte, wireName string, p *realtime.Publication) []byte { panic("protocol: AppendV1") }

// AppendSSE appends one event of the default type "message": the id, and {"channel","offset","epoch","time","data"} as
// data. Line breaks between the tokens of the payload become several data lines, so the client gets equivalent JSON and
// nothing in a payload can forge an event. An id that is empty or has control characters is left out.
// The event is not yet framed as a chunk, see [AppendChunk].
func AppendSSE(dst []byte, wireName, id string, p *realtime.Publication) []byte { panic("protocol: AppendSSE") }
