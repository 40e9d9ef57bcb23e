package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/tracing"
	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

// Ledger is the stamping.Ledger of all nodes on one Redis: two scripts over one hash. It shares the connection of what this
// node publishes. Its methods may be called at the same time.
//
// Each script sees the whole ledger and the keys of several tenants. A Cluster allows that because all of them are in one slot.
type Ledger struct {
	broker *Broker
	both   []string               // keys of its hash and of that of the able nodes
	marks  string                 // channel of marks
	link   atomic.Pointer[string] // the last debt of a link that broke

	// The fields below are of the call of Report that goes on; there is one at a time.
	reporting  sync.Mutex
	reportTerm term

	// Those below are of the call of Stamp that goes on; there is one at a time.
	stamping   sync.Mutex
	term       term
	words      stampWords
	called     []*channelWords // of the messages of a batch
	keys, args []string        // of the script, for the next batch to use again
	tokens     []token         // likewise
	spell      spelling        // likewise, if the last batch was answered: else its words may still have to be sent
}

func newLedger(b *Broker) *Ledger {
	return &Ledger{broker: b, both: []string{b.keys.intake(), b.keys.intakeAble()}, marks: b.keys.marks()}
}

// Ledger returns the ledger of this Broker's Redis.
func (b *Broker) Ledger() *Ledger { return b.ledger }

// reportTime is the longest that a report may take. After it the next one is sent; a lease lasts not much less.
const reportTime = 2 * time.Second

// errLedger says that a script of ours did not answer as it does: somebody else has put one of that name there.
var errLedger = errors.New("the script answers something else")

// Report implements stamping.Ledger.
func (l *Ledger) Report(ctx context.Context, r stamping.Report) (stamping.State, error) {
	const doing = "report to the ledger"
	b := l.broker
	if err := b.check(ctx, doing); err != nil {
		return stamping.State{}, err
	}
	l.reporting.Lock()
	defer l.reporting.Unlock()
	ctx = l.reportTerm.within(ctx, b, min(reportTime*4/5, b.opts.CommandTimeout)) // which may last a quarter longer
	args := append([]string{
		r.Node, r.Token, r.Globs, r.Numbering, strconv.FormatInt(r.Low, 10), strconv.FormatInt(r.Passed, 10), r.Mark, flag(r.Ask),
		formatAnswers(r.Answers), flag(r.Trusted), flag(r.Release), r.Turned, r.Doubt,
		leaseTime, patience, l.marks,
	}, r.Feeds...)
	text, err := reportScript.Exec(ctx, b.pub.client, l.both, args).ToString()
	if err != nil {
		b.pub.client.dialer.demoted(err)
		return stamping.State{}, unavailable(doing, err)
	}
	const fixed = 10
	answer := strings.Split(text, "\n")
	if len(answer) != fixed+len(r.Feeds) {
		return stamping.State{}, unavailable(doing, errLedger)
	}
	s := stamping.State{
		Numbering: answer[0], Holder: answer[2], Mine: answer[3] == "1", Took: stamping.Cause(answer[4]), Began: answer[5] == "1",
		First: answer[6] == "1", Apart: answer[7] == "1", Owed: answer[8],
	}
	if s.Stamped, err = strconv.ParseInt(answer[1], 10, 64); err != nil {
		return stamping.State{}, unavailable(doing, errLedger)
	}
	if since := answer[9]; since != "" {
		ms, err := strconv.ParseInt(since, 10, 64)
		if err != nil {
			return stamping.State{}, unavailable(doing, errLedger)
		}
		s.Since = time.Now().Add(-time.Duration(ms) * time.Millisecond)
	}
	l.noteLink(s.Owed)
	s.Open = make([]bool, 0, len(r.Feeds))
	for _, open := range answer[fixed:] {
		s.Open = append(s.Open, open == "1")
	}
	return s, nil
}

// noteLink tells an operator why all are told a gap, if it is because of a link between nodes of a Cluster. The script ends such debts
// with a word of its own.
func (l *Ledger) noteLink(owed string) {
	if before := l.link.Load(); !strings.HasSuffix(owed, "-link") || before != nil && *before == owed {
		return
	}
	kept := owed // or each call would have one
	l.link.Store(&kept)
	// Everybody is told a gap, and then it goes on.
	l.broker.opts.Log.Warn("a link between nodes of the Cluster broke, and PUBLISH may have been lost with it", "owed", owed)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Stamp implements stamping.Ledger.
//
// What it stores is not looked after as what publishers were told is (see acknowledged): nobody was told anything. When Redis is
// replaced, or comes back, all connections that hear PUBLISH end with the old process; that is a break, and everybody is told a gap.
func (l *Ledger) Stamp(ctx context.Context, batch stamping.Batch) (stamping.Receipt, error) {
	const doing = "stamp"
	b := l.broker
	if err := b.check(ctx, doing); err != nil {
		return stamping.Receipt{}, err
	}
	l.stamping.Lock()
	defer l.stamping.Unlock()
	defer l.forgetArgs()
	ctx = l.term.within(ctx, b, b.opts.CommandTimeout)
	keys, args := l.stampArgs(&batch)
	called := b.pub.client.dialer.scripts()
	call := b.pub.client.B().Evalsha().Sha1(called.stamp).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
	trace := func(i int) *tracing.Context { return batch.Messages[i].Trace }
	span := beginStamp(b.opts.Traces, len(batch.Messages), trace) //nolint:contextcheck // what is traced says it by itself
	answer, err := b.pub.client.Do(ctx, call).ToString()
	span.End()
	if said, ok := rueidis.IsRedisErr(err); ok && said.IsNoScript() {
		b.pub.client.dialer.missing(called) // it is repeated
	}
	if err != nil {
		l.spell = spelling{}
		b.pub.client.dialer.demoted(err)
		b.health.set(partPublish, err)
		return stamping.Receipt{}, unavailable(doing, err)
	}
	b.health.set(partPublish, nil)
	r, err := l.receipt(answer)
	if err != nil {
		return stamping.Receipt{}, unavailable(doing, err)
	}
	if r.Err != nil {
		r.Err = fmt.Errorf("%s: %w", doing, r.Err)
	}
	b.counts.published.Add(uint64(r.Count)) //nolint:gosec // a count
	return r, nil
}

// outcomes are those of the script, by their letters.
var outcomes = map[string]stamping.Outcome{
	"D": stamping.OutcomeDone, "F": stamping.OutcomeFenced, "T": stamping.OutcomeTorn, "S": stamping.OutcomeStuck,
}

// receipt reads what the script answers, and notes the positions of the messages.
func (l *Ledger) receipt(answer string) (r stamping.Receipt, err error) {
	first, rest, _ := strings.Cut(answer, "\n")
	letter, first, _ := strings.Cut(first, " ")
	highest, count, _ := strings.Cut(first, " ")
	outcome, known := outcomes[letter]
	lines, err1 := strconv.Atoi(count)
	stamped, err2 := strconv.ParseInt(highest, 10, 64)
	if !known || err1 != nil || err2 != nil || lines < 0 || lines > len(l.called) {
		return stamping.Receipt{}, errLedger
	}
	r.Outcome, r.Stamped = outcome, stamped
	for _, w := range l.called[:lines] {
		var line string
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			continue // it was stamped before
		}
		position, err := parsePosition(line)
		if err != nil {
			return stamping.Receipt{}, err
		}
		if w.known.Epoch != position.Epoch {
			w.known.Epoch = strings.Clone(position.Epoch) // the lines of the whole batch would stay with it
		}
		w.known.Offset = position.Offset
		r.Count++
	}
	if outcome == stamping.OutcomeStuck {
		r.Err = errors.New(rest)
	}
	return r, nil
}

// stampArgs returns the keys and arguments of the script, which are those of the next call too. The command has copies of the strings.
func (l *Ledger) stampArgs(batch *stamping.Batch) (keys, args []string) {
	b := l.broker
	spell := &l.spell
	spell.again(len(batch.Messages)+1, wordBytes)
	l.keys = append(l.keys[:0], l.both[0])
	l.args = append(l.args[:0], batch.Token, batch.Numbering, spell.number(batch.Prev), spell.number(batch.Last), leaseTime,
		spell.word(realtime.AppendEpoch(spell.b)))
	keys, args = l.keys, l.args
	l.tokens = b.pub.tokens(l.tokens[:0], batch.Messages)
	l.called = l.called[:0]
	for i := range batch.Messages {
		m := &batch.Messages[i]
		w := l.words.of(b, m.Channel)
		l.called = append(l.called, w)
		w.tenant.weigh(b.scales, m.Channel.Tenant, len(m.Data))
		keys = append(keys, w.tenant.head, w.stream)
		args = append(args, spell.number(m.Number), m.Channel.Name, rueidis.BinaryString(m.Data), w.size, w.age, w.tenant.live,
			spell.token(&l.tokens[i], m.Trace), w.known.Epoch, spell.offset(w.known.Offset))
		if w.snapshotKey != nil {
			keys = append(keys, w.newest)
			args = append(args, spell.key(m.Data, w.snapshotKey))
		} else {
			args = append(args, "")
		}
	}
	l.keys, l.args = keys, args
	return keys, args
}

// wordBytes is about what the words of a message take, two numbers, a token and a key, and no less than the numbers of a batch.
const wordBytes = 72

var (
	leaseTime = strconv.FormatInt(stamping.LeaseTime.Milliseconds(), 10)
	patience  = strconv.FormatInt(stamping.Patience.Milliseconds(), 10)
)

// forgetArgs lets go of what the last batch held.
func (l *Ledger) forgetArgs() {
	clear(l.keys)
	clear(l.args)
}

// Turn implements stamping.Ledger.
func (l *Ledger) Turn(ctx context.Context, owed string) error {
	return l.broker.turnAll(ctx, realtime.GapIntake, owed)
}

// tokens appends a token for each message.
func (p *publisher) tokens(tokens []token, messages []stamping.Numbered) []token {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range messages {
		tokens = append(tokens, p.token(messages[i].Arrived))
	}
	return tokens
}

// What is published on the channel of marks: "m MARK", and "a" with any number of answers, each three words long.

func formatAnswers(answers []stamping.Answer) string {
	if len(answers) == 0 {
		return ""
	}
	b := []byte{'a'}
	for _, a := range answers {
		b = append(append(b, ' '), a.Numbering...)
		b = append(append(b, ' '), a.Mark...)
		b = strconv.AppendInt(append(b, ' '), a.Number, 10)
	}
	return string(b)
}

// parseMark reads what formatAnswers and the script of reports write. Of what is neither, it returns nothing.
func parseMark(b []byte) (mark string, answers []stamping.Answer) {
	if len(b) > maxAnswersBytes {
		return "", nil
	}
	words := strings.Split(string(b), " ")
	switch {
	case words[0] == "m" && len(words) == 2:
		return words[1], nil
	case words[0] != "a" || len(words)%3 != 1:
		return "", nil
	}
	for w := range slices.Chunk(words[1:], 3) {
		number, err := strconv.ParseInt(w[2], 10, 64)
		if err != nil {
			return "", nil
		}
		answers = append(answers, stamping.Answer{Numbering: w[0], Mark: w[1], Number: number})
	}
	return "", answers
}
