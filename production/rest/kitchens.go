package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"kentongan/production"
	"kentongan/tenant"
)

// KitchenBody is a kitchen's settings as they shall be. What is left out is the default.
type KitchenBody struct {
	Version       int64                    `json:"version"`
	Name          string                   `json:"name,omitempty"`
	Zone          production.Zone          `json:"timeZone,omitempty"`
	CertifiedCook bool                     `json:"certifiedCook,omitempty"`
	YoungGroups   []string                 `json:"youngGroups,omitempty"`
	Certificates  []production.Certificate `json:"certificates,omitempty"`
	Limits        production.Limits        `json:"limits,omitzero"`
}

// Settings are a kitchen with its limits explained.
type Settings struct {
	Kitchen production.Kitchen `json:"kitchen"`
	Limits  []LimitState       `json:"limits"`
}

// LimitState is one limit: what holds, what could hold.
type LimitState struct {
	Name     string   `json:"name"`
	Unit     string   `json:"unit"`
	Value    float64  `json:"value"`   // what holds
	Set      bool     `json:"set"`     // the kitchen has set it
	Default  float64  `json:"default"` // what holds if it does not
	Min      float64  `json:"min"`
	Max      float64  `json:"max"`
	Safety   bool     `json:"safety"`             // may be made stricter than loosest, never looser
	Stricter string   `json:"stricter,omitempty"` // LOWER or HIGHER
	Loosest  *float64 `json:"loosest,omitempty"`
}

type kitchenOutput struct {
	ETag string `header:"ETag" doc:"The version of the settings, for If-Match; missing while nobody has set anything."`
	Body Settings
}

type whoInput struct{ Who }

type kitchenInput struct {
	Who
	Seen
	Proof
	RawBody []byte
}

// kitchens adds the routes of settings.
func (a *API) kitchens() {
	register(a, a.declare(operation{
		id: "getKitchen", method: http.MethodGet, path: "/api/kitchen", tag: tagKitchen, summary: "Read the settings of a kitchen",
		need: need{rights: []production.Right{production.MaySee}, look: "kitchen"},
	}), func(ctx context.Context, c *caller, _ *whoInput) (*kitchenOutput, error) {
		k, err := a.kitchen(ctx, c.tenant)
		if err != nil {
			return nil, err
		}
		return settings(k), nil
	})
	o := a.declare(operation{
		id: "putKitchen", method: http.MethodPut, path: "/api/kitchen", tag: tagKitchen, summary: "Set the settings of a kitchen",
		more: "All of them: what is left out becomes the default. version is the one that you have read, 0 if nobody has set anything. " +
			"Safety limits may be made stricter than the default, never looser.",
		need: need{rights: []production.Right{production.MaySee}},
	}, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	schema := takes[KitchenBody](a, &o)
	register(a, o, func(ctx context.Context, c *caller, in *kitchenInput) (*kitchenOutput, error) {
		var b KitchenBody
		if err := decode(a.huma.OpenAPI().Components.Schemas, schema, in.RawBody, &b); err != nil {
			return nil, err
		}
		r, err := in.request(c)
		if err != nil {
			return nil, err
		}
		if r.Version, err = in.version(b.Version); err != nil {
			return nil, err
		}
		k, err := a.opts.Service.Configure(ctx, r, production.Kitchen{
			ID: c.tenant, Name: b.Name, Zone: b.Zone, CertifiedCook: b.CertifiedCook, YoungGroups: b.YoungGroups,
			Certificates: b.Certificates, Limits: b.Limits, Version: r.Version,
		})
		if err != nil {
			return nil, fmt.Errorf("set kitchen: %w", err)
		}
		return settings(k), nil
	})
	register(a, a.declare(operation{
		id: "listKitchens", method: http.MethodGet, path: "/api/kitchens", tag: tagKitchen,
		summary: "List the kitchens that have anything recorded", more: "For the platform, and for API keys of all kitchens.",
		need: need{rights: []production.Right{production.MaySee}, self: true},
	}), a.listKitchens)
}

func settings(k production.Kitchen) *kitchenOutput {
	out := &kitchenOutput{Body: Settings{Kitchen: k}}
	if k.Version > 0 {
		out.ETag = etag(k.Version)
	}
	holds, set := limitValues(k.Limits.OrDefaults()), limitValues(k.Limits)
	for _, l := range production.LimitTable() {
		scale, unit := 1.0, l.Unit
		if unit == "0.1 °C" {
			scale, unit = 10, "°C"
		}
		_, own := set[l.Name]
		s := LimitState{
			Name: l.Name, Unit: unit, Value: holds[l.Name], Set: own, Default: float64(l.Default) / scale,
			Min: float64(l.Min) / scale, Max: float64(l.Max) / scale, Safety: l.Safety,
		}
		if l.Safety {
			loosest := float64(l.Loosest) / scale
			s.Stricter, s.Loosest = string(l.Stricter), &loosest
		}
		out.Body.Limits = append(out.Body.Limits, s)
	}
	return out
}

// limitValues returns the limits that l sets, by name, in the units of JSON.
func limitValues(l production.Limits) map[string]float64 {
	text, err := json.Marshal(l)
	if err != nil {
		panic("rest: " + err.Error()) // numbers always marshal
	}
	out := map[string]float64{}
	if err := json.Unmarshal(text, &out); err != nil {
		panic("rest: " + err.Error())
	}
	return out
}

type kitchensInput struct {
	Who
	Page
}

// Kitchens is a page of kitchens.
type Kitchens struct {
	Kitchens []KitchenName `json:"kitchens"`
	Next     string        `json:"next,omitempty"`
}

// KitchenName is what names a kitchen.
type KitchenName struct {
	ID   tenant.ID       `json:"sppgId"`
	Name string          `json:"name"`
	Zone production.Zone `json:"timeZone"`
}

type kitchensOutput struct{ Body Kitchens }

func (a *API) listKitchens(ctx context.Context, c *caller, in *kitchensInput) (*kitchensOutput, error) {
	if c.tenant != tenant.Global || !c.role().Platform() && c.role() != production.Server {
		return nil, fmt.Errorf("list kitchens: %w", production.ErrForbidden)
	}
	after := tenant.Global
	if in.Cursor != "" {
		parts, err := parseCursor("k", in.Cursor, 1)
		if err != nil {
			return nil, err
		}
		if after, err = tenant.Parse(parts[0]); err != nil {
			return nil, errCursor
		}
	}
	limit := min(max(in.Limit, 1), mostPage)
	found, err := a.opts.Store.Kitchens(ctx, after, limit+1)
	if err != nil {
		return nil, fmt.Errorf("list kitchens: %w", err)
	}
	out := &kitchensOutput{Body: Kitchens{Kitchens: []KitchenName{}}}
	if len(found) > limit {
		found = found[:limit]
		out.Body.Next = cursor("k", string(found[limit-1].ID))
	}
	for i := range found {
		zone := found[i].Zone
		if zone == "" {
			zone = production.WIB
		}
		out.Body.Kitchens = append(out.Body.Kitchens, KitchenName{found[i].ID, found[i].Name, zone})
	}
	return out, nil
}
