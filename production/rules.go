package production

// Decision is what the rules make of a change.
type Decision struct {
	Commit Commit // without Remember
	Result Result
}

// Apply decides on c. in holds what wanted(c) asks a Store for, and now is the server's clock. Without an error the decision
// is complete: new rows, alerts, events and audit entry; else the error is a *Refusal that names everything that is unmet,
// and nothing changes. Apply is pure.
func Apply(in Loaded, c Change, now Instant) (Decision, error) {
	return Decision{}, &Refusal{Code: CodeForbidden, Message: "no rule allows it", err: ErrForbidden}
}

// Look decides what the passing of time has brought about in a batch or a kitchen: alerts that are raised, rise, or
// resolve themselves, calls for those that nobody answered, and when to look again. ok is false if there is nothing to
// commit. Look is pure: two nodes that look at the same moment decide the same, and only one of their commits succeeds.
func Look(d Due, now Instant) (c Commit, ok bool) {
	return Commit{}, false
}

// Observe takes in what an app published by itself on a channel of updates or alerts: a copy of the batch is kept as the
// app says it is, whatever our rules think of it, and what cannot be right is flagged. It never fails: payload may be anything.
// in holds the batch of that id, if there is one, and id is what Observation.ID is to be. Observe is pure.
func Observe(in Loaded, id string, payload []byte, now Instant) (c Commit, flags []string) {
	return Commit{}, nil
}

// ObservedProduction returns the id of the production that payload is about, or "" if it does not say.
func ObservedProduction(payload []byte) string { return "" }

// WithoutMoney returns payload, an Event's, without what only MaySeeMoney may see. It returns payload itself if there is
// nothing to take out.
func WithoutMoney(payload []byte) []byte { return payload }

// For returns p as r may see it.
func (p Production) For(r Role) Production {
	if !r.May(MaySeeMoney) {
		p.EstimatedCost, p.ActualCost, p.CostPerPortion = nil, nil, nil
	}
	return p
}
