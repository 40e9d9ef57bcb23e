package redis

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Stream is the Redis side of the durable way in: a stream that the app appends to, read by one consumer group for all nodes.
// The intake drives it, from one goroutine; only Poisoned may be called from others.
//
// It has two connections: one that waits for entries, and one that acknowledges.
type Stream struct {
	opts     Options
	key      string
	poison   string
	consumer string
	reader   *client
	asker    *client
	grouped  bool   // the group was there when it was last asked
	claimed  string // where the next Claim goes on
}

const (
	streamGroup = "kentongan"

	// maxPoison bounds what is set aside, more or less: Redis trims in whole blocks.
	maxPoison = 1000

	// forgetConsumer is after how long a consumer that has nothing pending is forgotten. Each start of a node is one.
	forgetConsumer = time.Hour

	// trimAtOnce bounds the work of one trim, during which Redis serves nobody else.
	trimAtOnce = 100_000
)

//go:embed stream_sweep.lua
var streamSweepSource string

var streamSweepScript = placed(streamSweepSource)

// NewStream returns a Stream that connects when it is first used. It is ended by Close.
func NewStream(opts Options) (*Stream, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("redis stream: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	s := &Stream{
		opts: opts, key: string(opts.keys()) + "publish", poison: string(opts.keys()) + "publish:poison",
		consumer: hex.EncodeToString(id[:]),
		claimed:  "0-0",
	}
	if s.reader, err = newClient(&s.opts, "stream", 0); err != nil {
		return nil, err
	}
	if s.asker, err = newClient(&s.opts, "stream-ack", s.opts.AnswerLimit); err != nil {
		s.reader.close()
		return nil, err
	}
	return s, nil
}

// Close ends everything.
func (s *Stream) Close() {
	s.reader.close()
	s.asker.close()
}

// Read gives take the next entries that no node has had yet, at most count, with their fields as names and values in turn. It
// waits for the first one up to wait. The end of ctx ends the reading for good.
func (s *Stream) Read(ctx context.Context, count int, wait time.Duration, take func(id string, fields []string)) error {
	defer context.AfterFunc(ctx, s.reader.dialer.closeAll)()
	if err := s.join(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, wait+s.opts.CommandTimeout)
	defer cancel()
	cmd := s.reader.B().Xreadgroup().Group(streamGroup, s.consumer).Count(int64(count)).Block(wait.Milliseconds()).
		Streams().Key(s.key).Id(">").Build()
	streams, err := s.reader.Do(limited, cmd).AsMap()
	if rueidis.IsRedisNil(err) {
		return nil // nothing came
	}
	if err != nil {
		return s.lost("read", err)
	}
	entries := streams[s.key]
	return s.each("read", &entries, take)
}

// Claim gives take entries that some node has had for longer than idle without acknowledging them, at most count; they are
// this node's now. It reports whether there may be more.
func (s *Stream) Claim(ctx context.Context, idle time.Duration, count int, take func(id string, fields []string)) (more bool, err error) {
	if err := s.join(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	cmd := s.asker.B().Xautoclaim().Key(s.key).Group(streamGroup).Consumer(s.consumer).
		MinIdleTime(strconv.FormatInt(idle.Milliseconds(), 10)).Start(s.claimed).Count(int64(count)).Build()
	answer, err := s.asker.Do(ctx, cmd).ToArray()
	if err != nil {
		return false, s.lost("claim", err)
	}
	if len(answer) < 2 {
		return false, s.lost("claim", errors.New("the answer is too short"))
	}
	if s.claimed, err = answer[0].ToString(); err != nil {
		return false, s.lost("claim", err)
	}
	if len(answer) > 2 {
		if gone, err := answer[2].AsStrSlice(); err == nil && len(gone) > 0 {
			s.opts.Log.Error("entries of the stream were deleted before they were acknowledged", "stream", s.key, "entries", len(gone))
		}
	}
	return s.claimed != "0-0", s.each("claim", &answer[1], take)
}

// Ack says that the entries are done with.
func (s *Stream) Ack(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	return s.lost("acknowledge", s.asker.Do(ctx, s.asker.B().Xack().Key(s.key).Group(streamGroup).Id(ids...).Build()).Error())
}

// SetAside puts what cannot be published into the poison stream. It is not acknowledged by that.
func (s *Stream) SetAside(ctx context.Context, fields []string) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	cmd := s.asker.B().Arbitrary("XADD").Keys(s.poison).Args("MAXLEN", "~", strconv.Itoa(maxPoison), "*").Args(fields...).Build()
	return s.lost("set aside", s.asker.Do(ctx, cmd).Error())
}

// Poisoned gives take what was set aside, the newest first, at most limit.
func (s *Stream) Poisoned(ctx context.Context, limit int, take func(id string, fields []string)) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	entries, err := s.asker.Do(ctx, s.asker.B().Xrevrange().Key(s.poison).End("+").Start("-").Count(int64(limit)).Build()).ToMessage()
	if err != nil {
		return unavailable("read the poison stream", err)
	}
	return s.each("read the poison of", &entries, take)
}

// Tidy lets go what every node is done with: entries that are acknowledged, and consumers that are gone.
func (s *Stream) Tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	from, err := s.firstNeeded(ctx)
	if err != nil {
		return s.lost("look at", err)
	}
	trim := s.asker.B().Xtrim().Key(s.key).Minid().Almost().Threshold(from).Limit(trimAtOnce).Build()
	if err := s.asker.Do(ctx, trim).Error(); err != nil {
		return s.lost("trim", err)
	}
	idle := strconv.FormatInt(forgetConsumer.Milliseconds(), 10)
	return s.lost("sweep", streamSweepScript.Exec(ctx, s.asker, []string{s.key}, []string{streamGroup, s.consumer, idle}).Error())
}

// firstNeeded returns the id of the first entry that somebody may still need. What was delivered up to the moment of the first
// question, and is not pending at the moment of the second, is acknowledged; what is delivered in between lies behind.
func (s *Stream) firstNeeded(ctx context.Context) (string, error) {
	groups, err := s.asker.Do(ctx, s.asker.B().XinfoGroups().Key(s.key).Build()).ToArray()
	if err != nil {
		return "", err
	}
	delivered := ""
	for i := range groups {
		fields, err := groups[i].AsMap()
		if err != nil {
			return "", err
		}
		name, last := fields["name"], fields["last-delivered-id"]
		if n, err := name.ToString(); err == nil && n == streamGroup {
			if delivered, err = last.ToString(); err != nil {
				return "", err
			}
		}
	}
	if delivered == "" {
		return "", errors.New("NOGROUP the group is gone")
	}
	pending, err := s.asker.Do(ctx, s.asker.B().Xpending().Key(s.key).Group(streamGroup).Build()).ToArray()
	if err != nil {
		return "", err
	}
	after, err := streamIDAfter(delivered)
	if err != nil || len(pending) < 2 {
		return after, err
	}
	oldest, err := pending[1].ToString()
	switch {
	case rueidis.IsRedisNil(err):
		return after, nil
	case err != nil:
		return "", err
	case streamIDLess(oldest, after):
		return oldest, nil
	}
	return after, nil
}

// join makes sure that there is a group. Its first reader begins with the oldest entry: what the app has appended before the
// first start is not lost.
func (s *Stream) join(ctx context.Context) error {
	if s.grouped {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.CommandTimeout)
	defer cancel()
	err := s.asker.Do(ctx, s.asker.B().XgroupCreate().Key(s.key).Group(streamGroup).Id("0").Mkstream().Build()).Error()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return s.lost("join", err)
	}
	s.grouped = true
	return nil
}

// lost wraps err, if there is one. After it the group is looked for again: a Redis that came back empty has none.
func (s *Stream) lost(doing string, err error) error {
	if err != nil {
		s.grouped = false
	}
	return unavailable(doing+" stream "+s.key, err)
}

// each reads a list of entries. One that was deleted has no fields.
func (s *Stream) each(doing string, entries *rueidis.RedisMessage, take func(id string, fields []string)) error {
	list, err := entries.ToArray()
	if err != nil {
		return s.lost(doing, err)
	}
	for i := range list {
		parts, err := list[i].ToArray()
		if err != nil || len(parts) != 2 {
			continue // deleted, in the answer of an older Redis
		}
		id, err := parts[0].ToString()
		if err != nil {
			return s.lost(doing, err)
		}
		fields, err := parts[1].AsStrSlice()
		if err != nil && !rueidis.IsRedisNil(err) {
			return s.lost(doing, err)
		}
		take(id, fields)
	}
	return nil
}

// parseStreamID reads "ms-seq".
func parseStreamID(id string) (ms, seq uint64, err error) {
	a, b, ok := strings.Cut(id, "-")
	ms, errA := strconv.ParseUint(a, 10, 64)
	seq, errB := strconv.ParseUint(b, 10, 64)
	if !ok || errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("%.60q is no id of a stream entry", id)
	}
	return ms, seq, nil
}

// streamIDAfter returns the next id that there can be.
func streamIDAfter(id string) (string, error) {
	ms, seq, err := parseStreamID(id)
	if err != nil {
		return "", err
	}
	if seq == math.MaxUint64 {
		return strconv.FormatUint(ms+1, 10) + "-0", nil
	}
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(seq+1, 10), nil
}

// streamIDLess reports whether a comes before b; what is no id comes before everything, so that nothing is trimmed for it.
func streamIDLess(a, b string) bool {
	ms, seq, err := parseStreamID(a)
	if err != nil {
		return true
	}
	otherMS, otherSeq, err := parseStreamID(b)
	return err == nil && (ms < otherMS || ms == otherMS && seq < otherSeq)
}
