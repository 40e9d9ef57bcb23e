package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/tenant"
)

type cacheWarmCommand struct {
	cacheFlags
	Replace bool `help:"Write also what is there already."`
}

// Help is what cache warm --help adds.
func (*cacheWarmCommand) Help() string {
	return `Reads entries as lines of JSON and writes those that are missing, so that the first kitchens of the morning need not wait:

  {"key":"menus:today","data":{"menu":"soto"},"ttl":"2h","tags":["menus"],"version":4}

Only key and data are needed; ttl is 30m then.`
}

// warmEntry is one line.
type warmEntry struct {
	Key     string          `json:"key"`
	Data    json.RawMessage `json:"data"`
	TTL     string          `json:"ttl"`
	Tags    []string        `json:"tags"`
	Version int64           `json:"version"`
}

// Run is kentongan cache warm.
func (c *cacheWarmCommand) Run(w *world) error {
	return c.with(w, func(ctx context.Context, ch *cache.Cache, _ *shared.Redis, t tenant.ID) error {
		written, there := 0, 0
		in := json.NewDecoder(w.in)
		for n := 1; ; n++ {
			var e warmEntry
			err := in.Decode(&e)
			if errors.Is(err, io.EOF) {
				return c.print(w, map[string]int{"written": written, "present": there}, "%d written, %d were there", written, there)
			}
			if err != nil {
				return fmt.Errorf("entry %d: %w; %d were written", n, err, written)
			}
			wrote, err := c.warm(ctx, ch, t, &e)
			if err != nil {
				return fmt.Errorf("entry %d, %s: %w; %d were written", n, e.Key, err, written)
			}
			if wrote {
				written++
			} else {
				there++
			}
		}
	})
}

// warm writes one entry, and reports whether it had to.
func (c *cacheWarmCommand) warm(ctx context.Context, ch *cache.Cache, t tenant.ID, e *warmEntry) (bool, error) {
	p := &cache.Policy{TTL: cache.Medium, Tags: e.Tags, Version: e.Version}
	if e.TTL != "" {
		ttl, err := time.ParseDuration(e.TTL)
		if err != nil {
			return false, fmt.Errorf("ttl %q is no duration such as 30m", e.TTL)
		}
		p.TTL = ttl
	}
	if len(e.Data) == 0 {
		return false, errors.New("no data")
	}
	if c.Replace {
		return true, cache.Set(ctx, ch, t, e.Key, e.Data, p)
	}
	// As a load: it is refused if the key is invalidated meanwhile, and does not overwrite what somebody else loads.
	wrote := false
	_, err := cache.GetOrLoad(ctx, ch, t, e.Key, p, func(context.Context) (json.RawMessage, error) {
		wrote = true
		return e.Data, nil
	})
	return wrote, err
}
