package rest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/production"
	"kentongan/tenant"
)

const (
	tagProductions = "Productions"
	tagRecords     = "Records"
	tagAlerts      = "Alerts"
	tagFigures     = "Figures and logs"
	tagKitchen     = "Kitchen"
)

var tags = []*huma.Tag{
	{Name: tagProductions, Description: "Batches of food and their steps."},
	{Name: tagRecords, Description: "What is measured, checked and recorded about a batch. Records are added, never changed."},
	{Name: tagAlerts, Description: "What is wrong, and who answered."},
	{Name: tagFigures, Description: "Figures, the log of a day, the audit trail."},
	{Name: tagKitchen, Description: "Settings, and the lists that batches refer to."},
}

// pageLimit is how many entries a page has unless asked otherwise, and mostPage the most that may be asked for: both are what
// a screen or a script can do with one answer.
const (
	pageLimit = 50
	mostPage  = 500
)

// Page is what every list in pages takes.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many entries at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The field next of the page before; left out: the first page."`
}

// productions adds the routes of batches themselves.
func (a *API) productions() {
	see := need{rights: []production.Right{production.MaySee}, look: "batches"}
	register(a, a.declare(operation{
		id: "listProductions", method: http.MethodGet, path: "/api/productions", tag: tagProductions, need: see,
		summary: "List batches, or take a snapshot to begin a screen with",
		more:    snapshotDoc,
	}), a.list)
	register(a, a.declare(operation{
		id: "getProduction", method: http.MethodGet, path: "/api/productions/{id}", tag: tagProductions, need: see,
		summary: "Read one batch with its figures and active alerts",
	}), a.read)

	writes := need{rights: []production.Right{production.MaySee}} // the Service knows who may do what
	o := a.declare(operation{
		id: "createProduction", method: http.MethodPost, path: "/api/productions", tag: tagProductions, need: writes,
		summary: "Plan a batch", status: http.StatusCreated,
	}, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	schema := takes[CreateBody](a, &o)
	register(a, o, func(ctx context.Context, c *caller, in *createInput) (*changedOutput, error) {
		var body CreateBody
		if err := decode(a.huma.OpenAPI().Components.Schemas, schema, in.RawBody, &body); err != nil {
			return nil, err
		}
		r, err := in.request(c, &Entry{TakenAt: body.TakenAt})
		if err != nil {
			return nil, err
		}
		result, err := a.opts.Service.Create(ctx, r, body.Create)
		if err != nil {
			return nil, fmt.Errorf("create production: %w", err)
		}
		out := changed(c, result)
		out.Location = "/api/productions/" + result.Production.ID
		return out, nil
	})
	register(a, a.declare(operation{
		id: "deleteProduction", method: http.MethodDelete, path: "/api/productions/{id}", tag: tagProductions, need: writes,
		summary: "Hide a batch that is still planned", more: "If-Match is needed. The audit trail keeps the batch.",
	}, http.StatusConflict), func(ctx context.Context, c *caller, in *deleteInput) (*changedOutput, error) {
		r, err := in.request(c, &Entry{})
		if err != nil {
			return nil, err
		}
		result, err := a.opts.Service.Delete(ctx, r, in.ID)
		if err != nil {
			return nil, fmt.Errorf("delete production %s: %w", in.ID, err)
		}
		return changed(c, result), nil
	})
}

// CreateBody is the body that plans a batch.
type CreateBody struct {
	production.Create
	TakenAt production.Instant `json:"takenAt,omitzero"`
}

type createInput struct {
	Who
	Write
	RawBody []byte
}

type deleteInput struct {
	Who
	Write
	ID string `path:"id" maxLength:"128" doc:"The id of the batch."`
}

type listInput struct {
	Who
	Page
	Active bool     `query:"active" doc:"true: a snapshot of all open batches and active alerts, with the positions of the channels. Only from may stand beside it."`               //nolint:lll // a tag cannot be broken
	From   string   `query:"from" format:"date" doc:"The first serving day. Of a snapshot: final batches from this day on are in it, too; left out, those of yesterday and later."` //nolint:lll // a tag cannot be broken
	To     string   `query:"to" format:"date" doc:"The last serving day."`
	Status []string `query:"status" enum:"PLANNED,PREPARING,COOKING,QUALITY_CHECK,COMPLETED,CANCELLED" doc:"With commas between them."`
	Menu   string   `query:"menuId" maxLength:"128" doc:"Only batches of this menu."`
	Text   string   `query:"q" maxLength:"100" doc:"The batch number or the name of the menu contains this, whatever its case."`
	Order  string   `query:"order" enum:"asc,desc" default:"asc" doc:"By serving day, planned start and id."`
}

// Listed is the answer to a list of batches.
type Listed struct {
	Productions []production.Production `json:"productions"`
	Next        string                  `json:"next,omitempty"`

	Alerts    []production.Alert  `json:"alerts,omitempty"`
	Seq       *int64              `json:"seq,omitempty"`
	Positions map[string]Position `json:"positions,omitempty"`
}

// Position is a place in the history of a channel.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

type listOutput struct{ Body Listed }

func (a *API) list(ctx context.Context, c *caller, in *listInput) (*listOutput, error) {
	from, err := day("query.from", in.From)
	if err != nil {
		return nil, err
	}
	if in.Active {
		return a.snapshot(ctx, c, in, from)
	}
	to, err := day("query.to", in.To)
	if err != nil {
		return nil, err
	}
	after, err := parseBatchCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	f := production.BatchFilter{From: from, To: to, MenuID: in.Menu, Text: in.Text, Backwards: in.Order == "desc"}
	for _, s := range in.Status {
		f.Statuses = append(f.Statuses, production.Status(s))
	}
	limit := min(max(in.Limit, 1), mostPage)
	found, err := a.opts.Store.Batches(ctx, c.tenant, f, after, limit+1) // one more tells whether there is another page
	if err != nil {
		return nil, fmt.Errorf("list productions: %w", err)
	}
	out := &listOutput{Body: Listed{Productions: []production.Production{}}}
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		out.Body.Next = batchCursor(production.BatchPlace{Day: last.Day, PlannedStart: last.PlannedStart, ID: last.ID})
	}
	for _, p := range found {
		out.Body.Productions = append(out.Body.Productions, p.For(c.role()))
	}
	return out, nil
}

// snapshotDoc is in the document: how a screen begins.
const snapshotDoc = `With active=true the answer is a snapshot: all open batches, the final ones of yesterday and later, all active alerts,
and positions: for each channel the newest event that the state reflects and that has been published.

To begin a screen without a hole: take a snapshot, apply it, then subscribe to each channel with its position as since. Everything that is
not in the snapshot follows. Some of what is in it may follow, too: drop updates whose version is not above the one that you have; alerts
are whole objects and may be applied again. If a channel has no position, nothing has been published there yet: subscribe first and take
the snapshot then. If the subscription answers with a gap, take a new snapshot.`

// snapshotDays is how far back a snapshot may reach: final batches of a week are what a board scrolls through.
const snapshotDays = 7

func (a *API) snapshot(ctx context.Context, c *caller, in *listInput, from production.Day) (*listOutput, error) {
	if in.To != "" || len(in.Status) > 0 || in.Menu != "" || in.Text != "" || in.Cursor != "" {
		return nil, invalid("query.active", "stands with from only: a snapshot has no other filters and no pages")
	}
	kitchen, err := a.kitchen(ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	today := production.DayOf(production.At(a.opts.Now()), kitchen.Zone)
	if from == "" {
		from = addDays(today, -1)
	}
	if from < addDays(today, -snapshotDays) {
		return nil, invalid("query.from", fmt.Sprintf("is more than %d days ago: list older batches without active", snapshotDays))
	}
	s, err := a.opts.Store.Snapshot(ctx, c.tenant, from)
	if err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	out := &listOutput{Body: Listed{
		Productions: []production.Production{}, Alerts: []production.Alert{}, Seq: &s.Seq, Positions: map[string]Position{},
	}}
	for i := range s.Batches {
		out.Body.Productions = append(out.Body.Productions, s.Batches[i].Production.For(c.role()))
	}
	for i := range s.Alerts {
		out.Body.Alerts = append(out.Body.Alerts, *alertFor(&s.Alerts[i], c.role()))
	}
	for _, p := range s.Positions {
		out.Body.Positions[p.Channel+":"+string(c.tenant)] = Position{p.Epoch, p.Offset}
	}
	return out, nil
}

// addDays returns the day n days after d.
func addDays(d production.Day, n int) production.Day {
	return production.DayOf(d.Start(production.WIB).Add(time.Duration(n)*24*time.Hour), production.WIB)
}

// kitchen returns the settings of a kitchen; of one that never set anything the defaults.
func (a *API) kitchen(ctx context.Context, t tenant.ID) (production.Kitchen, error) {
	in, err := a.opts.Store.Load(ctx, t, production.Want{})
	if err != nil {
		return production.Kitchen{}, fmt.Errorf("load kitchen %s: %w", t, err)
	}
	k := in.Kitchen.Kitchen
	if k.Zone == "" {
		k.Zone = production.WIB // what the zero Zone stands for, said to clients
	}
	return k, nil
}

type readInput struct {
	Who
	ID string `path:"id" maxLength:"128" doc:"The id of the batch."`
}

// Detail is one batch.
type Detail struct {
	Production production.Production `json:"production"`
	Alerts     []production.Alert    `json:"alerts"`
	KPIs       production.KPIs       `json:"kpis"`
}

type readOutput struct {
	ETag string `header:"ETag" doc:"The version of the batch, for If-Match."`
	Body Detail
}

func (a *API) read(ctx context.Context, c *caller, in *readInput) (*readOutput, error) {
	b, err := a.opts.Store.Batch(ctx, c.tenant, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read production %s: %w", in.ID, err)
	}
	out := &readOutput{ETag: etag(b.Production.Version), Body: Detail{
		Production: b.Production.For(c.role()),
		Alerts:     []production.Alert{},
		KPIs:       production.KPIsOf(b.Production, b.Facts).For(c.role()),
	}}
	for i := range b.Alerts {
		out.Body.Alerts = append(out.Body.Alerts, *alertFor(&b.Alerts[i], c.role()))
	}
	return out, nil
}
