package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"unicode/utf8"

	"kentongan/production"
)

type observationsInput struct {
	Who
	Page
	Flagged bool `query:"flagged" doc:"true: only what is flagged."`
}

// Observations is a page of what apps published by themselves.
type Observations struct {
	Observations []Observation `json:"observations"`
	Next         string        `json:"next,omitempty"`
}

// Observation is one message of an app.
type Observation struct {
	ID           string             `json:"id"`
	At           production.Instant `json:"at"`
	ProductionID string             `json:"productionId,omitempty"`
	Flags        []string           `json:"flags,omitempty"`
	Payload      string             `json:"payload"`
}

type observationsOutput struct{ Body Observations }

// observations adds the route of what an app published by itself. Nothing of it is refused when it comes, whatever it says: here
// somebody can see what was wrong with it.
func (a *API) observations() {
	register(a, a.declare(operation{
		id: "listObservations", method: http.MethodGet, path: "/api/observations", tag: tagFigures,
		summary: "What an app published by itself about its batches, newest first",
		more: "Messages are kept as they came, and flagged with what is wrong with them. Costs are left out for roles that may not see " +
			"them; of what is no JSON they get nothing, for nobody knows what is in it.",
		need: need{rights: []production.Right{production.MayExport}, look: "observations"},
	}), a.listObservations)
}

func (a *API) listObservations(ctx context.Context, c *caller, in *observationsInput) (*observationsOutput, error) {
	after := ""
	if in.Cursor != "" {
		parts, err := parseCursor("o", in.Cursor, 1)
		if err != nil || !plainID(parts[0]) {
			return nil, errCursor
		}
		after = parts[0]
	}
	limit := min(max(in.Limit, 1), mostPage)
	found, err := a.opts.Store.Observations(ctx, c.tenant, in.Flagged, after, limit+1)
	if err != nil {
		return nil, fmt.Errorf("list observations: %w", err)
	}
	out := &observationsOutput{Body: Observations{Observations: []Observation{}}}
	if len(found) > limit {
		found = found[:limit]
		out.Body.Next = cursor("o", found[limit-1].ID)
	}
	for _, o := range found {
		payload := o.Payload
		if !c.may(production.MaySeeMoney) {
			payload = production.WithoutMoney(payload)
			if !json.Valid(payload) {
				payload = nil
			}
		}
		text := string(payload)
		if !utf8.ValidString(text) {
			text = fmt.Sprintf("%q", text) // bytes that are no text, written as text
		}
		out.Body.Observations = append(out.Body.Observations, Observation{o.ID, o.At, o.ProductionID, o.Flags, text})
	}
	return out, nil
}
