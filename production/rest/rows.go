package rest

import (
	"context"
	"fmt"
	"net/http"

	"kentongan/production"
)

// ReadingBody records a temperature.
type ReadingBody struct {
	production.AddReading
	Entry
}

// CheckBody records a quality check.
type CheckBody struct {
	production.AddCheck
	Entry
}

// SampleBody records a retained sample.
type SampleBody struct {
	production.TakeSample
	Entry
}

// DispatchBody records that food leaves.
type DispatchBody struct {
	production.RecordDispatch
	Entry
}

// PhotoBody adds a photo with a note. It holds no act of production: that one is written down without the picture.
type PhotoBody struct {
	Photo []byte `json:"photo"`
	Note  string `json:"note,omitempty"`
	Entry
}

// CorrectionBody corrects a final batch.
type CorrectionBody struct {
	production.Correct
	Entry
}

// rows adds the routes of what is added to a batch.
func (a *API) rows() {
	writes := need{rights: []production.Right{production.MaySee}} // the Service knows who may do what
	s := a.opts.Service
	const optional = "The version may be left out: nothing is overwritten."
	add := func(id, noun, summary, more string) operation {
		return operation{
			id: id, method: http.MethodPost, path: "/api/productions/{id}/" + noun, tag: tagRecords, need: writes,
			summary: summary, more: more, status: http.StatusCreated,
		}
	}
	change(a, add("addReading", "readings", "Record a temperature", optional),
		func(ctx context.Context, r production.Request, id string, b *ReadingBody) (production.Result, error) {
			return s.Reading(ctx, r, id, b.AddReading)
		})
	change(a, add("addCheck", "checks", "Record a quality check", optional+" A failed check ends nothing by itself: a person decides."),
		func(ctx context.Context, r production.Request, id string, b *CheckBody) (production.Result, error) {
			return s.Check(ctx, r, id, b.AddCheck)
		})
	change(a, add("addSample", "samples", "Record a retained food sample", optional),
		func(ctx context.Context, r production.Request, id string, b *SampleBody) (production.Result, error) {
			return s.Sample(ctx, r, id, b.TakeSample)
		})
	change(a, add("addDispatch", "dispatches", "Record that food leaves the kitchen", optional),
		func(ctx context.Context, r production.Request, id string, b *DispatchBody) (production.Result, error) {
			return s.Dispatch(ctx, r, id, b.RecordDispatch)
		})
	change(a, add("addPhoto", "photos", "Add a photo with a note", optional+" A JPEG or PNG of at most 192 KiB and 4096 pixels a side; a "+
		"batch has 20 at most. It is kept as it is sent: who takes it should encode it anew first, so that it says nothing of where and "+
		"with what it was taken."),
		func(ctx context.Context, r production.Request, id string, b *PhotoBody) (production.Result, error) {
			return s.Photo(ctx, r, id, production.AddPhoto{Note: b.Note, Data: b.Photo})
		})
	change(a, add("addCorrection", "corrections", "Say what is wrong in a final batch", optional+" The record itself stays as it is."),
		func(ctx context.Context, r production.Request, id string, b *CorrectionBody) (production.Result, error) {
			return s.Correct(ctx, r, id, b.Correct)
		})
	a.readRows()
	a.readPhotos()
}

type readingsInput struct {
	Who
	ID     string `path:"id" maxLength:"128" doc:"The id of the batch."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"500" doc:"How many readings at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The field next of the page before; left out: from the first."`
}

// Readings is a page of readings.
type Readings struct {
	Readings []production.Reading `json:"readings"`
	Next     string               `json:"next,omitempty"`
}

type readingsOutput struct{ Body Readings }

// Records is what was added to a batch, without its readings.
type Records struct {
	Checks      []production.Check      `json:"checks"`
	Samples     []production.Sample     `json:"samples"`
	Dispatches  []production.Dispatch   `json:"dispatches"`
	Corrections []production.Correction `json:"corrections"`
	Photos      []production.Photo      `json:"photoNotes"`
	Alerts      []production.Alert      `json:"alerts"`
}

type recordsOutput struct{ Body Records }

func (a *API) readRows() {
	see := need{rights: []production.Right{production.MaySee}, look: "records"}
	register(a, a.declare(operation{
		id: "listReadings", method: http.MethodGet, path: "/api/productions/{id}/readings", tag: tagRecords, need: see,
		summary: "List temperatures, in the order in which they came",
	}), func(ctx context.Context, c *caller, in *readingsInput) (*readingsOutput, error) {
		after := ""
		if in.Cursor != "" {
			parts, err := parseCursor("r", in.Cursor, 1)
			if err != nil || !plainID(parts[0]) {
				return nil, errCursor
			}
			after = parts[0]
		}
		limit := min(max(in.Limit, 1), mostPage)
		rows, err := a.opts.Store.Rows(ctx, c.tenant, in.ID, after, limit+1)
		if err != nil {
			return nil, fmt.Errorf("list readings of %s: %w", in.ID, err)
		}
		out := &readingsOutput{Body: Readings{Readings: list(rows.Readings)}}
		if len(rows.Readings) > limit {
			out.Body.Readings = rows.Readings[:limit]
			out.Body.Next = cursor("r", rows.Readings[limit-1].ID)
		}
		return out, nil
	})
	register(a, a.declare(operation{
		id: "listRecords", method: http.MethodGet, path: "/api/productions/{id}/records", tag: tagRecords, need: see,
		summary: "List checks, samples, dispatches, corrections, photos and all alerts of a batch, each in the order in which they came",
	}), func(ctx context.Context, c *caller, in *readInput) (*recordsOutput, error) {
		rows, err := a.opts.Store.Rows(ctx, c.tenant, in.ID, "", 1)
		if err != nil {
			return nil, fmt.Errorf("list records of %s: %w", in.ID, err)
		}
		out := &recordsOutput{Body: Records{
			Checks: list(rows.Checks), Samples: list(rows.Samples), Dispatches: list(rows.Dispatches),
			Corrections: correctionsFor(rows.Corrections, c.role()), Photos: list(rows.Photos), Alerts: []production.Alert{},
		}}
		for i := range rows.Alerts {
			out.Body.Alerts = append(out.Body.Alerts, *alertFor(&rows.Alerts[i], c.role()))
		}
		return out, nil
	})
}

// list returns s, and [] in JSON for none.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
