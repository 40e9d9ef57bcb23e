package liar

import (
	"bytes"
	"fmt"
	"sync"
)

// Kind is a lie.
type Kind uint8

// The lies. Those up to Leaks are told on any connection, the next two to clients that come back, and the last one to
// publishers.
const (
	Honest  Kind = iota // passes everything on: the checker must not find anything
	Drops               // one message does not arrive
	Swaps               // two neighbours of a channel change places
	Leaks               // one message of another kitchen arrives
	Repeats             // after a resume comes a message that an earlier connection brought
	Hushes              // a gap is called a recovery
	Boasts              // a publication is acknowledged and not stored
	kinds
)

var kindNames = [kinds]string{"honest", "drops", "swaps", "leaks", "repeats", "hushes", "boasts"}

// Kinds returns all lies, and Honest.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// String returns the name of k.
func (k Kind) String() string { return kindNames[k] }

// Returning reports whether k is told to clients that come back.
func (k Kind) Returning() bool { return k == Repeats || k == Hushes }

// teller decides about each message. It tells one lie, at the first occasion after a number of messages. Its methods may be
// called at the same time.
type teller struct {
	kind  Kind
	whose func(channel string) string

	mu     sync.Mutex
	after  int // messages to let pass
	told   int // lies
	parked map[*talk][]byte
	seen   map[string][]byte // the first message of each client, by its cookie: that one has surely arrived
	last   *overheard        // the last message that anybody got
}

// overheard is a message of somebody else.
type overheard struct {
	v1    bool
	whose string
	text  []byte
}

func newTeller(kind Kind, after int, whose func(channel string) string) *teller {
	return &teller{kind: kind, whose: whose, after: after, parked: map[*talk][]byte{}, seen: map[string][]byte{}}
}

// talk is one connection.
type talk struct {
	who   string // the cookie
	v1    bool
	again bool // the client was here before
}

var (
	v1Message   = []byte(`{"message":{"channel":"`)
	bareMessage = []byte(`{"type":"production_update"`)
	gapped      = []byte(`"recovered":false,"gap":"`)
)

// frames returns what goes to the client in place of text.
func (l *teller) frames(t *talk, text []byte) [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := [][]byte{text}
	if l.kind == Hushes && l.told == 0 {
		if before, rest, ok := bytes.Cut(text, gapped); ok {
			_, rest, _ = bytes.Cut(rest, []byte(`"`))
			l.told++
			return [][]byte{append(append(bytes.Clone(before), `"recovered":true`...), rest...)}
		}
		return same
	}
	if t.v1 && !bytes.HasPrefix(text, v1Message) || !t.v1 && !bytes.HasPrefix(text, bareMessage) {
		return same
	}
	before := l.seen[t.who]
	if before == nil {
		l.seen[t.who] = bytes.Clone(text)
	}
	if held := l.parked[t]; held != nil {
		if channelOf(held, t.v1) != channelOf(text, t.v1) {
			return same
		}
		delete(l.parked, t)
		return [][]byte{text, held}
	}
	l.after--
	if l.after >= 0 || l.told > 0 {
		l.overhear(t, text)
		return same
	}
	return l.lie(t, text, before)
}

// lie is frames for a message at which it is time to lie.
func (l *teller) lie(t *talk, text, before []byte) [][]byte {
	switch l.kind {
	case Drops:
		l.told++
		return nil
	case Swaps:
		l.told++
		l.parked[t] = bytes.Clone(text)
		return nil
	case Repeats:
		if t.again && before != nil {
			l.told++
			return [][]byte{before, text}
		}
	case Leaks:
		if o := l.last; o != nil && o.v1 == t.v1 && o.whose != l.whose(channelOf(text, t.v1)) {
			l.told++
			return [][]byte{o.text, text}
		}
		l.overhear(t, text)
	default:
	}
	return [][]byte{text}
}

func (l *teller) overhear(t *talk, text []byte) {
	if l.kind == Leaks {
		l.last = &overheard{t.v1, l.whose(channelOf(text, t.v1)), bytes.Clone(text)}
	}
}

// channelOf returns the name of a message's channel, or where the dialect has none the number that the message itself bears.
func channelOf(text []byte, v1 bool) string {
	if v1 {
		name, _, _ := bytes.Cut(bytes.TrimPrefix(text, v1Message), []byte(`"`))
		return string(name)
	}
	_, rest, _ := bytes.Cut(text, []byte(`"mark":"`))
	number, _, _ := bytes.Cut(rest, []byte("/"))
	return string(number)
}

// answer returns what a publisher is told instead of asking the gateway, if it is time to lie.
func (l *teller) answer(last string) (body string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kind != Boasts || l.told > 0 || last == "" {
		return "", false
	}
	l.after--
	if l.after >= 0 {
		return "", false
	}
	l.told++
	return last, true
}

// lies returns how many were told.
func (l *teller) lies() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

// next makes the answer that a gateway might give after one that said offset of epoch.
func next(epoch string, offset uint64) string {
	return fmt.Sprintf(`{"epoch":%q,"offset":%d}`, epoch, offset+1)
}
