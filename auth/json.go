package auth

import (
	"bytes"
	"errors"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// decoders keeps JSON decoders for the next token: making one costs as much as reading a small token with it.
var decoders = sync.Pool{New: func() any { return &decoder{Decoder: jsontext.NewDecoder(new(bytes.Buffer))} }}

// decoder reads one JSON text. It refuses duplicate names and what is not UTF-8.
type decoder struct {
	*jsontext.Decoder
	text  bytes.Buffer
	whole []byte // the text from its beginning
}

var errNoObject = errors.New("not one JSON object")

// readObject calls read with a decoder that stands before the opening brace of text, and refuses a text that has more
// than the one object. read must not keep the decoder, nor values that lie in its memory, but may keep those of readKept.
func readObject(text []byte, read func(*decoder) error) error {
	d, ok := decoders.Get().(*decoder)
	if !ok {
		panic("auth: the pool of decoders holds something else")
	}
	d.whole = text
	d.text = *bytes.NewBuffer(text)
	d.Reset(&d.text)
	err := readWhole(d, read)
	// Nothing of the token stays behind in the pool.
	d.whole = nil
	d.text = bytes.Buffer{}
	d.Reset(&d.text)
	decoders.Put(d)
	return err
}

// readKept is ReadValue, and returns a part of the text that readObject was given.
func (d *decoder) readKept() ([]byte, error) {
	value, err := d.ReadValue()
	if err != nil {
		return nil, err //nolint:wrapcheck // callers drop it: it may quote the token
	}
	end := int(d.InputOffset())
	return d.whole[end-len(value) : end], nil
}

func readWhole(d *decoder, read func(*decoder) error) error {
	if d.PeekKind() != '{' {
		return errNoObject
	}
	if err := read(d); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err == nil || len(bytes.TrimSpace(d.UnreadBuffer())) > 0 {
		return errNoObject
	}
	return nil
}
