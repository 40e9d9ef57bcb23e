package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"kentongan/app"
	"kentongan/cache"
	"kentongan/cache/shared"
	"kentongan/config"
	"kentongan/tenant"
)

type cacheCommand struct {
	Get              cacheGetCommand              `cmd:"" help:"Print an entry, as the cache would serve it."`
	Set              cacheSetCommand              `cmd:"" help:"Write an entry."`
	Del              cacheDelCommand              `cmd:"" help:"Invalidate one key."`
	InvalidateTag    cacheInvalidateTagCommand    `cmd:"" help:"Invalidate all entries of a kitchen with a tag."`
	InvalidateTenant cacheInvalidateTenantCommand `cmd:"" help:"Invalidate all entries of a kitchen."`
	Explain          cacheExplainCommand          `cmd:"" help:"Say what is known of a key, and why it is or is not served."`
	Stats            cacheStatsCommand            `cmd:"" help:"Print what Redis holds of the cache."`
	Warm             cacheWarmCommand             `cmd:"" help:"Write entries that are missing, from standard input."`
}

// Help is what cache --help adds.
func (*cacheCommand) Help() string {
	return `Reads and changes the cache in the configured Redis, with the promises that docs/cache.md makes: entries of the app and of this
server are the same. The kitchen is named with --tenant; without it the entry is one of all kitchens.

Examples:

  kentongan cache get --tenant sppg_7 menus:today

  kentongan cache set --tenant sppg_7 --ttl 30m --tags menus menus:today '{"menu":"soto"}'

  kentongan cache invalidate-tag --tenant sppg_7 --wait menus

  kentongan cache explain --tenant sppg_7 menus:today

  kentongan cache warm --tenant sppg_7 < entries.ndjson`
}

// cacheFlags are the flags of all commands of the cache.
type cacheFlags struct {
	fileFlag
	Tenant string `help:"Kitchen; without it, entries of all kitchens." placeholder:"ID"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// ownFlag is for the entries that the app does not read.
type ownFlag struct {
	Own bool `help:"An entry under a name that only this server uses."`
}

// cacheTime is how long one command may take; what scans takes longer, and can be interrupted.
const cacheTime = 30 * time.Second

// with runs f with the cache of the configured Redis.
func (c *cacheFlags) with(w *world, f func(ctx context.Context, c *cache.Cache, tier *shared.Redis, t tenant.ID) error) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config})
	if err != nil {
		return err
	}
	if !cfg.Redis.Enabled() {
		return usage("no Redis is configured; set REDIS_URL or REDIS_HOST. Without Redis the cache is in the memory of serve alone")
	}
	t := tenant.Global
	if c.Tenant != "" {
		if t, err = tenant.Parse(c.Tenant); err != nil {
			return usage("--tenant: %w", err)
		}
	}
	log := slog.New(slog.DiscardHandler) // what goes wrong is the command's error
	tier, err := app.OpenCacheTier(cfg, log)
	if err != nil {
		return err
	}
	ch, err := app.NewCache(cfg, tier, log)
	if err != nil {
		tier.Close()
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	err = f(ctx, ch, tier, t)
	if closing := ch.Close(); err == nil {
		err = closing
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return errInterrupted
	case errors.Is(err, cache.ErrInvalid):
		return usageError{err}
	}
	return err
}

// print writes one answer: as JSON, or as text.
func (c *cacheFlags) print(w *world, answer any, format string, args ...any) error {
	if c.JSON {
		return wrapWrite(json.NewEncoder(w.out).Encode(answer))
	}
	_, err := fmt.Fprintf(w.out, format+"\n", args...)
	return wrapWrite(err)
}

type cacheGetCommand struct {
	cacheFlags
	ownFlag
	Key string `arg:"" help:"Key, as the app writes it: menus:today."`
}

// Run is kentongan cache get.
func (c *cacheGetCommand) Run(w *world) error {
	return c.with(w, func(ctx context.Context, ch *cache.Cache, _ *shared.Redis, t tenant.ID) error {
		ctx, cancel := context.WithTimeout(ctx, cacheTime)
		defer cancel()
		data, err := cache.Get[json.RawMessage](ctx, ch, t, c.Key, &cache.Policy{Own: c.Own, Strict: true})
		if errors.Is(err, cache.ErrNotFound) {
			e, why := ch.Explain(ctx, t, c.Key, &cache.Policy{Own: c.Own})
			if why != nil {
				return why
			}
			return fmt.Errorf("%s: %s", e.Name, e.Why)
		}
		if err != nil {
			return err
		}
		return c.print(w, map[string]any{"key": c.Key, "tenant": t, "data": data}, "%s", data)
	})
}

type cacheSetCommand struct {
	cacheFlags
	ownFlag
	TTL     time.Duration `name:"ttl" help:"How long it lives, up to 168h." default:"30m"`
	Tags    []string      `help:"Tags, separated by commas."`
	Version int64         `help:"Version of the value: it is refused if a newer one is known." placeholder:"N"`
	Key     string        `arg:"" help:"Key."`
	Value   string        `arg:"" name:"value" help:"Value, as JSON."`
}

// Run is kentongan cache set.
func (c *cacheSetCommand) Run(w *world) error {
	if !json.Valid([]byte(c.Value)) {
		return usage("the value is no JSON; a text needs quotes inside of those of the shell: '\"text\"'")
	}
	return c.with(w, func(ctx context.Context, ch *cache.Cache, _ *shared.Redis, t tenant.ID) error {
		ctx, cancel := context.WithTimeout(ctx, cacheTime)
		defer cancel()
		p := &cache.Policy{TTL: c.TTL, Tags: c.Tags, Version: c.Version, Own: c.Own}
		if err := cache.Set(ctx, ch, t, c.Key, json.RawMessage(c.Value), p); err != nil {
			return err
		}
		return c.print(w, map[string]any{"key": c.Key, "tenant": t, "written": true}, "written")
	})
}

// waitFlag is for invalidations.
type waitFlag struct {
	Wait bool `help:"Return when no server serves the old entries any more."`
}

// done waits for the other nodes, if that is asked for, and says so.
func (f waitFlag) done(
	ctx context.Context, c *cacheFlags, w *world, ch *cache.Cache, tier *shared.Redis, t tenant.ID, s cache.Scope,
) error {
	err := func() error {
		if f.Wait {
			return ch.InvalidateAndWait(ctx, t, s)
		}
		switch {
		case s.All:
			return ch.InvalidateTenant(ctx, t)
		case s.Tag != "":
			return ch.InvalidateTag(ctx, t, s.Tag)
		}
		return ch.Invalidate(ctx, t, s.Key, &cache.Policy{Own: s.Own})
	}()
	if err != nil {
		return err
	}
	// What the app would still find of many entries is a chore. A server does it; there may be none that has its cache on.
	for more := s.Key == ""; more; {
		if more, err = tier.Chore(ctx); err != nil {
			return err
		}
	}
	return c.print(w, map[string]any{"tenant": t, "invalidated": true, "everywhere": f.Wait}, "invalidated")
}

type cacheDelCommand struct {
	cacheFlags
	ownFlag
	waitFlag
	Version int64  `help:"Only what is older than this version; older ones are refused for 90 s." placeholder:"N"`
	Key     string `arg:"" help:"Key."`
}

// Run is kentongan cache del.
func (c *cacheDelCommand) Run(w *world) error {
	if c.Version != 0 && c.Wait {
		return usage("--version and --wait do not go together: a version is for those who write after it")
	}
	return c.with(w, func(ctx context.Context, ch *cache.Cache, tier *shared.Redis, t tenant.ID) error {
		ctx, cancel := context.WithTimeout(ctx, cacheTime)
		defer cancel()
		if c.Version != 0 {
			if err := ch.Forget(ctx, t, c.Key, c.Version, &cache.Policy{Own: c.Own}); err != nil {
				return err
			}
			return c.print(w, map[string]any{"tenant": t, "invalidated": true, "version": c.Version},
				"invalidated below version %d", c.Version)
		}
		if c.Key == "" {
			return usage("the key is empty")
		}
		return c.done(ctx, &c.cacheFlags, w, ch, tier, t, cache.Scope{Key: c.Key, Own: c.Own})
	})
}

type cacheInvalidateTagCommand struct {
	cacheFlags
	waitFlag
	Tag string `arg:"" help:"Tag."`
}

// Run is kentongan cache invalidate-tag.
func (c *cacheInvalidateTagCommand) Run(w *world) error {
	if c.Tag == "" {
		return usage("the tag is empty")
	}
	return c.with(w, func(ctx context.Context, ch *cache.Cache, tier *shared.Redis, t tenant.ID) error {
		return c.done(ctx, &c.cacheFlags, w, ch, tier, t, cache.Scope{Tag: c.Tag})
	})
}

type cacheInvalidateTenantCommand struct {
	cacheFlags
	waitFlag
	AllKitchens bool `help:"Without --tenant: yes, the entries that belong to no kitchen."`
}

// Run is kentongan cache invalidate-tenant.
func (c *cacheInvalidateTenantCommand) Run(w *world) error {
	if c.Tenant == "" && !c.AllKitchens {
		return usage("name the kitchen with --tenant; or, for the entries that belong to no kitchen, say --all-kitchens")
	}
	return c.with(w, func(ctx context.Context, ch *cache.Cache, tier *shared.Redis, t tenant.ID) error {
		return c.done(ctx, &c.cacheFlags, w, ch, tier, t, cache.Scope{All: true})
	})
}

type cacheExplainCommand struct {
	cacheFlags
	ownFlag
	Key string `arg:"" help:"Key."`
}

// Run is kentongan cache explain.
func (c *cacheExplainCommand) Run(w *world) error {
	return c.with(w, func(ctx context.Context, ch *cache.Cache, _ *shared.Redis, t tenant.ID) error {
		ctx, cancel := context.WithTimeout(ctx, cacheTime)
		defer cancel()
		e, err := ch.Explain(ctx, t, c.Key, &cache.Policy{Own: c.Own})
		if err != nil {
			return err
		}
		if c.JSON {
			return c.print(w, e, "")
		}
		return wrapWrite(table(w, explained(&e)))
	})
}

// explained returns the rows of an explanation.
func explained(e *cache.Explanation) [][2]string {
	rows := [][2]string{{"name", e.Name}, {"served", e.Served}, {"why", e.Why}}
	if r := e.Redis; r != nil {
		rows = append(rows, [2]string{"in redis", fmt.Sprintf("%s, %d bytes", r.Kind, r.Bytes)})
		if r.Writer != "" {
			rows = append(rows, [2]string{"written by", r.Writer}, [2]string{"created", r.CreatedAt.Format(time.RFC3339)},
				[2]string{"expires", r.ExpiresAt.Format(time.RFC3339)}, [2]string{"tags", strings.Join(r.Tags, ", ")})
		}
		if r.Version > 0 {
			rows = append(rows, [2]string{"version", fmt.Sprint(r.Version)})
		}
	}
	for _, r := range e.Record {
		by := fmt.Sprintf("%s by %s %s", r.At.Format(time.RFC3339), r.What, r.Name)
		rows = append(rows, [2]string{"invalidated", strings.TrimSpace(by)})
	}
	return rows
}

// table writes rows of a name and a value; the values stand below each other.
func table(w *world, rows [][2]string) error {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(w.out, "%-*s  %s\n", width, r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

type cacheStatsCommand struct {
	cacheFlags
	Limit int `help:"How many names to look at, at most." default:"100000"`
}

// Run is kentongan cache stats.
func (c *cacheStatsCommand) Run(w *world) error {
	if c.Limit < 1 {
		return usage("--limit is %d; write how many names to look at", c.Limit)
	}
	return c.with(w, func(ctx context.Context, _ *cache.Cache, tier *shared.Redis, t tenant.ID) error {
		kinds := cache.Names()
		if c.Tenant != "" {
			kinds = cache.NamesOf(t)
		}
		s, err := cache.Survey(ctx, tier, c.Limit, kinds)
		if err != nil {
			return err
		}
		if c.JSON {
			return c.print(w, s, "")
		}
		bound := "no bound"
		if s.MaxBytes > 0 {
			bound = fmt.Sprintf("of %d MiB", s.MaxBytes>>20)
		}
		rows := [][2]string{
			{"redis", s.Version}, {"memory", fmt.Sprintf("%d MiB, %s, %s", s.UsedBytes>>20, bound, s.Policy)},
			{"evicted", fmt.Sprint(s.Evicted)}, {"names", fmt.Sprintf("%d, of which %d were looked at", s.Names, s.Scanned)},
		}
		for _, p := range kinds {
			rows = append(rows, [2]string{p.What, fmt.Sprint(s.Found[p.Prefix])})
		}
		rows = append(rows, [2]string{"dead in tag sets", fmt.Sprintf("%d of %d", s.Dead, s.Sampled)},
			[2]string{"chores", fmt.Sprint(s.Chores)}, [2]string{"nodes", fmt.Sprint(s.Nodes)})
		for _, warning := range s.Warnings {
			rows = append(rows, [2]string{"warning", warning})
		}
		return wrapWrite(table(w, rows))
	})
}
