package cache

import (
	"context"
	"time"

	"kentongan/cache/shared"
	"kentongan/tenant"
)

// Explanation is all that is known of one key, for whoever wonders why it is or is not served.
type Explanation struct {
	Name   string `json:"name"`   // in Redis
	Served string `json:"served"` // "memory", "redis" or "no": what Get would do
	Why    string `json:"why"`

	Memory *ExplainedItem  `json:"memory,omitempty"` // nil: this node has nothing
	Redis  *ExplainedEntry `json:"redis,omitempty"`  // nil: there is nothing

	Epochs map[string]int64     `json:"epochs,omitempty"` // that are current, of all entries of the tenant and of its tags
	Record []shared.Invalidated `json:"record,omitempty"` // of this tenant's invalidations that concern it, newest first
}

// ExplainedItem is what memory has.
type ExplainedItem struct {
	Fresh     bool          `json:"fresh"`
	Age       time.Duration `json:"ageNs"`
	EndsIn    time.Duration `json:"endsInNs"`
	Staleness time.Duration `json:"stalenessNs"` // how old the knowledge is that it is still true
}

// ExplainedEntry is what Redis has.
type ExplainedEntry struct {
	Kind      string           `json:"kind"`             // "entry", "lease", "floor", "foreign text" or "no text"
	Writer    string           `json:"writer,omitempty"` // "cache" or "app"
	Bytes     int              `json:"bytes"`
	Version   int64            `json:"version,omitempty"`
	CreatedAt time.Time        `json:"createdAt,omitzero"`
	ExpiresAt time.Time        `json:"expiresAt,omitzero"`
	Tags      []string         `json:"tags,omitempty"`
	Epochs    map[string]int64 `json:"epochs,omitempty"` // that it was loaded under
	Missing   bool             `json:"missing,omitempty"`
}

// Explain says what is known of a key. It asks Redis and changes nothing, except that epochs are made where there are none.
func (c *Cache) Explain(ctx context.Context, t tenant.ID, key string, p *Policy) (Explanation, error) {
	p = p.orZero()
	n, err := c.check(t, key, p)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Name: n.redis(), Served: "no", Why: "there is no entry"}
	c.explainMemory(n, p, &e)
	if c.tier == nil {
		return e, nil
	}
	var values []string
	var tables []shared.Epochs
	err = c.ask(ctx, "explain", func(ctx context.Context) (err error) {
		values, tables, err = c.tier.Read(ctx, []string{n.redis()}, []string{epochsOf(t)})
		return err
	})
	if err != nil {
		return e, err
	}
	e.Epochs = map[string]int64{shared.Star: tables[0][shared.Star]}
	if values[0] != "" {
		if err := c.explainEntry(ctx, n, values[0], &table{fields: tables[0]}, &e); err != nil {
			return e, err
		}
	}
	var record []shared.Invalidated
	err = c.ask(ctx, "explain", func(ctx context.Context) (err error) {
		record, err = c.tier.Record(ctx, auditOf(t))
		return err
	})
	for _, r := range record {
		_, tagged := e.Epochs[r.Name]
		if r.What == "tenant" || r.What == "tag" && tagged || r.What != "tag" && r.Name == key {
			e.Record = append(e.Record, r)
		}
	}
	return e, err
}

func (c *Cache) explainMemory(n name, p *Policy, e *Explanation) {
	it := c.memory.peek(n)
	if it == nil || it.value == nil && !it.missing {
		return
	}
	now := c.now()
	fresh := c.fresh(n, p) == it
	e.Memory = &ExplainedItem{
		Fresh: fresh, Age: time.Duration(now - it.loaded), EndsIn: time.Duration(it.expires - now),
		Staleness: max(0, time.Duration(now-c.basis(it.at, it.era))),
	}
	if fresh {
		e.Served, e.Why = "memory", "it is valid, and that is known well enough"
		if it.missing {
			e.Why = "it is remembered that there is nothing"
		}
	}
}

// explainOther says what a text is that is no entry.
func (r *ExplainedEntry) explainOther(text string) string {
	switch {
	case text == shared.OtherKind:
		r.Kind, r.Bytes = "no text", 0
		return "what is under this name is no text, and so no entry"
	case shared.IsLease(text):
		r.Kind = "lease"
		return "somebody loads it"
	case shared.IsMarker(text):
		r.Kind, r.Version = "floor", shared.FloorIn(text)
		return "it was forgotten up to a version, and nobody has loaded it since"
	}
	r.Kind = "foreign text"
	return "the text under this name is no entry"
}

func (c *Cache) explainEntry(ctx context.Context, n name, text string, t *table, e *Explanation) error {
	e.Redis = &ExplainedEntry{Bytes: len(text)}
	serve := func(served, why string) {
		if e.Served != "memory" {
			e.Served, e.Why = served, why
		}
	}
	w, err := decode(text, n.own, &c.zip)
	if err != nil {
		serve("no", e.Redis.explainOther(text))
		return nil //nolint:nilerr // that is the explanation
	}
	r := e.Redis
	r.Kind, r.Writer, r.Version, r.Tags, r.Missing = "entry", "cache", w.version, w.tags, w.missing
	r.CreatedAt, r.ExpiresAt = w.created, w.expires
	if w.epochs == nil {
		r.Writer = "app"
	} else {
		r.Epochs = map[string]int64{}
		for _, p := range w.epochs {
			r.Epochs[p.field] = p.number
		}
	}
	for _, tag := range w.tags {
		e.Epochs[tag] = t.fields[tag]
	}
	it, left := c.itemOf(c.kitchen(n.tenant), n, &w)
	switch {
	case left <= 0:
		serve("no", "it has ended")
	case !t.accepts(it, c.quarantine()) && it.foreign && it.created < t.newest(it.tags):
		serve("no", "the app wrote it before something that concerns it was invalidated, or before this cache first looked at the tenant")
	case !t.accepts(it, c.quarantine()) && it.foreign:
		serve("no", "the app wrote it too soon after an invalidation: it may have been read before")
	case !t.accepts(it, c.quarantine()):
		serve("no", "it was invalidated: its epochs are not the current ones")
	case it.foreign:
		ok, err := c.trusted(ctx, n, it)
		if err != nil {
			return err
		}
		if !ok {
			serve("no", "the app wrote it too soon after the key was invalidated: it may have been read before")
			return nil
		}
		serve("redis", "the app wrote it, and nothing was invalidated since")
	default:
		serve("redis", "its epochs are the current ones")
	}
	return nil
}
