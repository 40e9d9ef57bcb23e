package protocol

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// inflateTail is what follows a compressed message: the four bytes that the sender has cut off (RFC 7692, section 7.2.2),
// and an empty final block, so that the decompressor ends.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// deflateTail ends what a compressor has flushed, and is not sent (RFC 7692, section 7.2.1).
const deflateTail = "\x00\x00\xff\xff"

// maxFinals is how many final blocks one message may have. RFC 7692, section 7.2.3.4 allows them; each costs a reset.
const maxFinals = 8

var (
	errCorrupt error = &CloseError{CloseInvalidPayload, "compressed data is corrupt"}
	errTooBig  error = &CloseError{CloseTooBig, "message over the size limit"}
)

// inflater holds about 40 KiB of tables and window, so it is pooled and held only for the time of one message.
type inflater struct {
	src bytes.Reader
	rd  inflateReader
}

// inflateReader is what flate.NewReader returns.
type inflateReader interface {
	io.ReadCloser
	flate.Resetter
}

var inflaters = pool[inflater]{fresh: func() *inflater {
	f := &inflater{}
	rd, ok := flate.NewReader(&f.src).(inflateReader)
	if !ok {
		panic("protocol: the decompressor cannot be reset, which its package promises")
	}
	f.rd = rd
	return f
}}

// inflated inflates the message in a and hands it to h.
func inflated(op Opcode, a *assembly, o *ReaderOptions, h Handler) error {
	if len(a.data) == 0 {
		// An empty message should come as one zero byte; zlib takes nothing for the same.
		return h.OnMessage(op, a.data)
	}
	a.data = append(a.data, inflateTail...)
	out := assemblies.take()
	defer out.release()
	f := inflaters.take()
	defer inflaters.put(f)
	if err := f.inflate(out, a.data, o.maxMessage()); err != nil {
		return err
	}
	if op == OpText && !utf8.Valid(out.data) {
		return errNotUTF8
	}
	return h.OnMessage(op, out.data)
}

// inflate appends what src holds to out, at most limit bytes. The buffer doubles, so a bomb costs twice the limit at most.
func (f *inflater) inflate(out *assembly, src []byte, limit int) error {
	f.src.Reset(src)
	defer f.src.Reset(nil)
	var window []byte
	for range maxFinals {
		if err := f.rd.Reset(&f.src, window); err != nil {
			return errCorrupt
		}
		if err := f.readAll(out, limit); err != nil {
			return err
		}
		if f.src.Len() == 0 {
			return nil
		}
		window = out.data
	}
	return errCorrupt
}

func (f *inflater) readAll(out *assembly, limit int) error {
	for {
		if len(out.data) == cap(out.data) {
			grown := make([]byte, len(out.data), min(max(2*cap(out.data), 4<<10), limit+1))
			copy(grown, out.data)
			out.data = grown
		}
		free := out.data[len(out.data):min(cap(out.data), limit+1)]
		n, err := f.rd.Read(free)
		out.data = out.data[:len(out.data)+n]
		switch {
		case len(out.data) > limit:
			return errTooBig
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errCorrupt
		}
	}
}
