package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// Screens are those who follow the batches of a kitchen at the moment, on all nodes.
type Screens struct {
	Sessions int // connections
	People   int // users, of whom one may have several connections
}

// unwatched is the filter that no store knows: kitchens with an open batch that nobody's screen follows.
const unwatched = "unwatched"

type overviewInput struct {
	Who
	Page
	Text string `query:"q" maxLength:"100" doc:"The id or the name of the kitchen contains it, whatever the case of its letters A to Z; left out: all."`                                                                                                                                       //nolint:lll // a tag cannot be broken
	Show string `query:"show" enum:"all,cooking,alarming,behind,unwatched" default:"all" doc:"cooking: with an open batch; alarming: with an active alert that is HIGH or CRITICAL; behind: with a batch that is behind its plan; unwatched: with an open batch, and no screen is connected."` //nolint:lll // a tag cannot be broken
}

// Overview is how the kitchens stand.
type Overview struct {
	Time     production.Instant `json:"time"`
	Counts   OverviewCounts     `json:"counts"`
	Kitchens []KitchenStanding  `json:"kitchens"`
	Next     string             `json:"next,omitempty"`
}

// OverviewCounts are how many kitchens each filter shows.
type OverviewCounts struct {
	Kitchens int `json:"kitchens"`
	Cooking  int `json:"cooking"`
	Alarming int `json:"alarming"`
	Behind   int `json:"behind"`
}

// KitchenStanding is how one kitchen stands.
type KitchenStanding struct {
	KitchenName
	Open            int                `json:"open"`
	Behind          int                `json:"behind"`
	Critical        int                `json:"critical"`
	High            int                `json:"high"`
	Medium          int                `json:"medium"`
	Low             int                `json:"low"`
	Unanswered      int                `json:"unanswered"`
	UnansweredSince production.Instant `json:"unansweredSince"`
	LastChange      production.Instant `json:"lastChange"`
	Sessions        *int               `json:"sessions"`
	People          *int               `json:"people"`
}

type overviewOutput struct{ Body Overview }

// overviews adds the route of the platform's screen.
func (a *API) overviews() {
	seen := &lookers{now: a.opts.Now, last: map[string]time.Time{}}
	register(a, a.declare(operation{
		id: "getOverview", method: http.MethodGet, path: "/api/overview", tag: tagKitchen,
		summary: "See how all kitchens stand",
		more: "For the platform, and for API keys of all kitchens: what is open, behind and alarming, and who is connected. Numbers " +
			"alone; what is behind them is read from the kitchen itself, which writes down each look.",
		need: need{rights: []production.Right{production.MaySee}, self: true},
	}), func(ctx context.Context, c *caller, in *overviewInput) (*overviewOutput, error) {
		if c.tenant != tenant.Global || !c.role().Platform() && c.role() != production.Server {
			return nil, fmt.Errorf("overview: %w", production.ErrForbidden)
		}
		if seen.first(c.actor.User) {
			a.opts.Audit.InfoContext(ctx, "the platform looks at all kitchens", "user", c.actor.User, "role", c.actor.Role)
		}
		return a.overview(ctx, in)
	})
}

func (a *API) overview(ctx context.Context, in *overviewInput) (*overviewOutput, error) {
	after := tenant.Global
	if in.Cursor != "" {
		parts, err := parseCursor("o", in.Cursor, 1)
		if err != nil {
			return nil, err
		}
		if after, err = tenant.Parse(parts[0]); err != nil {
			return nil, errCursor
		}
	}
	counts, err := a.opts.Store.CountStandings(ctx)
	if err != nil {
		return nil, fmt.Errorf("overview: %w", err)
	}
	out := &overviewOutput{Body: Overview{
		Time:   production.At(a.opts.Now()),
		Counts: OverviewCounts{counts.Kitchens, counts.Cooking, counts.Alarming, counts.Behind}, Kitchens: []KitchenStanding{},
	}}
	limit := min(max(in.Limit, 1), mostPage)
	var found []KitchenStanding
	if in.Show == unwatched {
		found, err = a.unwatched(ctx, in.Text, after, limit+1)
	} else {
		filters := map[string]production.StandingFilter{
			"cooking": production.CookingKitchens, "alarming": production.AlarmingKitchens, "behind": production.LateKitchens,
		}
		// Who is connected is known to the engine, not to the records: while that is out, the rest is still worth seeing.
		found, _, err = a.standings(ctx, filters[in.Show], in.Text, after, limit+1)
	}
	if err != nil {
		return nil, fmt.Errorf("overview: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		out.Body.Next = cursor("o", string(found[limit-1].ID))
	}
	out.Body.Kitchens = append(out.Body.Kitchens, found...)
	return out, nil
}

// standings returns a page of kitchens, and what is wrong with the engine if their screens are not known.
func (a *API) standings(
	ctx context.Context, f production.StandingFilter, text string, after tenant.ID, limit int,
) (list []KitchenStanding, blind, err error) {
	found, err := a.opts.Store.Standings(ctx, f, text, after, limit)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // the caller says of what
	}
	ids := make([]tenant.ID, 0, len(found))
	for i := range found {
		s := &found[i]
		zone := s.Kitchen.Zone
		if zone == "" {
			zone = production.WIB
		}
		ids = append(ids, s.Kitchen.ID)
		list = append(list, KitchenStanding{
			KitchenName: KitchenName{s.Kitchen.ID, s.Kitchen.Name, zone}, Open: s.Open, Behind: s.Behind,
			Critical: s.Critical, High: s.High, Medium: s.Medium, Low: s.Low,
			Unanswered: s.Unanswered, UnansweredSince: s.UnansweredSince, LastChange: s.LastChange,
		})
	}
	screens, blind := a.screens(ctx, ids)
	if blind != nil {
		a.opts.Log.WarnContext(ctx, "nobody knows which screens are connected", "err", blind)
		return list, blind, nil
	}
	for i := range screens {
		list[i].Sessions, list[i].People = &screens[i].Sessions, &screens[i].People
	}
	return list, nil, nil
}

func (a *API) screens(ctx context.Context, ids []tenant.ID) ([]Screens, error) {
	if a.opts.Screens == nil {
		return nil, fmt.Errorf("no engine was given: %w", production.ErrUnavailable)
	}
	return a.opts.Screens(ctx, ids)
}

// unwatched goes through the kitchens that cook for those that nobody watches.
func (a *API) unwatched(ctx context.Context, text string, after tenant.ID, limit int) (list []KitchenStanding, err error) {
	for len(list) < limit {
		page, blind, err := a.standings(ctx, production.CookingKitchens, text, after, mostPage)
		if err != nil || blind != nil {
			return nil, errors.Join(err, blind)
		}
		for i := range page {
			if *page[i].Sessions == 0 {
				list = append(list, page[i])
			}
		}
		if len(page) < mostPage {
			break
		}
		after = page[mostPage-1].ID
	}
	return list[:min(limit, len(list))], nil
}

// lookers notes who looks at all kitchens, so that a screen that asks all the time is one line of the log in a while.
type lookers struct {
	now  func() time.Time
	mu   sync.Mutex
	last map[string]time.Time
}

// Bounds of lookers: how long a look lasts, and how many people are remembered. The platform's staff is far fewer.
const (
	lookTime    = 10 * time.Minute
	mostLookers = 1000
)

// first reports whether user begins to look.
func (l *lookers) first(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if at, ok := l.last[user]; ok && now.Sub(at) < lookTime {
		return false
	}
	if len(l.last) >= mostLookers {
		clear(l.last)
	}
	l.last[user] = now
	return true
}
