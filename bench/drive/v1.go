package drive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// kind says what a frame of kentongan.v1 is about.
type kind uint8

const (
	other kind = iota // welcome, heartbeat, and what a later version may add
	message
	subscribed
	gap
	goaway
	refusal // of the subscription
)

// push is what a V1 screen needs of a frame. Its bytes are of the frame.
type push struct {
	kind      kind
	epoch     []byte
	offset    uint64
	recovered bool          // subscribed: everything after the position that was asked for follows
	cause     string        // of a gap, also in subscribed; of a refusal
	after     time.Duration // goaway: when to leave
}

// readPush reads a frame. A message is looked at by its first bytes alone and without garbage, for there are a million of them; the
// data comes last, so a word in it is never taken for one of the envelope.
func readPush(text []byte) (push, error) {
	if bytes.HasPrefix(text, []byte(`{"message":{`)) {
		return readMessage(text)
	}
	var f struct {
		Subscribed *position `json:"subscribed"`
		Gap        *position `json:"gap"`
		Goaway     *struct {
			ReconnectInMs int64 `json:"reconnectInMs"`
		} `json:"goaway"`
		Error *struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return push{}, fmt.Errorf("read frame: %w", err)
	}
	switch {
	case f.Subscribed != nil:
		p := f.Subscribed
		return push{kind: subscribed, epoch: []byte(p.Epoch), offset: p.Offset, recovered: p.Recovered, cause: p.Gap}, nil
	case f.Gap != nil:
		return push{kind: gap, epoch: []byte(f.Gap.Epoch), offset: f.Gap.Offset, cause: f.Gap.Cause}, nil
	case f.Goaway != nil:
		return push{kind: goaway, after: time.Duration(f.Goaway.ReconnectInMs) * time.Millisecond}, nil
	case f.Error != nil:
		return push{kind: refusal, cause: f.Error.Code}, nil
	}
	return push{}, nil
}

// position is the body of subscribed and of gap.
type position struct {
	Epoch     string `json:"epoch"`
	Offset    uint64 `json:"offset"`
	Recovered bool   `json:"recovered"`
	Gap       string `json:"gap"`
	Cause     string `json:"cause"`
}

var errEnvelope = errors.New("read message: the envelope has no offset and epoch")

func readMessage(text []byte) (push, error) {
	_, rest, ok1 := bytes.Cut(text, []byte(`,"offset":`))
	digits, rest, ok2 := bytes.Cut(rest, []byte(`,"epoch":"`))
	epoch, _, ok3 := bytes.Cut(rest, []byte(`"`))
	const most = 16 // 2^53 has as many digits
	if !ok1 || !ok2 || !ok3 || len(digits) == 0 || len(digits) > most {
		return push{}, errEnvelope
	}
	p := push{kind: message, epoch: epoch}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return push{}, errEnvelope
		}
		p.offset = p.offset*10 + uint64(c-'0')
	}
	return p, nil
}

// journey is how far a V1 screen has come in its channel.
type journey struct {
	epoch  string
	offset uint64
	told   bool // of a gap, since the last message
}

// resume returns the words of the query that ask for what comes after j.
func (j *journey) resume(dst []byte, channel string) []byte {
	dst = append(append(dst, "?channels="...), channel...)
	if j.epoch == "" {
		return dst
	}
	return fmt.Appendf(dst, "@%s/%d", j.epoch, j.offset)
}

// take goes on by what was heard, and says what is wrong with it, or "".
func (j *journey) take(p push) (wrong string) {
	switch p.kind {
	case message:
		if string(p.epoch) != j.epoch || p.offset != j.offset+1 {
			wrong = fmt.Sprintf("position %s/%d after %s/%d, and no gap was told", p.epoch, p.offset, j.epoch, j.offset)
		}
		if string(p.epoch) != j.epoch {
			j.epoch = string(p.epoch)
		}
		j.offset = p.offset
	case gap:
		j.epoch, j.offset, j.told = string(p.epoch), p.offset, true
	case subscribed:
		switch first := j.epoch == ""; {
		case p.recovered && first:
			wrong = "recovered, and no position was given"
		case p.recovered: // what was missed follows; the position is where it was
		case p.cause == "" && !first:
			wrong = "a position was given, and it is neither recovered nor a gap"
		default:
			j.epoch, j.offset, j.told = string(p.epoch), p.offset, !first
		}
	case refusal:
		wrong = "the subscription is refused: " + p.cause
	case other, goaway:
	}
	return wrong
}

// judge counts message number seq of a screen whose last one was last, and returns its last one now. told says that the screen was
// told of a gap meanwhile, which makes of what is missing something that is known to be. fresh: it has not come before.
func (c *Counts) judge(last, seq int, told bool) (now int, fresh bool) {
	if seq <= last {
		c.Twice++
		if c.Why == "" {
			c.Why = fmt.Sprintf("message %d after %d", seq, last)
		}
		return last, false
	}
	if told {
		c.Skipped += seq - last - 1
	} else {
		c.Missing += seq - last - 1
	}
	c.Delivered++
	return seq, true
}
