package app

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"kentongan/production"
	"kentongan/production/rest"
	"kentongan/realtime"
	"kentongan/tenant"
)

// asksAtOnce is how many kitchens the engine is asked about at the same time: enough to fill its pipeline, few enough to leave room.
const asksAtOnce = 16

// screens returns who follows the batches of each of these kitchens, on all nodes.
func (a *App) screens(ctx context.Context, kitchens []tenant.ID) ([]rest.Screens, error) {
	found := make([]rest.Screens, len(kitchens))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(asksAtOnce)
	for i, k := range kitchens {
		g.Go(func() error {
			members, err := a.engine.presence.Members(ctx, realtime.Channel{Tenant: k, Name: production.UpdatesChannel})
			if err != nil {
				return fmt.Errorf("screens of %s: %w: %w", k, production.ErrUnavailable, err)
			}
			found[i].People = len(members)
			for _, m := range members {
				found[i].Sessions += m.Sessions
			}
			return nil
		})
	}
	return found, g.Wait() //nolint:wrapcheck // it says all
}
