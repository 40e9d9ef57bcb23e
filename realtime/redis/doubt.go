package redis

import (
	"math"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// A Redis that was replaced, or that came back with older data, may have forgotten what it once announced, and have given the same
// offsets out again since. Offsets alone do not show that. So when another lineage of data answers (see trackedConn), every follower
// doubts what it has: along with the heads it asks when the last entry that it knows of each channel was written. An entry that was
// written anew has another time. Then the epoch ends: for whom it is the same, it is not.

// written is when a publication was stamped, in ms by the clock of Redis. Of one that was not delivered here, but known by a head, only an
// upper bound is known.
type written struct {
	ms    int64
	bound bool
}

// doubts returns what to ask of the channels that may be other ones now, as parts of KEYS and ARGV. The lock is held.
func (f *follower) doubts() (names, keys []string, offsets []uint64) {
	if !f.doubt {
		return nil, nil, nil
	}
	for name, tr := range f.channels {
		if tr.last.Offset > 0 {
			names = append(names, name)
			keys = append(keys, f.broker.keys.stream(tr.channel))
			offsets = append(offsets, tr.last.Offset)
		}
	}
	return names, keys, offsets
}

// entry is one that is in history: when it was stamped, in ms, and who published it.
type entry struct {
	held  bool
	ms    int64
	token token
}

// belied reports whether the entry at the track's position is another one than it was.
//
// The clocks of the old and the new primary may differ. That an entry which was delivered here shows the same millisecond as the one
// that took its place would need them to differ by just the time that the failover took.
func (tr *track) belied(now entry) bool {
	switch {
	case !now.held:
		return false // it has left the history, or there is none; what came first leaves first, so nothing was put in its place
	case tr.written.bound:
		return now.ms > tr.written.ms
	}
	return now.ms != tr.written.ms
}

// forgotten ends the epoch of a channel whose offsets were given out a second time.
func (f *follower) forgotten(tr *track) {
	tr.forgotten = true
	f.repair(tr)
}

// epochOf is a condition for turn: whatever the offset, if the epoch is still this one.
func epochOf(p realtime.Position) realtime.Position {
	return realtime.Position{Epoch: p.Epoch, Offset: math.MaxInt64}
}

// headsAnswer is what the script of the same name answers.
type headsAnswer struct {
	realtime.Heads
	ms      int64            // when it was read
	entries map[string]entry // that were asked for, by name of the channel
}

func readHeads(r rueidis.RedisResult, names []string) (headsAnswer, error) {
	parts, err := r.ToArray()
	if err != nil || len(parts) != 3 {
		return headsAnswer{}, errAnswer(err)
	}
	fields, err1 := parts[0].AsStrMap()
	ms, err2 := parts[1].AsInt64()
	times, err3 := parts[2].AsStrSlice()
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return headsAnswer{}, err
		}
	}
	if len(times) != len(names) {
		return headsAnswer{}, errAnswer(nil)
	}
	answer := headsAnswer{ms: ms, entries: make(map[string]entry, len(names))}
	for i, name := range names {
		answer.entries[name] = parseEntry(times[i])
	}
	answer.Heads, err = parseHeads(fields)
	return answer, err
}

// headsOf is a call of the script of the same name, which asks of each stream for the entry at the offset.
func (b *Broker) headsOf(head string, streams []string, offsets []uint64) rueidis.LuaExec {
	args := make([]string, 0, 1+len(offsets))
	args = append(args, b.newEpoch())
	for _, o := range offsets {
		args = append(args, strconv.FormatUint(o, 10))
	}
	return rueidis.LuaExec{Keys: append([]string{head}, streams...), Args: args}
}

// parseEntry reads "MS TOKEN"; empty: no entry is held. One that is none of ours was stamped by nobody, at no time.
func parseEntry(s string) entry {
	e := entry{held: s != ""}
	digits, by, _ := strings.Cut(s, " ")
	if ms, err := strconv.ParseInt(digits, 10, 64); err == nil && len(by) == tokenBytes {
		e.ms, e.token = ms, token([]byte(by))
	}
	return e
}
