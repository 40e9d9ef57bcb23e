package intake

import (
	"strconv"
	"strings"
)

// respWords appends what is sent to a client: RESP3 if the client asked for it by HELLO, else RESP2.
type respWords struct {
	b     []byte
	three bool
}

func (w *respWords) head(kind byte, n int64) {
	w.b = append(strconv.AppendInt(append(w.b, kind), n, 10), '\r', '\n')
}

func (w *respWords) simple(s string) { w.b = append(append(append(w.b, '+'), s...), '\r', '\n') }
func (w *respWords) number(n int64)  { w.head(':', n) }
func (w *respWords) array(n int)     { w.head('*', int64(n)) }

func (w *respWords) bulk(s string) {
	w.head('$', int64(len(s)))
	w.b = append(append(w.b, s...), '\r', '\n')
}

func (w *respWords) bulkOf(b []byte) {
	w.head('$', int64(len(b)))
	w.b = append(append(w.b, b...), '\r', '\n')
}

// fail is an error: a first word in capitals that programs read, and a text. A line break in it would end it.
func (w *respWords) fail(text string) {
	text = strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
	w.b = append(append(append(w.b, '-'), text...), '\r', '\n')
}

// pairs is the head of a map with n keys.
func (w *respWords) pairs(n int) {
	if w.three {
		w.head('%', int64(n))
		return
	}
	w.head('*', 2*int64(n))
}

// push is the head of what comes without having been asked for.
func (w *respWords) push(n int) {
	if w.three {
		w.head('>', int64(n))
		return
	}
	w.head('*', int64(n))
}

func (w *respWords) null() {
	if w.three {
		w.b = append(w.b, "_\r\n"...)
		return
	}
	w.b = append(w.b, "$-1\r\n"...)
}
