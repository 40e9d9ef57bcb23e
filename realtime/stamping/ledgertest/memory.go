// Package ledgertest has a stamping.Ledger in memory, for tests, and what every Ledger must pass.
package ledgertest

import (
	"context"
	"slices"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/stamping"
)

// Memory is a Ledger without Redis. Its functions stand for what Redis knows; all are needed. It is for one goroutine.
type Memory struct {
	Now     func() time.Time
	Open    func(feed string) bool                       // whether a connection subscribes to that channel
	Publish func(mark string, answers []stamping.Answer) // on the channel that every feed hears
	Store   func(m *stamping.Numbered) error             // a message that is stamped now

	// Tell is called when the epochs of a tenant are turned, or, of a Channel without a tenant, those of all that were not yet.
	Tell func(ch realtime.Channel)

	Broken Mistakes // for tests of tests

	token, node, numbering, globs, owed string
	feeds                               []string
	stamped                             int64
	until, free                         time.Time
	able                                map[string]able
	paid                                map[realtime.Channel]string // for what the epochs of a tenant were turned last
}

// Mistakes are ways to do it wrong, with which a test shows that it finds them.
type Mistakes struct {
	NoFence       bool // a batch is taken whoever sends it, for whatever numbering
	NoNumbers     bool // a batch is stamped however often it comes
	BeginAnywhere bool // a numbering begins though another node could go on with the old one
	NothingOwed   bool // a numbering begins without a turn
	LatePaid      bool // messages are stamped before the turn that is owed
}

type able struct {
	numbering string
	low       int64
	feeds     []string
}

// Report implements stamping.Ledger.
func (l *Memory) Report(_ context.Context, r stamping.Report) (stamping.State, error) {
	s := stamping.State{}
	now := l.Now()
	for _, f := range r.Feeds {
		s.Open = append(s.Open, l.Open(f))
	}
	alive := slices.Contains(s.Open, true)
	aligned := r.Numbering == l.numbering && l.numbering != "" && r.Globs == l.globs
	mine := l.token == r.Token
	if mine {
		if aligned {
			l.stamped = max(l.stamped, r.Passed)
		}
		if r.Turned != "" && l.owed == r.Turned {
			l.owed = ""
		}
	}
	if r.Doubt != "" && r.Doubt == l.numbering && l.owed == "" {
		l.owed = r.Mark
	}
	fit := aligned && r.Low <= l.stamped+1
	if mine && (r.Release || !alive || aligned && !fit) {
		mine, l.token = false, ""
	}
	if l.able == nil {
		l.able = map[string]able{}
	}
	if fit && alive {
		l.able[r.Node] = able{r.Numbering, r.Low, r.Feeds}
	} else {
		delete(l.able, r.Node)
	}
	vacant := false
	if !mine {
		if cause := l.vacant(now); cause != "" {
			mine = l.take(&r, &s, cause, alive, fit, now)
			vacant = !mine
		}
	}
	if mine {
		l.until, l.feeds = now.Add(stamping.LeaseTime), r.Feeds
	}
	if mine && len(r.Answers) > 0 {
		l.Publish("", r.Answers)
	}
	if r.Ask || s.Began {
		l.Publish(r.Mark, nil)
	}
	s.Numbering, s.Stamped, s.Mine, s.Owed, s.Apart = l.numbering, l.stamped, mine, l.owed, l.globs != "" && l.globs != r.Globs
	if l.token != "" && !vacant {
		s.Holder = l.node
	}
	return s, nil
}

// vacant says why there is no holder; empty: there is one.
func (l *Memory) vacant(now time.Time) stamping.Cause {
	switch {
	case l.token == "" && l.numbering == "":
		return stamping.CauseFirst
	case l.token == "":
		return stamping.CauseReleased
	case !now.Before(l.until):
		return stamping.CauseExpired
	case !slices.ContainsFunc(l.feeds, l.Open):
		return stamping.CauseGone
	}
	return ""
}

func (l *Memory) take(r *stamping.Report, s *stamping.State, cause stamping.Cause, alive, fit bool, now time.Time) bool {
	if l.free.IsZero() {
		l.free = now
	}
	if !alive {
		return false
	}
	if !fit {
		if l.other(r.Node) && now.Sub(l.free) < stamping.Patience && !l.Broken.BeginAnywhere {
			return false
		}
		s.Began, s.First = true, l.numbering == ""
		l.owed = r.Mark
		if s.First && r.Trusted || l.Broken.NothingOwed {
			l.owed = ""
		}
		l.numbering, l.stamped, l.globs, l.able = r.Mark, 0, r.Globs, map[string]able{}
	}
	s.Took = cause
	if !l.until.IsZero() {
		s.Since = l.until.Add(-stamping.LeaseTime)
	}
	l.token, l.node, l.free = r.Token, r.Node, time.Time{}
	return true
}

// other reports whether some other node could go on.
func (l *Memory) other(node string) bool {
	for id, a := range l.able {
		if id != node && a.numbering == l.numbering && a.low <= l.stamped+1 && slices.ContainsFunc(a.feeds, l.Open) {
			return true
		}
	}
	return false
}

// Turn implements stamping.Ledger.
func (l *Memory) Turn(_ context.Context, owed string) error {
	l.pay(realtime.Channel{}, owed)
	return nil
}

func (l *Memory) pay(tenant realtime.Channel, owed string) {
	if l.paid == nil {
		l.paid = map[realtime.Channel]string{}
	}
	l.paid[tenant] = owed
	l.Tell(tenant)
}

// Stamp implements stamping.Ledger.
func (l *Memory) Stamp(_ context.Context, b stamping.Batch) (stamping.Receipt, error) {
	if !l.Broken.NoFence && (l.token != b.Token || l.numbering != b.Numbering) {
		return stamping.Receipt{Outcome: stamping.OutcomeFenced, Stamped: l.stamped}, nil
	}
	if b.Prev > l.stamped {
		return stamping.Receipt{Outcome: stamping.OutcomeTorn, Stamped: l.stamped}, nil
	}
	r := stamping.Receipt{}
	for i := range b.Messages {
		m := &b.Messages[i]
		if m.Number <= l.stamped && !l.Broken.NoNumbers {
			continue
		}
		tenant := realtime.Channel{Tenant: m.Channel.Tenant}
		if l.owed != "" && l.paid[tenant] != l.owed && l.paid[realtime.Channel{}] != l.owed && !l.Broken.LatePaid {
			l.pay(tenant, l.owed)
		}
		if err := l.Store(m); err != nil {
			r.Outcome, r.Err, r.Stamped = stamping.OutcomeStuck, err, l.stamped
			return r, nil //nolint:nilerr // it is in the Receipt
		}
		r.Count++
		l.stamped = max(l.stamped, m.Number)
	}
	l.stamped = max(l.stamped, b.Last)
	l.until = l.Now().Add(stamping.LeaseTime)
	r.Stamped = l.stamped
	return r, nil
}

// Forget takes back up to so many numbers that were stamped, as a Redis that is behind does.
func (l *Memory) Forget(n int64) { l.stamped = max(0, l.stamped-n) }

// Numbering returns the id and the highest number stamped, to look at.
func (l *Memory) Numbering() (string, int64) { return l.numbering, l.stamped }

// Owed returns what State.Owed says.
func (l *Memory) Owed() string { return l.owed }
