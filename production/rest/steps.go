package rest

import (
	"context"
	"net/http"

	"kentongan/production"
)

// UpdateBody edits a planned batch.
type UpdateBody struct {
	production.Update
	Entry
}

// WorkBody is what the kitchen tells of a batch under way.
type WorkBody struct {
	production.Work
	Entry
}

// TransitionBody takes a batch to its next status.
type TransitionBody struct {
	production.Transition
	Entry
}

// CancelBody ends a batch.
type CancelBody struct {
	production.Cancel
	Entry
}

// steps adds the routes that change a batch itself.
func (a *API) steps() {
	writes := need{rights: []production.Right{production.MaySee}} // the Service knows who may do what
	s := a.opts.Service
	change(a, operation{
		id: "updateProduction", method: http.MethodPatch, path: "/api/productions/{id}", tag: tagProductions, need: writes,
		summary: "Edit a batch that is still planned", more: "What is left out stays as it is. The version is needed.",
	}, func(ctx context.Context, r production.Request, id string, b *UpdateBody) (production.Result, error) {
		return s.Update(ctx, r, id, b.Update)
	})
	change(a, operation{
		id: "workOnProduction", method: http.MethodPost, path: "/api/productions/{id}/work", tag: tagProductions, need: writes,
		summary: "Record progress, portions, waste, costs or finished dishes of a batch under way",
		more: "What is left out stays as it is. The version is needed. The first finished dish begins the four hours of the whole " +
			"batch.",
	}, func(ctx context.Context, r production.Request, id string, b *WorkBody) (production.Result, error) {
		return s.Work(ctx, r, id, b.Work)
	})
	change(a, operation{
		id: "transitionProduction", method: http.MethodPost, path: "/api/productions/{id}/transition", tag: tagProductions, need: writes,
		summary: "Take a batch to its next status, or back to COOKING (rework)",
		more: "The version is needed. A batch that does not fulfil what the step asks is refused with GUARDS_UNMET, " +
			"and unmet lists everything that is missing.",
	}, func(ctx context.Context, r production.Request, id string, b *TransitionBody) (production.Result, error) {
		return s.Transition(ctx, r, id, b.Transition)
	})
	change(a, operation{
		id: "cancelProduction", method: http.MethodPost, path: "/api/productions/{id}/cancel", tag: tagProductions, need: writes,
		summary: "End a batch that is not final", more: "The version is needed.",
	}, func(ctx context.Context, r production.Request, id string, b *CancelBody) (production.Result, error) {
		return s.Cancel(ctx, r, id, b.Cancel)
	})
}
